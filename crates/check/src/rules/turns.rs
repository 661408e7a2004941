//! Rolls: who has a turn, and how many at once.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::id::HostName;
use overhaul_model::plan::{Block, Turns};
use std::collections::BTreeSet;

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for block in &view.blocks {
        let Block::Roll { id, .. } = block else {
            continue;
        };
        let wrong = match view.plan.rolls.get(id) {
            None => vec!["it has no turns".to_owned()],
            Some(turns) => of_turns(view, turns),
        };
        out.extend(wrong.into_iter().map(|sentence| {
            Complaint::error(
                format!("roll:{id}"),
                sentence,
                "compile the plan anew from its definition",
            )
        }));
    }
    out
}

fn of_turns(view: &View<'_>, turns: &Turns) -> Vec<String> {
    let mut out = Vec::new();
    if turns.at_once == 0 {
        out.push("no host may be under way at once".to_owned());
    }
    let mut seen: BTreeSet<&HostName> = BTreeSet::new();
    for host in turns.batches.iter().flatten() {
        if !seen.insert(host) {
            out.push(format!("host {host} has two turns"));
        }
        if !view.plan.hosts.contains_key(host) {
            out.push(format!("host {host} is not one of the plan"));
        }
    }
    if seen.is_empty() {
        out.push("no host has a turn".to_owned());
    }
    out
}
