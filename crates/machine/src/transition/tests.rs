//! Every state against every event: the whole table.

use super::{first_stage, taken_over, transition};
use crate::state::{How, Phase, Slot, Stage, StepState, Then};
use jiff::Timestamp;
use overhaul_model::action::{Action, Limits, OnceScope, Repeat, Retry, Touches, Undo};
use overhaul_model::definition::{Guard, Origin, Slot as Place, Test};
use overhaul_model::event::{Choice, Decision, Event, Outcome, Settlement};
use overhaul_model::id::{Digest, Position};
use overhaul_model::primitive::{Ask, Exec, Measure, Measurement, Primitive};
use overhaul_model::receipt::WorkEnd;
use overhaul_model::span::Span;
use overhaul_model::step::{Lane, Step};
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write as _;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn step(repeat: Repeat, whole: bool) -> Step {
    let measure = || Measure::Command(Exec::argv(["true"]));
    let guard = |name: &str| Guard {
        name: name.to_owned(),
        test: Test::Measure(measure()),
        at_most: Span::from_s(60),
    };
    Step {
        id: "x".into(),
        title: "x".to_owned(),
        action: Action::Run {
            touches: Touches::Anything,
        },
        slot: Place::Change,
        stage: "upgrade".into(),
        lane: Lane::Run,
        only: None,
        guards: if whole {
            vec![guard("first"), guard("second")]
        } else {
            Vec::new()
        },
        check: whole.then(measure),
        work: Primitive::Exec(Exec::argv(["true"])),
        verify: whole.then(measure),
        undo: Undo::Nothing,
        repeat,
        limits: Limits {
            total: Span::from_s(60),
            stall: None,
            expected: Span::from_s(1),
        },
        retry: Retry {
            attempts: 2,
            back_off: Span::from_s(10),
        },
        outputs: BTreeMap::new(),
        why: "a test".to_owned(),
        origin: Origin::default(),
    }
}

fn states() -> Vec<StepState> {
    let at = now();
    let running = |phase| StepState::Running {
        attempt: 1,
        phase,
        since: at,
    };
    let bad = |failed: bool, then: Then| match failed {
        true => StepState::Failed {
            why: "w".to_owned(),
            tail: String::new(),
            attempt: 1,
            at,
            then,
        },
        false => StepState::Unknown {
            why: "w".to_owned(),
            attempt: 1,
            at,
            then,
        },
    };
    let mut all = vec![StepState::Waiting];
    for stage in [
        Stage::Guard(0),
        Stage::Guard(1),
        Stage::Check,
        Stage::Ask,
        Stage::Act,
    ] {
        all.push(StepState::Ready { stage });
    }
    all.push(StepState::Held {
        guard: 1,
        since: at,
        measured_at: at,
        why: "w".to_owned(),
    });
    all.push(StepState::Asked {
        question: "q".to_owned(),
        nonce: "n".into(),
    });
    all.extend([
        running(Phase::Acting),
        running(Phase::Settling),
        running(Phase::Verifying { then: How::Worked }),
    ]);
    for failed in [true, false] {
        let not_before = at;
        all.extend([
            bad(failed, Then::Settle),
            bad(failed, Then::Measure { not_before }),
            bad(failed, Then::Again { not_before }),
            bad(failed, Then::Person),
        ]);
    }
    all.push(StepState::Done { how: How::Worked });
    let by = || "p".into();
    all.extend([
        StepState::Skipped { by: by() },
        StepState::Voided { by: by() },
    ]);
    all
}

fn measurements() -> [(&'static str, Measurement); 3] {
    let words = || "seen".to_owned();
    [
        ("so", Measurement::So { evidence: words() }),
        ("not-so", Measurement::NotSo { evidence: words() }),
        ("unknown", Measurement::Unknown { reason: words() }),
    ]
}

fn outcomes() -> [(&'static str, Outcome); 4] {
    let failed = |end| Outcome::Failed {
        why: "f".to_owned(),
        tail: String::new(),
        end,
    };
    let exit = WorkEnd::Exited {
        code: 1,
        success: false,
    };
    [
        (
            "succeeded",
            Outcome::Succeeded {
                changed: true,
                outputs: BTreeMap::new(),
                evidence: String::new(),
                unsynced: None,
            },
        ),
        ("failed", failed(Some(exit))),
        ("not-begun", failed(None)),
        (
            "unknown",
            Outcome::Unknown {
                reason: "u".to_owned(),
            },
        ),
    ]
}

fn events() -> Vec<(String, Event)> {
    let position = || Position::alone("x".into());
    let mut all = Vec::new();
    for (word, result) in measurements() {
        for guard in [0, 1] {
            let (position, result) = (position(), result.clone());
            all.push((
                format!("guard {guard} {word}"),
                Event::GuardMeasured {
                    position,
                    guard,
                    result,
                    serving: BTreeSet::new(),
                },
            ));
        }
        let (p, r) = (position(), result.clone());
        all.push((
            format!("checked {word}"),
            Event::Checked {
                position: p,
                result: r,
            },
        ));
        let verified = Event::Verified {
            position: position(),
            attempt: 1,
            result,
        };
        all.push((format!("verified {word}"), verified));
    }
    let asked = Event::Asked {
        position: position(),
        question: "q".to_owned(),
        nonce: "n".into(),
    };
    all.push(("asked".to_owned(), asked));
    for attempt in [1, 2] {
        let started = Event::Started {
            position: position(),
            attempt,
            key: "k".into(),
        };
        all.push((format!("started {attempt}"), started));
    }
    all.extend(endings());
    all.extend(decisions());
    all
}

fn endings() -> Vec<(String, Event)> {
    let position = || Position::alone("x".into());
    let mut all = Vec::new();
    let mut settlements = vec![
        ("never-began".to_owned(), Settlement::NeverBegan),
        ("running".to_owned(), Settlement::Running),
        (
            "unknown".to_owned(),
            Settlement::Unknown {
                reason: "s".to_owned(),
            },
        ),
    ];
    for (word, outcome) in outcomes() {
        settlements.push((format!("ended {word}"), Settlement::Ended(outcome.clone())));
        let ended = Event::Ended {
            position: position(),
            attempt: 1,
            outcome,
        };
        all.push((format!("ended {word}"), ended));
    }
    for (word, settlement) in settlements {
        let settled = Event::Settled {
            position: position(),
            attempt: 1,
            settlement,
        };
        all.push((format!("settled {word}"), settled));
    }
    all
}

fn decisions() -> Vec<(String, Event)> {
    let position = || Position::alone("x".into());
    let mut all = Vec::new();
    let choices = [
        Choice::Approve {
            position: position(),
            question: Some("n".into()),
        },
        Choice::Retry {
            position: position(),
        },
        Choice::Done {
            position: position(),
        },
        Choice::Skip {
            position: position(),
        },
        Choice::Void {
            position: position(),
        },
    ];
    for choice in choices {
        let decision = Decision {
            person: "p".into(),
            reason: "r".to_owned(),
            plan: Digest::of("plan"),
            nonce: "d".into(),
            choice,
        };
        all.push((decision.choice.word().to_owned(), Event::Decided(decision)));
    }
    all
}

/// The state in a few words.
fn short(state: &StepState) -> String {
    let after = |then: &Then| match then {
        Then::Settle => "settle",
        Then::Measure { .. } => "measure",
        Then::Again { .. } => "again",
        Then::Person => "person",
    };
    match state {
        StepState::Ready { stage } => format!("ready {stage:?}"),
        StepState::Held { guard, .. } => format!("held {guard}"),
        StepState::Running { attempt, phase, .. } => match phase {
            Phase::Verifying { then } => format!("running {attempt} verifying ({then:?})"),
            phase => format!("running {attempt} {}", format!("{phase:?}").to_lowercase()),
        },
        StepState::Done { how } => format!("done {how:?}"),
        StepState::Failed { then, .. } => format!("failed, {}", after(then)),
        StepState::Unknown { then, .. } => format!("unknown, {}", after(then)),
        other => other.word().to_owned(),
    }
}

/// A slot in a state, as it is after the first of two attempts where there was one.
fn slot(state: StepState) -> Slot {
    let begun = !matches!(
        state,
        StepState::Waiting
            | StepState::Ready { .. }
            | StepState::Held { .. }
            | StepState::Asked { .. }
    );
    let counted = state.is_bad() && state.then() != Some(&Then::Settle);
    Slot {
        attempts: u32::from(begun),
        used: u32::from(counted),
        ..Slot::new(state)
    }
}

fn table(step: &Step) -> String {
    let mut out = String::new();
    for state in states() {
        let _ = writeln!(out, "{}", short(&state));
        let mut illegal = 0;
        for (word, event) in events() {
            match transition(step, &slot(state.clone()), now(), &event) {
                Some(after) => {
                    let _ = writeln!(out, "    {word:<24} -> {}", short(&after.state));
                }
                None => illegal += 1,
            }
        }
        let taken = taken_over(step, &slot(state.clone()), now());
        if taken.state != state {
            let _ = writeln!(out, "    {:<24} -> {}", "(takeover)", short(&taken.state));
        }
        let _ = writeln!(out, "    {illegal} others are errors");
    }
    out
}

#[test]
fn every_state_against_every_event() {
    insta::assert_snapshot!("check-first", table(&step(Repeat::CheckFirst, true)));
    insta::assert_snapshot!(
        "once-without-check",
        table(&step(Repeat::Once(OnceScope::Host), false))
    );
    insta::assert_snapshot!("safe-without-check", table(&step(Repeat::Safe, false)));
    let gate = Step {
        work: Primitive::Ask(Ask {
            question: "q".to_owned(),
        }),
        ..step(Repeat::Safe, false)
    };
    insta::assert_snapshot!("gate", table(&gate));
}

#[test]
fn a_step_begins_with_guards_then_its_check_then_the_act() {
    let mut step = step(Repeat::Safe, true);
    assert_eq!(first_stage(&step), Stage::Guard(0));
    step.guards.clear();
    assert_eq!(first_stage(&step), Stage::Check);
    step.check = None;
    assert_eq!(first_stage(&step), Stage::Act);
}
