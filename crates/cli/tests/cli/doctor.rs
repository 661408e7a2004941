//! What lies in the state folder: whole, damaged, and what of it can be kept.

use crate::stage::Stage;
use crate::stored::{RUN, Stored};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What differs from run to run and machine to machine is made the same.
fn same(stored: &Stored, text: &str) -> String {
    let folder = stored.scene.path("").display().to_string();
    let text = text.replace(folder.trim_end_matches('/'), "SCENE");
    let digests = |word: &str| match word.strip_suffix("...,").or(word.strip_suffix("...;")) {
        Some(digest) if digest.len() == 12 => "DIGEST...".to_owned(),
        _ => word.to_owned(),
    };
    let line = |line: &str| match line.split_once(" free, mode") {
        Some((_, rest)) => format!("  N free, mode{rest}"),
        None => line.split(' ').map(digests).collect::<Vec<_>>().join(" "),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            out.insert(name, std::fs::read(&path).unwrap());
        }
    }
    out
}

#[test]
fn what_lies_in_the_state_folder_is_told_and_nothing_is_changed() {
    let stored = Stored::new();
    // What opening the state folder may have left open.
    let open = PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(stored.scene.path("state"), open).unwrap();
    let mut all = stored.call(&["doctor"]).with(0).all();
    let _lock = stored.dir.lock().unwrap();
    let held = stored.call(&["doctor", RUN, "--json"]).with(0).json();
    assert_eq!(held["runs"][0]["held-by"], std::process::id().to_string());
    drop(_lock);

    // Left open, half made, and damaged.
    let plan = stored.dir.path().join("plan.json");
    std::fs::set_permissions(&plan, PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::create_dir(stored.scene.path("state/runs/.making-x")).unwrap();
    stored.tamper("UPDATE journal SET record = replace(record, 'ada', 'eve') WHERE seq = 2");
    let before = files(stored.dir.path());
    all.push_str(&stored.call(&["doctor"]).with(7).all());
    assert_eq!(files(stored.dir.path()), before);
    insta::assert_snapshot!(same(&stored, &all));
}

#[test]
fn a_plan_that_was_changed_is_told_and_without_it_nothing_is_salvaged() {
    let stored = Stored::new();
    let path = stored.dir.path().join("plan.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"small\"", "\"smaller\"")).unwrap();
    let mut all = stored.call(&["doctor", RUN]).with(7).all();
    let salvage = stored.call(&["doctor", RUN, "--salvage", "other"]).with(7);
    assert!(!stored.scene.path("other").exists());
    all.push_str(&salvage.all());
    insta::assert_snapshot!(same(&stored, &all));
}

#[test]
fn the_whole_rows_of_a_damaged_journal_become_a_run_elsewhere() {
    let stored = Stored::new();
    std::fs::write(stored.dir.data().join("copy"), "of a database").unwrap();
    stored.tamper("UPDATE journal SET record = replace(record, 'noted', 'rated') WHERE seq = 5");
    stored.call(&["resume", RUN]).with(7);
    let before = files(stored.dir.path());
    let salvage = ["doctor", RUN, "--salvage", "other"];
    let mut all = stored.call(&salvage).with(0).all();
    assert_eq!(files(stored.dir.path()), before);
    // It is not done twice.
    all.push_str(&stored.call(&salvage).with(2).all());
    let other = |args: &[&str]| {
        let args: Vec<&str> = ["--state", "other"].iter().chain(args).copied().collect();
        stored.call(&args)
    };
    // Of the row that was changed nothing is kept: what it told of is under way again.
    let status = other(&["status", "--json"]).json();
    let note = &status["steps"][0];
    assert_eq!(note["state"], "running", "{status:#}");
    let report = other(&["report"]).with(0).stdout;
    assert!(
        report.contains("kept its first 4 rows of at least 5"),
        "{report}"
    );
    let health = other(&["doctor", "--json"]).with(0).json();
    assert_eq!(health["runs"][0]["journal"]["rows"], 5);
    let copy = stored.scene.read(&format!("other/runs/{RUN}/data/copy"));
    assert_eq!(copy, "of a database");
    insta::assert_snapshot!(same(&stored, &all));
}

#[test]
fn a_run_whose_journal_lost_rows_goes_on_and_begins_nothing_twice() {
    let stage = Stage::new();
    let scene = &stage.scene;
    scene.write("work/go", "");
    // The long step is done; the picky one has failed.
    scene.call(&Stage::RUN).with(4);
    assert_eq!(scene.read("work/long"), "began\n");
    let runs: Vec<_> = scene.path("state/runs").read_dir().unwrap().collect();
    let folder = runs[0].as_ref().unwrap().path();
    let id = folder.file_name().unwrap().to_str().unwrap().to_owned();
    // Everything behind the registration of the host is lost.
    let journal = rusqlite::Connection::open(folder.join("journal.sqlite")).unwrap();
    journal
        .execute_batch("DELETE FROM journal WHERE seq > 4")
        .unwrap();
    drop(journal);
    scene.call(&["resume"]).with(7);
    scene.call(&["doctor", &id, "--salvage", "other"]).with(0);
    let resumed = scene.call(&["--state", "other", "resume"]).with(4);
    assert_eq!(scene.read("work/long"), "began\n", "{}", resumed.all());
    let status = scene.call(&["--state", "other", "status", "--json"]).json();
    let long = status["steps"].as_array().unwrap().iter().find(|row| {
        let position = row["position"].as_str().unwrap();
        position.ends_with("/long@db1")
    });
    assert_eq!(long.unwrap()["state"], "done", "{status:#}");
    scene.write("work/good", "");
    let retry = ["retry", "picky", "--reason", "made good"];
    let args: Vec<&str> = ["--state", "other"].iter().chain(&retry).copied().collect();
    scene.call(&args).with(0);
    scene.call(&["--state", "other", "resume"]).with(4);
    assert_eq!(scene.read("work/long"), "began\n");
}
