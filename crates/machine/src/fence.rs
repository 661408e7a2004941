//! What one controller may begin: limits of its sitting, on the same plan and in the same order.

use crate::run::{Run, Stand};
use crate::tree::{Key, Kind, Tree};
use overhaul_model::definition::Slot;
use overhaul_model::event::{Sitting, Until};
use overhaul_model::id::{HostName, Position, StageName, StepId};
use overhaul_model::plan::Plan;
use std::collections::BTreeSet;

/// A limit that means nothing in this plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchLimit {
    /// A host.
    #[error("the plan has no host `{0}`")]
    Host(HostName),
    /// No host at all.
    #[error("no host is left")]
    NoHost,
    /// A step or block.
    #[error("the plan has no step and no block `{0}`")]
    Step(StepId),
    /// A slot.
    #[error("no step of the plan stands in the slot `{}`", .0.word())]
    Slot(Slot),
    /// A stage.
    #[error("no step of the plan belongs to the stage `{0}`")]
    Stage(StageName),
}

/// The limits, worked out for the plan's tree.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fence {
    pub sitting: Sitting,
    /// Steps that are not begun, whatever their host.
    outside: BTreeSet<usize>,
    /// Openings of scopes of which a part lies outside, and repairs of which the remedy does: a scope
    /// that is opened can be closed in the same sitting.
    parted: BTreeSet<usize>,
}

impl Fence {
    pub fn new(tree: &Tree, plan: &Plan, sitting: &Sitting) -> Result<Self, NoSuchLimit> {
        if let Some(hosts) = &sitting.hosts {
            if let Some(host) = hosts.iter().find(|h| !plan.hosts.contains_key(*h)) {
                return Err(NoSuchLimit::Host(host.clone()));
            }
            if hosts.is_empty() {
                return Err(NoSuchLimit::NoHost);
            }
        }
        let mut outside = BTreeSet::new();
        if let Some(stage) = &sitting.stage {
            let (of_stage, others) = steps_by(tree, |step| step.stage == *stage);
            if of_stage.is_empty() {
                return Err(NoSuchLimit::Stage(stage.clone()));
            }
            outside.extend(others);
        }
        if let Some(until) = &sitting.until {
            behind(tree, 0, false, &meant(tree, until)?, &mut outside);
        }
        let mut fence = Self {
            sitting: sitting.clone(),
            outside,
            parted: BTreeSet::new(),
        };
        fence.parted = tree.nodes().filter(|n| fence.is_parted(tree, *n)).collect();
        Ok(fence)
    }

    pub fn allows_host(&self, host: &HostName) -> bool {
        let hosts = self.sitting.hosts.as_ref();
        hosts.is_none_or(|hosts| hosts.contains(host))
    }

    /// Whether a part of what this step opens, or of what this repair tries, lies outside.
    fn is_parted(&self, tree: &Tree, node: usize) -> bool {
        let opens = tree.node(node).parent.filter(
            |parent| matches!(&tree.node(*parent).kind, Kind::Scope { open, .. } if *open == node),
        );
        let all = match (&tree.node(node).kind, opens) {
            (_, Some(scope)) => tree.inside(scope),
            (Kind::Repair { remedy, .. }, None) => tree.inside(*remedy),
            _ => return false,
        };
        all.into_iter().any(|inner| {
            let roll_outside = match &tree.node(inner).kind {
                Kind::Roll { hosts, .. } => hosts.iter().any(|host| !self.allows_host(host)),
                _ => false,
            };
            self.outside.contains(&inner) || roll_outside
        })
    }
}

/// Nodes of steps, parted.
fn steps_by(
    tree: &Tree,
    test: impl Fn(&overhaul_model::step::Step) -> bool,
) -> (BTreeSet<usize>, BTreeSet<usize>) {
    let steps = tree.nodes().filter(|node| tree.step(*node).is_some());
    steps.partition(|node| tree.step(*node).is_some_and(|step| test(step)))
}

/// The nodes that are the last to be begun. A scope around one of them is meant as a whole: what it set up
/// is taken away again.
fn meant(tree: &Tree, until: &Until) -> Result<BTreeSet<usize>, NoSuchLimit> {
    let mut found: BTreeSet<usize> = match until {
        Until::Step(id) => {
            let node = tree
                .named(id)
                .ok_or_else(|| NoSuchLimit::Step(id.clone()))?;
            tree.inside(node).chain([node]).collect()
        }
        Until::Slot(slot) => steps_by(tree, |step| step.slot == *slot).0,
        Until::Stage(stage) => steps_by(tree, |step| step.stage == *stage).0,
    };
    if found.is_empty() {
        return Err(match until {
            Until::Step(id) => NoSuchLimit::Step(id.clone()),
            Until::Slot(slot) => NoSuchLimit::Slot(*slot),
            Until::Stage(stage) => NoSuchLimit::Stage(stage.clone()),
        });
    }
    let mut whole = BTreeSet::new();
    for node in &found {
        let mut at = tree.node(*node).parent;
        while let Some(around) = at {
            if let Kind::Scope { .. } = tree.node(around).kind {
                whole.insert(around);
            }
            at = tree.node(around).parent;
        }
    }
    for scope in whole {
        found.extend(tree.inside(scope));
    }
    // In a turn, what stands between two steps of a slot belongs to it.
    let turns: BTreeSet<usize> = found.iter().filter_map(|n| tree.node(*n).roll).collect();
    for roll in turns {
        let own = |n: &usize| tree.node(*n).roll == Some(roll);
        let first = found.iter().copied().find(own);
        let last = found.iter().copied().rfind(own);
        if let (Some(first), Some(last)) = (first, last) {
            found.extend(first..last);
        }
    }
    Ok(found)
}

/// Collects the steps that come after one of `meant` and are none of them.
fn behind(
    tree: &Tree,
    node: usize,
    passed: bool,
    meant: &BTreeSet<usize>,
    outside: &mut BTreeSet<usize>,
) {
    let in_order = matches!(tree.node(node).kind, Kind::Sequence(_) | Kind::Scope { .. });
    if tree.step(node).is_some() && passed && !meant.contains(&node) {
        outside.insert(node);
    }
    let mut passed = passed;
    for child in tree.children(node) {
        behind(tree, child, passed, meant, outside);
        passed |= in_order && meant.range(tree.inside(child)).next().is_some();
    }
}

impl Run {
    /// Whether these limits mean something in the plan.
    ///
    /// # Errors
    /// When they name what the plan does not have.
    pub fn permits_sitting(&self, sitting: &Sitting) -> Result<(), NoSuchLimit> {
        Fence::new(&self.tree, &self.plan, sitting).map(drop)
    }

    /// The limits of the present controller's sitting.
    pub fn sitting(&self) -> Option<&Sitting> {
        self.fence.as_ref().map(|fence| &fence.sitting)
    }

    pub(crate) fn limit(&mut self, sitting: &Sitting) -> Result<(), NoSuchLimit> {
        self.fence = Some(Fence::new(&self.tree, &self.plan, sitting)?);
        if self.stand == Stand::Open {
            self.withdraw_untouched();
        }
        Ok(())
    }

    /// The next controller begins without limits.
    pub(crate) fn unlimit(&mut self) {
        if self.fence.take().is_some() && self.stand == Stand::Open {
            self.withdraw_untouched();
        }
    }

    /// Whether the present controller may begin this.
    pub(crate) fn allows(&self, key: &Key) -> bool {
        let Some(fence) = &self.fence else {
            return true;
        };
        // A scope whose close has its turn was opened.
        if self.stand != Stand::Open || self.scope_closed_by(key).is_some() {
            return true;
        }
        let host = self.tree.host(key);
        host.is_none_or(|host| fence.allows_host(host))
            && !fence.outside.contains(&key.node)
            && !fence.parted.contains(&key.node)
    }

    pub(crate) fn allows_host(&self, host: &HostName) -> bool {
        let fence = self.fence.as_ref();
        fence.is_none_or(|fence| fence.allows_host(host))
    }

    /// Turns that could begin now, if it were not for the limits: their rolls, at their hosts.
    pub(crate) fn turns_outside(&self) -> Vec<Position> {
        if self.fence.is_none() || self.stand != Stand::Open {
            return Vec::new();
        }
        let mut out: Vec<Position> = Vec::new();
        let mut add = |roll: usize, host: &HostName| {
            if !self.allows_host(host) && !self.postponed.contains_key(host) {
                out.push(Position::on(self.tree.id(roll).clone(), host.clone()));
            }
        };
        for key in self.active.keys() {
            let rest = self.rest_of_batch(key);
            rest.iter().for_each(|host| add(key.node, host));
        }
        if self.late.is_some() {
            for key in &self.left {
                if let (Some(roll), Some(host)) = (self.tree.node(key.node).roll, &key.turn) {
                    add(roll, host);
                }
            }
        }
        out
    }
}
