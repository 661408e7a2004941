//! A host works for the controller that it accepted last, and for no other; and nobody asks it for work before it has
//! accepted the asker, because requests of older controllers could still land behind the answers.

use crate::evidence::Evidence;
use crate::trace::Happened;
use overhaul_model::event::Generation;
use overhaul_model::id::HostName;
use std::collections::BTreeMap;

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let mut newest: BTreeMap<&HostName, &Generation> = BTreeMap::new();
    let mut free: BTreeMap<&HostName, bool> = BTreeMap::new();
    let mut out = Vec::new();
    for line in evidence.trace {
        match &line.happened {
            Happened::Accepted { host, generation } => {
                if let Some(before) = newest.get(host)
                    && before.counter > generation.counter
                {
                    out.push(format!(
                        "{host} accepted generation {} after {}",
                        generation.counter, before.counter
                    ));
                }
                newest.insert(host, generation);
                free.insert(host, false);
            }
            Happened::LetGo { host } => {
                free.insert(host, true);
            }
            // A machine or a store that was made anew knows nobody.
            Happened::MachineMade { host, .. } => {
                newest.remove(host);
            }
            Happened::Began {
                host,
                position,
                generation,
                ..
            } => {
                let is_free = free.get(host).copied().unwrap_or(true);
                if is_free || newest.get(host) != Some(&generation) {
                    out.push(format!(
                        "{host} began {position} for generation {}, which does not hold it",
                        generation.counter
                    ));
                }
            }
            _ => {}
        }
    }
    out
}

/// Controllers that a host had to turn away, and that it had never accepted.
pub(crate) fn strangers(evidence: &Evidence<'_>) -> Vec<String> {
    let mut accepted: Vec<(&HostName, &Generation)> = Vec::new();
    let mut out = Vec::new();
    for line in evidence.trace {
        match &line.happened {
            Happened::Accepted { host, generation } => accepted.push((host, generation)),
            Happened::TurnedAway {
                host,
                generation,
                why,
            } if !accepted.contains(&(host, generation)) => {
                out.push(format!(
                    "{host} was asked for work by generation {}, which it had never accepted: {why}",
                    generation.counter
                ));
            }
            _ => {}
        }
    }
    out
}
