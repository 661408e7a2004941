//! Every event that could be written next, fitting or not.

use super::cells::Kind;
use super::plans::{GUARD_AT_MOST, HOST};
use crate::Run;
use crate::state::StepState;
use jiff::Timestamp;
use overhaul_model::event::{
    Choice, Decision, Event, Generation, Outcome, Settlement, Sitting, Verdict,
};
use overhaul_model::facts::BootProof;
use overhaul_model::id::{Digest, HostName, Position};
use overhaul_model::primitive::Measurement;
use overhaul_model::receipt::WorkEnd;
use overhaul_model::span::Span;
use std::collections::{BTreeMap, BTreeSet};

/// An event, and how long after the one before it comes.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub kind: Kind,
    /// What tells it from others of its kind.
    pub which: String,
    pub event: Event,
    pub after: Span,
}

impl Sample {
    fn new(which: impl Into<String>, event: Event) -> Self {
        Self {
            kind: Kind::of(&event),
            which: which.into(),
            event,
            after: Span::from_s(1),
        }
    }

    /// The position that it is about.
    pub fn position(&self) -> Option<&Position> {
        match &self.event {
            Event::GuardMeasured { position, .. }
            | Event::Asked { position, .. }
            | Event::Checked { position, .. }
            | Event::Started { position, .. }
            | Event::Settled { position, .. }
            | Event::Ended { position, .. }
            | Event::Verified { position, .. } => Some(position),
            Event::Decided(decision) => decision.choice.position(),
            // Of a run, a host, a repair.
            _ => None,
        }
    }
}

/// All that could come next in this run.
pub(super) fn all(run: &Run) -> Vec<Sample> {
    let mut out = of_the_run(run);
    out.extend(of_any_run());
    out.extend(of_hosts(run));
    out.extend(decisions_for_all(run));
    out.push(Sample::new("of a repair", repair_measured(true)));
    out.push(Sample::new("of a repair, not so", repair_measured(false)));
    for (position, state) in run.positions() {
        out.extend(measured(&position));
        out.extend(attempted(run, &position));
        out.extend(decisions(run, &position, state));
    }
    out
}

fn repair_measured(so: bool) -> Event {
    Event::RepairMeasured {
        position: Position::on("repair".into(), HOST.into()),
        result: match so {
            true => measurements()[0].1.clone(),
            false => measurements()[1].1.clone(),
        },
    }
}

/// What is written of this run and its plan.
fn of_the_run(run: &Run) -> Vec<Sample> {
    let counter = run.generation().map_or(0, |g| g.counter);
    let took = |counter| Event::ControllerTook {
        generation: Generation {
            fleet: "pairs".to_owned(),
            run: "r".into(),
            counter,
            nonce: "n".into(),
        },
        person: "p".into(),
    };
    let opened = |plan| Event::RunOpened {
        run: "r".into(),
        plan,
        person: "p".into(),
        warned: Vec::new(),
    };
    let amended = |parent| {
        let mut plan = run.plan().clone();
        plan.parent = parent;
        Event::Amended {
            person: "p".into(),
            reason: "because".to_owned(),
            plan: Box::new(plan),
            was: BTreeMap::new(),
            warned: Vec::new(),
        }
    };
    vec![
        Sample::new("", opened(run.hash().clone())),
        Sample::new("of another plan", opened(Digest::of("another"))),
        Sample::new("", took(counter + 1)),
        Sample::new("that is no newer", took(counter)),
        Sample::new("", amended(Some(run.hash().clone()))),
        Sample::new("of another plan", amended(None)),
        Sample::new(
            "",
            Event::Salvaged {
                person: "p".into(),
                kept: run.seq(),
                known: run.seq(),
                why: "torn".to_owned(),
                counter: counter + 1,
            },
        ),
    ]
}

/// What is written of the whole run, whatever its plan is.
fn of_any_run() -> Vec<Sample> {
    let limited = |host: &str| Event::Limited {
        sitting: Sitting {
            words: "limits".to_owned(),
            hosts: Some([HostName::new(host)].into()),
            until: None,
            stage: None,
        },
    };
    let finished = |verdict| Event::Finished { verdict };
    let cleanup = |name: &str| Event::CleanupBegan {
        person: "p".into(),
        names: vec![name.into()],
    };
    vec![
        Sample::new("", limited(HOST)),
        Sample::new("to an unknown host", limited("nobody")),
        Sample::new("complete", finished(Verdict::Complete)),
        Sample::new("aborted", finished(Verdict::Aborted)),
        Sample::new("", cleanup("cleanup/step")),
        Sample::new("of something else", cleanup("nothing")),
        Sample::new(
            "",
            Event::CopyRemoved {
                person: "p".into(),
                file: "copy".to_owned(),
            },
        ),
        Sample::new(
            "",
            Event::Declined {
                nonce: "d".into(),
                why: "too late".to_owned(),
            },
        ),
        Sample::new(
            "",
            Event::Probed {
                service: "web".into(),
                host: None,
                up: false,
                detail: "refused".to_owned(),
            },
        ),
        Sample::new("", Event::Tallied { probes: Vec::new() }),
    ]
}

fn of_hosts(run: &Run) -> Vec<Sample> {
    let known = run.receipts_of(&HOST.into());
    let registered = |host: &str, install_id: &str, sequence| Event::HostRegistered {
        host: host.into(),
        install_id: install_id.into(),
        sequence,
        boot: BootProof {
            boot_id: "b".to_owned(),
            init_started_ticks: 1,
        },
    };
    let refused = |transient| Event::HostRefused {
        host: HOST.into(),
        why: "not today".to_owned(),
        transient,
    };
    let (id, sequence) = known.map_or(("first", 0), |(id, sequence)| (id.as_str(), sequence));
    let other = match id {
        "first" => "second",
        _ => "first",
    };
    let mut out = vec![
        Sample::new("", registered(HOST, id, sequence)),
        Sample::new("with another store", registered(HOST, other, sequence)),
        Sample::new("of an unknown host", registered("nobody", "x", 0)),
        Sample::new("for now", refused(true)),
        Sample::new("for good", refused(false)),
        Sample::new("", Event::HostReleased { host: HOST.into() }),
        Sample::new("", Event::TakenUp { host: HOST.into() }),
    ];
    if let Some(earlier) = sequence.checked_sub(1) {
        let back = registered(HOST, id, earlier);
        out.push(Sample::new("with a store that was set back", back));
    }
    out
}

fn measurements() -> [(&'static str, Measurement); 3] {
    let words = || "seen".to_owned();
    [
        ("so", Measurement::So { evidence: words() }),
        ("not so", Measurement::NotSo { evidence: words() }),
        ("unknown", Measurement::Unknown { reason: words() }),
    ]
}

fn measured(position: &Position) -> Vec<Sample> {
    let mut out = Vec::new();
    for (word, result) in measurements() {
        for guard in [0, 1] {
            let event = Event::GuardMeasured {
                position: position.clone(),
                guard,
                result: result.clone(),
                serving: BTreeSet::new(),
            };
            out.push(Sample::new(word, event.clone()));
            out.push(Sample {
                after: GUARD_AT_MOST,
                ..Sample::new(format!("{word}, after its time"), event)
            });
        }
        let position = position.clone();
        out.push(Sample::new(word, Event::Checked { position, result }));
    }
    out.push(Sample::new(
        "",
        Event::Asked {
            position: position.clone(),
            question: "go on?".to_owned(),
            nonce: "q".into(),
        },
    ));
    out
}

fn outcomes() -> [(&'static str, Outcome); 4] {
    let failed = |end| Outcome::Failed {
        why: "bad luck".to_owned(),
        tail: String::new(),
        end,
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
        ("failed", failed(Some(WorkEnd::Signaled { signal: 9 }))),
        ("did not begin", failed(None)),
        (
            "unknown",
            Outcome::Unknown {
                reason: "cut".to_owned(),
            },
        ),
    ]
}

fn attempted(run: &Run, position: &Position) -> Vec<Sample> {
    let last = run.tree.locate(position);
    let last = last
        .and_then(|key| run.slots.get(&key))
        .map_or(0, |s| s.attempts);
    let mut out = Vec::new();
    for (attempt, which) in [(last + 1, ""), (last, "with a number that was used")] {
        let started = Event::Started {
            position: position.clone(),
            attempt,
            key: "k".into(),
        };
        out.push(Sample::new(which, started));
    }
    let settled = |attempt, settlement| Event::Settled {
        position: position.clone(),
        attempt,
        settlement,
    };
    let unknown = Settlement::Unknown {
        reason: "lost".to_owned(),
    };
    for (word, settlement) in [
        ("never began", Settlement::NeverBegan),
        ("running", Settlement::Running),
        ("unknown", unknown),
    ] {
        out.push(Sample::new(word, settled(last, settlement)));
    }
    for (word, outcome) in outcomes() {
        let ended = |attempt, outcome| Event::Ended {
            position: position.clone(),
            attempt,
            outcome,
        };
        let by_receipt = settled(last, Settlement::Ended(outcome.clone()));
        out.push(Sample::new(format!("ended: {word}"), by_receipt));
        let stale = ended(last + 1, outcome.clone());
        out.push(Sample::new("of another attempt", stale));
        out.push(Sample::new(word, ended(last, outcome)));
    }
    let stale = settled(last + 1, Settlement::NeverBegan);
    out.push(Sample::new("of another attempt", stale));
    for (word, result) in measurements() {
        let verified = |attempt, result| Event::Verified {
            position: position.clone(),
            attempt,
            result,
        };
        let stale = verified(last + 1, result.clone());
        out.push(Sample::new("of another attempt", stale));
        out.push(Sample::new(word, verified(last, result)));
    }
    out
}

fn decided(run: &Run, choice: Choice) -> Event {
    Event::Decided(Decision {
        person: "p".into(),
        reason: "because".to_owned(),
        plan: run.hash().clone(),
        nonce: "d".into(),
        choice,
    })
}

fn decisions(run: &Run, position: &Position, state: &StepState) -> Vec<Sample> {
    let at = || position.clone();
    let question = match state {
        StepState::Asked { nonce, .. } => Some(nonce.clone()),
        _ => None,
    };
    let open = Choice::Approve {
        position: at(),
        question,
    };
    let stale = Choice::Approve {
        position: at(),
        question: Some("another".into()),
    };
    let mut out = vec![
        Sample::new("", decided(run, open)),
        Sample::new("of another question", decided(run, stale)),
    ];
    for choice in [
        Choice::Retry { position: at() },
        Choice::Done { position: at() },
        Choice::Skip { position: at() },
        Choice::Void { position: at() },
    ] {
        out.push(Sample::new("", decided(run, choice)));
    }
    out
}

fn decisions_for_all(run: &Run) -> Vec<Sample> {
    let host = || HostName::new(HOST);
    let until = Timestamp::UNIX_EPOCH;
    let mut out = vec![Sample::new(
        "made for another plan",
        Event::Decided(Decision {
            person: "p".into(),
            reason: "because".to_owned(),
            plan: Digest::of("another"),
            nonce: "d".into(),
            choice: Choice::Abort,
        }),
    )];
    for choice in [
        Choice::Pause,
        Choice::Unpause,
        Choice::Abort,
        Choice::Postpone {
            host: host(),
            until,
        },
        Choice::TakeUp { host: host() },
        Choice::LeaveOut { host: host() },
    ] {
        out.push(Sample::new("", decided(run, choice)));
    }
    out
}
