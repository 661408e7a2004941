//! What is over in the journal is not begun again, whatever plan is in force.

use crate::evidence::Evidence;
use overhaul_model::event::{Choice, Event, Outcome, Settlement};
use overhaul_model::id::Position;
use overhaul_model::primitive::Measurement;
use std::collections::BTreeSet;

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let (mut begun, mut over) = (BTreeSet::new(), BTreeSet::new());
    let mut out = Vec::new();
    for record in evidence.records {
        match &record.event {
            Event::Started { position, .. } => {
                begun.insert(position);
                // A remedy is carried out as often as it is needed.
                if !over.contains(position) || evidence.known.remedies.contains(&position.step) {
                    continue;
                }
                out.push(format!(
                    "{position} was over, and begins again in row {}",
                    record.seq
                ));
            }
            // What was so already is measured anew in a turn that was given back.
            Event::Checked { position, .. } if !begun.contains(position) => {}
            event => over.extend(ends(evidence, event)),
        }
    }
    out
}

/// The position that this event ends for good.
fn ends<'a>(evidence: &Evidence<'_>, event: &'a Event) -> Option<&'a Position> {
    let proves = |position: &Position| {
        let step = evidence.known.step(&position.step);
        step.is_none_or(|step| step.verify.is_some())
    };
    match event {
        Event::Checked {
            position,
            result: Measurement::So { .. },
        }
        | Event::Verified {
            position,
            result: Measurement::So { .. },
            ..
        } => Some(position),
        Event::Ended {
            position,
            outcome: Outcome::Succeeded { .. },
            ..
        }
        | Event::Settled {
            position,
            settlement: Settlement::Ended(Outcome::Succeeded { .. }),
            ..
        } => Some(position).filter(|position| !proves(position)),
        Event::Decided(decision) => match &decision.choice {
            Choice::Approve { position, .. }
            | Choice::Skip { position }
            | Choice::Void { position } => Some(position),
            Choice::Done { position } => Some(position).filter(|position| !proves(position)),
            _ => None,
        },
        _ => None,
    }
}
