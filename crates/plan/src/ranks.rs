//! Roles that move together: the i-th host of each role changes in the same rank.

use overhaul_model::definition::Order;
use overhaul_model::fleet::Host;
use overhaul_model::id::ZoneName;
use overhaul_model::plan::Turns;
use std::collections::BTreeMap;

use crate::roles;

/// Ranks that change at the same time: of each role, the hosts of these ranks with their turns.
pub(crate) struct Batch<'h> {
    /// The first of the ranks, from 1.
    pub first: usize,
    /// The last of them.
    pub last: usize,
    /// The zone, where ranks go zone by zone.
    pub zone: Option<&'h ZoneName>,
    /// The hosts of each role, in the order of the roles; none for a role that has no such rank.
    pub hosts: Vec<(Vec<&'h Host>, Turns)>,
}

/// The batches of ranks of some roles' hosts, by the order that the roles share.
pub(crate) fn batches<'h>(order: &Order, roles: &[Vec<&'h Host>]) -> Vec<Batch<'h>> {
    if !order.zone_by_zone {
        return within(order, None, roles);
    }
    let mut zones: BTreeMap<&ZoneName, Vec<Vec<&'h Host>>> = BTreeMap::new();
    // Hosts without a zone were refused.
    let of_zones = roles.iter().enumerate().flat_map(|(place, hosts)| {
        let zoned = hosts
            .iter()
            .filter_map(|host| Some((host.zone.as_ref()?, *host)));
        zoned.map(move |(zone, host)| (zone, place, host))
    });
    for (zone, place, host) in of_zones {
        let lists = zones
            .entry(zone)
            .or_insert_with(|| vec![Vec::new(); roles.len()]);
        if let Some(list) = lists.get_mut(place) {
            list.push(host);
        }
    }
    zones
        .iter()
        .flat_map(|(zone, hosts)| within(order, Some(*zone), hosts))
        .collect()
}

fn within<'h>(
    order: &Order,
    zone: Option<&'h ZoneName>,
    roles: &[Vec<&'h Host>],
) -> Vec<Batch<'h>> {
    let ranks = roles.iter().map(Vec::len).max().unwrap_or(0);
    let mut out = Vec::new();
    let mut done = 0_usize;
    for size in roles::sizes(&order.within, ranks) {
        let end = done.saturating_add(size);
        let hosts = roles.iter().map(|list| {
            let own: Vec<&Host> = list.iter().skip(done).take(size).copied().collect();
            let turns = Turns {
                batches: vec![own.iter().map(|host| host.name.clone()).collect()],
                at_once: roles::at_once(&order.within, own.len()),
            };
            (own, turns)
        });
        out.push(Batch {
            first: done.saturating_add(1),
            last: end,
            zone,
            hosts: hosts.collect(),
        });
        done = end;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use overhaul_model::definition::{Share, Within};
    use overhaul_model::fleet::Connection;

    fn host(name: &str, zone: &str) -> Host {
        Host {
            name: name.into(),
            roles: std::collections::BTreeSet::new(),
            zone: Some(zone.into()),
            connection: Connection::to("192.0.2.1".to_owned()),
            vars: BTreeMap::new(),
        }
    }

    fn told(order: &Order, roles: &[Vec<&Host>]) -> String {
        let batch = |batch: Batch<'_>| {
            let roles = batch.hosts.iter().map(|(hosts, turns)| {
                let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
                format!("{}*{}", names.join("+"), turns.at_once)
            });
            let zone = batch.zone.map_or("", |zone| zone.as_str());
            let roles: Vec<String> = roles.collect();
            format!("{zone}{}-{} {}", batch.first, batch.last, roles.join(" "))
        };
        let batches = batches(order, roles).into_iter().map(batch);
        batches.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn ranks_move_in_step_in_every_order() {
        let (a, b) = ("a", "b");
        let c = [host("c1", a), host("c2", b), host("c3", a)];
        let d = [host("d1", b), host("d2", a)];
        let roles = [c.iter().collect::<Vec<_>>(), d.iter().collect()];
        let free = |within| Order {
            zone_by_zone: false,
            within,
        };
        let batched = Within::Batches {
            sizes: vec![Share::Hosts(1), Share::Hosts(2)],
            at_once: 50,
        };
        let zoned = Order {
            zone_by_zone: true,
            within: Within::OneByOne,
        };
        for (order, wanted) in [
            (
                Order::ONE_BY_ONE,
                "1-1 c1*1 d1*1; 2-2 c2*1 d2*1; 3-3 c3*1 *1",
            ),
            (free(batched), "1-1 c1*1 d1*1; 2-3 c2+c3*2 d2*1"),
            (free(Within::All { at_once: 2 }), "1-3 c1+c2+c3*2 d1+d2*2"),
            (zoned, "a1-1 c1*1 d2*1; a2-2 c3*1 *1; b1-1 c2*1 d1*1"),
        ] {
            assert_eq!(told(&order, &roles), wanted, "{order:?}");
        }
    }
}
