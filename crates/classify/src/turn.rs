//! The order: what must come before what, what never changes at once, what comes last.

use crate::decide::names;
use crate::look::Look;
use crate::relations::Relations;
use overhaul_model::fleet::Fleet;
use overhaul_model::id::HostName;
use overhaul_model::tracker::{Pace, Reason, Turn};
use std::collections::{BTreeMap, BTreeSet};

/// The turns of all hosts, with their reasons, and hosts that wait for each other in a circle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// By host.
    pub turns: BTreeMap<HostName, (Turn, Vec<Reason>)>,
    /// Hosts for which no order can be found.
    pub circle: BTreeSet<HostName>,
}

/// Finds the turns.
pub fn turns(fleet: &Fleet, looks: &BTreeMap<HostName, Look>, relations: &Relations) -> Turns {
    let mut why: BTreeMap<HostName, Vec<Reason>> = BTreeMap::new();
    let mut after = jumps_after_theirs(relations, &mut why);
    replicas_before_primaries(looks, &mut after, &mut why);
    controller_last(fleet, relations, &mut after);
    let groups = groups(fleet, looks);
    let (ranks, circle) = ranks(fleet.hosts.keys(), &after);
    let mut out = Turns {
        circle,
        ..Turns::default()
    };
    for host in fleet.hosts.keys() {
        let (group, pace, reason) = paced(host, &groups, looks, relations);
        let mut reasons = why.remove(host).unwrap_or_default();
        reasons.extend(reason);
        let turn = Turn {
            rank: ranks.get(host).copied().unwrap_or(1),
            group,
            pace,
            after: shown_after(host, &after, relations),
        };
        out.turns.insert(host.clone(), (turn, reasons));
    }
    out
}

type After = BTreeMap<HostName, BTreeSet<HostName>>;

/// The controller comes after all: its rank says so, and a list of all hosts says nothing.
fn shown_after(host: &HostName, after: &After, relations: &Relations) -> BTreeSet<HostName> {
    if relations.controller.contains(host) {
        return BTreeSet::new();
    }
    after.get(host).cloned().unwrap_or_default()
}

fn jumps_after_theirs(relations: &Relations, why: &mut BTreeMap<HostName, Vec<Reason>>) -> After {
    let mut after = After::new();
    for (jump, behind) in &relations.behind {
        after
            .entry(jump.clone())
            .or_default()
            .extend(behind.iter().cloned());
        why.entry(jump.clone()).or_default().push(Reason {
            rule: "last".to_owned(),
            says: format!(
                "after {}: while it is away, nobody reaches them",
                names(behind)
            ),
        });
    }
    after
}

/// A replica goes first: the primary serves meanwhile, and what goes wrong goes wrong on a copy.
fn replicas_before_primaries(
    looks: &BTreeMap<HostName, Look>,
    after: &mut After,
    why: &mut BTreeMap<HostName, Vec<Reason>>,
) {
    for (host, look) in looks {
        for membership in look
            .memberships
            .iter()
            .filter(|m| m.replica && m.cluster.is_some())
        {
            let primaries = membership.hosts.iter().filter(|other| {
                let look = looks.get(*other);
                let same = look.into_iter().flat_map(|look| &look.memberships);
                let mut same =
                    same.filter(|m| m.kind == membership.kind && m.cluster == membership.cluster);
                *other != host && same.any(|m| !m.replica)
            });
            for primary in primaries {
                if after
                    .entry(primary.clone())
                    .or_default()
                    .insert(host.clone())
                {
                    why.entry(primary.clone()).or_default().push(Reason {
                        rule: "primary".to_owned(),
                        says: format!("after its replica {host}: the primary serves meanwhile, and what goes wrong goes wrong on a copy"),
                    });
                }
            }
        }
    }
}

fn controller_last(fleet: &Fleet, relations: &Relations, after: &mut After) {
    for own in &relations.controller {
        let others = fleet
            .hosts
            .keys()
            .filter(|host| !relations.controller.contains(*host));
        after
            .entry(own.clone())
            .or_default()
            .extend(others.cloned());
    }
}

/// Ranks by the longest way to a host. Hosts in a circle, and those behind them, come last.
fn ranks<'a>(
    hosts: impl Iterator<Item = &'a HostName> + Clone,
    after: &After,
) -> (BTreeMap<HostName, u32>, BTreeSet<HostName>) {
    let known: BTreeSet<&HostName> = hosts.collect();
    let mut waits: BTreeMap<&HostName, usize> = BTreeMap::new();
    let mut then: BTreeMap<&HostName, Vec<&HostName>> = BTreeMap::new();
    for host in &known {
        let before = after.get(*host).into_iter().flatten();
        let before: Vec<&HostName> = before.filter(|b| known.contains(b)).collect();
        waits.insert(host, before.len());
        for earlier in before {
            then.entry(earlier).or_default().push(host);
        }
    }
    let mut ranks: BTreeMap<HostName, u32> = BTreeMap::new();
    let mut ready: Vec<&HostName> = waits
        .iter()
        .filter(|(_, n)| **n == 0)
        .map(|(h, _)| *h)
        .collect();
    let mut rank: u32 = 1;
    while !ready.is_empty() {
        let mut next = Vec::new();
        for host in ready {
            ranks.insert(host.clone(), rank);
            for later in then.get(host).into_iter().flatten() {
                if let Some(left) = waits.get_mut(*later) {
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        next.push(*later);
                    }
                }
            }
        }
        ready = next;
        rank = rank.saturating_add(1);
    }
    let circle: BTreeSet<HostName> = known
        .into_iter()
        .filter(|host| !ranks.contains_key(*host))
        .cloned()
        .collect();
    for host in &circle {
        ranks.insert(host.clone(), rank);
    }
    (ranks, circle)
}

/// Hosts of overlapping clusters change one after the other, together one group.
fn groups(fleet: &Fleet, looks: &BTreeMap<HostName, Look>) -> BTreeMap<HostName, String> {
    let mut of_cluster: BTreeMap<String, BTreeSet<&HostName>> = BTreeMap::new();
    for host in fleet.hosts.keys() {
        let look = looks.get(host);
        for membership in look.into_iter().flat_map(|look| &look.memberships) {
            of_cluster
                .entry(membership.group())
                .or_default()
                .insert(host);
        }
    }
    let mut out: BTreeMap<HostName, String> = BTreeMap::new();
    let mut left: Vec<(String, BTreeSet<&HostName>)> = of_cluster.into_iter().collect();
    while let Some((mut name, mut hosts)) = left.pop() {
        let mut names = BTreeSet::from([name.clone()]);
        loop {
            let (overlapping, apart): (Vec<_>, Vec<_>) = left
                .into_iter()
                .partition(|(_, other)| !other.is_disjoint(&hosts));
            left = apart;
            if overlapping.is_empty() {
                break;
            }
            for (other, more) in overlapping {
                names.insert(other);
                hosts.extend(more);
            }
        }
        if names.len() > 1 {
            name = names.into_iter().collect::<Vec<_>>().join("+");
        }
        for host in hosts {
            out.insert(host.clone(), name.clone());
        }
    }
    out
}

/// The group of a host and how many of it change at once.
fn paced(
    host: &HostName,
    groups: &BTreeMap<HostName, String>,
    looks: &BTreeMap<HostName, Look>,
    relations: &Relations,
) -> (String, Pace, Option<Reason>) {
    let reason = |rule: &str, says: String| {
        Some(Reason {
            rule: rule.to_owned(),
            says,
        })
    };
    if let Some(group) = groups.get(host) {
        let says = format!("one by one in {group}: never two members away at once");
        return (group.clone(), Pace::OneByOne, reason("one-by-one", says));
    }
    let role = relations
        .groups
        .get(host)
        .cloned()
        .unwrap_or_else(|| host.to_string());
    let bare = looks
        .get(host)
        .is_some_and(|look| look.stores.is_empty() && look.blind.is_empty());
    let needed = relations.named_by.contains_key(host) || relations.behind.contains_key(host);
    if bare && !needed {
        return (role, Pace::Batches, None);
    }
    let says = if needed {
        "one by one: others depend on it"
    } else {
        "one by one: it holds data, or may"
    };
    (role, Pace::OneByOne, reason("one-by-one", says.to_owned()))
}
