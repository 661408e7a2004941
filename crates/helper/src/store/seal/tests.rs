//! Every single bit of every file of a store, flipped.

use super::{opened, sealed};
use crate::store::{Beginning, NewAttempt, Store, StoreError, WorkKind};
use overhaul_model::event::Generation;
use overhaul_model::id::{AttemptKey, Digest, InstallId, Position};
use overhaul_model::receipt::{ReceiptStatus, STORE_FORMAT, WorkEnd};
use std::fs;
use std::path::{Path, PathBuf};

/// In memory where that can be: whoever tells of an end syncs its folder first.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn generation() -> Generation {
    Generation {
        fleet: "fleet".to_owned(),
        run: "run".into(),
        counter: 3,
        nonce: "n".into(),
    }
}

fn begin(store: &Store, key: &str) -> Beginning {
    let new = NewAttempt {
        generation: generation(),
        key: AttemptKey::new(key),
        position: Position::alone("step".into()),
        step: Digest::of("step"),
        earlier: Vec::new(),
    };
    let locked = store.lock().unwrap();
    locked.register(&generation()).unwrap().unwrap();
    locked.begin(&new, &WorkKind::Exec).unwrap().unwrap()
}

/// A store with one receipt, which has ended.
fn store(dir: &Path) -> Store {
    let store = Store::open(dir).unwrap();
    let Beginning::Fresh(attempt) = begin(&store, "k") else {
        panic!("it is the first one");
    };
    let detail = "as it should be".to_owned();
    attempt.end_as(WorkEnd::Done { detail }, true).unwrap();
    store
}

/// Everything that a store tells.
type Told = (InstallId, u64, Option<Generation>, ReceiptStatus);

fn told(dir: &Path) -> Result<Told, String> {
    let words = |error: StoreError| error.to_string();
    let store = Store::open(dir).map_err(words)?;
    Ok((
        store.install_id().clone(),
        store.sequence().map_err(words)?,
        store.holder().map_err(words)?,
        store.status(&AttemptKey::new("k")).map_err(words)?,
    ))
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let of_store = ["format", "install-id", "sequence", "generation.json"];
    let of_receipt = ["begin.json", "work.json", "end.json"];
    let of_receipt = of_receipt.map(|name| dir.join("receipts/k").join(name));
    let of_store = of_store.map(|name| dir.join(name));
    of_store.into_iter().chain(of_receipt).collect()
}

#[test]
fn every_flipped_bit_of_a_store_and_of_a_receipt_is_found_or_changes_nothing() {
    let dir = folder();
    let dir = dir.path().join("store");
    drop(store(&dir));
    let whole = told(&dir).unwrap();
    for path in files(&dir) {
        let bytes = fs::read(&path).unwrap();
        let (mut found, mut harmless) = (0, 0);
        for bit in 0..bytes.len() * 8 {
            let mut harmed = bytes.clone();
            harmed[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &harmed).unwrap();
            match told(&dir) {
                Ok(as_before) => {
                    assert_eq!(as_before, whole, "bit {bit} of {}", path.display());
                    harmless += 1;
                }
                Err(why) => {
                    assert!(why.contains("damaged") || why.contains("format"), "{why}");
                    found += 1;
                }
            }
        }
        fs::write(&path, &bytes).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        println!("{name}: {found} found, {harmless} without effect");
        assert!(harmless == 0 || name == "format", "{name}: {harmless}");
    }
    assert_eq!(told(&dir).unwrap(), whole);
}

#[test]
fn a_broken_checksum_says_what_to_do() {
    let dir = folder();
    let dir = dir.path().join("store");
    drop(store(&dir));
    let path = dir.join("receipts/k/end.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("as it should be", "as it should bo")).unwrap();
    let why = told(&dir).unwrap_err();
    assert!(why.contains("end.json is damaged: its checksum"), "{why}");
    assert!(why.contains("Look at the disk"), "{why}");
}

#[test]
fn a_store_of_the_format_before_checksums_is_read_and_goes_on() {
    let dir = folder();
    let dir = dir.path().join("store");
    drop(store(&dir));
    let whole = told(&dir).unwrap();
    for path in files(&dir) {
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, opened(&bytes).unwrap()).unwrap();
    }
    fs::write(dir.join("format"), "1\n").unwrap();
    assert_eq!(told(&dir).unwrap(), whole);
    let format = fs::read_to_string(dir.join("format")).unwrap();
    assert_eq!(format, format!("{STORE_FORMAT}\n"));
    let store = Store::open(&dir).unwrap();
    assert!(matches!(begin(&store, "k"), Beginning::Known(_)));
    assert!(matches!(begin(&store, "next"), Beginning::Fresh(_)));
    assert_eq!(store.sequence().unwrap(), whole.1 + 1);
    let sequence = fs::read(dir.join("sequence")).unwrap();
    assert_ne!(opened(&sequence).unwrap(), sequence);
}

#[test]
fn what_is_sealed_is_opened_to_the_same() {
    for content in ["", "\n", "{}", "{}\n", "sha256 \n", &"x".repeat(200)] {
        let sealed = sealed(content.as_bytes().to_vec());
        let opened = opened(&sealed).unwrap();
        assert_eq!(
            opened.strip_suffix(b"\n").unwrap_or(opened),
            content.trim_end_matches('\n').as_bytes()
        );
    }
}
