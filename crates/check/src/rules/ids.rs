//! Ids are what positions, receipts and decisions are found by.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::id::{HostName, StepId};
use overhaul_model::plan::Block;
use std::collections::{BTreeSet, HashSet};

pub(super) fn unique(view: &View<'_>) -> Vec<Complaint> {
    let blocks = view
        .blocks
        .iter()
        .filter(|block| !matches!(block, Block::Step(_)))
        .map(|block| block.id());
    let ids = blocks.chain(view.steps.iter().map(|step| &step.id));
    let mut seen: BTreeSet<&StepId> = BTreeSet::new();
    let mut twice: BTreeSet<String> = BTreeSet::new();
    for id in ids {
        if !seen.insert(id) {
            twice.insert(format!("step:{id}"));
        }
    }
    // One id, but two turns on one host, as in a roll that names a host twice or a roll inside a roll.
    let mut places: HashSet<(&StepId, Option<&HostName>)> = HashSet::new();
    view.plan.each_place(&mut |place| {
        if !places.insert((&place.step.id, place.host)) {
            twice.insert(format!("step:{}", place.position()));
        }
    });
    twice
        .into_iter()
        .map(|subject| {
            let sentence = "two parts of the plan have this id".to_owned();
            Complaint::error(subject, sentence, "give one of them another name")
        })
        .collect()
}
