//! Which event of the journal met which state: the cells of a table over many runs.

use overhaul_machine::{Phase, Run, Stage, StepState, Then};
use overhaul_model::event::{Event, Outcome, Record, Settlement};
use overhaul_model::id::Position;
use overhaul_model::primitive::Measurement;
use std::collections::BTreeMap;

/// How often each event met each state: by the words for state and event.
pub type Cells = BTreeMap<(&'static str, &'static str), u64>;

/// Reads a journal again from the run before its first event, and counts.
pub(crate) fn count(mut run: Run, records: &[Record], cells: &mut Cells) {
    for record in records {
        let (position, event) = about(&record.event);
        if let Some(position) = position {
            let state = state_word(run.state(position));
            *cells.entry((state, event)).or_default() += 1;
        }
        if run.apply(record).is_err() {
            return;
        }
    }
}

/// The position that an event is about, and its name.
fn about(event: &Event) -> (Option<&Position>, &'static str) {
    match event {
        Event::GuardMeasured {
            position, result, ..
        } => {
            let words = ["guard holds", "guard does not hold", "guard not measured"];
            (Some(position), told(result, words))
        }
        Event::Asked { position, .. } => (Some(position), "asked"),
        Event::Checked { position, result } => {
            let words = ["checked so", "checked not so", "check not measured"];
            (Some(position), told(result, words))
        }
        Event::Started { position, .. } => (Some(position), "started"),
        Event::Settled {
            position,
            settlement,
            ..
        } => (
            Some(position),
            match settlement {
                Settlement::NeverBegan => "settled: never began",
                Settlement::Running => "settled: running",
                Settlement::Ended(_) => "settled: ended",
                Settlement::Unknown { .. } => "settled: unknown",
            },
        ),
        Event::Ended {
            position, outcome, ..
        } => (
            Some(position),
            match outcome {
                Outcome::Succeeded { .. } => "succeeded",
                Outcome::Failed { end: None, .. } => "did not begin",
                Outcome::Failed { .. } => "failed",
                Outcome::Unknown { .. } => "unknown",
            },
        ),
        Event::Verified {
            position, result, ..
        } => {
            let words = ["verified", "not verified", "verify not measured"];
            (Some(position), told(result, words))
        }
        Event::RepairMeasured {
            position, result, ..
        } => {
            let words = [
                "finding is there",
                "finding is not there",
                "finding not measured",
            ];
            (Some(position), told(result, words))
        }
        Event::Decided(decision) => (decision.choice.position(), decision.choice.word()),
        Event::RunOpened { .. }
        | Event::ControllerTook { .. }
        | Event::Amended { .. }
        | Event::Salvaged { .. }
        | Event::Limited { .. }
        | Event::HostRegistered { .. }
        | Event::HostRefused { .. }
        | Event::HostReleased { .. }
        | Event::TakenUp { .. }
        | Event::Declined { .. }
        | Event::Probed { .. }
        | Event::Tallied { .. }
        | Event::Finished { .. }
        | Event::CleanupBegan { .. }
        | Event::CopyRemoved { .. } => (None, ""),
    }
}

/// So, not so, or nobody knows.
fn told(result: &Measurement, [so, not_so, unknown]: [&'static str; 3]) -> &'static str {
    match result {
        Measurement::So { .. } => so,
        Measurement::NotSo { .. } => not_so,
        Measurement::Unknown { .. } => unknown,
    }
}

fn state_word(state: &StepState) -> &'static str {
    match state {
        StepState::Ready { stage } => match stage {
            Stage::Guard(_) => "ready: guard",
            Stage::Check => "ready: check",
            Stage::Ask => "ready: ask",
            Stage::Act => "ready: act",
        },
        StepState::Running { phase, .. } => match phase {
            Phase::Acting => "running: acting",
            Phase::Settling => "running: settling",
            Phase::Verifying { .. } => "running: verifying",
        },
        StepState::Failed { then, .. } => match then {
            Then::Settle => "failed: settle",
            Then::Measure { .. } => "failed: measure",
            Then::Again { .. } => "failed: again",
            Then::Person => "failed: person",
        },
        StepState::Unknown { then, .. } => match then {
            Then::Settle => "unknown: settle",
            Then::Measure { .. } => "unknown: measure",
            Then::Again { .. } => "unknown: again",
            Then::Person => "unknown: person",
        },
        StepState::Waiting
        | StepState::Held { .. }
        | StepState::Asked { .. }
        | StepState::Done { .. }
        | StepState::Skipped { .. }
        | StepState::Voided { .. } => state.word(),
    }
}
