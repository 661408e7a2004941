//! The tree: stages in order, in each the roles as written, each role a roll over its hosts.

use crate::draft::Draft;
use crate::error::Wrong;
use crate::parts::{self, Site};
use crate::strategy::Point;
use overhaul_model::definition::{Order, RoleUpgrade, Slot};
use overhaul_model::id::{StageName, StepId};
use overhaul_model::plan::Block;

/// The stages that a run goes through, with their titles.
const STAGES: [(&str, &str); 3] = [
    ("prepare", "prepare: no outage"),
    ("upgrade", "upgrade"),
    ("finish", "finish: after all hosts"),
];

pub(crate) fn build(draft: &mut Draft<'_>) {
    let mut stages = Vec::new();
    for (stage, title) in STAGES {
        let mut rolls = Vec::new();
        for role in &draft.definition.roles {
            rolls.extend(roll(draft, role, stage));
        }
        if !rolls.is_empty() {
            stages.push(Block::Sequence {
                id: StepId::new(stage),
                title: title.to_owned(),
                blocks: rolls,
            });
        }
    }
    for role in &draft.definition.roles {
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

fn roll(draft: &mut Draft<'_>, role: &RoleUpgrade, stage: &'static str) -> Option<Block> {
    let id = StepId::new(stage).child(role.role.as_str());
    let hosts = draft.hosts_of(role);
    let mut slots = Vec::new();
    for (slot, its_parts) in Point::of(role.strategy).slots() {
        if slot.stage() != stage {
            continue;
        }
        let site = Site {
            role,
            hosts: &hosts,
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
    let turns = draft.turns.get(&role.role)?.clone();
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
    match role.order {
        Order::All { at_once } => {
            format!("{}: {count}, at most {at_once} at once", role.role)
        }
        Order::OneByOne => format!("{}: {count}, one by one", role.role),
    }
}
