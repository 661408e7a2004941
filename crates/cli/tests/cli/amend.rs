//! Another plan in the place of a run's plan.

use crate::offline::UPGRADE;
use crate::scene::Shown;
use crate::stored::{RUN, Stored};

fn amend(stored: &Stored, more: &[&str]) -> Shown {
    let args = [
        "amend",
        RUN,
        "upgrade.yaml",
        "--fleet",
        "fleet.yaml",
        "--kinds",
        "kinds",
        "--facts",
        "facts.json",
    ];
    let args: Vec<&str> = args.iter().chain(more).copied().collect();
    stored.call(&args)
}

/// Hashes of plans, which hold the folder of the test, are made the same.
fn same(text: &str) -> String {
    let hex = |word: &str| word.len() == 12 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let line = |line: &str| {
        let words = line
            .split(' ')
            .map(|word| if hex(word) { "HASH" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn what_is_done_stays_done_and_the_rest_is_as_it_is_written_now() {
    let stored = Stored::new();
    // Lines move, a question is another one, and a step is new.
    let text = UPGRADE.replace("Is the shop quiet?", "Is the shop closed?");
    let more = "    verify:\n      - {name: look again, run: [\"true\"], touches: []}\n";
    stored
        .scene
        .write("upgrade.yaml", &format!("# moved\n{text}{more}"));
    let mut all = amend(&stored, &["--reason", "the question was wrong", "--yes"])
        .with(0)
        .all();
    let status = stored.call(&["status", "--json"]).json();
    let steps = status["steps"].as_array().unwrap();
    assert_eq!(steps[0]["state"], "done", "{status:#}");
    let again =
        |row: &&serde_json::Value| row["position"].as_str().unwrap().contains("/look-again@");
    assert_eq!(steps.iter().filter(again).count(), 1, "{status:#}");
    let report = stored.call(&["report", "--json"]).with(0).json();
    assert_eq!(report["amendments"][0]["reason"], "the question was wrong");
    assert_eq!(report["amendments"][0]["steps"]["kept"], 1);
    let text = stored.call(&["report"]).with(0).stdout;
    assert!(text.contains("the question was wrong"), "{text}");
    stored.call(&["export", RUN, "--remaining"]).with(0);
    stored.call(&["doctor"]).with(0);
    // The same again is an amendment of the amended plan.
    all.push_str(
        &amend(&stored, &["--reason", "once more", "--yes"])
            .with(0)
            .all(),
    );
    insta::assert_snapshot!(same(&all));
}

#[test]
fn what_cannot_take_the_place_of_the_plan_is_refused_and_changes_nothing() {
    let stored = Stored::new();
    let mut all = amend(&stored, &["--reason", " ", "--yes"]).with(2).all();
    all.push_str(&amend(&stored, &["--reason", "x"]).with(2).all());
    // A name that is not there.
    let was = ["--reason", "x", "--yes", "--was", "a/new=an/old"];
    all.push_str(&amend(&stored, &was).with(2).all());
    stored.scene.write(
        "upgrade.yaml",
        &UPGRADE.replace("upgrade: small", "upgrade: other"),
    );
    all.push_str(&amend(&stored, &["--reason", "x", "--yes"]).with(2).all());
    stored.scene.write("upgrade.yaml", UPGRADE);
    // A process has the run; a request waits.
    let lock = stored.dir.lock().unwrap();
    amend(&stored, &["--reason", "x", "--yes"]).with(8);
    drop(lock);
    stored
        .call(&["skip", "look-around", "--reason", "x"])
        .with(0);
    all.push_str(&amend(&stored, &["--reason", "x", "--yes"]).with(2).all());
    assert_eq!(stored.dir.records().unwrap().len(), 5);
    insta::assert_snapshot!(same(&all));
}
