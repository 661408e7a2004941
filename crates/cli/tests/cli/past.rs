//! Journals of all past formats, as the programs of their time left them: `tests/past/journal-FORMAT/`. Two warnings of
//! the first row named packages of the machine that they ran on; the words are others now, and the chain behind them
//! is reckoned anew.

use crate::scene::Scene;
use overhaul_model::event::JOURNAL_FORMAT;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The run that its folder holds: its name does not matter to the journal's readers.
const RUN: &str = "past";

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/past")
}

/// A scene with a run as it was kept.
fn scene(format: u32, kind: &str) -> Scene {
    let scene = Scene::new(&[]);
    let folder = scene.path("state/runs").join(RUN);
    std::fs::create_dir_all(&folder).unwrap();
    let from = kept().join(format!("journal-{format}")).join(kind);
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = folder.join(entry.file_name());
        std::fs::copy(entry.path(), &to).unwrap();
        std::fs::set_permissions(&to, PermissionsExt::from_mode(0o600)).unwrap();
    }
    for folder in ["state", "state/runs", "state/runs/past"] {
        std::fs::set_permissions(scene.path(folder), PermissionsExt::from_mode(0o700)).unwrap();
    }
    scene
}

#[test]
fn there_is_a_finished_and_a_cut_off_run_of_every_format() {
    let mut formats = 0;
    for entry in std::fs::read_dir(kept()).unwrap() {
        let folder = entry.unwrap().path();
        for kind in ["finished", "cut"] {
            assert!(
                folder.join(kind).join("journal.sqlite").exists(),
                "{folder:?}"
            );
        }
        formats += 1;
    }
    assert_eq!(
        formats, JOURNAL_FORMAT,
        "keep a run of the new format: tests/past/journal-{JOURNAL_FORMAT}"
    );
}

#[test]
fn finished_runs_of_every_format_are_read_and_reported() {
    for format in 1..=JOURNAL_FORMAT {
        let scene = scene(format, "finished");
        let status = scene.call(&["status", RUN, "--json"]).with(0).json();
        assert_eq!(status["standing"]["over"], "complete", "{status:#}");
        let report = scene.call(&["report", RUN, "--json"]).with(0).json();
        assert_eq!(report["verdict"], "complete");
        assert_eq!(report["controllers"].as_array().unwrap().len(), 4);
        assert_eq!(report["decisions"].as_array().unwrap().len(), 5);
        let health = scene.call(&["doctor", RUN, "--json"]).with(0).json();
        assert_eq!(health["runs"][0]["journal"]["rows"], 25);
        assert_eq!(health["runs"][0]["plan"], "unverified");
    }
}

#[test]
fn runs_of_every_format_that_were_cut_off_are_read_and_can_be_decided_about() {
    for format in 1..=JOURNAL_FORMAT {
        let scene = scene(format, "cut");
        let status = scene.call(&["status", RUN, "--json"]).with(0).json();
        assert_eq!(status["controller"], false, "{status:#}");
        let running = |row: &&serde_json::Value| row["state"] == "running";
        let steps = status["steps"].as_array().unwrap();
        let running: Vec<_> = steps.iter().filter(running).collect();
        assert_eq!(running.len(), 1, "{status:#}");
        assert_eq!(running[0]["position"], "prepare/database/prepare/long@db1");
        scene.call(&["report", RUN]).with(0);
        let skip = ["skip", "look-around", "--reason", "not today", "--run", RUN];
        scene.call(&skip).with(0);
        let status = scene.call(&["status", RUN, "--json"]).with(0).json();
        assert_eq!(status["pending"].as_array().unwrap().len(), 1);
        // What the program of its time had not folded into the file is not lost.
        let health = scene.call(&["doctor", RUN, "--json"]).with(0).json();
        assert_eq!(health["runs"][0]["journal"]["rows"], 6);
    }
}
