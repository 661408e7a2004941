//! The fleet at the end is that of the run in which nothing went wrong.

use super::people;
use crate::evidence::Evidence;
use crate::play::How;
use overhaul_model::event::{Event, Verdict};
use overhaul_model::id::{HostName, StepId};
use overhaul_model::plan::{Block, Child};
use std::collections::BTreeSet;

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let mut out = Vec::new();
    match evidence.how {
        How::Over(Verdict::Complete) => {}
        How::Over(Verdict::Aborted) if people::aborted(evidence).is_none() => {
            return vec!["nobody asked for the end".to_owned()];
        }
        How::Over(Verdict::Aborted) => return held(evidence),
        How::Not(why) => return vec![why.clone()],
    }
    let mut remedies = BTreeSet::new();
    collect(&evidence.plan.root, false, &mut remedies);
    for (host, calm) in &evidence.calm.bodies {
        let Some(body) = evidence.end.bodies.get(host) else {
            out.push(format!("{host} is gone"));
            continue;
        };
        let (mut body, mut calm) = (body.clone(), calm.clone());
        body.done.retain(|step| !remedies.contains(step));
        calm.done.retain(|step| !remedies.contains(step));
        if body != calm {
            let done: Vec<_> = body.done.symmetric_difference(&calm.done).collect();
            out.push(format!(
                "{host} is not as it would be: {done:?}, {:?} instead of {:?}",
                Brief(&body),
                Brief(&calm)
            ));
        }
    }
    if evidence.end.files.keys().ne(evidence.calm.files.keys()) && !evidence.calm.files.is_empty() {
        out.push("the controller's copies are not those that should be there".to_owned());
    }
    out.extend(held(evidence));
    out
}

/// Hosts that are still held.
fn held(evidence: &Evidence<'_>) -> Vec<String> {
    let holders = evidence.end.holders.iter();
    let held = holders.filter(|(host, holder)| holder.is_some() && !given_up(evidence, host));
    held.map(|(host, _)| format!("{host} was not let go"))
        .collect()
}

/// A body without its steps.
struct Brief<'a>(&'a crate::host::Body);

impl std::fmt::Debug for Brief<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = self.0;
        write!(
            f,
            "{} {:?} {:?} files {} edits {} broken {}",
            body.release,
            body.units,
            body.data,
            body.files.len(),
            body.edits.len(),
            body.broken
        )
    }
}

/// Whether the journal says last of the host that it could not be reached.
fn given_up(evidence: &Evidence<'_>, name: &HostName) -> bool {
    let about = evidence
        .records
        .iter()
        .rev()
        .find_map(|record| match &record.event {
            Event::HostRefused { host, .. } if host == name => Some(true),
            Event::HostReleased { host } | Event::HostRegistered { host, .. } if host == name => {
                Some(false)
            }
            _ => None,
        });
    about.unwrap_or(false)
}

/// Steps that are done only where something failed.
fn collect(block: &Block, inside: bool, out: &mut BTreeSet<StepId>) {
    if let Block::Repair { body, remedy, .. } = block {
        collect(body, inside, out);
        collect(remedy, true, out);
        return;
    }
    if let (Block::Step(step), true) = (block, inside) {
        out.insert(step.id.clone());
    }
    for child in block.children() {
        match child {
            Child::Step(step) if inside => {
                out.insert(step.id.clone());
            }
            Child::Step(_) => {}
            Child::Block(block) => collect(block, inside, out),
        }
    }
}
