//! What checkers ask of a plan again and again, found once for all runs of it.

use overhaul_model::id::StepId;
use overhaul_model::plan::{Block, CLEANUP, Child, Plan};
use overhaul_model::step::Step;
use std::collections::{BTreeSet, HashMap};

/// A plan, as the checkers see it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    steps: HashMap<StepId, Step>,
    /// What opens each scope, with what closes it.
    pub scopes: Vec<(StepId, StepId)>,
    /// Steps that a person names after the end.
    pub cleanup: BTreeSet<StepId>,
    /// Steps that are done only where something failed.
    pub remedies: BTreeSet<StepId>,
}

impl Known {
    pub fn of(plan: &Plan) -> Self {
        let mut this = Self::default();
        this.block(&plan.root, false);
        this
    }

    /// The step with this id.
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.get(id)
    }

    fn block(&mut self, block: &Block, remedy: bool) {
        match block {
            Block::Step(step) => self.put(step, remedy),
            Block::Scope { open, close, .. } => {
                self.scopes.push((open.id.clone(), close.id.clone()));
            }
            Block::Repair {
                body, remedy: r, ..
            } => {
                self.block(body, remedy);
                return self.block(r, true);
            }
            Block::Sequence { .. } | Block::Parallel { .. } | Block::Roll { .. } => {}
        }
        for child in block.children() {
            match child {
                Child::Step(step) => self.put(step, remedy),
                Child::Block(block) => self.block(block, remedy),
            }
        }
    }

    fn put(&mut self, step: &Step, remedy: bool) {
        if remedy {
            self.remedies.insert(step.id.clone());
        }
        if step.stage.as_str() == CLEANUP {
            self.cleanup.insert(step.id.clone());
        }
        let known = self.steps.entry(step.id.clone());
        known.or_insert_with(|| step.clone());
    }
}
