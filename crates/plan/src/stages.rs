//! The tree: stages in order, in each the roles as written, each role a roll over its hosts; around them
//! what is done once.

use crate::draft::Draft;
use crate::first;
use crate::parts::{self, Site};
use crate::quiet::{self, Quiet};
use crate::ranks::{self, Batch};
use crate::roles;
use crate::slug::slug;
use crate::strategy::{self, Part, Who};
use overhaul_model::definition::{
    Order, RoleUpgrade, Share, Slot, StagePlan, StageRoles, StageStep, Stages, Within,
    WrittenAction,
};
use overhaul_model::fleet::Host;
use overhaul_model::id::{StepId, ZoneName};
use overhaul_model::plan::{Block, Turns};
use overhaul_model::step::{Lane, Step};
use std::collections::BTreeSet;

/// The titles of the usual stages; another one's title is its name. A run goes through them but for the last,
/// which is begun by name only.
const TITLES: [(&str, &str); 3] = [
    ("prepare", "prepare: no outage"),
    ("finish", "finish: after all hosts"),
    ("cleanup", "cleanup: later, by name only"),
];

pub(crate) fn build(draft: &mut Draft<'_>) {
    let mut stages = Vec::new();
    for stage in &draft.definition.stage_plan {
        let id = StepId::new(stage.name.as_str());
        let changes = stage.slots.contains(&Slot::Change);
        let (mut blocks, mut quiets) = once(draft, stage, "before", &stage.before);
        if changes && draft.definition.stages == Stages::WithinZone {
            blocks.extend(zones(draft, &id, stage));
        } else {
            blocks.extend(roles(draft, &id, stage, None));
        }
        let (after, more) = once(draft, stage, "after", &stage.after);
        let so_far = blocks.len();
        quiets.extend(more.into_iter().map(|quiet| quiet.later(so_far)));
        blocks.extend(after);
        for quiet in quiets.into_iter().rev() {
            let body = blocks.split_off(quiet.at.min(blocks.len()));
            blocks.push(quiet::around(quiet, body));
        }
        if !blocks.is_empty() {
            let name = stage.name.as_str();
            let title = TITLES.iter().find(|(usual, _)| *usual == name);
            stages.push(Block::Sequence {
                id,
                title: title.map_or(name, |(_, title)| title).to_owned(),
                blocks,
            });
        }
    }
    if let Block::Sequence { blocks, .. } = &mut draft.plan.root {
        *blocks = stages;
    }
}

/// What is done once, on the first host of a role or on none; and from where on other hosts are quiet.
fn once(
    draft: &mut Draft<'_>,
    stage: &StagePlan,
    place: &str,
    steps: &[StageStep],
) -> (Vec<Block>, Vec<Quiet>) {
    let id = StepId::new(stage.name.as_str()).child(place);
    let definition = draft.definition;
    let (mut out, mut quiets) = (Vec::new(), Vec::new());
    for StageStep { on, step } in steps {
        let named = |role: &&RoleUpgrade| on.as_ref().is_none_or(|on| role.role == *on);
        // Where a step has no host, a role only lends its place in the file.
        let Some(role) = definition.roles.iter().find(named) else {
            continue;
        };
        let first: Vec<&Host> = match on {
            Some(_) => draft.hosts_of(role).into_iter().take(1).collect(),
            None => Vec::new(),
        };
        let site = Site {
            role,
            hosts: &first,
            stage: stage.name.clone(),
            slot: stage.slots.first().copied().unwrap_or(Slot::Prepare),
            id: id.clone(),
        };
        let lane = match (on, first.first()) {
            (Some(_), Some(host)) => Lane::Host(host.name.clone()),
            (Some(_), None) => continue,
            (None, _) => Lane::Run,
        };
        if let WrittenAction::QuiesceOthers { role } = &step.action {
            let role = definition.roles.iter().find(|own| own.role == *role);
            let id = id.child(&slug(&step.name));
            let at = (stage, &id, out.len());
            quiets.extend(role.and_then(|role| quiet::written(draft, role, step, at)));
            continue;
        }
        let compiled = parts::whole(draft, &site, step);
        out.extend(compiled.into_iter().map(|step| {
            Block::Step(Box::new(Step {
                why: format!("written {place} the stage {}", stage.name),
                lane: lane.clone(),
                ..step
            }))
        }));
    }
    (out, quiets)
}

/// One zone after the other, in the order of their names; in each, all roles.
fn zones(draft: &mut Draft<'_>, id: &StepId, stage: &StagePlan) -> Vec<Block> {
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
    stage: &StagePlan,
    zone: Option<&ZoneName>,
) -> Vec<Block> {
    let definition = draft.definition;
    let mut order: Vec<&RoleUpgrade> = definition.roles.iter().collect();
    if let StageRoles::Order(first) = &stage.roles {
        let rank = |role: &&RoleUpgrade| first.iter().position(|name| *name == role.role);
        order.sort_by_key(|role| rank(role).unwrap_or(usize::MAX));
    }
    let mut rolls = Vec::new();
    let mut done: BTreeSet<usize> = BTreeSet::new();
    for role in order {
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
    if stage.roles != StageRoles::AtOnce || rolls.len() < 2 {
        return rolls;
    }
    vec![Block::Parallel {
        id: id.child("roles"),
        title: "all roles".to_owned(),
        blocks: rolls,
    }]
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
    stage: &StagePlan,
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
    stage: &StagePlan,
    parent: &StepId,
    hosts: &[&Host],
    turns: Turns,
) -> Option<Block> {
    if first::is_apart(role, stage) {
        return first::blocks(draft, role, stage, parent, (hosts, turns));
    }
    let id = parent.child(role.role.as_str());
    roll_of(draft, role, stage, &Turn::of(id, hosts, turns))
}

/// Some hosts of a role that go through slots of a stage.
pub(crate) struct Turn<'h> {
    pub id: StepId,
    pub hosts: &'h [&'h Host],
    pub turns: Turns,
    pub who: Who,
    /// Those of the stage when `None`.
    pub slots: Option<Vec<Slot>>,
    /// Whether the host had a turn before this one, after which it counted as back: what must hold before it goes is asked again.
    pub again: bool,
    /// What people read beside the role, when it is not how many there are.
    pub title: Option<String>,
}

impl<'h> Turn<'h> {
    /// All slots of a stage.
    pub fn of(id: StepId, hosts: &'h [&'h Host], turns: Turns) -> Self {
        Self {
            id,
            hosts,
            turns,
            who: Who::Hosts,
            slots: None,
            again: false,
            title: None,
        }
    }
}

/// One roll.
pub(crate) fn roll_of(
    draft: &mut Draft<'_>,
    role: &RoleUpgrade,
    stage: &StagePlan,
    turn: &Turn<'_>,
) -> Option<Block> {
    let (id, hosts) = (turn.id.clone(), turn.hosts);
    if hosts.is_empty() {
        return None;
    }
    let wanted = turn.slots.as_ref().unwrap_or(&stage.slots);
    let mut slots = Vec::new();
    for (slot, mut its_parts) in strategy::slots(role.strategy, turn.who) {
        if turn.again && slot == Slot::Drain {
            its_parts = vec![Part::Begin];
        } else if !wanted.contains(&slot) {
            continue;
        }
        let site = Site {
            role,
            hosts,
            stage: stage.name.clone(),
            slot,
            id: id.child(slot.word()),
        };
        let its_parts = its_parts.iter();
        let blocks: Vec<Block> = its_parts
            .flat_map(|part| parts::blocks(draft, &site, *part))
            .collect();
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
    draft.plan.rolls.insert(id.clone(), turn.turns.clone());
    let told = turn.title.clone();
    let told = told.unwrap_or_else(|| pace(&role.order, &counted(hosts.len(), "host")));
    Some(Block::Roll {
        title: format!("{}: {told}", role.role),
        body: Box::new(Block::Sequence {
            id: id.child("turn"),
            title: format!("a host of {}", role.role),
            blocks: slots,
        }),
        id,
    })
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
