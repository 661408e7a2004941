//! Trees that go from one host to another as they are packed, without an archive between.

use crate::tree::{Scene, look};
use overhaul_mover::{
    Digesting, Form, MoverError, PackSpec, Packed, UnpackSpec, Unpacked, pack, received, unpack,
    untouched,
};
use std::fs;

const ID: &str = "orders-from-a-to-b";

/// Random bytes, so that chunks are as large on the wire as in the tree.
fn scene() -> Scene {
    let scene = Scene::new();
    let noise = |bytes, seed: u64| {
        let mut out = vec![0; bytes];
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hasher.finalize_xof().fill(&mut out);
        out
    };
    fs::write(scene.from("data/large"), noise(5 << 20, 1)).unwrap();
    fs::create_dir(scene.from("data/many")).unwrap();
    for number in 0..200 {
        let content = noise(10_000, number);
        fs::write(scene.from(format!("data/many/{number}")), content).unwrap();
    }
    scene
}

/// What the source sends to this destination, and what it says of it.
fn sent(scene: &Scene) -> Result<(Vec<u8>, Packed), MoverError> {
    let spec = PackSpec {
        digesting: Digesting::Chain,
        have: received(&scene.to(""), &scene.progress(), ID),
        ..scene.spec()
    };
    let mut out = Vec::new();
    let packed = pack(&spec, &mut out)?;
    Ok((out, packed))
}

fn spec(scene: &Scene) -> UnpackSpec {
    UnpackSpec {
        form: Form::Stream,
        ..scene.unpack_spec(ID)
    }
}

fn taken(scene: &Scene, stream: &[u8]) -> Result<Unpacked, MoverError> {
    unpack(&spec(scene), stream)
}

#[test]
fn a_stream_that_is_cut_anywhere_goes_on_after_its_last_whole_chunk() {
    let scene = scene();
    let (whole, packed) = sent(&scene).unwrap();
    let length = whole.len();
    for place in [
        8,
        49,
        200,
        1 << 20,
        (3 << 20) + 77,
        length - 200,
        length - 1,
    ] {
        let error = taken(&scene, &whole[..place]).unwrap_err().to_string();
        assert!(error.contains("broke off"), "{error}");
        let mark = scene.to(".data.overhaul-restoring");
        assert_eq!(mark.exists(), scene.progress().exists(), "{place}");

        let (rest, again) = sent(&scene).unwrap();
        assert_eq!(again, packed);
        let had = length - rest.len();
        assert!(
            had <= place && place - had < (1 << 20) + 200,
            "{place}: {had}"
        );
        let unpacked = taken(&scene, &rest).unwrap();
        assert_eq!(unpacked.digest, Some(packed.digest.clone()));
        assert_eq!(unpacked.trailer, packed.trailer);
        assert!(!mark.exists());
        assert_eq!(look(&scene.to("")), look(&scene.from("")));
        fs::remove_dir_all(scene.to("data")).unwrap();
        fs::remove_file(scene.progress()).unwrap();
    }
}

#[test]
fn a_stream_of_a_source_that_changed_since_the_cut_begins_again() {
    let scene = scene();
    let (whole, _) = sent(&scene).unwrap();
    taken(&scene, &whole[..4 << 20]).unwrap_err();
    fs::write(scene.from("data/large"), "small by now").unwrap();
    let (rest, packed) = sent(&scene).unwrap();
    let unpacked = taken(&scene, &rest).unwrap();
    assert_eq!(unpacked.digest, Some(packed.digest));
    assert_eq!(look(&scene.to("")), look(&scene.from("")));
}

#[test]
fn another_digest_at_the_source_is_not_taken_and_the_next_attempt_begins_again() {
    let scene = scene();
    let (mut whole, _) = sent(&scene).unwrap();
    let seal = whole.len() - 32;
    let digest = blake3::hash(b"another");
    whole[seal..].copy_from_slice(digest.as_bytes());
    // The seal's own chunk must be sound to be believed at all.
    let header = seal - 42;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&whole[header..header + 10]);
    hasher.update(digest.as_bytes());
    let sound = hasher.finalize();
    whole[header + 10..seal].copy_from_slice(sound.as_bytes());
    let error = taken(&scene, &whole).unwrap_err();
    assert!(matches!(error, MoverError::Differs(_)), "{error}");
    assert!(scene.to(".data.overhaul-restoring").exists());
    assert_eq!(received(&scene.to(""), &scene.progress(), ID), None);
    let (whole, packed) = sent(&scene).unwrap();
    assert_eq!(taken(&scene, &whole).unwrap().digest, Some(packed.digest));
}

#[test]
fn what_is_in_the_way_stays_and_what_was_received_is_only_compared() {
    let scene = scene();
    fs::create_dir(scene.to("data")).unwrap();
    fs::write(scene.to("data/mine"), "mine").unwrap();
    let (whole, _) = sent(&scene).unwrap();
    let before = look(&scene.to(""));
    let error = taken(&scene, &whole).unwrap_err().to_string();
    assert!(
        error.contains("is not empty; nothing was changed"),
        "{error}"
    );
    assert_eq!(look(&scene.to("")), before);
    fs::remove_dir_all(scene.to("data")).unwrap();

    assert!(taken(&scene, &whole).unwrap().made);
    assert!(!taken(&scene, &whole).unwrap().made);
    fs::write(scene.to("data/many/7"), "written since").unwrap();
    let error = taken(&scene, &whole).unwrap_err().to_string();
    assert!(error.contains("is another than the copy"), "{error}");
    assert_eq!(fs::read(scene.to("data/many/7")).unwrap(), b"written since");
}

#[test]
fn a_source_is_known_to_be_untouched_or_touched_since() {
    let scene = scene();
    let (_, packed) = sent(&scene).unwrap();
    let stamps = &packed.trailer.stamps;
    untouched(&scene.spec(), stamps).unwrap();
    let content = fs::read(scene.from("data/many/9")).unwrap();
    fs::write(scene.from("data/many/9"), content).unwrap();
    let error = untouched(&scene.spec(), stamps).unwrap_err().to_string();
    assert!(
        error.contains("something has written there since"),
        "{error}"
    );
}
