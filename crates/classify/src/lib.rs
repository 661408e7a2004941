//! Proposes from facts how each host changes, what becomes of its data, and when; with the reasons.
//!
//! It proposes nothing that would lose data: a machine is made anew only when everything on it was looked for, and
//! what was found is carried along or held by enough healthy members of its cluster. What is not known counts as data.
//! Every rule is one idea with a name, and says what it saw.

mod catalogue;
mod cluster;
mod decide;
mod diff;
mod look;
mod relations;
mod roles;
#[cfg(test)]
mod tests;
mod turn;
mod warn;

pub use catalogue::{Nature, Program, of_unit};
pub use decide::CARRIED_BYTES_MAX;
pub use diff::{Difference, differences};
pub use look::{Look, Store, Survives, listed, size};
pub use relations::Controller;
pub use roles::{Agreed, RoleSummary, roles};
pub use warn::{Warning, warnings};

use overhaul_model::facts::{FleetFacts, HostFacts, Known};
use overhaul_model::fleet::Fleet;
use overhaul_model::id::HostName;
use overhaul_model::tracker::{Decided, Proposal, Reason};
use relations::Relations;
use std::collections::BTreeMap;

/// What the classification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classified {
    /// A proposal for each host of the fleet.
    pub proposals: BTreeMap<HostName, Proposal>,
    /// What each host holds, runs and hides, for those with facts.
    pub looks: BTreeMap<HostName, Look>,
    /// Decisions that the facts contradict.
    pub warnings: Vec<Warning>,
}

/// Proposes for every host of the fleet. Facts of hosts that are not in the fleet do not count.
pub fn classify(
    fleet: &Fleet,
    facts: &FleetFacts,
    decisions: &BTreeMap<HostName, Decided>,
    controller: &Controller,
) -> Classified {
    let facts: FleetFacts = facts
        .iter()
        .filter(|(host, _)| fleet.hosts.contains_key(*host))
        .map(|(host, facts)| (host.clone(), facts.clone()))
        .collect();
    let relations = Relations::of(fleet, &facts, controller);
    let mut memberships = cluster::memberships(&facts);
    let looks: BTreeMap<HostName, Look> = facts
        .iter()
        .filter(|(_, facts)| nothing_known(facts).is_none())
        .map(|(host, facts)| {
            let memberships = memberships.remove(host).unwrap_or_default();
            (host.clone(), Look::of(facts, memberships))
        })
        .collect();
    let turns = turn::turns(fleet, &looks, &relations);
    let mut proposals = BTreeMap::new();
    for (host, (turn, why)) in turns.turns {
        let facts = facts.get(&host);
        let look = looks.get(&host);
        let mut verdict = match look {
            Some(look) => decide::decide(&host, look, &relations),
            None => decide::Verdict {
                not_known: vec![no_facts(facts)],
                ..decide::Verdict::default()
            },
        };
        verdict.reasons.extend(why);
        if turns.circle.contains(&host) {
            verdict.change = None;
            verdict.data = None;
            verdict.reasons.push(Reason {
                rule: "circle".to_owned(),
                says: "it and others must each come after the other: no order is safe".to_owned(),
            });
        }
        let release = facts.and_then(|facts| facts.release.value());
        let proposal = Proposal {
            change: verdict.change,
            data: verdict.data,
            turn,
            data_bytes: look.and_then(Look::bytes),
            reasons: verdict.reasons,
            not_known: verdict.not_known,
            release: release.map(|release| {
                format!("{} {}", release.os, release.version)
                    .trim()
                    .to_owned()
            }),
            facts_of: look.and(facts).map(|facts| facts.gathered_at),
        };
        proposals.insert(host, proposal);
    }
    let warnings = warnings(decisions, &looks, &proposals);
    Classified {
        proposals,
        looks,
        warnings,
    }
}

/// Why nothing is known of a host, if so: it was not worked with.
fn nothing_known(facts: &HostFacts) -> Option<&str> {
    match (&facts.release, &facts.units, &facts.mounts) {
        (Known::Unknown { reason }, Known::Unknown { .. }, Known::Unknown { .. }) => Some(reason),
        _ => None,
    }
}

fn no_facts(facts: Option<&HostFacts>) -> String {
    match facts.and_then(nothing_known) {
        Some(reason) => format!("anything at all: {reason}"),
        None => "anything at all: there are no facts of it".to_owned(),
    }
}
