//! Flipped bits, torn pages, cut-off and lost files: found, or without effect; never read as something else.

use crate::{append, decision, new_run, plan};
use overhaul_engine::ports::{Journal as _, JournalError};
use overhaul_model::event::{Decision, Record};
use overhaul_model::facts::FleetFacts;
use overhaul_model::id::RunId;
use overhaul_model::plan::Plan;
use overhaul_store::{RunDir, RunStore, StoreError};
use std::collections::BTreeMap;
use std::path::Path;

/// Rows of the journal that is harmed: its table then has several pages.
const ROWS: usize = 60;

/// Size of a page of SQLite, and of its write-ahead log's but for the frame's head.
const PAGE: usize = 4096;

/// The files of a run, by name.
type Files = BTreeMap<String, Vec<u8>>;

/// Everything that is read of a run.
#[derive(Debug, PartialEq)]
struct Content {
    plan: Plan,
    facts: FleetFacts,
    records: Vec<Record>,
    requests: Vec<Decision>,
}

/// The folder of a run as it lies there at rest, or as a killed controller leaves it: most of the journal then
/// stands in the write-ahead log.
async fn files(killed: bool) -> Files {
    let state = tempfile::tempdir().unwrap();
    let dir = new_run(state.path());
    for nonce in ["a", "b"] {
        dir.submit(&decision(nonce)).unwrap();
    }
    append(&dir, ROWS / 2).await;
    let (mut journal, _inbox) = dir.open().unwrap();
    for _ in 0..ROWS / 2 {
        journal
            .append(jiff::Timestamp::UNIX_EPOCH, crate::event())
            .await
            .unwrap();
    }
    if killed {
        return read(dir.path());
    }
    drop((journal, _inbox));
    // The last handle's thread closes the file a moment later.
    while dir.path().join("journal.sqlite-wal").exists() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    read(dir.path())
}

fn read(dir: &Path) -> Files {
    let mut out = Files::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        // The shared index is made anew by whoever opens the file first.
        if path.is_file() && !name.ends_with("-shm") {
            out.insert(name, std::fs::read(&path).unwrap());
        }
    }
    out
}

fn placed(state: &Path, files: &Files) -> RunDir {
    let folder = state.join("runs/r1");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    RunStore::look(state).run(&RunId::new("r1")).unwrap()
}

fn content(dir: &RunDir) -> Result<Content, StoreError> {
    Ok(Content {
        plan: dir.plan()?,
        facts: dir.facts()?,
        records: dir.records()?,
        requests: dir.pending()?,
    })
}

/// What became of harms: how many were refused, how many had no effect.
#[derive(Debug, Default)]
struct Tally {
    refused: usize,
    harmless: usize,
}

/// Reads the harmed run: it is refused, or is what was written. Of requests some may be lacking: then whoever
/// made them sees that they were not taken up.
fn judge(state: &Path, whole: &Content, harmed: &Files, harm: &str, tally: &mut Tally) {
    let dir = placed(state, harmed);
    match content(&dir) {
        Ok(found) => {
            assert_eq!(found.plan, whole.plan, "{harm}");
            assert_eq!(found.facts, whole.facts, "{harm}");
            assert_eq!(found.records, whole.records, "{harm}");
            let known = |request| whole.requests.contains(request);
            assert!(found.requests.iter().all(known), "{harm}");
            tally.harmless += 1;
        }
        Err(error) => {
            let known = matches!(
                error,
                StoreError::Altered { .. }
                    | StoreError::PlanFormat { .. }
                    | StoreError::Journal(
                        JournalError::Damaged { .. }
                            | JournalError::Chain { .. }
                            | JournalError::Newer { .. }
                            | JournalError::Storage { .. }
                    )
            );
            assert!(known, "{harm}: {error:?}");
            tally.refused += 1;
        }
    }
}

/// Every file is harmed in each of many places; says what became of it, by file.
fn harm_all(
    files: &Files,
    harms: impl Fn(&[u8]) -> Vec<(String, Vec<u8>)>,
) -> BTreeMap<String, Tally> {
    let state = tempfile::tempdir().unwrap();
    let whole = content(&placed(state.path(), files)).unwrap();
    assert_eq!(whole.records.len(), ROWS);
    assert_eq!(whole.requests.len(), 2);
    let mut out = BTreeMap::new();
    for (name, bytes) in files {
        let tally: &mut Tally = out.entry(name.clone()).or_default();
        for (harm, bytes) in harms(bytes) {
            let mut harmed = files.clone();
            harmed.insert(name.clone(), bytes);
            judge(
                state.path(),
                &whole,
                &harmed,
                &format!("{name}: {harm}"),
                tally,
            );
        }
    }
    out
}

/// Single bits, close together at the beginning and then at distances that fit no structure of the file.
fn flips(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let mut harmed = bytes.to_vec();
        let bit = at % 8;
        harmed[at] ^= 1 << bit;
        out.push((format!("bit {bit} of byte {at}"), harmed));
        at += if at < 128 { 1 } else { 67 };
    }
    out
}

#[tokio::test]
async fn flipped_bits_are_found_or_have_no_effect() {
    for killed in [false, true] {
        let tallies = harm_all(&files(killed).await, flips);
        println!("killed: {killed}; {tallies:#?}");
        for name in ["plan.json", "facts.json", "SHA256SUMS"] {
            let Tally { refused, harmless } = tallies[name];
            assert!(refused > 0, "{name}");
            assert_eq!(harmless, 0, "{name}");
        }
        assert!(tallies["journal.sqlite"].refused > 0);
    }
}

#[tokio::test]
async fn torn_pages_and_cut_off_files_are_found_or_have_no_effect() {
    let harms = |bytes: &[u8]| {
        let mut out = Vec::new();
        for start in (0..bytes.len()).step_by(PAGE) {
            let end = bytes.len().min(start + PAGE);
            let middle = start + (end - start) / 2;
            let mut torn = bytes.to_vec();
            torn[middle..end].fill(0);
            out.push((format!("page at {start} half written"), torn));
            let mut older = bytes.to_vec();
            if start >= PAGE {
                older.copy_within(start - PAGE..start - PAGE + (end - start), start);
                out.push((format!("page at {start} holds another"), older));
            }
            out.push((format!("cut off at {start}"), bytes[..start].to_vec()));
            out.push((format!("cut off at {middle}"), bytes[..middle].to_vec()));
        }
        // A tear that changes nothing is none.
        out.retain(|(_, harmed)| harmed != bytes);
        out
    };
    for killed in [false, true] {
        let tallies = harm_all(&files(killed).await, harms);
        println!("killed: {killed}; {tallies:#?}");
        for name in ["plan.json", "facts.json"] {
            assert_eq!(tallies[name].harmless, 0, "{name}");
        }
        assert!(tallies["journal.sqlite"].refused > 0);
    }
}

#[tokio::test]
async fn a_journal_that_lost_its_last_rows_is_refused_although_its_chain_holds() {
    let files = files(true).await;
    let state = tempfile::tempdir().unwrap();
    let mut without_log = files.clone();
    without_log.remove("journal.sqlite-wal").unwrap();
    let mut emptied = files.clone();
    emptied.insert("journal.sqlite".into(), Vec::new());
    emptied.remove("journal.sqlite-wal");
    for (harmed, words) in [
        (&without_log, "rows were lost"),
        (&emptied, "has no table `format`"),
    ] {
        let dir = placed(state.path(), harmed);
        for answer in [dir.records().map(drop), dir.open().map(drop)] {
            let error = answer.unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        // A refused journal is left as it is.
        let left = std::fs::read(dir.path().join("journal.sqlite")).unwrap();
        assert!(
            left == harmed["journal.sqlite"],
            "{words}: it was written to"
        );
    }
    // A witness that is behind, torn or gone is no hindrance.
    for text in [None, Some("00"), Some("")] {
        let mut harmed = files.clone();
        match text {
            Some(text) => harmed.insert("journal.head".into(), text.into()),
            None => harmed.remove("journal.head"),
        };
        let dir = placed(state.path(), &harmed);
        assert_eq!(dir.records().unwrap().len(), ROWS);
    }
}

#[tokio::test]
async fn a_run_of_an_earlier_version_without_sums_witness_and_digests_is_read_and_goes_on() {
    let mut files = files(false).await;
    files.remove("SHA256SUMS");
    files.remove("journal.head");
    let state = tempfile::tempdir().unwrap();
    let dir = placed(state.path(), &files);
    crate::sql(&dir, "ALTER TABLE inbox DROP COLUMN digest");
    assert_eq!(dir.plan().unwrap(), plan());
    assert_eq!(dir.pending().unwrap().len(), 2);
    append(&dir, 3).await;
    dir.submit(&decision("c")).unwrap();
    assert_eq!(dir.records().unwrap().len(), ROWS + 3);
    assert_eq!(dir.pending().unwrap().len(), 3);
}

#[tokio::test]
async fn a_request_that_was_changed_is_not_taken_up() {
    let state = tempfile::tempdir().unwrap();
    let dir = placed(state.path(), &files(false).await);
    crate::sql(
        &dir,
        "UPDATE inbox SET decision = replace(decision, 'tester', 'tesser') WHERE nonce = 'a'",
    );
    let left = dir.pending().unwrap();
    assert_eq!(left, [decision("b")]);
}
