//! Ids are what positions, receipts and decisions are found by.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::id::{HostName, Position, StepId};
use overhaul_model::plan::Block;
use std::collections::BTreeSet;

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
    let mut places: Vec<(&StepId, Option<&HostName>)> = Vec::new();
    for (host, acts) in &view.lanes {
        places.extend(acts.iter().map(|act| (&act.step.id, Some(*host))));
        note_repeated(&mut places, &mut twice);
    }
    let strays = view.strays.iter();
    places.extend(strays.map(|place| (&place.step.id, place.host)));
    note_repeated(&mut places, &mut twice);
    twice
        .into_iter()
        .map(|subject| {
            let sentence = "two parts of the plan have this id".to_owned();
            Complaint::error(subject, sentence, "give one of them another name")
        })
        .collect()
}

/// Takes the places, and notes those that are there more than once.
fn note_repeated(places: &mut Vec<(&StepId, Option<&HostName>)>, twice: &mut BTreeSet<String>) {
    places.sort_unstable();
    for pair in places.windows(2) {
        if let [one, (step, host)] = pair
            && *one == (*step, *host)
        {
            let position = Position {
                step: (*step).clone(),
                host: host.cloned(),
            };
            twice.insert(format!("step:{position}"));
        }
    }
    places.clear();
}
