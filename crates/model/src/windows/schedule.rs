//! Every step at its place in time, nothing failing and nobody waited for.

use crate::id::HostName;
use crate::plan::{Block, CLEANUP, Child, Plan, Turns};
use crate::span::Span;
use crate::step::{Lane, Step};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A step on a host, in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement<'a> {
    /// The step.
    pub step: &'a Step,
    /// The host of its lane.
    pub host: Option<&'a HostName>,
    /// When it begins, after the run's begin.
    pub begins: Span,
    /// When it is over.
    pub ends: Span,
}

/// All steps in time, in the order of the tree. Remedies and the stage `cleanup` are left out: they are not
/// expected to run.
///
/// Batches follow one another; in a batch each turn begins as soon as one of `at_once` places is free.
/// Guards are taken to hold, gates to be answered at once.
pub fn schedule(plan: &Plan) -> Vec<Placement<'_>> {
    let mut out = Vec::new();
    let mut placer = Placer {
        plan,
        see: |placement| out.push(placement),
    };
    placer.place(Child::Block(&plan.root), None, Span::default());
    out
}

/// How long the whole plan is expected to take when nothing fails and nobody is waited for.
pub fn critical_path(plan: &Plan) -> Span {
    let mut placer = Placer {
        plan,
        see: |_: Placement<'_>| {},
    };
    placer.place(Child::Block(&plan.root), None, Span::default())
}

/// Goes through the tree in time, and shows each step at its place.
struct Placer<'a, S> {
    plan: &'a Plan,
    see: S,
}

impl<'a, S: FnMut(Placement<'a>)> Placer<'a, S> {
    /// Places what stands below; gives the moment at which all of it is over.
    fn place(&mut self, child: Child<'a>, turn: Option<&'a HostName>, begins: Span) -> Span {
        let block = match child {
            Child::Step(step) => return self.step(step, turn, begins),
            Child::Block(block) => block,
        };
        match block {
            Block::Step(step) => self.step(step, turn, begins),
            Block::Sequence { id, .. } if id.as_str() == CLEANUP => begins,
            Block::Sequence { .. } | Block::Scope { .. } => {
                let children = block.children().into_iter();
                children.fold(begins, |at, child| self.place(child, turn, at))
            }
            Block::Parallel { .. } => {
                let children = block.children().into_iter();
                let ends = children.map(|child| self.place(child, turn, begins));
                ends.max().unwrap_or(begins)
            }
            Block::Repair { body, .. } => self.place(Child::Block(body), turn, begins),
            Block::Roll { id, body, .. } => {
                let turns = self.plan.rolls.get(id);
                turns.map_or(begins, |turns| self.roll(turns, body, begins))
            }
        }
    }

    fn step(&mut self, step: &'a Step, turn: Option<&'a HostName>, begins: Span) -> Span {
        let host = match &step.lane {
            Lane::Run => None,
            Lane::Host(host) => Some(host),
            Lane::Turn => turn,
        };
        let concerned = match (host, &step.only) {
            (Some(host), Some(only)) => only.contains(host),
            (Some(_), None) => true,
            (None, _) => step.lane == Lane::Run,
        };
        if !concerned {
            return begins;
        }
        let ends = begins.plus(self.plan.expected(step, host));
        (self.see)(Placement {
            step,
            host,
            begins,
            ends,
        });
        ends
    }

    fn roll(&mut self, turns: &'a Turns, body: &'a Block, begins: Span) -> Span {
        let mut at = begins;
        for batch in &turns.batches {
            let places = usize::try_from(turns.at_once.max(1)).unwrap_or(usize::MAX);
            // When each place is free again, the first one on top.
            let mut free = BinaryHeap::from(vec![Reverse(at); places.min(batch.len())]);
            for host in batch {
                if let Some(Reverse(first_free)) = free.pop() {
                    let ends = self.place(Child::Block(body), Some(host), first_free);
                    free.push(Reverse(ends));
                }
            }
            let last = free.into_iter().map(|Reverse(ends)| ends).max();
            at = last.unwrap_or(at);
        }
        at
    }
}
