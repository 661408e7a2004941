//! Ids are what positions, receipts and decisions are found by.

use crate::rule::Complaint;
use crate::view::{View, steps_in};
use overhaul_model::id::{Position, StepId};
use overhaul_model::plan::{Block, Child};
use std::collections::BTreeSet;

pub(super) fn unique(view: &View<'_>) -> Vec<Complaint> {
    let blocks = view
        .blocks()
        .into_iter()
        .filter(|block| !matches!(block, Block::Step(_)))
        .map(|block| block.id());
    let steps = steps_in(Child::Block(&view.plan.root));
    let ids = blocks.chain(steps.iter().map(|step| &step.id));
    let mut seen: BTreeSet<&StepId> = BTreeSet::new();
    let mut twice: BTreeSet<String> = BTreeSet::new();
    for id in ids {
        if !seen.insert(id) {
            twice.insert(format!("step:{id}"));
        }
    }
    // One id, but two turns on one host, as in a roll that names a host twice or a roll inside a roll.
    let mut positions: BTreeSet<Position> = BTreeSet::new();
    for placed in view.plan.positions() {
        if !positions.insert(placed.position.clone()) {
            twice.insert(format!("step:{}", placed.position));
        }
    }
    twice
        .into_iter()
        .map(|subject| {
            let sentence = "two parts of the plan have this id".to_owned();
            Complaint::error(subject, sentence, "give one of them another name")
        })
        .collect()
}
