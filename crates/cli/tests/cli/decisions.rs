//! Decisions about a stored run that no process leads.

use crate::stored::{RUN, Stored};
use overhaul_model::event::{Choice, Event};
use overhaul_model::id::Position;

const GATE: &str = "upgrade/database/drain/look-around";

pub fn at_gate() -> Stored {
    let stored = Stored::new();
    let position: Position = format!("{GATE}@db1").parse().unwrap();
    assert!(
        stored
            .plan
            .positions()
            .iter()
            .any(|p| p.position == position)
    );
    stored.append(&[Event::Asked {
        position,
        question: "Is the shop quiet?".to_owned(),
        nonce: "q".into(),
    }]);
    stored
}

/// Times and names of this machine made the same for every run.
pub fn steady(text: &str) -> String {
    let person = String::from_utf8(
        std::process::Command::new("id")
            .arg("-un")
            .output()
            .unwrap()
            .stdout,
    )
    .unwrap();
    let lines = text.lines().map(|line| match line.find(" (") {
        Some(at) if line.contains(" ago)") => format!("{} (SOME TIME ago)", &line[..at]),
        _ => line.to_owned(),
    });
    let text: Vec<String> = lines.collect();
    text.join("\n")
        .replace(&format!("by {}", person.trim()), "by PERSON")
}

#[test]
fn the_status_names_the_choices_and_their_commands() {
    let stored = at_gate();
    insta::assert_snapshot!(steady(&stored.call(&["status"]).with(4).all()));
}

#[test]
fn the_report_of_a_run_that_stands_is_whole() {
    let stored = at_gate();
    insta::assert_snapshot!(stored.call(&["report"]).with(0).stdout);
    let json = stored.call(&["report", "--json"]).with(0).json();
    assert_eq!(json["run"], RUN);
    assert_eq!(json["verdict"], serde_json::Value::Null);
}

#[test]
fn a_decision_waits_in_the_inbox_with_person_and_question() {
    let stored = at_gate();
    let shown = stored.call(&["approve", "look-around", "--reason", "all is quiet"]);
    insta::assert_snapshot!(steady(&shown.with(0).all()));
    let pending = stored.dir.pending().unwrap();
    assert_eq!(pending.len(), 1);
    let position: Position = format!("{GATE}@db1").parse().unwrap();
    assert_eq!(
        pending[0].choice,
        Choice::Approve {
            position,
            question: Some("q".into())
        }
    );
    assert_eq!(pending[0].plan, stored.plan.hash().unwrap());
    assert_eq!(pending[0].reason, "all is quiet");
    assert_ne!(pending[0].person.as_str(), "nobody-of-this-name");
    let status = stored.call(&["status"]);
    assert!(
        status.stdout.contains("not taken up yet: approve"),
        "{}",
        status.all()
    );
}

#[test]
fn decisions_that_do_not_fit_are_refused_and_change_nothing() {
    let stored = at_gate();
    let mut all = String::new();
    for args in [
        ["retry", "look-around", "--reason", "x"].as_slice(),
        &["done", "note", "--reason", "x"],
        &["skip", "no-such-step", "--reason", "x"],
        &["approve", "note"],
        &["void", "look-around", "--reason", ""],
    ] {
        all.push_str(&stored.call(args).with(2).all());
    }
    insta::assert_snapshot!(all);
    assert_eq!(stored.dir.pending().unwrap(), []);
}

#[test]
fn a_pause_of_a_run_that_nobody_leads_asks_for_nothing() {
    let stored = at_gate();
    let shown = stored.call(&["pause"]).with(0);
    assert!(
        shown.stderr.contains("nothing begins until"),
        "{}",
        shown.all()
    );
    assert_eq!(stored.dir.pending().unwrap(), []);
    let shown = stored.call(&["abort", "--reason", "another day"]).with(0);
    assert!(
        shown
            .stdout
            .contains("will take effect at `overhaul resume"),
        "{}",
        shown.all()
    );
    assert_eq!(stored.dir.pending().unwrap().len(), 1);
}
