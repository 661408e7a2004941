//! Files written and edited, through the real helper.
mod common;

use common::{Client, Host, begin};
use overhaul_model::primitive::{Edit, EditFile, Measure, Measurement, WriteFile};
use overhaul_model::receipt::WorkEnd;
use overhaul_model::span::Span;
use overhaul_model::wire::{HostWork, RequestBody, ResponseBody};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

fn written(path: &Path, content: &str) -> WriteFile {
    WriteFile {
        path: path.display().to_string(),
        content: content.to_owned(),
        mode: None,
        backup: false,
        absent: false,
    }
}

fn edited(path: &Path, edits: Vec<Edit>) -> EditFile {
    EditFile {
        path: path.display().to_string(),
        edits,
        validate: None,
        backup: false,
    }
}

fn line(line: &str) -> Edit {
    Edit::Line {
        line: line.to_owned(),
    }
}

/// Does it, and tells whether anything changed, or why not.
fn act(client: &mut Client, key: &str, work: HostWork) -> Result<bool, String> {
    let followed = client.run(begin(key, work));
    match followed.end().end.clone() {
        WorkEnd::Done { .. } => Ok(followed.end().changed),
        WorkEnd::Refused { why } => Err(why),
        other => Err(format!("{other:?}")),
    }
}

#[track_caller]
fn is_so(client: &mut Client, measure: Measure) -> Result<bool, String> {
    let within = Span::from_s(5);
    match client.ask(RequestBody::Measure { measure, within }) {
        ResponseBody::Measured(Measurement::So { .. }) => Ok(true),
        ResponseBody::Measured(Measurement::NotSo { .. }) => Ok(false),
        other => Err(format!("{other:?}")),
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).map_or(0, |meta| meta.mode() & 0o7777)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_is_written_once() {
    let host = Host::new();
    let mut client = host.registered();
    let dir = host.file("etc");
    fs::create_dir(&dir).unwrap();
    let path = dir.join("conf");
    let mut file = written(&path, "one\n");
    file.backup = true;
    let write = |file: &WriteFile| HostWork::WriteFile(file.clone());
    assert_eq!(is_so(&mut client, Measure::FileIs(file.clone())), Ok(false));
    assert_eq!(act(&mut client, "a", write(&file)), Ok(true));
    assert_eq!(mode(&path), 0o644);
    assert_eq!(is_so(&mut client, Measure::FileIs(file.clone())), Ok(true));
    assert_eq!(act(&mut client, "b", write(&file)), Ok(false));
    file.mode = Some(0o600);
    assert_eq!(is_so(&mut client, Measure::FileIs(file.clone())), Ok(false));
    assert_eq!(act(&mut client, "c", write(&file)), Ok(true));
    assert_eq!(mode(&path), 0o600);
    file.content = "two\n".to_owned();
    file.mode = None;
    assert_eq!(act(&mut client, "d", write(&file)), Ok(true));
    assert_eq!(mode(&path), 0o600);
    assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
    assert_eq!(names(&dir), ["conf", "conf.overhaul-before"]);
    let before = dir.join("conf.overhaul-before");
    assert_eq!(fs::read_to_string(&before).unwrap(), "one\n");
    file.absent = true;
    assert_eq!(act(&mut client, "e", write(&file)), Ok(true));
    assert_eq!(is_so(&mut client, Measure::FileIs(file.clone())), Ok(true));
    assert_eq!(act(&mut client, "f", write(&file)), Ok(false));
    assert_eq!(fs::read_to_string(&before).unwrap(), "one\n");
}

#[test]
fn a_link_stays_a_link() {
    let host = Host::new();
    let mut client = host.registered();
    let (target, link) = (host.file("target"), host.file("link"));
    fs::write(&target, "old\n").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("target", &link).unwrap();
    let work = HostWork::WriteFile(written(&link, "new\n"));
    assert_eq!(act(&mut client, "a", work), Ok(true));
    assert_eq!(fs::read_to_string(&target).unwrap(), "new\n");
    assert_eq!(mode(&target), 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let work = HostWork::EditFile(edited(&link, vec![line("more")]));
    assert_eq!(act(&mut client, "b", work), Ok(true));
    assert_eq!(fs::read_to_string(&target).unwrap(), "new\nmore\n");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn owner_and_attributes_stay() {
    let host = Host::new();
    let mut client = host.registered();
    let path = host.file("owned");
    fs::write(&path, "old\n").unwrap();
    let root = fs::metadata(&path).unwrap().uid() == 0;
    if root {
        std::os::unix::fs::chown(&path, Some(12), Some(34)).unwrap();
    }
    let name = "user.overhaul-test";
    let flags = rustix::fs::XattrFlags::empty();
    // Some file systems have no attributes; there is nothing to keep there.
    let attributes = rustix::fs::setxattr(&path, name, b"kept", flags).is_ok();
    let work = HostWork::WriteFile(written(&path, "new\n"));
    assert_eq!(act(&mut client, "a", work), Ok(true));
    let meta = fs::metadata(&path).unwrap();
    if root {
        assert_eq!((meta.uid(), meta.gid()), (12, 34));
    }
    let mut value = [0_u8; 16];
    let size = rustix::fs::getxattr(&path, name, &mut value).unwrap_or(0);
    assert_eq!(&value[..size] == b"kept", attributes);
}

#[test]
fn a_file_is_edited_once() {
    let host = Host::new();
    let mut client = host.registered();
    let path = host.file("conf");
    fs::write(&path, "port = 1\nold\n").unwrap();
    let edits = vec![
        Edit::Set {
            key: "port".to_owned(),
            value: "2".to_owned(),
            separator: " = ".to_owned(),
        },
        Edit::Remove {
            line: "old".to_owned(),
        },
        line("new"),
    ];
    let mut file = edited(&path, edits);
    file.backup = true;
    let edit = |file: &EditFile| HostWork::EditFile(file.clone());
    assert_eq!(
        is_so(&mut client, Measure::FileEdited(file.clone())),
        Ok(false)
    );
    assert_eq!(act(&mut client, "a", edit(&file)), Ok(true));
    assert_eq!(fs::read_to_string(&path).unwrap(), "port = 2\nnew\n");
    assert_eq!(
        is_so(&mut client, Measure::FileEdited(file.clone())),
        Ok(true)
    );
    assert_eq!(act(&mut client, "b", edit(&file)), Ok(false));
    let before = fs::read_to_string(host.file("conf.overhaul-before")).unwrap();
    assert_eq!(before, "port = 1\nold\n");
}

#[test]
fn a_new_file_is_judged_before_it_takes_its_place() {
    let host = Host::new();
    let mut client = host.registered();
    let path = host.file("conf");
    fs::write(&path, "a\n").unwrap();
    let mut file = edited(&path, vec![line("b")]);
    let judge = [
        "sh",
        "-c",
        "grep -q b \"$0\" && echo 'line 2 is bad' >&2 && exit 1",
        "{path}",
    ];
    file.validate = Some(judge.map(str::to_owned).to_vec());
    let refused = act(&mut client, "a", HostWork::EditFile(file.clone())).unwrap_err();
    assert!(refused.contains("line 2 is bad"), "{refused}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "a\n");
    file.validate = Some(["grep", "b", "{path}"].map(str::to_owned).to_vec());
    assert_eq!(act(&mut client, "b", HostWork::EditFile(file)), Ok(true));
    assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\n");
    let mut there = names(host.dir.path());
    there.retain(|name| name.starts_with("conf"));
    assert_eq!(there, ["conf"]);
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let host = Host::new();
    let mut client = host.registered();
    let binary = host.file("binary");
    fs::write(&binary, [0xff, 0xfe]).unwrap();
    let dir = host.file("dir");
    fs::create_dir(&dir).unwrap();
    let dangling = host.file("dangling");
    symlink("nowhere", &dangling).unwrap();
    let strange = {
        let mut file = written(&host.file("x"), "");
        file.mode = Some(0o100_644);
        file
    };
    let both = edited(
        &host.file("text"),
        vec![
            line("a"),
            Edit::Replace {
                find: "a".to_owned(),
                with: "b".to_owned(),
            },
        ],
    );
    fs::write(host.file("text"), "").unwrap();
    for (key, work, reason) in [
        (
            "a",
            HostWork::WriteFile(written(Path::new("relative"), "")),
            "not absolute",
        ),
        ("b", HostWork::WriteFile(written(&dir, "")), "no plain file"),
        (
            "c",
            HostWork::WriteFile(written(Path::new("/"), "")),
            "does not name a file",
        ),
        (
            "d",
            HostWork::WriteFile(written(&host.file("no/dir"), "")),
            "No such file",
        ),
        (
            "e",
            HostWork::WriteFile(written(&dangling, "")),
            "cannot be followed",
        ),
        ("f", HostWork::WriteFile(strange), "permission bits"),
        (
            "g",
            HostWork::EditFile(edited(&host.file("absent"), vec![])),
            "no such file",
        ),
        ("h", HostWork::EditFile(edited(&binary, vec![])), "not text"),
        ("i", HostWork::EditFile(both), "work against each other"),
    ] {
        let refused = act(&mut client, key, work).unwrap_err();
        assert!(refused.contains(reason), "{key}: {refused}");
    }
    assert_eq!(fs::read(&binary).unwrap(), [0xff, 0xfe]);
    assert_eq!(fs::read_to_string(host.file("text")).unwrap(), "");
}
