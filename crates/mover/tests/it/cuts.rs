//! Connections that are cut, disks that are full, ends that are killed.

use crate::tree::{Scene, look};
use overhaul_mover::{Keeping, PackSpec, pack, resume_point, unpack};
use std::fs;
use std::io::{self, Write};

/// Random bytes, so that chunks are as large on the wire as in the tree.
fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut out = vec![0; bytes];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut out);
    out
}

fn scene() -> Scene {
    let scene = Scene::new();
    fs::write(scene.from("data/large"), noise(5 << 20, 1)).unwrap();
    fs::create_dir(scene.from("data/many")).unwrap();
    for number in 0..200 {
        let content = noise(10_000, number);
        fs::write(scene.from(format!("data/many/{number}")), content).unwrap();
    }
    scene
}

#[test]
fn a_cut_copy_goes_on_after_the_last_chunk_wherever_it_was_cut() {
    let scene = scene();
    let (whole, packed) = scene.packed().unwrap();
    let places = [
        0,
        3,
        8,
        49,
        50,
        200,
        1 << 20,
        (3 << 20) + 77,
        whole.len() - 1,
        whole.len() - 80,
    ];
    for place in places {
        let mut keeping = Keeping::open(&scene.archive()).unwrap();
        assert_eq!(keeping.have(), None);
        keeping.take(&whole[..place]).unwrap();
        drop(keeping);
        let mut keeping = Keeping::open(&scene.archive()).unwrap();
        let spec = PackSpec {
            have: keeping.have(),
            ..scene.spec()
        };
        let had = keeping.bytes();
        let mut rest = Vec::new();
        assert_eq!(pack(&spec, &mut rest).unwrap(), packed);
        assert_eq!(
            rest.len() as u64 + had,
            whole.len() as u64,
            "nothing comes twice"
        );
        keeping.take(&rest).unwrap();
        let kept = keeping.finish().unwrap();
        assert_eq!(
            (kept.sha256, kept.trailer),
            (packed.digest.clone(), packed.trailer.clone())
        );
        fs::remove_file(scene.archive()).unwrap();
    }
}

#[test]
fn a_copy_of_a_source_that_changed_meanwhile_begins_again() {
    let scene = scene();
    let (whole, _) = scene.packed().unwrap();
    for change in ["data/large", "data/many/7"] {
        let mut keeping = Keeping::open(&scene.archive()).unwrap();
        keeping.take(&whole[..whole.len() - 100]).unwrap();
        drop(keeping);
        fs::write(scene.from(change), noise(20_000, 77)).unwrap();
        let kept = scene.persist().unwrap();
        assert_eq!(kept.sha256, scene.packed().unwrap().1.digest);
        fs::remove_file(scene.archive()).unwrap();
    }
    let mut keeping = Keeping::open(&scene.archive()).unwrap();
    keeping.take(&whole[..whole.len() - 100]).unwrap();
    drop(keeping);
    fs::remove_dir_all(scene.from("data/many")).unwrap();
    fs::remove_file(scene.from("data/large")).unwrap();
    scene.carry();
}

#[test]
fn an_archive_without_its_seal_or_with_a_wrong_one_is_not_whole() {
    let scene = scene();
    let (whole, _) = scene.packed().unwrap();
    let seal = 42 + 32;
    let mut keeping = Keeping::open(&scene.archive()).unwrap();
    keeping.take(&whole[..whole.len() - seal]).unwrap();
    assert!(
        keeping
            .finish()
            .unwrap_err()
            .to_string()
            .contains("broke off")
    );
    let mut wrong = whole.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let mut keeping = Keeping::open(&scene.archive()).unwrap();
    assert!(keeping.have().is_some());
    keeping.take(&wrong[wrong.len() - seal..]).unwrap_err();
    assert!(!scene.archive().exists() && scene.partial().exists());
}

/// Fails once so many bytes have gone through it.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 < bytes.len() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_packer_whose_other_end_is_gone_ends() {
    let scene = scene();
    for room in [0, 100, 2 << 20] {
        let error = pack(&scene.spec(), &mut Full(room))
            .unwrap_err()
            .to_string();
        assert!(error.contains("broke off"), "{error}");
    }
}

#[test]
fn an_interrupted_restore_is_marked_and_gone_on_with() {
    let scene = scene();
    let kept = scene.persist().unwrap();
    let stream = scene.sent(&kept, 0).unwrap();
    let spec = scene.unpack_spec(&kept.sha256);
    for place in [60, 1 << 20, 4 << 20, stream.len() - 50, stream.len() - 1] {
        let error = unpack(&spec, &stream[..place]).unwrap_err().to_string();
        assert!(error.contains("broke off"), "{error}");
        let mark = scene.to(".data.overhaul-restoring");
        assert_eq!(mark.exists(), scene.progress().exists());
        let from = resume_point(&scene.to(""), &scene.progress(), &kept.sha256);
        assert_eq!(from > 1, place >= 1 << 20, "{place}: {from}");
    }
    // Nobody else's restore takes it for its own.
    let other = overhaul_mover::UnpackSpec {
        id: "f".repeat(64),
        ..spec.clone()
    };
    let error = unpack(&other, stream.as_slice()).unwrap_err().to_string();
    assert!(
        error.contains("unfinished restore of another archive"),
        "{error}"
    );
    let from_chunk = resume_point(&scene.to(""), &scene.progress(), &kept.sha256);
    let rest = scene.sent(&kept, from_chunk).unwrap();
    assert!(rest.len() < stream.len() / 4, "{}", rest.len());
    let spec = overhaul_mover::UnpackSpec {
        form: overhaul_mover::Form::Archive { from_chunk },
        ..spec
    };
    unpack(&spec, rest.as_slice()).unwrap();
    assert_eq!(look(&scene.to("")), look(&scene.from("")));
}
