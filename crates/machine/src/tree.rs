//! The plan's tree as an arena, so that a position is a node and a host's turn.

use overhaul_model::id::{HostName, Position, StepId};
use overhaul_model::plan::{Block, CLEANUP, Plan, Turns};
use overhaul_model::primitive::Measure;
use overhaul_model::step::{Lane, Step};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The plan cannot be run. The checker finds this earlier and says more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRunnable {
    /// It cannot be hashed.
    #[error("the plan cannot be written as JSON: {0}")]
    Unwritable(String),
    /// A roll has no turns, or lets no host begin.
    #[error("the roll {0} has no turns, or admits no host at once")]
    NoTurns(StepId),
    /// A roll stands inside a roll.
    #[error(
        "the roll {0} stands inside another roll: a position has one host, so it would be ambiguous"
    )]
    NestedRoll(StepId),
    /// Two steps stand at one position.
    #[error("the position {0} occurs twice")]
    Twice(Position),
    /// A host has no entry.
    #[error("the plan names the host {0}, but does not describe it")]
    NoHost(HostName),
}

/// A node at a host's turn (`None`: outside any roll). Its order is the plan's order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub node: usize,
    pub turn: Option<HostName>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub parent: Option<usize>,
    /// The roll around it.
    pub roll: Option<usize>,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Step(Arc<Step>),
    Sequence(Vec<usize>),
    Parallel(Vec<usize>),
    Roll {
        body: usize,
        turns: Turns,
        hosts: BTreeSet<HostName>,
    },
    Scope {
        open: usize,
        body: usize,
        close: usize,
    },
    Repair {
        body: usize,
        remedy: usize,
        when: Arc<Measure>,
        attempts: u32,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    /// Steps and repairs by their id.
    by_id: HashMap<StepId, usize>,
    ids: Vec<StepId>,
    /// The stage that a run never enters by itself.
    cleanup: Option<usize>,
}

impl Tree {
    pub fn new(plan: &Plan) -> Result<Self, NotRunnable> {
        let mut tree = Self {
            nodes: Vec::new(),
            by_id: HashMap::new(),
            ids: Vec::new(),
            cleanup: None,
        };
        tree.add(plan, &plan.root, None, None)?;
        tree.set_cleanup_apart();
        if tree.is_plain(plan) {
            return Ok(tree);
        }
        let known: HashSet<&HostName> = plan.hosts.keys().collect();
        let mut seen = HashSet::new();
        let mut wrong = None;
        plan.each_place(&mut |place| {
            if wrong.is_some() {
                return;
            }
            if let Some(host) = place.host.filter(|host| !known.contains(host)) {
                wrong = Some(NotRunnable::NoHost(host.clone()));
            } else if !seen.insert((&place.step.id, place.host)) {
                wrong = Some(NotRunnable::Twice(place.position()));
            }
        });
        match wrong {
            Some(wrong) => Err(wrong),
            None => Ok(tree),
        }
    }

    /// Whether each position is there once and each host is known, as far as can be said without going through all
    /// positions: of a large plan there are some hundred thousand.
    fn is_plain(&self, plan: &Plan) -> bool {
        let named = |node: &&Node| matches!(node.kind, Kind::Step(_) | Kind::Repair { .. });
        let one_each = self.by_id.len() == self.nodes.iter().filter(named).count();
        let known = |host: &HostName| plan.hosts.contains_key(host);
        one_each
            && self.nodes.iter().all(|node| match &node.kind {
                Kind::Roll { turns, hosts, .. } => {
                    let all: usize = turns.batches.iter().map(Vec::len).sum();
                    all == hosts.len() && hosts.iter().all(known)
                }
                Kind::Step(step) => {
                    let in_roll = node.roll.is_some();
                    match &step.lane {
                        Lane::Turn => in_roll,
                        Lane::Host(host) => !in_roll && known(host),
                        Lane::Run => !in_roll,
                    }
                }
                Kind::Sequence(_)
                | Kind::Parallel(_)
                | Kind::Scope { .. }
                | Kind::Repair { .. } => true,
            })
    }

    /// The whole goes past the stage `cleanup`.
    fn set_cleanup_apart(&mut self) {
        let is_cleanup =
            |ids: &[StepId], n: usize| ids.get(n).is_some_and(|id| id.as_str() == CLEANUP);
        let ids = &self.ids;
        if let Some(Node {
            kind: Kind::Sequence(stages),
            ..
        }) = self.nodes.first_mut()
        {
            self.cleanup = stages.iter().copied().find(|n| is_cleanup(ids, *n));
            stages.retain(|n| !is_cleanup(ids, *n));
        }
    }

    /// The stage that a run never enters by itself.
    pub fn cleanup(&self) -> Option<usize> {
        self.cleanup
    }

    /// The nodes of a block and of all that is inside it; a block is numbered before its parts, and its
    /// parts in their order.
    pub fn inside(&self, node: usize) -> std::ops::Range<usize> {
        let mut last = node;
        while let Some(child) = self.children(last).last() {
            last = *child;
        }
        // The cleanup is the last stage, but the whole does not count it among its parts.
        if node == 0 {
            return 0..self.nodes.len();
        }
        node..last.saturating_add(1)
    }

    /// The parts of a block, in their order.
    pub fn children(&self, node: usize) -> Vec<usize> {
        match &self.node(node).kind {
            Kind::Step(_) => Vec::new(),
            Kind::Sequence(blocks) | Kind::Parallel(blocks) => blocks.clone(),
            Kind::Roll { body, .. } => vec![*body],
            Kind::Scope { open, body, close } => vec![*open, *body, *close],
            Kind::Repair { body, remedy, .. } => vec![*body, *remedy],
        }
    }

    /// The node with this id.
    pub fn named(&self, id: &StepId) -> Option<usize> {
        self.ids.iter().position(|known| known == id)
    }

    /// All nodes.
    pub fn nodes(&self) -> std::ops::Range<usize> {
        0..self.nodes.len()
    }

    fn push(
        &mut self,
        id: &StepId,
        parent: Option<usize>,
        roll: Option<usize>,
        kind: Kind,
    ) -> usize {
        let index = self.nodes.len();
        if matches!(kind, Kind::Step(_) | Kind::Repair { .. }) {
            self.by_id.insert(id.clone(), index);
        }
        self.ids.push(id.clone());
        self.nodes.push(Node { parent, roll, kind });
        index
    }

    fn add(
        &mut self,
        plan: &Plan,
        block: &Block,
        parent: Option<usize>,
        roll: Option<usize>,
    ) -> Result<usize, NotRunnable> {
        let step = |step: &Step| Kind::Step(Arc::new(step.clone()));
        let index = match block {
            Block::Step(s) => return Ok(self.push(&s.id, parent, roll, step(s))),
            Block::Sequence { id, .. } => self.push(id, parent, roll, Kind::Sequence(Vec::new())),
            Block::Parallel { id, .. } => self.push(id, parent, roll, Kind::Parallel(Vec::new())),
            Block::Roll { id, .. } => {
                let turns = plan.rolls.get(id).filter(|t| t.at_once > 0);
                let turns = turns
                    .ok_or_else(|| NotRunnable::NoTurns(id.clone()))?
                    .clone();
                if roll.is_some() {
                    return Err(NotRunnable::NestedRoll(id.clone()));
                }
                let hosts = turns.batches.iter().flatten().cloned().collect();
                self.push(
                    id,
                    parent,
                    roll,
                    Kind::Roll {
                        body: 0,
                        turns,
                        hosts,
                    },
                )
            }
            Block::Scope { id, .. } => {
                let empty = Kind::Scope {
                    open: 0,
                    body: 0,
                    close: 0,
                };
                self.push(id, parent, roll, empty)
            }
            Block::Repair {
                id, when, attempts, ..
            } => {
                let kind = Kind::Repair {
                    body: 0,
                    remedy: 0,
                    when: Arc::new(when.clone()),
                    attempts: *attempts,
                };
                self.push(id, parent, roll, kind)
            }
        };
        let inner = if matches!(block, Block::Roll { .. }) {
            Some(index)
        } else {
            roll
        };
        let mut added = Vec::new();
        for child in block.children() {
            added.push(match child {
                overhaul_model::plan::Child::Block(b) => self.add(plan, b, Some(index), inner)?,
                overhaul_model::plan::Child::Step(s) => {
                    self.push(&s.id, Some(index), inner, step(s))
                }
            });
        }
        self.adopt(index, added);
        Ok(index)
    }

    fn adopt(&mut self, index: usize, added: Vec<usize>) {
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        match (&mut node.kind, added.as_slice()) {
            (Kind::Sequence(children) | Kind::Parallel(children), _) => *children = added,
            (Kind::Roll { body, .. }, [b]) => *body = *b,
            (Kind::Scope { open, body, close }, [o, b, c]) => (*open, *body, *close) = (*o, *b, *c),
            (Kind::Repair { body, remedy, .. }, [b, r]) => (*body, *remedy) = (*b, *r),
            // `Block::children` gives each kind its own number of children.
            _ => {}
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "indices come from this arena, which never shrinks"
    )]
    pub fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "indices come from this arena, which never shrinks"
    )]
    pub fn id(&self, index: usize) -> &StepId {
        &self.ids[index]
    }

    pub fn root() -> Key {
        Key {
            node: 0,
            turn: None,
        }
    }

    pub fn step(&self, index: usize) -> Option<&Arc<Step>> {
        match &self.node(index).kind {
            Kind::Step(step) => Some(step),
            _ => None,
        }
    }

    /// The roll around the step with this id.
    pub fn roll_of(&self, id: &StepId) -> Option<usize> {
        self.node(*self.by_id.get(id)?).roll
    }

    /// All nodes inside a roll: they follow it.
    pub fn inside_roll(&self, roll: usize) -> impl Iterator<Item = usize> {
        let all = roll.saturating_add(1)..self.nodes.len();
        all.take_while(move |node| self.node(*node).roll == Some(roll))
    }

    /// The block around it.
    pub fn parent(&self, key: &Key) -> Option<Key> {
        let node = self.node(key.node).parent?;
        let turn = match self.node(node).kind {
            Kind::Roll { .. } => None,
            _ => key.turn.clone(),
        };
        Some(Key { node, turn })
    }

    /// Whether `inner` is `outer` or stands inside it, in the same turn.
    pub fn is_inside(&self, inner: &Key, outer: &Key) -> bool {
        let mut at = Some(inner.clone());
        while let Some(key) = at {
            if key == *outer {
                return true;
            }
            at = self.parent(&key);
        }
        false
    }

    /// The position of a step, or of a repair; `None` when the step does not concern the turn's host.
    pub fn position(&self, key: &Key) -> Option<Position> {
        match &self.node(key.node).kind {
            Kind::Step(step) => step.position(key.turn.as_ref()),
            _ => Some(Position {
                step: self.id(key.node).clone(),
                host: key.turn.clone(),
            }),
        }
    }

    /// The host of a position's lane.
    pub fn host<'k>(&'k self, key: &'k Key) -> Option<&'k HostName> {
        match &self.node(key.node).kind {
            Kind::Step(step) => step.place(key.turn.as_ref())?.host,
            _ => key.turn.as_ref(),
        }
    }

    /// The node of a step or repair at this position, if the plan has it.
    pub fn locate(&self, position: &Position) -> Option<Key> {
        let node = *self.by_id.get(&position.step)?;
        let hosts = self
            .node(node)
            .roll
            .and_then(|roll| match &self.node(roll).kind {
                Kind::Roll { hosts, .. } => Some(hosts),
                _ => None,
            });
        let turn = match (hosts, self.step(node).map(|s| &s.lane)) {
            (None, _) => None,
            (Some(hosts), Some(Lane::Turn) | None) => {
                Some(hosts.get(position.host.as_ref()?)?.clone())
            }
            // In a roll of one host only: otherwise the position would occur twice.
            (Some(hosts), Some(_)) => hosts.first().cloned(),
        };
        let key = Key { node, turn };
        let found = match self.step(node) {
            Some(step) => step.place(key.turn.as_ref())?.host,
            None => key.turn.as_ref(),
        };
        (found == position.host.as_ref()).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clocks::tests::{plan, step};
    use overhaul_model::action::{Action, Touches, Undo};

    fn further(id: &str, lane: Lane) -> Block {
        let touches = Touches::Only(Vec::new());
        let mut block = step(id, Action::Run { touches }, 1, Undo::Nothing);
        if let Block::Step(step) = &mut block {
            step.lane = lane;
        }
        block
    }

    /// What is wrong with the plan of two hosts after a change.
    fn told(change: impl FnOnce(&mut Plan, &mut Vec<Block>)) -> String {
        let mut plan = plan(&["a", "b"], false);
        let mut root = std::mem::replace(&mut plan.root, further("", Lane::Run));
        if let Block::Roll { body, .. } = &mut root
            && let Block::Sequence { blocks, .. } = &mut **body
        {
            change(&mut plan, blocks);
        }
        plan.root = root;
        match Tree::new(&plan) {
            Ok(tree) => format!("fine, plain: {}", tree.is_plain(&plan)),
            Err(wrong) => wrong.to_string(),
        }
    }

    #[test]
    fn a_position_that_is_there_twice_and_a_host_that_is_not_are_found_at_a_glance_or_not() {
        let turns = |plan: &mut Plan, hosts: &[&str]| {
            let hosts = hosts.iter().map(|host| HostName::from(*host)).collect();
            let roll = plan.rolls.get_mut(&StepId::from("roll")).unwrap();
            roll.batches = vec![hosts];
        };
        let only = |block: &mut Block, hosts: &[&str]| {
            if let Block::Step(step) = block {
                step.only = Some(hosts.iter().map(|host| HostName::from(*host)).collect());
            }
        };
        let found = [
            told(|_, _| {}),
            told(|plan, _| turns(plan, &["a", "b", "a"])),
            told(|_, blocks| blocks.push(further("stop", Lane::Turn))),
            told(|_, blocks| blocks.push(further("alone", Lane::Run))),
            told(|_, blocks| blocks.push(further("here", Lane::Host("a".into())))),
            told(|plan, _| turns(plan, &["a", "c"])),
            // Not plain, and right: one id on two hosts, and a step of the whole run in a roll of one host.
            told(|_, blocks| {
                only(&mut blocks[0], &["a"]);
                let mut other = further("stop", Lane::Turn);
                only(&mut other, &["b"]);
                blocks.push(other);
            }),
            told(|plan, blocks| {
                turns(plan, &["a"]);
                blocks.push(further("alone", Lane::Run));
            }),
        ];
        let expected = [
            "fine, plain: true",
            "the position stop@a occurs twice",
            "the position stop@a occurs twice",
            "the position alone occurs twice",
            "the position here@a occurs twice",
            "the plan names the host c, but does not describe it",
            "fine, plain: false",
            "fine, plain: false",
        ];
        assert_eq!(found, expected);
    }
}
