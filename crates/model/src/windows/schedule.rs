//! Every step at its place in time, nothing failing and nobody waited for.

use crate::id::HostName;
use crate::plan::{Block, CLEANUP, Child, Plan, Turns};
use crate::span::Span;
use crate::step::{Lane, Step};

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
    let mut placer = Placer {
        plan,
        out: Vec::new(),
    };
    placer.place(Child::Block(&plan.root), None, Span::default());
    placer.out
}

struct Placer<'a> {
    plan: &'a Plan,
    out: Vec<Placement<'a>>,
}

impl<'a> Placer<'a> {
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
        self.out.push(Placement {
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
            let mut free = vec![at; places.min(batch.len())];
            for host in batch {
                if let Some(first_free) = free.iter_mut().min() {
                    *first_free = self.place(Child::Block(body), Some(host), *first_free);
                }
            }
            at = free.into_iter().max().unwrap_or(at);
        }
        at
    }
}
