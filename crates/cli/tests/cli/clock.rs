//! The controller's clock is wrong, or jumps backwards between two controllers of one run.

use crate::scene::{kill, wait_for};
use crate::stage::Stage;
use jiff::Timestamp;
use overhaul_model::span::Span;
use serde_json::Value;

/// No span of these tests is longer; the clock jumps much further.
const SPAN_MS_MAX: u64 = 120_000;

/// How far the clock jumps.
const JUMP_MS: u64 = 2 * 60 * 60 * 1_000;

/// The times of all rows of the journal, in order.
fn times(stage: &Stage) -> Vec<Timestamp> {
    let runs = stage.scene.path("state/runs");
    let run = runs.read_dir().unwrap().next().unwrap().unwrap();
    let journal = rusqlite::Connection::open(run.path().join("journal.sqlite")).unwrap();
    let mut rows = journal
        .prepare("SELECT record FROM journal ORDER BY seq")
        .unwrap();
    let records = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
    records
        .map(|record| {
            let record: Value = serde_json::from_str(&record.unwrap()).unwrap();
            record["at"].as_str().unwrap().parse().unwrap()
        })
        .collect()
}

/// Every measured length in the report.
fn lengths(value: &Value, out: &mut Vec<Span>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if let ("length", Some(text)) = (key.as_str(), value.as_str()) {
                    out.push(text.parse().unwrap());
                }
                lengths(value, out);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| lengths(value, out)),
        _ => {}
    }
}

/// A run is killed at one time of its clock and taken up at another, and completes.
fn killed_and_resumed_at(first: &str, second: &str) -> Stage {
    let stage = Stage::new();
    let scene = &stage.scene;
    scene.write("work/good", "");
    let child = scene.start_at(first, &Stage::RUN);
    wait_for(&scene.path("work/long"));
    stage.wait_for_state("long", "running");
    kill(child.id(), "KILL");
    scene.end(child, &Stage::RUN);
    stage.go();
    let shown = scene.call_at(second, &["resume"]).with(4);
    assert_eq!(stage.state_of("look-around"), "asked", "{}", shown.all());
    assert_eq!(scene.read("work/long"), "began\n", "{}", shown.all());
    let ended = stage.to_the_end();
    assert!(ended.stdout.contains(": complete"), "{}", ended.all());
    stage
}

fn assert_sensible(stage: &Stage) {
    let times = times(stage);
    assert!(times.is_sorted(), "{times:?}");
    let report = stage.scene.call(&["report", "--json"]).with(0).json();
    assert_eq!(report["verdict"], "complete");
    let rows = report["timeline"].as_array().unwrap();
    assert!(rows.len() >= 3, "{report}");
    let mut found = Vec::new();
    lengths(&report, &mut found);
    assert!(found.len() >= rows.len(), "{report}");
    assert!(
        found.iter().all(|length| length.as_ms() < SPAN_MS_MAX),
        "{report}"
    );
    let long = rows.iter().find(|row| row["title"] == "long").unwrap();
    assert_ne!(long["length"], "0s", "{report}");
    let text = stage.scene.call(&["report"]).with(0);
    let minus = |word: &str| word.len() > 1 && word.starts_with('-') && word.ends_with('s');
    assert!(!text.stdout.split_whitespace().any(minus), "{}", text.all());
}

#[test]
fn a_clock_that_jumps_backwards_between_two_controllers_changes_no_order() {
    let stage = killed_and_resumed_at("+0", "-2h");
    assert_sensible(&stage);
}

#[test]
fn a_run_that_was_begun_in_the_future_completes_in_the_present() {
    let stage = killed_and_resumed_at("+2h", "+0");
    assert_sensible(&stage);
    // What was written in the future stays as it was.
    let first = times(&stage).first().copied().unwrap();
    let ahead = Span::between(Timestamp::now(), first);
    assert!(ahead.as_ms() > JUMP_MS / 2, "{first}");
}
