//! The tree: stages in order, in each the roles as written, each role a roll over its hosts.

use crate::draft::Draft;
use crate::error::Wrong;
use crate::parts::{self, Site};
use crate::roles;
use crate::strategy;
use overhaul_model::definition::{RoleUpgrade, Share, Slot, Stages, Within};
use overhaul_model::fleet::Host;
use overhaul_model::id::{StageName, StepId, ZoneName};
use overhaul_model::plan::Block;
use std::collections::BTreeSet;

/// The stage in which services are down.
const UPGRADE: &str = "upgrade";

/// The stages that a run goes through, with their titles.
const STAGES: [(&str, &str); 3] = [
    ("prepare", "prepare: no outage"),
    (UPGRADE, "upgrade"),
    ("finish", "finish: after all hosts"),
];

pub(crate) fn build(draft: &mut Draft<'_>) {
    let mut stages = Vec::new();
    for (stage, title) in STAGES {
        let id = StepId::new(stage);
        let by_zone = stage == UPGRADE && draft.definition.stages == Stages::WithinZone;
        let blocks = if by_zone {
            zones(draft, &id, stage)
        } else {
            roles(draft, &id, stage, None)
        };
        if !blocks.is_empty() {
            stages.push(Block::Sequence {
                id,
                title: title.to_owned(),
                blocks,
            });
        }
    }
    for role in &draft.definition.roles {
        if strategy::slots(role.strategy).is_none() {
            draft.wrong(
                &role.origin,
                Wrong::NotYet(format!("the strategy {}", role.strategy)),
                "this version carries out `in-place`, `stateless` and `stateful`",
            );
        }
        if role
            .slots
            .get(&Slot::Cleanup)
            .is_some_and(|s| !s.is_empty())
        {
            draft.wrong(
                &role.origin,
                Wrong::NotYet("the slot `cleanup`".to_owned()),
                "leave its steps out; do them by hand when the upgrade has proven itself",
            );
        }
    }
    if let Block::Sequence { blocks, .. } = &mut draft.plan.root {
        *blocks = stages;
    }
}

/// One zone after the other, in the order of their names; in each, all roles.
fn zones(draft: &mut Draft<'_>, id: &StepId, stage: &'static str) -> Vec<Block> {
    let hosts = draft.plan.hosts.values();
    let zones: BTreeSet<ZoneName> = hosts.filter_map(|host| host.zone.clone()).collect();
    let mut blocks = Vec::new();
    for zone in zones {
        let id = id.child(zone.as_str());
        let rolls = roles(draft, &id, stage, Some(&zone));
        if !rolls.is_empty() {
            blocks.push(Block::Sequence {
                title: format!("zone {zone}"),
                blocks: rolls,
                id,
            });
        }
    }
    blocks
}

/// One role after the other.
fn roles(
    draft: &mut Draft<'_>,
    id: &StepId,
    stage: &'static str,
    zone: Option<&ZoneName>,
) -> Vec<Block> {
    let roles = &draft.definition.roles;
    let mut rolls = Vec::new();
    for role in roles {
        let all = draft.hosts_of(role);
        let hosts = zone.map_or(all.clone(), |zone| roles::of_zone(&all, zone));
        if !hosts.is_empty() {
            rolls.extend(roll(draft, role, stage, id, &hosts));
        }
    }
    rolls
}

fn roll(
    draft: &mut Draft<'_>,
    role: &RoleUpgrade,
    stage: &'static str,
    parent: &StepId,
    hosts: &[&Host],
) -> Option<Block> {
    let id = parent.child(role.role.as_str());
    let mut slots = Vec::new();
    for (slot, its_parts) in strategy::slots(role.strategy).unwrap_or_default() {
        if slot.stage() != stage {
            continue;
        }
        let site = Site {
            role,
            hosts,
            stage: StageName::new(stage),
            slot: *slot,
            id: id.child(slot.word()),
        };
        let blocks: Vec<Block> = its_parts
            .iter()
            .flat_map(|part| parts::blocks(draft, &site, *part))
            .collect();
        if !blocks.is_empty() {
            slots.push(Block::Sequence {
                id: site.id.clone(),
                title: slot.word().to_owned(),
                blocks,
            });
        }
    }
    if slots.is_empty() {
        return None;
    }
    let turns = roles::turns(&role.order, hosts);
    draft.plan.rolls.insert(id.clone(), turns);
    Some(Block::Roll {
        title: title(role, hosts.len()),
        body: Box::new(Block::Sequence {
            id: id.child("turn"),
            title: format!("a host of {}", role.role),
            blocks: slots,
        }),
        id,
    })
}

fn title(role: &RoleUpgrade, hosts: usize) -> String {
    let count = if hosts == 1 {
        "1 host".to_owned()
    } else {
        format!("{hosts} hosts")
    };
    let within = match &role.order.within {
        Within::All { at_once } => format!("at most {at_once} at once"),
        Within::OneByOne => "one by one".to_owned(),
        Within::Batches { sizes, .. } => {
            let sizes: Vec<String> = sizes.iter().map(Share::to_string).collect();
            format!("in batches of {}", sizes.join(", "))
        }
    };
    let zones = if role.order.zone_by_zone {
        ", zone by zone"
    } else {
        ""
    };
    format!("{}: {count}{zones}, {within}", role.role)
}
