//! The tree: stages in order, in each the roles as written, each role a roll over its hosts.

use crate::draft::Draft;
use crate::parts::{self, Site};
use crate::ranks::{self, Batch};
use crate::roles;
use crate::strategy;
use overhaul_model::definition::{Order, RoleUpgrade, Share, Slot, Stages, Within};
use overhaul_model::fleet::Host;
use overhaul_model::id::{StageName, StepId, ZoneName};
use overhaul_model::plan::{Block, Turns};
use std::collections::BTreeSet;

/// The stage in which services are down.
const UPGRADE: &str = "upgrade";

/// The stages with their titles. A run goes through them but for the last, which is begun by name only.
const STAGES: [(&str, &str); 4] = [
    ("prepare", "prepare: no outage"),
    (UPGRADE, "upgrade"),
    ("finish", "finish: after all hosts"),
    ("cleanup", "cleanup: later, by name only"),
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

/// One role after the other; those that move together at the place of the first of them.
fn roles(
    draft: &mut Draft<'_>,
    id: &StepId,
    stage: &'static str,
    zone: Option<&ZoneName>,
) -> Vec<Block> {
    let definition = draft.definition;
    let mut rolls = Vec::new();
    let mut done: BTreeSet<usize> = BTreeSet::new();
    for role in &definition.roles {
        let group = definition
            .together
            .iter()
            .position(|group| group.contains(&role.role));
        let Some(group) = group else {
            let hosts = hosts(draft, role, zone);
            let turns = roles::turns(&role.order, &hosts);
            rolls.extend(roll(draft, role, stage, id, &hosts, turns));
            continue;
        };
        if done.insert(group) {
            let names = definition.together.get(group).into_iter().flatten();
            let members: Vec<&RoleUpgrade> = names
                .filter_map(|name| definition.roles.iter().find(|role| role.role == *name))
                .collect();
            rolls.extend(together(draft, &members, stage, id, zone));
        }
    }
    rolls
}

fn hosts<'a>(draft: &Draft<'a>, role: &RoleUpgrade, zone: Option<&ZoneName>) -> Vec<&'a Host> {
    let all = draft.hosts_of(role);
    match zone {
        Some(zone) => roles::of_zone(&all, zone),
        None => all,
    }
}

/// One batch of ranks after the other; in a batch, each role rolls over its hosts of these ranks.
fn together(
    draft: &mut Draft<'_>,
    members: &[&RoleUpgrade],
    stage: &'static str,
    parent: &StepId,
    zone: Option<&ZoneName>,
) -> Option<Block> {
    let order = &members.first()?.order;
    let names: Vec<&str> = members.iter().map(|role| role.role.as_str()).collect();
    let id = parent.child(&names.join("+"));
    let lists: Vec<Vec<&Host>> = members
        .iter()
        .map(|role| hosts(draft, role, zone))
        .collect();
    let mut blocks = Vec::new();
    for batch in ranks::batches(order, &lists) {
        let (id, title) = rank(&id, &batch);
        let mut rolls = Vec::new();
        for (role, (hosts, turns)) in members.iter().zip(batch.hosts) {
            rolls.extend(roll(draft, role, stage, &id, &hosts, turns));
        }
        if !rolls.is_empty() {
            blocks.push(Block::Parallel {
                id,
                title,
                blocks: rolls,
            });
        }
    }
    let most = lists.iter().map(Vec::len).max().unwrap_or(0);
    (!blocks.is_empty()).then(|| Block::Sequence {
        id,
        title: format!(
            "{} together: {}",
            names.join(", "),
            pace(order, &counted(most, "rank"))
        ),
        blocks,
    })
}

fn rank(group: &StepId, batch: &Batch<'_>) -> (StepId, String) {
    let (first, last) = (batch.first, batch.last);
    let (word, title) = if first == last {
        (format!("rank-{first}"), format!("rank {first}"))
    } else {
        (
            format!("ranks-{first}-{last}"),
            format!("ranks {first} to {last}"),
        )
    };
    match batch.zone {
        Some(zone) => (
            group.child(zone.as_str()).child(&word),
            format!("{title} of zone {zone}"),
        ),
        None => (group.child(&word), title),
    }
}

fn roll(
    draft: &mut Draft<'_>,
    role: &RoleUpgrade,
    stage: &'static str,
    parent: &StepId,
    hosts: &[&Host],
    turns: Turns,
) -> Option<Block> {
    if hosts.is_empty() {
        return None;
    }
    let id = parent.child(role.role.as_str());
    let mut slots = Vec::new();
    for (slot, its_parts) in strategy::slots(role.strategy) {
        if slot.stage() != stage {
            continue;
        }
        let blocks = in_slot(draft, role, hosts, &id, slot, &its_parts);
        if !blocks.is_empty() {
            slots.push(Block::Sequence {
                id: id.child(slot.word()),
                title: slot.word().to_owned(),
                blocks,
            });
        }
    }
    if slots.is_empty() {
        return None;
    }
    draft.plan.rolls.insert(id.clone(), turns);
    let hosts = counted(hosts.len(), "host");
    Some(Block::Roll {
        title: format!("{}: {}", role.role, pace(&role.order, &hosts)),
        body: Box::new(Block::Sequence {
            id: id.child("turn"),
            title: format!("a host of {}", role.role),
            blocks: slots,
        }),
        id,
    })
}

fn in_slot(
    draft: &mut Draft<'_>,
    role: &RoleUpgrade,
    hosts: &[&Host],
    roll: &StepId,
    slot: Slot,
    its_parts: &[strategy::Part],
) -> Vec<Block> {
    let site = Site {
        role,
        hosts,
        stage: StageName::new(slot.stage()),
        slot,
        id: roll.child(slot.word()),
    };
    its_parts
        .iter()
        .flat_map(|part| parts::blocks(draft, &site, *part))
        .collect()
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// How many, and in which order.
fn pace(order: &Order, count: &str) -> String {
    let within = match &order.within {
        Within::All { at_once } => format!("at most {at_once} at once"),
        Within::OneByOne => "one by one".to_owned(),
        Within::Batches { sizes, .. } => {
            let sizes: Vec<String> = sizes.iter().map(Share::to_string).collect();
            format!("in batches of {}", sizes.join(", "))
        }
    };
    let zones = if order.zone_by_zone {
        ", zone by zone"
    } else {
        ""
    };
    format!("{count}{zones}, {within}")
}
