//! Proposals of hosts summarised by role, where all agree.

use overhaul_model::fleet::Fleet;
use overhaul_model::id::{HostName, RoleName};
use overhaul_model::tracker::{Change, DataWay, Pace, Proposal};
use serde::Serialize;
use std::collections::BTreeMap;

/// What all hosts of a role share, or `None`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agreed<T> {
    /// The same for all.
    All(T),
    /// Not the same.
    Differ,
}

/// A role with what is proposed for its hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoleSummary {
    /// The role.
    pub role: RoleName,
    /// Its hosts.
    pub hosts: Vec<HostName>,
    /// The change; `All(None)` when it can be said of none.
    pub change: Agreed<Option<Change>>,
    /// The way of the data.
    pub data: Agreed<Option<DataWay>>,
    /// The pace.
    pub pace: Agreed<Pace>,
    /// The lowest and the highest rank.
    pub ranks: (u32, u32),
}

/// All roles of a fleet, by their names.
pub fn roles(fleet: &Fleet, proposals: &BTreeMap<HostName, Proposal>) -> Vec<RoleSummary> {
    let mut of_role: BTreeMap<&RoleName, Vec<(&HostName, &Proposal)>> = BTreeMap::new();
    for host in fleet.hosts.values() {
        for role in &host.roles {
            if let Some(proposal) = proposals.get(&host.name) {
                of_role
                    .entry(role)
                    .or_default()
                    .push((&host.name, proposal));
            }
        }
    }
    let mut out = Vec::new();
    for (role, hosts) in of_role {
        let ranks = hosts.iter().map(|(_, p)| p.turn.rank);
        let (low, high) = (ranks.clone().min(), ranks.max());
        let (Some(change), Some(data), Some(pace)) = (
            agreed(&hosts, |p| p.change),
            agreed(&hosts, |p| p.data.clone()),
            agreed(&hosts, |p| p.turn.pace),
        ) else {
            continue;
        };
        out.push(RoleSummary {
            role: role.clone(),
            hosts: hosts.iter().map(|(host, _)| (*host).clone()).collect(),
            change,
            data,
            pace,
            ranks: (low.unwrap_or(1), high.unwrap_or(1)),
        });
    }
    out
}

fn agreed<T: PartialEq>(
    hosts: &[(&HostName, &Proposal)],
    of: impl Fn(&Proposal) -> T,
) -> Option<Agreed<T>> {
    let mut values = hosts.iter().map(|(_, proposal)| of(proposal));
    let first = values.next()?;
    let same = values.all(|value| value == first);
    Some(if same {
        Agreed::All(first)
    } else {
        Agreed::Differ
    })
}
