//! No whole role of several members in one dangerous step.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::effects::{Effect, effects};
use overhaul_model::id::{HostName, RoleName};
use overhaul_model::plan::{Block, Child, Plan, Turns};
use overhaul_model::step::{Lane, Step};
use std::collections::{BTreeMap, BTreeSet};

const HELP: &str =
    "write `order: one-by-one` or smaller batches; or say why the role may, in `whole_role`";

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    let mut danger = Danger {
        plan: view.plan,
        roles: roles_of_hosts(view.plan),
        found: BTreeMap::new(),
    };
    danger.most_at_once(Child::Block(&view.plan.root));
    let found = danger.found.into_iter();
    found
        .map(|(role, (block, count))| {
            let sentence = format!(
                "all {count} hosts of it may be in a dangerous step at once, in {}",
                block.id()
            );
            Complaint::error(format!("role:{role}"), sentence, HELP)
        })
        .collect()
}

/// The role in which each host changes, for roles of several members that nobody excepted.
fn roles_of_hosts(plan: &Plan) -> BTreeMap<&HostName, &RoleName> {
    let excepted = &plan.knowledge.whole_role;
    let several = plan
        .roles
        .iter()
        .filter(|(role, hosts)| hosts.len() > 1 && !excepted.contains_key(*role));
    several
        .flat_map(|(role, hosts)| hosts.iter().map(move |host| (host, role)))
        .collect()
}

struct Danger<'a> {
    plan: &'a Plan,
    roles: BTreeMap<&'a HostName, &'a RoleName>,
    /// For each role the first block that puts all of it in danger, with its size.
    found: BTreeMap<&'a RoleName, (&'a Block, usize)>,
}

/// Hosts of each role that may be in a dangerous step at once, at most.
type Counts<'a> = BTreeMap<&'a RoleName, usize>;

impl<'a> Danger<'a> {
    fn most_at_once(&mut self, child: Child<'a>) -> Counts<'a> {
        let block = match child {
            Child::Step(step) => return self.of_step(step),
            Child::Block(Block::Step(step)) => return self.of_step(step),
            Child::Block(block) => block,
        };
        match block {
            Block::Roll { id, body, .. } => {
                let counts = self
                    .plan
                    .rolls
                    .get(id)
                    .map(|turns| self.of_roll(turns, body));
                self.judge(block, counts.unwrap_or_default())
            }
            Block::Parallel { blocks, .. } => {
                let mut counts = Counts::new();
                for part in blocks {
                    for (role, count) in self.most_at_once(Child::Block(part)) {
                        let sum = counts.entry(role).or_default();
                        *sum = count.saturating_add(*sum);
                    }
                }
                self.judge(block, counts)
            }
            _ => {
                let mut counts = Counts::new();
                for child in block.children() {
                    for (role, count) in self.most_at_once(child) {
                        let most = counts.entry(role).or_default();
                        *most = count.max(*most);
                    }
                }
                counts
            }
        }
    }

    fn of_step(&self, step: &'a Step) -> Counts<'a> {
        let host = match &step.lane {
            Lane::Host(host) if is_dangerous(step) => self.roles.get(host),
            _ => None,
        };
        host.map(|role| (*role, 1)).into_iter().collect()
    }

    fn of_roll(&self, turns: &'a Turns, body: &'a Block) -> Counts<'a> {
        let dangerous: Vec<&Step> = body
            .steps()
            .into_iter()
            .filter(|step| is_dangerous(step))
            .collect();
        let limit = usize::try_from(turns.at_once).unwrap_or(usize::MAX);
        let mut most = Counts::new();
        for batch in &turns.batches {
            let mut counts = Counts::new();
            let in_danger = batch.iter().filter(|host| concerns(&dangerous, host));
            for role in in_danger.filter_map(|host| self.roles.get(host)) {
                let count = counts.entry(*role).or_default();
                *count = count.saturating_add(1);
            }
            for (role, count) in counts {
                let most = most.entry(role).or_default();
                *most = count.min(limit).max(*most);
            }
        }
        most
    }

    fn judge(&mut self, block: &'a Block, counts: Counts<'a>) -> Counts<'a> {
        for (role, count) in &counts {
            let members = self.plan.roles.get(*role).map_or(0, BTreeSet::len);
            if *count >= members {
                self.found.entry(role).or_insert((block, members));
            }
        }
        counts
    }
}

fn concerns(steps: &[&Step], host: &HostName) -> bool {
    let concerned = |step: &&Step| step.only.as_ref().is_none_or(|only| only.contains(host));
    steps.iter().any(concerned)
}

/// A step from which a host may not come back by itself.
pub(super) fn is_dangerous(step: &Step) -> bool {
    effects(step).iter().any(|effect| {
        matches!(
            effect,
            Effect::ReleaseChanges(_)
                | Effect::HostDown
                | Effect::MachineDestroyed
                | Effect::MachineReplaced
        )
    })
}
