//! No id stands for two things: positions, receipts and decisions are all found by it.

use crate::draft::Draft;
use crate::error::Wrong;
use overhaul_model::definition::Origin;
use overhaul_model::id::StepId;
use overhaul_model::plan::{Block, Child};
use std::collections::BTreeMap;

pub(crate) fn unique(draft: &mut Draft<'_>) {
    let mut seen: BTreeMap<StepId, Origin> = BTreeMap::new();
    let mut twice = Vec::new();
    walk(Child::Block(&draft.plan.root), &mut |id, origin| {
        if seen.insert(id.clone(), origin.clone()).is_some() {
            twice.push((id.clone(), origin));
        }
    });
    for (id, origin) in twice {
        draft.wrong(
            &origin,
            Wrong::SameId(id.to_string()),
            "give one of the steps another name",
        );
    }
}

fn walk(child: Child<'_>, see: &mut impl FnMut(&StepId, Origin)) {
    match child {
        Child::Step(step) => see(&step.id, step.origin.clone()),
        Child::Block(Block::Step(step)) => see(&step.id, step.origin.clone()),
        Child::Block(block) => {
            see(block.id(), Origin::default());
            for child in block.children() {
                walk(child, see);
            }
        }
    }
}
