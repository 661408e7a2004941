//! Archives of files in the hands of a person.

use crate::scene::Scene;
use overhaul_mover::{Keeping, PackSpec, pack};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

/// A folder with an archive of `/srv` at `data/a/files`.
fn scene() -> Scene {
    assert!(
        rustix::process::geteuid().is_root(),
        "these tests make owners and devices: run them as root"
    );
    let scene = Scene::new(&[
        ("from/etc/passwd", "ada:x:4242:4242::/:\n"),
        ("from/etc/group", "users:x:4243:\n"),
        ("from/srv/www/index.html", "hello\n"),
    ]);
    let odd = scene
        .path("from/srv")
        .join(OsStr::from_bytes(b"o\xffd\x1b[31m\nname"));
    std::fs::write(odd, "odd\n").unwrap();
    let script = "cd from/srv; ln www/index.html second; ln -s www/index.html link; mkfifo fifo; mknod null c 1 3
        chown -h 4242:4243 second link; chmod 4750 second; find . -exec touch -h -d 2026-01-02T03:04:05Z {} +";
    let made = Command::new("sh")
        .args(["-euc", script])
        .current_dir(scene.path(""))
        .status();
    assert!(made.unwrap().success());
    let mut keeping = Keeping::open(&scene.path("data/a/files")).unwrap();
    let spec = PackSpec {
        base: scene.path("from"),
        paths: vec![b"/srv".to_vec()],
        one_filesystem: false,
        exclude: Vec::new(),
        live: false,
        digesting: overhaul_mover::Digesting::File,
        have: None,
    };
    let mut bytes = Vec::new();
    pack(&spec, &mut bytes).unwrap();
    keeping.take(&bytes).unwrap();
    keeping.finish().unwrap();
    scene
}

/// The digest covers inode-free content only, but the accounts of the source and its folders above too.
fn steady(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        match line.split_once("SHA-256 ") {
            Some((head, _)) => out.push_str(&format!("{head}SHA-256 (digest)\n")),
            None => out.push_str(line),
        }
    }
    out
}

#[test]
fn an_archive_is_listed_shown_and_unpacked() {
    let scene = scene();
    let mut all = steady(&scene.call(&["data", "list", "data/a/files"]).with(0).all());
    for args in [
        &["data", "cat", "data/a/files", "/srv/second"][..],
        &["data", "cat", "data/a/files", "/srv/www/index.html"],
        &["data", "unpack", "data/a/files", "--into", "out"],
        &["data", "unpack", "data/a/files", "--into", "out"],
    ] {
        all.push_str(&scene.call(args).all());
    }
    insta::assert_snapshot!(all);
    let same = Command::new("sh")
        .arg("-euc")
        .arg("for top in from out; do (cd $top/srv; find . -printf '%p %y %m %U:%G %T@ %n %s %l\\n' | sort) > $top.txt; done; cmp from.txt out.txt; diff -r from/srv/www out/srv/www")
        .current_dir(scene.path(""))
        .status();
    assert!(same.unwrap().success());
}

#[test]
fn programs_read_a_list_line_by_line() {
    let scene = scene();
    let shown = scene
        .call(&["--json", "data", "list", "data/a/files"])
        .with(0);
    let mut lines: Vec<serde_json::Value> = shown
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let whole = lines.pop().unwrap();
    assert_eq!(whole["archive"]["entries"], lines.len());
    let second = lines
        .iter()
        .find(|line| line["type"] == "hardlink")
        .unwrap();
    insta::assert_json_snapshot!([second, &lines[0], lines.last().unwrap()]);
}

#[test]
fn what_is_no_sound_archive_is_refused_in_words() {
    let scene = scene();
    let mut bytes = std::fs::read(scene.path("data/a/files")).unwrap();
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    std::fs::write(scene.path("bad"), &bytes).unwrap();
    std::fs::write(scene.path("short"), &bytes[..last]).unwrap();
    scene.write("text", "no archive\n");
    let mut all = String::new();
    for args in [
        &["data", "list", "nowhere"][..],
        &["data", "list", "data"],
        &["data", "list", "text"],
        &["data", "unpack", "bad", "--into", "there"],
        &["data", "unpack", "short", "--into", "here"],
        &["data", "unpack", "text", "--into", "not-made"],
        &["data", "list", "../x", "--run", "r"],
        &["data", "list", "a/files", "--run", "r"],
    ] {
        all.push_str(&scene.call(args).with(2).all());
    }
    insta::assert_snapshot!(all);
    assert!(!scene.path("not-made").exists());
}
