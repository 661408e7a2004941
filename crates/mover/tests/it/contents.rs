//! What people are told of an archive is what `find` and `cat` tell of its source.

use crate::tree::Scene;
use overhaul_mover::{Entry, Listed, extract, list};
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::Command;

fn scene() -> Scene {
    let scene = Scene::new();
    let odd = std::ffi::OsStr::from_bytes(b"data/o\xffd\nname");
    fs::write(scene.from(odd), "odd").unwrap();
    fs::write(scene.from("data/empty"), "").unwrap();
    fs::create_dir_all(scene.from("data/deep/er")).unwrap();
    fs::write(scene.from("data/deep/er/first"), vec![7; 300_000]).unwrap();
    fs::hard_link(scene.from("data/deep/er/first"), scene.from("data/second")).unwrap();
    symlink("deep/er", scene.from("data/link")).unwrap();
    let sparse = fs::File::create(scene.from("data/sparse")).unwrap();
    sparse.set_len(9_000_000).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"islands", 5_000_000).unwrap();
    let made = |command: &[&str]| {
        let status = Command::new(command[0]).args(&command[1..]).status();
        assert!(status.unwrap().success(), "{command:?}");
    };
    let path = |name: &str| scene.from(name).to_str().unwrap().to_owned();
    made(&["mkfifo", "-m", "0620", &path("data/fifo")]);
    made(&["mknod", &path("data/null"), "c", "1", "3"]);
    made(&["chown", "33:1234", &path("data/empty")]);
    made(&["chmod", "6751", &path("data/empty")]);
    scene
}

fn listed(archive: &[u8]) -> (BTreeMap<Vec<u8>, Listed>, overhaul_mover::Contents) {
    let mut out = BTreeMap::new();
    let contents = list(archive, |listed| {
        assert!(out.insert(listed.path.clone(), listed.clone()).is_none());
        ControlFlow::Continue(())
    });
    (out, contents.unwrap().unwrap())
}

/// The archive as it lies on the controller.
fn archive(scene: &Scene) -> (Vec<u8>, overhaul_mover::Kept) {
    let kept = scene.persist().unwrap();
    (fs::read(scene.archive()).unwrap(), kept)
}

#[test]
fn a_list_tells_what_find_tells() {
    let scene = scene();
    let (bytes, kept) = archive(&scene);
    let (entries, contents) = listed(&bytes);
    assert_eq!(contents.sha256, kept.sha256);
    assert_eq!(contents.trailer, kept.trailer);
    assert_eq!(contents.paths, scene.paths);
    let found = Command::new("find")
        .arg(scene.from("data"))
        .arg("-print0")
        .output();
    let found = found.unwrap().stdout;
    let mut count = 0;
    for path in found
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
    {
        count += 1;
        let real = std::path::Path::new(std::ffi::OsStr::from_bytes(path));
        let name = real.strip_prefix(scene.from("")).unwrap();
        let name = [b"/", name.as_os_str().as_bytes()].concat();
        let meta = real.symlink_metadata().unwrap();
        let entry = &entries[&name];
        match &entry.entry {
            Entry::Directory => assert!(meta.is_dir()),
            Entry::File(size) => assert_eq!((meta.is_file(), meta.len()), (true, *size)),
            Entry::Symlink(to) => {
                assert_eq!(fs::read_link(real).unwrap().as_os_str().as_bytes(), to);
            }
            Entry::Hardlink(of) => {
                let of = scene.from(std::ffi::OsStr::from_bytes(&of[1..]));
                assert_eq!(meta.ino(), of.symlink_metadata().unwrap().ino());
                continue;
            }
            Entry::Fifo => assert_eq!(meta.mode() & 0o170_000, 0o010_000),
            Entry::Device(false, 1, 3) => assert_eq!(meta.rdev(), rustix::fs::makedev(1, 3)),
            other => panic!("{other:?}"),
        }
        let about = entry.about.as_ref().unwrap();
        assert_eq!(about.mode, meta.mode() & 0o7777, "{real:?}");
        assert_eq!((about.user.0, about.group.0), (meta.uid(), meta.gid()));
        assert_eq!(about.modified_s, meta.mtime());
    }
    assert_eq!(count, entries.len());
}

#[test]
fn a_file_comes_out_as_it_was() {
    let scene = scene();
    let (bytes, _) = archive(&scene);
    for name in ["data/deep/er/first", "data/empty", "data/sparse"] {
        let mut out = Vec::new();
        extract(bytes.as_slice(), format!("/{name}").as_bytes(), &mut out).unwrap();
        assert!(out == fs::read(scene.from(name)).unwrap(), "{name}");
    }
    for (path, why) in [
        (
            "/data/second",
            "/data/second is a further name of /data/deep/er/first: ask for that one",
        ),
        ("/data/link", "/data/link is a symbolic link to deep/er"),
        ("/data/deep", "/data/deep is a directory"),
        ("/data/fifo", "/data/fifo is a fifo"),
        ("/data/null", "/data/null is a device"),
        ("/data/nothing", "/data/nothing is not in the archive"),
        ("data/empty", "data/empty is not in the archive"),
    ] {
        let mut out = Vec::new();
        let error = extract(bytes.as_slice(), path.as_bytes(), &mut out).unwrap_err();
        assert_eq!((error.to_string().as_str(), out.len()), (why, 0));
    }
}

#[test]
fn nothing_is_told_of_an_archive_that_is_not_sound_as_if_it_were() {
    let scene = scene();
    let (bytes, _) = archive(&scene);
    let told = |bytes: &[u8]| list(bytes, |_| ControlFlow::Continue(())).unwrap_err();
    for length in [0, 5, 8, 60, bytes.len() / 2, bytes.len() - 1] {
        told(&bytes[..length]);
    }
    for place in (0..bytes.len()).step_by(bytes.len() / 50) {
        let mut bad = bytes.clone();
        bad[place] ^= 1;
        told(&bad);
    }
    let more = [bytes.as_slice(), b"more"].concat();
    told(&more);
    let broken_off = list(bytes.as_slice(), |_| ControlFlow::Break(())).unwrap();
    assert_eq!(broken_off, None);
}
