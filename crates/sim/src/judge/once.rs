//! What may be done once only, and what may not be done twice at one time.

use crate::evidence::Evidence;
use crate::trace::Happened;
use overhaul_model::action::Repeat;
use overhaul_model::event::{Choice, Event};
use overhaul_model::id::{AttemptKey, Position};
use std::collections::{BTreeMap, BTreeSet};

/// Begins of once-only work beyond those that people asked for; repeats of what was done, where it had to be asked first.
/// What was done before the run counts as one begin.
pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let mut begins: BTreeMap<&Position, usize> = BTreeMap::new();
    let mut out = Vec::new();
    for line in evidence.trace {
        if let Happened::Already(position) = &line.happened {
            begins.insert(position, 1);
        }
        let Happened::Began {
            position,
            done_before,
            ..
        } = &line.happened
        else {
            continue;
        };
        let Some(step) = evidence.known.step(&position.step) else {
            continue;
        };
        let count = begins.entry(position).or_default();
        *count += 1;
        match step.repeat {
            Repeat::Once(_) | Repeat::Person => {
                let allowed = 1 + retries(evidence, position);
                if *count > allowed {
                    out.push(format!(
                        "{position} was begun {count} times, {allowed} at most was allowed"
                    ));
                }
            }
            Repeat::CheckFirst
                if *count > 1 && *done_before && retries(evidence, position) == 0 =>
            {
                out.push(format!("{position} was begun again although it was done"));
            }
            Repeat::CheckFirst | Repeat::Safe => {}
        }
    }
    out
}

fn retries(evidence: &Evidence<'_>, position: &Position) -> usize {
    let asked = evidence.records.iter().filter(|record| {
        matches!(&record.event, Event::Decided(decision)
            if matches!(&decision.choice, Choice::Retry { position: p } if p == position))
    });
    asked.count()
}

/// Two attempts of one step at work at one time.
pub(crate) fn overlaps(evidence: &Evidence<'_>) -> Vec<String> {
    let mut at_work: BTreeMap<&Position, BTreeSet<&AttemptKey>> = BTreeMap::new();
    let mut out = Vec::new();
    for line in evidence.trace {
        match &line.happened {
            Happened::Began { position, key, .. } => {
                let attempts = at_work.entry(position).or_default();
                attempts.insert(key);
                if attempts.len() > 1 {
                    out.push(format!("{position} was at work twice at one time"));
                }
            }
            Happened::Worked { position, key, .. } | Happened::Cut { position, key, .. } => {
                if let Some(attempts) = at_work.get_mut(position) {
                    attempts.remove(key);
                }
            }
            _ => {}
        }
    }
    out
}
