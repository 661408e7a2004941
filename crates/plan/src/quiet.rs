//! Other hosts of a role are quiet while something is done, and start again afterwards, whatever became of it.

use crate::draft::Draft;
use crate::error::Wrong;
use crate::parts::{self, Site};
use crate::slug::slug;
use overhaul_model::definition::{RoleUpgrade, Slot, StagePlan, WrittenStep};
use overhaul_model::fleet::Host;
use overhaul_model::id::{HostName, StepId};
use overhaul_model::plan::Block;
use overhaul_model::step::{Lane, Step};
use std::collections::BTreeSet;

/// Most services of hosts that one `quiesce` stops: each is a scope inside the one before, and a plan is read up to a
/// depth of 128.
const SERVICES_MAX: usize = 32;

/// Services of hosts that stop before blocks from a place on, and start again after them.
pub(crate) struct Quiet {
    /// How many blocks come before.
    pub at: usize,
    id: StepId,
    title: String,
    /// What stops each service, in this order, with what starts it again.
    pairs: Vec<(Step, Step)>,
}

impl Quiet {
    /// With so many more blocks before.
    pub fn later(self, more: usize) -> Self {
        Self {
            at: self.at.saturating_add(more),
            ..self
        }
    }
}

/// A written `quiesce: {others: ROLE}`: all hosts of the role but its first.
pub(crate) fn written(
    draft: &mut Draft<'_>,
    role: &RoleUpgrade,
    step: &WrittenStep,
    (stage, id, at): (&StagePlan, &StepId, usize),
) -> Option<Quiet> {
    let hosts = draft.hosts_of(role);
    let (_, others) = hosts.split_first()?;
    let mut pairs = Vec::new();
    for name in by_authority(draft, others).into_iter().flatten() {
        let own: Vec<&Host> = others
            .iter()
            .copied()
            .filter(|host| host.name == name)
            .collect();
        let site = Site {
            role,
            hosts: &own,
            stage: stage.name.clone(),
            slot: Slot::Stop,
            id: id.child(&slug(name.as_str())),
        };
        let lane = |step: Step| Step {
            lane: Lane::Host(name.clone()),
            only: None,
            ..step
        };
        let both = parts::quiet_and_back(draft, &site).into_iter();
        pairs.extend(both.map(|(open, close)| (lane(open), lane(close))));
    }
    if pairs.len() > SERVICES_MAX {
        let wrong = Wrong::ManyQuiet {
            role: role.role.to_string(),
            services: pairs.len(),
        };
        let help = format!(
            "at most {SERVICES_MAX} services of hosts; stop and start them in the hosts' own turns"
        );
        draft.wrong(&step.origin, wrong, help);
        return None;
    }
    (!pairs.is_empty()).then(|| Quiet {
        at,
        id: id.clone(),
        title: format!("{}: all other hosts of {} are quiet", step.name, role.role),
        pairs,
    })
}

/// Scopes inside each other, with the blocks in the innermost one.
pub(crate) fn around(quiet: Quiet, body: Vec<Block>) -> Block {
    let mut inside = Block::Sequence {
        id: quiet.id.child("meanwhile"),
        title: "while they are quiet".to_owned(),
        blocks: body,
    };
    for (place, (open, close)) in quiet.pairs.into_iter().enumerate().rev() {
        let id = match place {
            0 => quiet.id.clone(),
            place => quiet.id.child(&format!("inside-{place}")),
        };
        inside = Block::Scope {
            id,
            title: quiet.title.clone(),
            open: Box::new(open),
            body: Box::new(inside),
            close: Box::new(close),
        };
    }
    inside
}

/// Hosts without the authority over any dataset, then those that have it.
pub(crate) fn by_authority(draft: &Draft<'_>, hosts: &[&Host]) -> Vec<Vec<HostName>> {
    let datasets = draft.plan.datasets.values();
    let authorities: BTreeSet<&HostName> = datasets.map(|dataset| &dataset.authority).collect();
    let names = hosts.iter().map(|host| host.name.clone());
    let (last, first): (Vec<_>, Vec<_>) = names.partition(|name| authorities.contains(name));
    let batches = [first, last].into_iter();
    batches.filter(|batch| !batch.is_empty()).collect()
}
