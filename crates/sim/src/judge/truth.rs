//! The journal has every intent before the act, and no outcome that is not true.

use super::is_work;
use crate::evidence::Evidence;
use crate::trace::Happened;
use overhaul_model::event::{Event, Outcome, Settlement};
use overhaul_model::id::{AttemptKey, Position};
use std::collections::{BTreeMap, BTreeSet};

/// Work whose `Started` row was not durable when it began.
pub(crate) fn intents(evidence: &Evidence<'_>) -> Vec<String> {
    let mut rows: BTreeMap<&AttemptKey, u64> = BTreeMap::new();
    for record in evidence.records {
        if let Event::Started { key, .. } = &record.event {
            rows.insert(key, record.seq);
        }
    }
    let mut durable = 0;
    let mut out = Vec::new();
    for line in evidence.trace {
        match &line.happened {
            Happened::Durable(seq) => durable = *seq,
            Happened::Began { position, key, .. }
                if rows.get(key).is_none_or(|row| *row > durable) =>
            {
                out.push(format!("{position} began before its intent was durable"));
            }
            _ => {}
        }
    }
    out
}

/// What a row of the journal says of an attempt.
struct Told<'a> {
    seq: u64,
    position: &'a Position,
    attempt: u32,
    claim: Claim,
}

/// Everything that the journal claims, and the keys of attempts.
fn told<'a>(
    evidence: &Evidence<'a>,
) -> (Vec<Told<'a>>, BTreeMap<(&'a Position, u32), &'a AttemptKey>) {
    let mut told = Vec::new();
    let mut keys = BTreeMap::new();
    for record in evidence.records {
        let (position, attempt, claim) = match &record.event {
            Event::Started {
                position,
                attempt,
                key,
            } => {
                keys.insert((position, *attempt), key);
                continue;
            }
            Event::Ended {
                position,
                attempt,
                outcome,
            } => (position, *attempt, claim(outcome)),
            Event::Settled {
                position,
                attempt,
                settlement,
            } => match settlement {
                Settlement::NeverBegan => (position, *attempt, Some(Claim::NotBegun)),
                Settlement::Ended(outcome) => (position, *attempt, claim(outcome)),
                Settlement::Running | Settlement::Unknown { .. } => continue,
            },
            _ => continue,
        };
        if let Some(claim) = claim {
            told.push(Told {
                seq: record.seq,
                position,
                attempt,
                claim,
            });
        }
    }
    (told, keys)
}

/// Outcomes in the journal that were not true when they were written.
pub(crate) fn outcomes(evidence: &Evidence<'_>) -> Vec<String> {
    let (told, keys) = told(evidence);
    let mut told = told.into_iter().peekable();
    let mut out = Vec::new();
    let (mut began, mut worked) = (BTreeSet::new(), BTreeSet::new());
    let mut denied: BTreeSet<&AttemptKey> = BTreeSet::new();
    for line in evidence.trace {
        match &line.happened {
            Happened::Began { key, position, .. } => {
                began.insert(key);
                if denied.contains(key) {
                    out.push(format!(
                        "{position} began after it was told that it never would"
                    ));
                }
            }
            Happened::Worked {
                key, well: true, ..
            } => {
                worked.insert(key);
            }
            Happened::Durable(seq) => {
                while let Some(row) = told.next_if(|row| row.seq <= *seq) {
                    let position = row.position;
                    let is_work = evidence.known.step(&position.step).is_some_and(is_work);
                    let Some(key) = keys.get(&(position, row.attempt)).filter(|_| is_work) else {
                        continue;
                    };
                    match row.claim {
                        Claim::Worked if !worked.contains(key) => {
                            out.push(format!("{position} is told as done, and is not"));
                        }
                        Claim::Worked => {}
                        Claim::NotBegun => {
                            if began.contains(key) {
                                out.push(format!("{position} is told as not begun, and was"));
                            }
                            denied.insert(key);
                        }
                    }
                }
            }
            _ => {}
        }
    }
    out
}

enum Claim {
    Worked,
    NotBegun,
}

fn claim(outcome: &Outcome) -> Option<Claim> {
    match outcome {
        Outcome::Succeeded { .. } => Some(Claim::Worked),
        Outcome::Failed { end: None, .. } => Some(Claim::NotBegun),
        Outcome::Failed { .. } | Outcome::Unknown { .. } => None,
    }
}
