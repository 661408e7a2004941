//! Calls over the time of a run.

use super::*;
use overhaul_machine::{OpenPosition, RunStanding};
use overhaul_model::event::Outcome;
use overhaul_model::id::{Digest, Nonce};

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_764_000_000 + minute * 60).unwrap()
}

/// An attention without any plan behind it: the clocks of services have tests of their own.
fn attention() -> Attention {
    let plan: Plan = serde_json::from_value(serde_json::json!({
        "format": 1, "kind": "upgrade", "parent": null, "upgrade": "x", "fleet": "x",
        "from": {"os": "debian", "release": "12"}, "to": {"os": "debian", "release": "13"},
        "hosts": {}, "rolls": {}, "services": {}, "datasets": {}, "space": [], "providers": {},
        "machines": {}, "failure_budget": 0, "one_zone_at_a_time": false, "waivers": [],
        "root": {"sequence": {"id": "", "title": "", "blocks": []}},
    }))
    .unwrap();
    let mut out = Attention::new(&plan, 0);
    out.titles.insert("long".into(), "a long step".to_owned());
    out.expected
        .insert(position("long@a"), Span::from_s(4 * 60));
    out
}

fn position(text: &str) -> Position {
    let (step, host) = text.split_once('@').unwrap();
    Position::on(step.into(), host.into())
}

fn standing(open: &[(&str, Doing)]) -> Standing {
    let open = open.iter().map(|(at, doing)| OpenPosition {
        position: position(at),
        doing: doing.clone(),
    });
    Standing {
        run: RunStanding::Working,
        open: open.collect(),
        outside: Vec::new(),
    }
}

fn waits(on: &str) -> Doing {
    Doing::Waiting {
        on: on.to_owned(),
        until: None,
    }
}

fn works(since: i64) -> Doing {
    Doing::Working {
        work: Work::Acting,
        since: Some(at(since)),
    }
}

fn needs(why: &str) -> Doing {
    Doing::NeedsPerson {
        why: why.to_owned(),
        choices: Vec::new(),
    }
}

fn words(calls: Vec<Call>) -> Vec<String> {
    let calls = calls.into_iter();
    calls
        .map(|call| format!("{}: {}", call.kind.word(), call.text))
        .collect()
}

fn record(event: Event) -> Record {
    Record {
        seq: 1,
        at: at(0),
        before: Digest::of(""),
        event,
    }
}

#[test]
fn who_waits_long_is_told_once() {
    let mut attention = attention();
    let held = standing(&[("go@a", waits("guard `quorum`: 2 of 3\u{1b}[31m"))]);
    assert!(attention.standing(&held, at(0)).is_empty());
    assert!(attention.tick(at(9)).is_empty());
    // What was measured last changes; the wait is the same one.
    let held = standing(&[("go@a", waits("guard `quorum`: 1 of 3"))]);
    attention.standing(&held, at(9));
    let expected = ["held: go@a waits for 10m: guard `quorum`: 2 of 3"];
    assert_eq!(words(attention.tick(at(10))), expected);
    assert!(attention.tick(at(60)).is_empty());
    // It went on, and waits again.
    attention.standing(&standing(&[]), at(61));
    attention.standing(&held, at(62));
    assert_eq!(attention.tick(at(72)).len(), 1);
}

#[test]
fn who_is_silent_and_late_is_told_until_it_speaks() {
    let mut attention = attention();
    attention.standing(&standing(&[("long@a", works(0))]), at(0));
    // Silent, but not twice as late as expected.
    assert!(attention.tick(at(7)).is_empty());
    let expected =
        ["stalled: a long step [long@a] gives no output for 9m and takes 9m, 4m expected"];
    assert_eq!(words(attention.tick(at(9))), expected);
    assert!(attention.tick(at(10)).is_empty());
    attention.output(&position("long@a"), at(11));
    assert!(attention.tick(at(15)).is_empty());
    assert_eq!(attention.tick(at(16)).len(), 1);
}

#[test]
fn questions_failures_and_the_end_are_told() {
    let mut attention = attention();
    let question = Event::Asked {
        position: position("gate@a"),
        question: "sure?".to_owned(),
        nonce: Nonce::new("n"),
    };
    assert!(attention.take(&record(question)).is_empty());
    let both = standing(&[("gate@a", needs("sure?")), ("long@a", needs("it broke"))]);
    let expected = [
        "asked: gate@a asks: sure?",
        "failed: a long step [long@a] needs a decision: it broke",
    ];
    assert_eq!(words(attention.standing(&both, at(1))), expected);
    assert!(attention.standing(&both, at(2)).is_empty());
    // Begun again and failed again: another call.
    attention.standing(&standing(&[("long@a", works(3))]), at(3));
    let again = standing(&[("long@a", needs("it broke again"))]);
    assert_eq!(attention.standing(&again, at(4)).len(), 1);
    let ended = Event::Ended {
        position: position("long@a"),
        attempt: 1,
        outcome: Outcome::Unknown {
            reason: String::new(),
        },
    };
    assert!(attention.take(&record(ended)).is_empty());
    let over = Event::Finished {
        verdict: Verdict::Complete,
    };
    assert_eq!(
        words(attention.take(&record(over))),
        ["over: the run is over: complete"]
    );
}
