//! The plan: an immutable, hashed tree of steps. A value that can be saved, printed and compared.

use crate::definition::{DatasetKind, Provider, Release};
use crate::finding::Waiver;
use crate::fleet::Host;
use crate::id::{
    DatasetName, Digest, HostName, Position, ProviderName, RoleName, ServiceName, StepId,
};
use crate::knowledge::Knowledge;
use crate::primitive::Measure;
use crate::span::Span;
use crate::step::{Lane, Step};
use crate::timing::Timing;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The version of the plan's stored form; a program refuses every other one. What a plan of an older form means today
/// could only be guessed: the checker would judge it by what it did not know yet.
pub const PLAN_FORMAT: u32 = 2;

/// The output of a step that tells line by line what it has seen on its host; the report shows it.
pub const NOTICED_OUTPUT: &str = "noticed";

/// The id of the stage that no run enters by itself: its steps are begun by name, after the end.
pub const CLEANUP: &str = "cleanup";

/// A plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`PLAN_FORMAT`] of the program that made it.
    pub format: u32,
    /// What it is for.
    pub kind: PlanKind,
    /// The plan that it amends or takes back.
    pub parent: Option<Digest>,
    /// The upgrade's name.
    pub upgrade: String,
    /// The fleet's name.
    pub fleet: String,
    /// Before.
    pub from: Release,
    /// After.
    pub to: Release,
    /// The hosts as they were when the plan was made, by name.
    pub hosts: BTreeMap<HostName, Host>,
    /// The turns of each roll, by the roll's id.
    pub rolls: BTreeMap<StepId, Turns>,
    /// Services, by name.
    pub services: BTreeMap<ServiceName, PlannedService>,
    /// Datasets, by name.
    pub datasets: BTreeMap<DatasetName, PlannedDataset>,
    /// Free space that the plan relies on.
    pub space: Vec<PlannedSpace>,
    /// Hosts that may fail before no further turn begins.
    pub failure_budget: u32,
    /// Whether hosts of two zones may never be away at once.
    pub one_zone_at_a_time: bool,
    /// Providers of machines that steps call, by name, as they were when the plan was made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<ProviderName, Provider>,
    /// Of each host whose machine a step works on: the machine id that was measured for the plan. A host
    /// that is lacking has none that is known, and its machine is never harmed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub machines: BTreeMap<HostName, String>,
    /// The hosts of each role that changes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<RoleName, BTreeSet<HostName>>,
    /// What is known of the upgrade beyond its steps.
    #[serde(default, skip_serializing_if = "Knowledge::is_empty")]
    pub knowledge: Knowledge,
    /// Exceptions that a named person made.
    pub waivers: Vec<Waiver>,
    /// When it may run, and how long its steps take.
    #[serde(default, skip_serializing_if = "Timing::is_empty")]
    pub timing: Timing,
    /// The tree.
    pub root: Block,
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlanKind {
    /// From the old release to the new one.
    Upgrade,
    /// Back again, as far as there is a way.
    WayBack,
}

/// The frozen turns of a roll: batches, each a list of hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turns {
    /// The next batch waits until all of the one before is over.
    pub batches: Vec<Vec<HostName>>,
    /// Hosts of one batch that may be under way at once, at least 1.
    pub at_once: u32,
}

/// A service as the plan knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedService {
    /// Its unit.
    pub unit: String,
    /// The hosts that run it.
    pub hosts: Vec<HostName>,
    /// How its health is measured.
    pub healthy: Option<Measure>,
    /// The longest outage agreed on.
    pub window: Option<Span>,
    /// Hosts that must serve at any time; 0 when none is asked for.
    pub keep: u32,
    /// The cluster that its hosts form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<PlannedCluster>,
}

/// A cluster as the plan knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedCluster {
    /// The name of its kind.
    pub kind: String,
    /// Members that it must not fall below, where its kind decides by majority: more than half of all that it
    /// knows of, be they hosts of the fleet or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<u32>,
}

/// A dataset as the plan knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedDataset {
    /// The service that holds it.
    pub of: ServiceName,
    /// What it is.
    pub kind: DatasetKind,
    /// The host that has authority over it.
    pub authority: HostName,
    /// A copy that is older than this counts as none; any age counts when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh_for: Option<Span>,
}

/// Free space that the plan relies on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedSpace {
    /// Where: a host, or `None` for the controller.
    pub host: Option<HostName>,
    /// A path on the filesystem that needs it.
    pub path: String,
    /// Bytes; `None` when the planner had no measurement to compute them from, which is unsafe.
    pub bytes: Option<u64>,
    /// What it is for and where the figure comes from.
    pub because: String,
}

/// A node of the tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Block {
    /// A step.
    Step(Box<Step>),
    /// One block after the other.
    Sequence {
        /// Path.
        id: StepId,
        /// What people read.
        title: String,
        /// The blocks.
        blocks: Vec<Block>,
    },
    /// All blocks at once; over when all are.
    Parallel {
        /// Path.
        id: StepId,
        /// What people read.
        title: String,
        /// The blocks.
        blocks: Vec<Block>,
    },
    /// One body, once for each host; the turns stand in [`Plan::rolls`] under the same id.
    Roll {
        /// Path.
        id: StepId,
        /// What people read, with what it goes over and in which order.
        title: String,
        /// The body.
        body: Box<Block>,
    },
    /// `close` runs whatever happens to the body: it fails and is given up, or the run is aborted.
    Scope {
        /// Path.
        id: StepId,
        /// What people read.
        title: String,
        /// Sets up.
        open: Box<Step>,
        /// What needs it.
        body: Box<Block>,
        /// Takes away.
        close: Box<Step>,
    },
    /// When the body fails and `when` is measured, the remedy runs and the body is tried again.
    Repair {
        /// Path.
        id: StepId,
        /// What people read.
        title: String,
        /// What may fail.
        body: Box<Block>,
        /// The finding that the remedy is for.
        when: Measure,
        /// The remedy.
        remedy: Box<Block>,
        /// How often at most.
        attempts: u32,
    },
}

impl Block {
    /// Its path.
    pub fn id(&self) -> &StepId {
        match self {
            Self::Step(step) => &step.id,
            Self::Sequence { id, .. }
            | Self::Parallel { id, .. }
            | Self::Roll { id, .. }
            | Self::Scope { id, .. }
            | Self::Repair { id, .. } => id,
        }
    }

    /// Its direct children, in order; a scope's are open, body, close.
    pub fn children(&self) -> Vec<Child<'_>> {
        match self {
            Self::Step(_) => Vec::new(),
            Self::Sequence { blocks, .. } | Self::Parallel { blocks, .. } => {
                blocks.iter().map(Child::Block).collect()
            }
            Self::Roll { body, .. } => vec![Child::Block(body)],
            Self::Scope {
                open, body, close, ..
            } => {
                vec![Child::Step(open), Child::Block(body), Child::Step(close)]
            }
            Self::Repair { body, remedy, .. } => vec![Child::Block(body), Child::Block(remedy)],
        }
    }
}

impl Block {
    /// Every step in it, in the order of the tree.
    pub fn steps(&self) -> Vec<&Step> {
        fn collect<'a>(child: Child<'a>, out: &mut Vec<&'a Step>) {
            match child {
                Child::Step(step) => out.push(step),
                Child::Block(Block::Step(step)) => out.push(step),
                Child::Block(block) => block.children().into_iter().for_each(|c| collect(c, out)),
            }
        }
        let mut out = Vec::new();
        collect(Child::Block(self), &mut out);
        out
    }

    /// Every step in it, to be changed, in the order of the tree.
    pub fn steps_mut(&mut self) -> Vec<&mut Step> {
        fn collect<'a>(block: &'a mut Block, out: &mut Vec<&'a mut Step>) {
            match block {
                Block::Step(step) => out.push(step),
                Block::Sequence { blocks, .. } | Block::Parallel { blocks, .. } => {
                    blocks.iter_mut().for_each(|block| collect(block, out));
                }
                Block::Roll { body, .. } => collect(body, out),
                Block::Scope {
                    open, body, close, ..
                } => {
                    out.push(open);
                    collect(body, out);
                    out.push(close);
                }
                Block::Repair { body, remedy, .. } => {
                    collect(body, out);
                    collect(remedy, out);
                }
            }
        }
        let mut out = Vec::new();
        collect(self, &mut out);
        out
    }
}

/// A child of a block: a whole block, or a step that stands alone (open and close of a scope).
#[derive(Clone, Copy, Debug)]
pub enum Child<'a> {
    /// A block.
    Block(&'a Block),
    /// A step.
    Step(&'a Step),
}

/// A step at one of its positions.
#[derive(Clone, Debug)]
pub struct Placed<'a> {
    /// The position.
    pub position: Position,
    /// The step.
    pub step: &'a Step,
}

/// The same by reference: a large plan has some hundred thousand of them.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The step.
    pub step: &'a Step,
    /// The host of its lane.
    pub host: Option<&'a HostName>,
}

impl Place<'_> {
    /// The position.
    pub fn position(&self) -> Position {
        Position {
            step: self.step.id.clone(),
            host: self.host.cloned(),
        }
    }
}

impl Plan {
    /// The plan's hash: the digest of its JSON, in which all maps are ordered.
    ///
    /// # Errors
    /// When the plan cannot be written as JSON.
    pub fn hash(&self) -> Result<Digest, serde_json::Error> {
        Digest::of_json(self)
    }

    /// All positions in the order of the tree; inside a roll, host by host.
    ///
    /// In a roll inside a roll the inner roll's hosts are the lanes.
    pub fn positions(&self) -> Vec<Placed<'_>> {
        let mut out = Vec::new();
        self.each_place(&mut |place| {
            out.push(Placed {
                position: place.position(),
                step: place.step,
            });
        });
        out
    }

    /// Shows all positions in the order of [`Plan::positions`].
    pub fn each_place<'a>(&'a self, see: &mut impl FnMut(Place<'a>)) {
        self.place(Child::Block(&self.root), None, see);
    }

    fn place<'a>(
        &'a self,
        child: Child<'a>,
        turn: Option<&'a HostName>,
        see: &mut impl FnMut(Place<'a>),
    ) {
        let block = match child {
            Child::Step(step) => return step.place(turn).into_iter().for_each(see),
            Child::Block(Block::Step(step)) => return step.place(turn).into_iter().for_each(see),
            Child::Block(block) => block,
        };
        if let Block::Roll { id, body, .. } = block {
            let turns = self.rolls.get(id).into_iter();
            for host in turns.flat_map(|turns| turns.batches.iter().flatten()) {
                self.place(Child::Block(body), Some(host), see);
            }
            return;
        }
        for child in block.children() {
            self.place(child, turn, see);
        }
    }

    /// Every step once, however many hosts it has, in the order of the tree.
    pub fn steps(&self) -> Vec<&Step> {
        self.root.steps()
    }

    /// The step with this id.
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        fn find<'a>(child: Child<'a>, id: &StepId) -> Option<&'a Step> {
            match child {
                Child::Step(step) => (step.id == *id).then_some(step),
                Child::Block(Block::Step(step)) => (step.id == *id).then_some(step),
                Child::Block(block) => block.children().into_iter().find_map(|c| find(c, id)),
            }
        }
        find(Child::Block(&self.root), id)
    }
}

impl Step {
    /// Where the step stands during a host's turn (`None`: outside any roll); `None` when it does
    /// not concern that host, or needs a turn and has none.
    pub fn position(&self, turn: Option<&HostName>) -> Option<Position> {
        self.place(turn).map(|place| place.position())
    }

    /// The same by reference.
    pub fn place<'a>(&'a self, turn: Option<&'a HostName>) -> Option<Place<'a>> {
        let host = match &self.lane {
            Lane::Run => None,
            Lane::Host(host) => Some(host),
            Lane::Turn => Some(turn?),
        };
        let concerned = match (host, &self.only) {
            (Some(host), Some(only)) => only.contains(host),
            (Some(_), None) | (None, _) => true,
        };
        concerned.then_some(Place { step: self, host })
    }

    /// The digest of the step as planned; a step is the same only with the same id and digest.
    ///
    /// # Errors
    /// When the step cannot be written as JSON.
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        Digest::of_json(self)
    }
}
