//! What people asked for happens once, and a pause is one.

use crate::evidence::Evidence;
use overhaul_model::event::{Choice, Event};
use overhaul_model::id::Nonce;
use std::collections::BTreeMap;

/// Every request that left the inbox became one event.
pub(crate) fn requests(evidence: &Evidence<'_>) -> Vec<String> {
    let mut answers: BTreeMap<&Nonce, usize> = BTreeMap::new();
    for record in evidence.records {
        match &record.event {
            Event::Decided(decision) => *answers.entry(&decision.nonce).or_default() += 1,
            Event::Declined { nonce, .. } => *answers.entry(nonce).or_default() += 1,
            _ => {}
        }
    }
    let settled = evidence.end.settled.iter();
    let times = settled.map(|nonce| (nonce, answers.get(nonce).copied().unwrap_or_default()));
    times
        .filter(|(_, count)| *count != 1)
        .map(|(nonce, count)| {
            format!("{nonce} was settled and stands {count} times in the journal")
        })
        .collect()
}

/// Nothing begins between a pause and its end.
pub(crate) fn pauses(evidence: &Evidence<'_>) -> Vec<String> {
    let mut paused = false;
    let mut out = Vec::new();
    for record in evidence.records {
        match &record.event {
            Event::Decided(decision) => match decision.choice {
                Choice::Pause => paused = true,
                Choice::Unpause => paused = false,
                _ => {}
            },
            Event::Started { position, .. } if paused => {
                out.push(format!("{position} began while the run was paused"));
            }
            _ => {}
        }
    }
    out
}
