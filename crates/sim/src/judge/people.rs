//! What people asked for happens once, and a pause is one.

use crate::evidence::Evidence;
use overhaul_model::event::{Choice, Event};
use overhaul_model::id::{Nonce, StepId};
use std::collections::{BTreeMap, BTreeSet};

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

/// Nothing begins between a pause and its end. Who ends a run that is paused has its scopes closed all the same.
pub(crate) fn pauses(evidence: &Evidence<'_>) -> Vec<String> {
    let mut paused = false;
    let mut out = Vec::new();
    for record in evidence.records {
        match &record.event {
            Event::Decided(decision) => match decision.choice {
                Choice::Pause => paused = true,
                Choice::Unpause | Choice::Abort => paused = false,
                _ => {}
            },
            // Who names what is to be cleared away wants it to begin.
            Event::CleanupBegan { .. } => paused = false,
            Event::Started { position, .. } if paused => {
                out.push(format!("{position} began while the run was paused"));
            }
            _ => {}
        }
    }
    out
}

/// The row with which a person ended the run.
pub(super) fn aborted(evidence: &Evidence<'_>) -> Option<u64> {
    let is_it = |event: &Event| matches!(event, Event::Decided(d) if d.choice == Choice::Abort);
    let row = evidence.records.iter().find(|row| is_it(&row.event))?;
    Some(row.seq)
}

/// In a run that is being ended, nothing begins but the ends of scopes.
pub(crate) fn aborts(evidence: &Evidence<'_>) -> Vec<String> {
    let Some(row) = aborted(evidence) else {
        return Vec::new();
    };
    let scopes = evidence.known.scopes.iter();
    let closes: BTreeSet<&StepId> = scopes.map(|(_, close)| close).collect();
    let after = evidence.records.iter().filter(|record| record.seq > row);
    let begun = after.filter_map(|record| match &record.event {
        Event::Started { position, .. } if !closes.contains(&position.step) => Some(position),
        _ => None,
    });
    begun
        .map(|position| format!("{position} began after the run was ended by a person"))
        .collect()
}
