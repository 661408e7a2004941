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
            Happened::Began { position, key, .. } => {
                if rows.get(key).is_none_or(|row| *row > durable) {
                    out.push(format!("{position} began before its intent was durable"));
                }
            }
            _ => {}
        }
    }
    out
}

/// Outcomes in the journal that were not true when they were written.
pub(crate) fn outcomes(evidence: &Evidence<'_>) -> Vec<String> {
    let mut told = Vec::new();
    let mut keys: BTreeMap<(&Position, u32), &AttemptKey> = BTreeMap::new();
    for record in evidence.records {
        match &record.event {
            Event::Started {
                position,
                attempt,
                key,
            } => {
                keys.insert((position, *attempt), key);
            }
            Event::Ended {
                position,
                attempt,
                outcome,
            } => {
                told.push((record.seq, position, *attempt, claim(outcome)));
            }
            Event::Settled {
                position,
                attempt,
                settlement,
            } => {
                let claim = match settlement {
                    Settlement::NeverBegan => Some(Claim::NotBegun),
                    Settlement::Ended(outcome) => claim(outcome),
                    Settlement::Running | Settlement::Unknown { .. } => None,
                };
                told.push((record.seq, position, *attempt, claim));
            }
            _ => {}
        }
    }
    let mut out = Vec::new();
    let mut told = told.into_iter().peekable();
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
                while let Some((_, position, attempt, claim)) = told.next_if(|(s, ..)| s <= seq) {
                    let is_work = evidence.plan.step(&position.step).is_some_and(is_work);
                    let Some(key) = keys.get(&(position, attempt)).filter(|_| is_work) else {
                        continue;
                    };
                    match claim {
                        Some(Claim::Worked) if !worked.contains(key) => {
                            out.push(format!("{position} is told as done, and is not"));
                        }
                        Some(Claim::NotBegun) => {
                            if began.contains(key) {
                                out.push(format!("{position} is told as not begun, and was"));
                            }
                            denied.insert(key);
                        }
                        _ => {}
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
