//! Which hosts each role has, in which turns. Frozen here: a run never looks at the inventory again.

use crate::draft::Draft;
use crate::error::Wrong;
use overhaul_model::definition::{Order, RoleUpgrade, Share, Stages, Within};
use overhaul_model::fleet::Host;
use overhaul_model::id::{HostName, RoleName, ZoneName};
use overhaul_model::plan::Turns;
use std::collections::BTreeMap;

pub(crate) fn freeze(draft: &mut Draft<'_>) {
    let mut taken: BTreeMap<HostName, RoleName> = BTreeMap::new();
    for role in &draft.definition.roles {
        let hosts = draft.of_role(&role.role).to_vec();
        if hosts.is_empty() {
            let role_name = role.role.to_string();
            draft.wrong(
                &role.origin,
                Wrong::NoHosts { role: role_name },
                "give a host of the inventory this role, or leave the role out",
            );
            continue;
        }
        for host in &hosts {
            if let Some(first) = taken.insert(host.name.clone(), role.role.clone()) {
                draft.wrong(
                    &role.origin,
                    Wrong::ChangesTwice {
                        host: host.name.to_string(),
                        first: first.to_string(),
                        second: role.role.to_string(),
                    },
                    "name one of the two under `roles:`; services may still be `on:` the other",
                );
            }
            draft.plan.hosts.insert(host.name.clone(), (*host).clone());
        }
        let names = hosts.iter().map(|host| host.name.clone()).collect();
        draft.plan.roles.insert(role.role.clone(), names);
        need_zones(draft, role, &hosts);
        let turns = turns(&role.order, &hosts);
        draft.turns.insert(role.role.clone(), turns);
    }
    let hosts = draft.plan.hosts.len();
    let budget = draft.definition.failure_budget.round_down(hosts);
    draft.plan.failure_budget = u32::try_from(budget).unwrap_or(u32::MAX);
}

/// Where zones decide about the order, each host needs one.
fn need_zones(draft: &mut Draft<'_>, role: &RoleUpgrade, hosts: &[&Host]) {
    let asked_by = if role.order.zone_by_zone {
        "`order: zone-by-zone`"
    } else if draft.definition.stages == Stages::WithinZone {
        "`stages: within-zone`"
    } else if draft.definition.one_zone_at_a_time {
        "`zones: one-at-a-time`"
    } else {
        return;
    };
    for host in hosts.iter().filter(|host| host.zone.is_none()) {
        let wrong = Wrong::NoZone {
            host: host.name.to_string(),
            asked_by,
        };
        let help = "give the host its zone in the fleet: `zone`, or the variable `overhaul_zone`";
        draft.wrong(&role.origin, wrong, help);
    }
}

/// The hosts of one zone; those without a zone were refused.
pub(crate) fn of_zone<'h>(hosts: &[&'h Host], zone: &ZoneName) -> Vec<&'h Host> {
    let here = hosts.iter().filter(|host| host.zone.as_ref() == Some(zone));
    here.copied().collect()
}

/// The turns of some hosts.
pub(crate) fn turns(order: &Order, hosts: &[&Host]) -> Turns {
    if !order.zone_by_zone {
        return within(&order.within, hosts);
    }
    let mut zones: BTreeMap<Option<&ZoneName>, Vec<&Host>> = BTreeMap::new();
    for host in hosts {
        zones.entry(host.zone.as_ref()).or_default().push(host);
    }
    let mut out = Turns {
        batches: Vec::new(),
        at_once: 1,
    };
    for hosts in zones.values() {
        let zone = within(&order.within, hosts);
        out.at_once = out.at_once.max(zone.at_once);
        out.batches.extend(zone.batches);
    }
    out
}

fn within(order: &Within, hosts: &[&Host]) -> Turns {
    let mut rest = hosts.iter().map(|host| host.name.clone());
    let sizes = sizes(order, hosts.len());
    let batches: Vec<Vec<HostName>> = sizes
        .into_iter()
        .map(|size| rest.by_ref().take(size).collect())
        .collect();
    let largest = batches.iter().map(Vec::len).max().unwrap_or(1);
    Turns {
        at_once: at_once(order, largest),
        batches,
    }
}

/// How many of a batch of this size may be under way at once.
pub(crate) fn at_once(order: &Within, size: usize) -> u32 {
    let limit = match order {
        Within::OneByOne => 1,
        Within::All { at_once } | Within::Batches { at_once, .. } => *at_once,
    };
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    limit.clamp(1, size.max(1))
}

/// The sizes of the batches of so many; the last written size is repeated until none is left.
pub(crate) fn sizes(order: &Within, count: usize) -> Vec<usize> {
    let written = match order {
        Within::All { .. } => [Share::Percent(100)].to_vec(),
        Within::OneByOne => [Share::Hosts(1)].to_vec(),
        Within::Batches { sizes, .. } => sizes.clone(),
    };
    let last = written.last().copied().unwrap_or(Share::Hosts(1));
    let mut written = written.into_iter();
    let mut out = Vec::new();
    let mut rest = count;
    while rest > 0 {
        let size = written.next().unwrap_or(last).round_up(count).max(1);
        let size = size.min(rest);
        out.push(size);
        rest = rest.saturating_sub(size);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_size_is_repeated_and_a_part_of_a_host_is_a_whole_one() {
        let of = |given: &[Share]| {
            let order = Within::Batches {
                sizes: given.to_vec(),
                at_once: 50,
            };
            sizes(&order, 12)
        };
        for (given, expected) in [
            (vec![Share::Hosts(1)], vec![1; 12]),
            (vec![Share::Hosts(1), Share::Hosts(5)], vec![1, 5, 5, 1]),
            (
                vec![Share::Hosts(1), Share::Percent(10), Share::Percent(50)],
                vec![1, 2, 6, 3],
            ),
            (vec![Share::Percent(100)], vec![12]),
            (vec![Share::Hosts(100)], vec![12]),
        ] {
            assert_eq!(of(&given), expected, "{given:?}");
        }
    }
}
