//! Archives that somebody else wrote.

use crate::tree::Scene;
use overhaul_mover::unpack;
use std::fs;

/// The form of docs/data.md, written here a second time, so that anything can be said in it.
fn chunk(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![kind, 0];
    for _ in 0..2 {
        out.extend_from_slice(&u32::try_from(content.len()).unwrap().to_le_bytes());
    }
    let digest = blake3::Hasher::new()
        .update(&out)
        .update(content)
        .finalize();
    out.extend_from_slice(digest.as_bytes());
    out.extend_from_slice(content);
    out
}

fn text(bytes: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(bytes.len()).unwrap().to_le_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

const HEAD: &str = r#"{"roots":[{"path":"/data","above":[]}],"one_filesystem":false,"exclude":[],"users":[],"groups":[]}"#;

fn meta() -> Vec<u8> {
    let mut out = 0o755_u32.to_le_bytes().to_vec();
    out.extend_from_slice(&[0; 8 + 8 + 4 + 4]);
    out
}

fn root(index: u32) -> Vec<u8> {
    [&[1], index.to_le_bytes().as_slice()].concat()
}

fn enter(name: &[u8]) -> Vec<u8> {
    [vec![2], text(name)].concat()
}

fn leave() -> Vec<u8> {
    [vec![3], meta()].concat()
}

fn file(name: &[u8]) -> Vec<u8> {
    [
        vec![4],
        text(name),
        vec![5],
        vec![0; 8],
        text(b"evil"),
        vec![6],
        4_u64.to_le_bytes().to_vec(),
        meta(),
    ]
    .concat()
}

fn link(name: &[u8], target: &[u8]) -> Vec<u8> {
    [vec![7], text(name), text(target), meta()].concat()
}

fn hard(name: &[u8], root: u32, path: &[u8]) -> Vec<u8> {
    [vec![8], text(name), root.to_le_bytes().to_vec(), text(path)].concat()
}

/// Records of a hostile archive, and a part of what is said of them.
fn hostile() -> Vec<(Vec<u8>, &'static str)> {
    let inside = |records: Vec<Vec<u8>>| [root(0), enter(b"data"), records.concat()].concat();
    vec![
        ([root(0), enter(b"other")].concat(), "outside of its paths"),
        ([root(0), file(b"victim")].concat(), "outside of its paths"),
        ([root(1), enter(b"data")].concat(), "at the wrong place"),
        (enter(b"data"), "outside of its paths"),
        (inside(vec![enter(b"..")]), "no plain name"),
        (inside(vec![file(b"../victim")]), "no plain name"),
        (inside(vec![file(b"/victim")]), "no plain name"),
        (inside(vec![file(b"a\0b")]), "no plain name"),
        (inside(vec![file(b"")]), "without a name"),
        (inside(vec![leave(), leave()]), "did not begin"),
        (
            inside(vec![leave(), file(b"victim")]),
            "outside of its paths",
        ),
        (
            inside(vec![link(b"l", b"../../to"), enter(b"l")]),
            "cannot be made",
        ),
        (
            inside(vec![link(b"l", b"../victim"), file(b"l")]),
            "cannot be made",
        ),
        (
            inside(vec![link(b"l", b".."), hard(b"h", 0, b"data/l/victim")]),
            "symbolic link",
        ),
        (
            inside(vec![hard(b"h", 0, b"victim")]),
            "outside of its paths",
        ),
        (
            inside(vec![hard(b"h", 0, b"data/../victim")]),
            "no plain path",
        ),
        (inside(vec![hard(b"h", 9, b"data/x")]), "to nothing"),
        (inside(vec![file(b"x"), file(b"x")]), "cannot be made"),
        (
            inside(vec![vec![5], vec![0xff; 8], text(b"x")]),
            "beyond the end",
        ),
        (
            inside(vec![vec![5], vec![0; 8], text(b"x")]),
            "outside of a file",
        ),
        (inside(vec![vec![4], text(b"f"), enter(b"d")]), "within one"),
        (inside(vec![vec![99]]), "of kind 99"),
        (inside(vec![vec![2, 9]]), "beyond its chunk"),
        (inside(vec![vec![2], vec![0xff; 4]]), "too long"),
        (
            inside((0..600).map(|_| enter(b"d")).collect()),
            "too deeply",
        ),
        (inside(vec![]), "within a directory"),
    ]
}

#[test]
fn nothing_leads_out_of_the_paths() {
    for (records, part) in hostile() {
        let scene = Scene::new();
        fs::write(scene.to("victim"), "safe").unwrap();
        let stream = [
            b"OVHLAR1\n".to_vec(),
            chunk(0, HEAD.as_bytes()),
            chunk(1, &records),
            chunk(
                2,
                br#"{"entries":0,"content":0,"left_out":0,"changed":0,"manifest":"","times":""}"#,
            ),
        ]
        .concat();
        let error = unpack(&scene.unpack_spec("x"), stream.as_slice())
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{part}: {error}");
        assert_eq!(fs::read(scene.to("victim")).unwrap(), b"safe", "{part}");
        let names = fs::read_dir(scene.to(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let ours = ["victim", "data", ".data.overhaul-restoring"];
        assert!(
            names
                .into_iter()
                .all(|name| ours.iter().any(|n| *n == name)),
            "{part}"
        );
    }
}

#[test]
fn chunks_are_bounded_and_verified() {
    let bomb = {
        let packed = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
        let mut out = vec![1, 1];
        out.extend_from_slice(&1_u32.to_le_bytes());
        out.extend_from_slice(&u32::try_from(packed.len()).unwrap().to_le_bytes());
        let digest = blake3::Hasher::new()
            .update(&out)
            .update(&packed)
            .finalize();
        [out, digest.as_bytes().to_vec(), packed].concat()
    };
    let huge = [vec![1, 0], vec![0xff; 40]].concat();
    let mut flipped = chunk(1, &root(0));
    *flipped.last_mut().unwrap() ^= 1;
    for (bytes, part) in [
        (bomb, "cannot be unpacked"),
        (huge, "too large"),
        (flipped, "another digest"),
        (chunk(9, b""), "of kind 9"),
        (chunk(0, HEAD.as_bytes()), "wrong place"),
        (chunk(3, b""), "wrong place"),
        (Vec::new(), "broke off"),
    ] {
        let scene = Scene::new();
        let stream = [b"OVHLAR1\n".to_vec(), chunk(0, HEAD.as_bytes()), bytes].concat();
        let error = unpack(&scene.unpack_spec("x"), stream.as_slice())
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
}
