//! Which hosts each role has, in which turns. Frozen here: a run never looks at the inventory again.

use crate::draft::Draft;
use crate::error::Wrong;
use overhaul_model::definition::Order;
use overhaul_model::id::{HostName, RoleName};
use overhaul_model::plan::Turns;
use std::collections::BTreeMap;

pub(crate) fn freeze(draft: &mut Draft<'_>) {
    let mut taken: BTreeMap<HostName, RoleName> = BTreeMap::new();
    for role in &draft.definition.roles {
        let hosts: Vec<_> = draft.fleet.of_role(&role.role).collect();
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
        draft
            .turns
            .insert(role.role.clone(), turns(role.order, names));
    }
}

fn turns(order: Order, hosts: Vec<HostName>) -> Turns {
    match order {
        Order::All { at_once } => Turns {
            at_once: at_once.clamp(1, u32::try_from(hosts.len()).unwrap_or(u32::MAX).max(1)),
            batches: vec![hosts],
        },
        Order::OneByOne => Turns {
            at_once: 1,
            batches: hosts.into_iter().map(|host| vec![host]).collect(),
        },
    }
}
