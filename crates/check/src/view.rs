//! A plan as rules look at it: each host's steps in their order, and what is over already.

use jiff::civil::Date;
use jiff::{Timestamp, Zoned};
use overhaul_model::facts::{FleetFacts, HostFacts};
use overhaul_model::id::{HostName, Position};
use overhaul_model::plan::{Block, Child, Placed, Plan};
use overhaul_model::step::Step;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) struct View<'a> {
    pub plan: &'a Plan,
    pub facts: &'a FleetFacts,
    pub settled: &'a BTreeSet<Position>,
    pub today: Date,
    /// When the plan would begin, or go on.
    pub begins: Timestamp,
    /// Every host of the plan, each with its steps in the order of the tree.
    pub lanes: BTreeMap<&'a HostName, Vec<&'a Step>>,
}

impl<'a> View<'a> {
    pub fn new(
        plan: &'a Plan,
        facts: &'a FleetFacts,
        settled: &'a BTreeSet<Position>,
        begins: &Zoned,
    ) -> Self {
        let mut lanes: BTreeMap<&HostName, Vec<&Step>> =
            plan.hosts.keys().map(|host| (host, Vec::new())).collect();
        for Placed { position, step } in plan.positions() {
            let lane = position.host.as_ref().and_then(|host| lanes.get_mut(host));
            if let Some(lane) = lane {
                lane.push(step);
            }
        }
        Self {
            plan,
            facts,
            settled,
            today: begins.date(),
            begins: begins.timestamp(),
            lanes,
        }
    }

    /// Whether the step is over on this host.
    pub fn is_settled(&self, step: &Step, host: &HostName) -> bool {
        self.settled
            .contains(&Position::on(step.id.clone(), host.clone()))
    }

    /// Hosts on which nothing has begun, so that their state before the upgrade still matters.
    pub fn fresh_hosts(&self) -> impl Iterator<Item = &'a HostName> + '_ {
        self.lanes
            .iter()
            .filter(|(host, steps)| !steps.iter().any(|step| self.is_settled(step, host)))
            .map(|(host, _)| *host)
    }

    /// The facts of hosts on which nothing has begun, where there are any.
    pub fn fresh_facts(&self) -> impl Iterator<Item = (&'a HostName, &'a HostFacts)> + '_ {
        self.fresh_hosts()
            .filter_map(|host| Some((host, self.facts.get(host)?)))
    }

    /// Every block, parents first.
    pub fn blocks(&self) -> Vec<&'a Block> {
        fn walk<'b>(block: &'b Block, out: &mut Vec<&'b Block>) {
            out.push(block);
            for child in block.children() {
                if let Child::Block(block) = child {
                    walk(block, out);
                }
            }
        }
        let mut out = Vec::new();
        walk(&self.plan.root, &mut out);
        out
    }

    /// Every step once, however many hosts it has.
    pub fn steps(&self) -> Vec<&'a Step> {
        steps_in(Child::Block(&self.plan.root))
    }
}

/// Every step below a part of the tree.
pub(crate) fn steps_in(child: Child<'_>) -> Vec<&Step> {
    match child {
        Child::Step(step) => vec![step],
        Child::Block(Block::Step(step)) => vec![step],
        Child::Block(block) => block.children().into_iter().flat_map(steps_in).collect(),
    }
}
