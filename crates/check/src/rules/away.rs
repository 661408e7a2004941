//! Which hosts may be away at one time: the projection that zones and minima are judged by.
//!
//! The tree is followed in its order. A host is away from the first step that may disturb it until one
//! that brings it back; a host that a block leaves down is away in all that follows.

use crate::view::{Act, Roll, View};
use overhaul_model::effects::Effect;
use overhaul_model::id::{HostName, ServiceName, StepId};
use overhaul_model::plan::{Block, Child};
use overhaul_model::step::{Lane, Step};
use std::collections::{BTreeMap, BTreeSet};

/// What is looked at.
pub(super) struct Projection<'a> {
    root: &'a Block,
    /// The hosts that count.
    members: BTreeSet<&'a HostName>,
    /// One service, or the host as a whole.
    service: Option<&'a ServiceName>,
    /// Rolls in which one of these hosts has a turn; the others take none of them away.
    rolls: BTreeMap<&'a StepId, &'a Roll<'a>>,
}

/// What happens to a host in some steps.
#[derive(Clone, Copy, Default)]
struct Passage {
    /// It is away at some time.
    disturbed: bool,
    /// It is away at the end; `None` when these steps neither stop nor start it.
    left_down: Option<bool>,
}

/// Hosts that may be away at one time, in one block.
pub(super) struct Crowd<'a> {
    /// The block in which that is so.
    pub block: &'a Block,
    /// The hosts that are away in any case.
    pub down: BTreeSet<&'a HostName>,
    /// The hosts of which some are away too.
    pub turn: BTreeSet<&'a HostName>,
    /// How many of them at most.
    pub at_once: usize,
}

impl Crowd<'_> {
    /// How many hosts are away at most.
    pub fn size(&self) -> usize {
        self.down
            .len()
            .saturating_add(self.at_once.min(self.turn.len()))
    }
}

impl<'a> Projection<'a> {
    pub fn new(
        view: &'a View<'a>,
        members: BTreeSet<&'a HostName>,
        service: Option<&'a ServiceName>,
    ) -> Self {
        let rolls = view.rolls_with(members.iter().copied());
        Self {
            root: &view.plan.root,
            rolls: rolls.map(|roll| (roll.block.id(), roll)).collect(),
            members,
            service,
        }
    }

    /// Every crowd that can come about.
    pub fn crowds(&self) -> Vec<Crowd<'a>> {
        let mut out = Vec::new();
        let mut down = BTreeSet::new();
        self.follow(self.root, &mut down, &mut out);
        out
    }

    fn follow(
        &self,
        block: &'a Block,
        down: &mut BTreeSet<&'a HostName>,
        out: &mut Vec<Crowd<'a>>,
    ) {
        match block {
            Block::Roll { id, .. } => {
                if let Some(roll) = self.rolls.get(id) {
                    self.roll(roll, down, out);
                }
            }
            Block::Parallel { blocks, .. } => self.at_once(block, blocks, down, out),
            Block::Step(step) => self.step(block, step, down, out),
            Block::Scope {
                open, body, close, ..
            } => {
                self.step(block, open, down, out);
                self.follow(body, down, out);
                self.step(block, close, down, out);
            }
            Block::Sequence { .. } | Block::Repair { .. } => {
                for child in block.children() {
                    match child {
                        Child::Block(inner) => self.follow(inner, down, out),
                        Child::Step(step) => self.step(block, step, down, out),
                    }
                }
            }
        }
    }

    fn step(
        &self,
        block: &'a Block,
        step: &'a Step,
        down: &mut BTreeSet<&'a HostName>,
        out: &mut Vec<Crowd<'a>>,
    ) {
        let Lane::Host(host) = &step.lane else {
            return;
        };
        if self.members.contains(host) {
            let passage = self.passage(&[&Act::of(step)], host);
            self.pass(block, &[(host, passage)], 1, down, out);
        }
    }

    fn roll(
        &self,
        roll: &'a Roll<'a>,
        down: &mut BTreeSet<&'a HostName>,
        out: &mut Vec<Crowd<'a>>,
    ) {
        let at_once = usize::try_from(roll.turns.at_once).unwrap_or(usize::MAX);
        for batch in &roll.turns.batches {
            let members = batch.iter().filter(|host| self.members.contains(host));
            let passages = members.map(|host| (host, self.passage(&roll.acts, host)));
            self.pass(
                roll.block,
                &passages.collect::<Vec<_>>(),
                at_once,
                down,
                out,
            );
        }
    }

    /// Everything that the parts of a block may disturb, may be away at one time.
    fn at_once(
        &self,
        block: &'a Block,
        parts: &'a [Block],
        down: &mut BTreeSet<&'a HostName>,
        out: &mut Vec<Crowd<'a>>,
    ) {
        let before = down.clone();
        let mut together = down.clone();
        let mut places = 0_usize;
        let mut turn = BTreeSet::new();
        for part in parts {
            let mut after = before.clone();
            let mut inner = Vec::new();
            self.follow(part, &mut after, &mut inner);
            together.extend(after.iter().copied());
            let most = inner
                .iter()
                .map(|crowd| crowd.at_once.min(crowd.turn.len()))
                .max();
            places = places.saturating_add(most.unwrap_or(0));
            turn.extend(inner.iter().flat_map(|crowd| crowd.turn.iter().copied()));
            down.retain(|host| after.contains(host) || !before.contains(host));
            down.extend(after.iter().copied().filter(|host| !before.contains(host)));
        }
        let turn: BTreeSet<_> = turn.difference(&together).copied().collect();
        if !turn.is_empty() || !together.is_empty() {
            out.push(Crowd {
                block,
                down: together,
                at_once: places,
                turn,
            });
        }
    }

    /// Some hosts go through the same steps, never more of them at one time than this.
    fn pass(
        &self,
        block: &'a Block,
        passages: &[(&'a HostName, Passage)],
        at_once: usize,
        down: &mut BTreeSet<&'a HostName>,
        out: &mut Vec<Crowd<'a>>,
    ) {
        let those = |test: fn(&Passage) -> bool| -> BTreeSet<&'a HostName> {
            let hosts = passages.iter().filter(|(_, passage)| test(passage));
            hosts.map(|(host, _)| *host).collect()
        };
        let stay_down = those(|passage| passage.left_down == Some(true));
        let come_back = those(|passage| passage.left_down == Some(false));
        let disturbed = those(|passage| passage.disturbed);
        let before = std::mem::take(down);
        *down = before.union(&stay_down).copied().collect();
        if !disturbed.is_empty() {
            out.push(Crowd {
                block,
                turn: disturbed.difference(down).copied().collect(),
                down: down.clone(),
                at_once,
            });
        }
        down.retain(|host| !come_back.contains(host));
    }

    fn passage(&self, steps: &[&Act<'_>], host: &HostName) -> Passage {
        let mut passage = Passage::default();
        for step in steps {
            let concerned = step.only.as_ref().is_none_or(|only| only.contains(host));
            if !concerned {
                continue;
            }
            for effect in &step.effects {
                match self.weight(effect) {
                    Weight::Nothing => {}
                    Weight::Blink => passage.disturbed = true,
                    Weight::Down => {
                        passage.disturbed = true;
                        passage.left_down = Some(true);
                    }
                    Weight::Up => passage.left_down = Some(false),
                }
            }
        }
        passage
    }

    fn weight(&self, effect: &Effect) -> Weight {
        let ours = |name: &ServiceName| self.service.is_none_or(|service| service == name);
        match effect {
            Effect::HostDown | Effect::AnythingMayBlink => Weight::Blink,
            Effect::ServiceMayBlink(name) if ours(name) => Weight::Blink,
            Effect::ServiceStops(name) if ours(name) => Weight::Down,
            Effect::ServiceStarts(name) if ours(name) => Weight::Up,
            _ => Weight::Nothing,
        }
    }
}

/// What one effect means for the host or service that is looked at.
enum Weight {
    Nothing,
    Blink,
    Down,
    Up,
}
