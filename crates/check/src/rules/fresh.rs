//! Copies are young enough when they are needed.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::effects::Effect;
use overhaul_model::id::{DatasetName, HostName, StepId};
use overhaul_model::plan::{Block, Child, Plan, PlannedDataset, Turns};
use overhaul_model::span::Span;
use overhaul_model::step::Step;
use std::collections::BTreeMap;

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    let datasets = view.plan.datasets.iter();
    datasets
        .filter_map(|(name, dataset)| stale(view, name, dataset, dataset.fresh_for?))
        .collect()
}

/// The first change that comes too long after the copy before it.
fn stale(
    view: &View<'_>,
    name: &DatasetName,
    dataset: &PlannedDataset,
    fresh_for: Span,
) -> Option<Complaint> {
    let host = &dataset.authority;
    let begins = Clock::of(view.plan, host);
    let mut copied: Option<&Step> = None;
    for step in view.lanes.get(host)? {
        for effect in &step.effects {
            let needs = match effect {
                Effect::DatasetCopied(of) if of == name => {
                    // Of several parts the first one is the oldest.
                    copied = copied.or(Some(step.step));
                    false
                }
                Effect::DatasetChanges(of) => of == name,
                Effect::ReleaseChanges(_) | Effect::MachineDestroyed | Effect::MachineReplaced => {
                    true
                }
                _ => false,
            };
            let Some(copy) = copied.filter(|_| needs && !view.is_settled(step, host)) else {
                continue;
            };
            // When a copy was made that is there already, the journal knows, and not the plan.
            if view.is_settled(copy, host) {
                continue;
            }
            let age = begins.between(&copy.id, &step.id)?;
            if age > fresh_for {
                let sentence = format!(
                    "its copy would be about {age} old at {}, and counts for {fresh_for}",
                    step.id
                );
                let help = "copy it later, in the slot `backup` of its role; or raise `fresh_for`";
                return Some(Complaint::error(format!("dataset:{name}"), sentence, help));
            }
        }
    }
    None
}

/// When each step of one host is expected to begin, all others going before it where the order lets them.
struct Clock<'a> {
    plan: &'a Plan,
    host: &'a HostName,
    begins: BTreeMap<&'a StepId, u64>,
}

impl<'a> Clock<'a> {
    fn of(plan: &'a Plan, host: &'a HostName) -> Self {
        let mut clock = Self {
            plan,
            host,
            begins: BTreeMap::new(),
        };
        clock.pass(Child::Block(&plan.root), 0);
        clock
    }

    fn between(&self, from: &StepId, to: &StepId) -> Option<Span> {
        let (from, to) = (self.begins.get(from)?, self.begins.get(to)?);
        Some(Span::from_ms(to.saturating_sub(*from)))
    }

    /// Notes the steps of a part that begins at this time; gives the time at which it ends.
    fn pass(&mut self, child: Child<'a>, now: u64) -> u64 {
        let block = match child {
            Child::Step(step) => return self.step(step, now),
            Child::Block(Block::Step(step)) => return self.step(step, now),
            Child::Block(block) => block,
        };
        match block {
            Block::Roll { id, body, .. } => {
                let turns = self.plan.rolls.get(id);
                turns.map_or(now, |turns| self.roll(turns, body, now))
            }
            Block::Parallel { blocks, .. } => {
                let ends = blocks.iter().map(|part| self.pass(Child::Block(part), now));
                ends.max().unwrap_or(now)
            }
            // The remedy is for what nobody expects.
            Block::Repair { body, .. } => self.pass(Child::Block(body), now),
            _ => {
                let children = block.children().into_iter();
                children.fold(now, |now, child| self.pass(child, now))
            }
        }
    }

    fn step(&mut self, step: &'a Step, now: u64) -> u64 {
        self.begins.insert(&step.id, now);
        now.saturating_add(step.limits.expected.as_ms())
    }

    fn roll(&mut self, turns: &Turns, body: &'a Block, mut now: u64) -> u64 {
        let steps = body.steps();
        let turn = steps.iter().fold(0_u64, |sum, step| {
            sum.saturating_add(step.limits.expected.as_ms())
        });
        let after = |now: u64, waves: usize| {
            now.saturating_add(turn.saturating_mul(u64::try_from(waves).unwrap_or(u64::MAX)))
        };
        let at_once = usize::try_from(turns.at_once).unwrap_or(usize::MAX).max(1);
        for batch in &turns.batches {
            if let Some(place) = batch.iter().position(|host| host == self.host) {
                self.pass(Child::Block(body), after(now, place / at_once));
            }
            now = after(now, batch.len().div_ceil(at_once));
        }
        now
    }
}
