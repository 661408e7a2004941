//! The first host of a role changes and takes the data over while all others are quiet; then the others come to it, empty.
//!
//! Bodies of the first and of the others differ, and others are stopped in between, so this is no order of one
//! roll: it is several rolls, one after the other.

use crate::draft::Draft;
use crate::parts::{self, Site};
use crate::quiet;
use crate::stages::{self, Turn};
use crate::strategy::Who;
use overhaul_model::definition::{RoleUpgrade, Slot, StagePlan};
use overhaul_model::fleet::Host;
use overhaul_model::id::{HostName, StepId};
use overhaul_model::plan::{Block, Turns};
use overhaul_model::primitive::Primitive;
use overhaul_model::step::Step;
use overhaul_model::strategy::Data;

/// From this slot on the first host has the data alone.
const ALONE_FROM: Slot = Slot::Restore;

/// Whether hosts of the role go in this manner through the stage.
pub(crate) fn is_apart(role: &RoleUpgrade, stage: &StagePlan) -> bool {
    role.strategy.data() == Data::Transfer && stage.slots.contains(&ALONE_FROM)
}

/// The blocks of these hosts of a role: when the first of all is among them, what it does before the others.
pub(crate) fn blocks(
    draft: &mut Draft<'_>,
    role: &RoleUpgrade,
    stage: &StagePlan,
    parent: &StepId,
    (hosts, turns): (&[&Host], Turns),
) -> Option<Block> {
    let id = parent.child(role.role.as_str());
    let all = draft.hosts_of(role);
    let (Some(first), Some((begins, later))) = (all.first(), hosts.split_first()) else {
        return None;
    };
    if first.name != begins.name {
        return stages::roll_of(draft, role, stage, &Turn::of(id, hosts, turns));
    }
    let mut blocks = Vec::new();
    let (before, from): (Vec<Slot>, Vec<Slot>) =
        stage.slots.iter().partition(|slot| **slot < ALONE_FROM);
    let alone = |name: &str, title: &str, slots: Vec<Slot>| Turn {
        slots: Some(slots),
        who: Who::First,
        title: Some(title.to_owned()),
        ..Turn::of(id.child(name), std::slice::from_ref(begins), one(begins))
    };
    let changes = alone("first", "the first host changes", before);
    blocks.extend(stages::roll_of(draft, role, stage, &changes));
    blocks.extend(all_quiet(draft, role, stage, &id));
    let begins = Turn {
        again: true,
        ..alone("alone", "the first host has the data", from)
    };
    blocks.extend(stages::roll_of(draft, role, stage, &begins));
    if !later.is_empty() {
        let turns = without(turns, &first.name);
        let rest = Turn::of(id.child("rest"), later, turns);
        blocks.extend(stages::roll_of(draft, role, stage, &rest));
    }
    Some(Block::Sequence {
        title: format!("{}: the first host, then the others", role.role),
        id,
        blocks,
    })
}

/// All hosts of a role but its first stop what does not stay up, all at once; those that have the authority over data
/// come last, because only who stops last has all that was written. Before data moves from them, it is copied.
fn all_quiet(
    draft: &mut Draft<'_>,
    role: &RoleUpgrade,
    stage: &StagePlan,
    parent: &StepId,
) -> Option<Block> {
    let hosts = draft.hosts_of(role);
    let (_, others) = hosts.split_first()?;
    let id = parent.child("quiesce");
    let site = Site {
        role,
        hosts: others,
        stage: stage.name.clone(),
        slot: Slot::Stop,
        id: id.clone(),
    };
    let quiet: Vec<Step> = parts::quiesce(draft, &site);
    if others.is_empty() || quiet.is_empty() {
        return None;
    }
    // Files are copied at rest; a database is asked while it still runs.
    let copies = parts::copies_of(draft, &site).into_iter();
    let (files, mut steps): (Vec<Step>, Vec<Step>) =
        copies.partition(|step| matches!(step.work, Primitive::Persist(_)));
    steps.extend(quiet);
    steps.extend(files);
    let batches = quiet::by_authority(draft, others);
    let at_once = batches.iter().map(Vec::len).max().unwrap_or(1);
    let turns = Turns {
        at_once: u32::try_from(at_once).unwrap_or(u32::MAX),
        batches,
    };
    draft.plan.rolls.insert(id.clone(), turns);
    Some(Block::Roll {
        title: format!("{}: all other hosts are quiet", role.role),
        body: Box::new(Block::Sequence {
            id: id.child("turn"),
            title: format!("a host of {}", role.role),
            blocks: steps
                .into_iter()
                .map(|step| Block::Step(Box::new(step)))
                .collect(),
        }),
        id,
    })
}

fn one(host: &Host) -> Turns {
    Turns {
        batches: vec![vec![host.name.clone()]],
        at_once: 1,
    }
}

fn without(mut turns: Turns, first: &HostName) -> Turns {
    for batch in &mut turns.batches {
        batch.retain(|host| host != first);
    }
    turns.batches.retain(|batch| !batch.is_empty());
    turns
}
