//! An upgrade as it is meant: from, to, services, datasets, roles with their strategies.
//!
//! `source` makes this from `upgrade.yaml` after everything in it was checked.

use crate::action::{ClusterOp, OnceScope, Retry, ServiceOp, Touches};
use crate::belonging::{Replace, RoleVolume};
pub use crate::belonging::{WrittenAddress, WrittenMachine, WrittenVolume};
pub use crate::dataset::{DatabaseWay, Dataset, DatasetKind};
use crate::finding::Waiver;
use crate::id::{DatasetName, ProviderName, RoleName, ServiceName, StageName};
use crate::knowledge::Knowledge;
use crate::later::Later;
use crate::primitive::{Announce, Ask, EditFile, Exec, Measure, NotAvailable, Wait, WriteFile};
use crate::span::Span;
pub use crate::strategy::Strategy;
use crate::strategy::{Change, Keeps, Nonsense};
use crate::timing::Calendar;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A release of an operating system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// As `ID` of os-release names it, like `debian`.
    pub os: String,
    /// As `VERSION_ID` names it, like `13`.
    pub release: String,
}

impl Definition {
    /// Switches how the machines of a role change; what becomes of their data follows, see
    /// [`Strategy::with_change`].
    ///
    /// # Errors
    /// When there is no such role, or when it cannot be said what becomes of its data then.
    pub fn switch(&mut self, role: &RoleName, change: Change) -> Result<(), SwitchError> {
        let found = self.roles.iter_mut().find(|known| known.role == *role);
        let role = found.ok_or_else(|| SwitchError::NoRole(role.clone()))?;
        let keeps = Keeps {
            paths: !role.carry.is_empty(),
            volumes: !role.volumes.is_empty(),
        };
        role.strategy = role.strategy.with_change(change, keeps)?;
        Ok(())
    }
}

/// The change of a role cannot be switched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SwitchError {
    /// Nobody wrote about this role.
    #[error("the definition has no role `{0}`")]
    NoRole(RoleName),
    /// The point would make no sense.
    #[error(transparent)]
    Nonsense(#[from] Nonsense),
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.os, self.release)
    }
}

/// Where something was written, for reasons and findings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 when it stands in no file.
    pub line: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// An upgrade.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// The release that hosts have before.
    pub from: Release,
    /// The release that hosts have afterwards.
    pub to: Release,
    /// Services, by name.
    pub services: BTreeMap<ServiceName, Service>,
    /// Datasets, by name.
    pub datasets: BTreeMap<DatasetName, Dataset>,
    /// Roles in the order in which they change: as written, but none before those that it comes after.
    pub roles: Vec<RoleUpgrade>,
    /// Groups of roles whose hosts change in step, rank by rank; the roles of a group have one order.
    pub together: Vec<Vec<RoleName>>,
    /// How the roles follow each other in the stage with the change.
    pub stages: Stages,
    /// The stages, in their order.
    pub stage_plan: Vec<StagePlan>,
    /// Whether hosts of two zones may never be away at once.
    pub one_zone_at_a_time: bool,
    /// Hosts that may fail before no further turn begins.
    pub failure_budget: Share,
    /// Exceptions that a named person made.
    pub waivers: Vec<Waiver>,
    /// Providers of machines, by name.
    pub providers: BTreeMap<ProviderName, Provider>,
    /// The absolute path of `ansible-playbook`, looked up where the definition is read; `None` when no step
    /// needs it or there is none.
    pub ansible_playbook: Option<String>,
    /// What is known of it beyond its steps.
    #[serde(default, skip_serializing_if = "Knowledge::is_empty")]
    pub knowledge: Knowledge,
    /// When it may run.
    #[serde(default, skip_serializing_if = "Calendar::is_empty")]
    pub calendar: Calendar,
    /// How long the work of the stage `prepare` counts before the stage `upgrade` begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prework: Option<Span>,
    /// The kinds of release upgraders that the roles name, resolved.
    pub upgraders: BTreeMap<String, crate::kind::Upgrader>,
    /// The kinds of clusters that the services name, resolved.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clusters: BTreeMap<String, crate::cluster_kind::ClusterKind>,
}

/// A service that users notice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// The role whose hosts run it.
    pub on: RoleName,
    /// Its unit of systemd, with suffix.
    pub unit: String,
    /// How its health is measured.
    pub healthy: Option<Measure>,
    /// The longest outage that was agreed on.
    pub window: Option<Span>,
    /// Hosts that must serve at any time; 0 when none is asked for.
    pub keep: u32,
    /// The kind of cluster that its hosts form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Services of the same role that start before it, and stop after it.
    pub after: Vec<ServiceName>,
}

/// A program that makes, changes and ends machines on request (see `docs/providers.md`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Its absolute path on the controller.
    pub script: String,
    /// What every request tells it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, serde_json::Value>,
}

/// How the machines of a role are made anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Rebuild {
    /// By a provider.
    By {
        /// Which.
        provider: ProviderName,
        /// What the new machine is made from; may be a template.
        image: String,
        /// What else the provider is told.
        params: BTreeMap<String, serde_json::Value>,
        /// Within this the new machine must answer.
        answers_within: Span,
    },
    /// By a person, who is asked for it.
    Person {
        /// Within this the new machine must answer once the person has said that it is there.
        answers_within: Span,
    },
}

/// How one role changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleUpgrade {
    /// The role.
    pub role: RoleName,
    /// How its hosts change.
    pub strategy: Strategy,
    /// In which order.
    pub order: Order,
    /// Roles that are through a stage before this one begins it.
    pub after: Vec<RoleName>,
    /// The release upgrader's kind, `apt` as a rule.
    pub upgrader: String,
    /// Absolute paths that hold what must survive on another machine; with `in-place` they stay where they are.
    pub carry: Vec<String>,
    /// Volumes that hold what must survive on another machine; with `in-place` they stay where they are.
    pub volumes: Vec<RoleVolume>,
    /// What is said of the change by which a new machine takes the place of the old one.
    pub replace: Replace,
    /// Datasets that are copied before anything changes.
    pub backup: Vec<DatasetName>,
    /// How its machines are made anew, where the strategy asks for that.
    pub rebuild: Option<Rebuild>,
    /// Conditions measured just before each host begins.
    pub guards: Vec<Guard>,
    /// Whether its steps hold and start its services, instead of the strategy.
    pub by_steps: bool,
    /// Services that stay up when the others are held, each with the name of the step that ends it; a
    /// service without one stays up until its host goes.
    pub stay_up: BTreeMap<ServiceName, Option<String>>,
    /// What is placed in the slots.
    pub slots: BTreeMap<Slot, Vec<WrittenBlock>>,
    /// Where it was written.
    pub origin: Origin,
}

/// The order of a role's hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Whether all hosts of one zone are over before the next zone begins; zones in the order of their names.
    pub zone_by_zone: bool,
    /// The order of the hosts, in each zone when it goes zone by zone.
    pub within: Within,
}

/// The order of some hosts, which go by their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Within {
    /// All, but never more at once than this.
    All {
        /// The limit.
        at_once: u32,
    },
    /// One after the other.
    OneByOne,
    /// One batch after the other.
    Batches {
        /// Their sizes; the last one is repeated until no host is left.
        sizes: Vec<Share>,
        /// Hosts of one batch under way at once at most.
        at_once: u32,
    },
}

impl Order {
    /// One after the other, wherever they are.
    pub const ONE_BY_ONE: Self = Self {
        zone_by_zone: false,
        within: Within::OneByOne,
    };
}

/// A part of some hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// So many.
    Hosts(u32),
    /// So many of a hundred, 1 to 100.
    Percent(u8),
}

impl Share {
    /// How many of these that is, a part of a host counting as a whole one.
    pub fn round_up(self, hosts: usize) -> usize {
        match self {
            Self::Hosts(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Self::Percent(percent) => hosts.saturating_mul(usize::from(percent)).div_ceil(100),
        }
    }

    /// How many of these that is, a part of a host not counting.
    pub fn round_down(self, hosts: usize) -> usize {
        match self {
            Self::Hosts(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Self::Percent(percent) => hosts.saturating_mul(usize::from(percent)) / 100,
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// How the roles follow each other in the stage `upgrade`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stages {
    /// One role after the other, wherever its hosts are.
    #[default]
    AcrossRoles,
    /// All roles of one zone, one after the other, before the next zone begins.
    WithinZone,
}

/// A stage: some slots of all roles, with what is done once before and after them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StagePlan {
    /// Its name.
    pub name: StageName,
    /// Its slots, in their order.
    pub slots: Vec<Slot>,
    /// How the roles go through it.
    pub roles: StageRoles,
    /// What is done once before any host.
    pub before: Vec<StageStep>,
    /// What is done once after all hosts.
    pub after: Vec<StageStep>,
}

/// How roles go through a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageRoles {
    /// One after the other, in the order of all roles.
    InTurn,
    /// All at one time.
    AtOnce,
    /// One after the other, these first and in this order.
    Order(Vec<RoleName>),
}

/// A step that is done once in a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageStep {
    /// The role whose first host does it; nobody's host when `None`.
    pub on: Option<RoleName>,
    /// The step.
    pub step: WrittenStep,
}

impl StagePlan {
    /// The stages when nobody wrote others.
    pub fn defaults() -> Vec<Self> {
        let mut out: Vec<Self> = Vec::new();
        for slot in Slot::ALL {
            match out.last_mut() {
                Some(stage) if stage.name.as_str() == slot.stage() => stage.slots.push(slot),
                _ => out.push(Self::of(StageName::new(slot.stage()), vec![slot])),
            }
        }
        out
    }

    /// A stage with nothing before or after its slots.
    pub fn of(name: StageName, slots: Vec<Slot>) -> Self {
        Self {
            name,
            slots,
            roles: StageRoles::InTurn,
            before: Vec::new(),
            after: Vec::new(),
        }
    }
}

/// A named place in a strategy where steps go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Slot {
    /// Before anything: no outage is needed (stage `prepare`).
    Prepare,
    /// Users are led away.
    Drain,
    /// Copies are made.
    Backup,
    /// Services stop.
    Stop,
    /// Data leaves the host.
    Export,
    /// The system changes.
    Change,
    /// Data comes back.
    Restore,
    /// Configuration is adapted.
    Configure,
    /// Data is brought to the new versions.
    Migrate,
    /// Services start.
    Start,
    /// Health is proven.
    Verify,
    /// Users are let back.
    Undrain,
    /// After all hosts (stage `finish`).
    Finish,
    /// Later, by name only (stage `cleanup`).
    Cleanup,
}

impl Slot {
    /// All slots in their order.
    pub const ALL: [Self; 14] = [
        Self::Prepare,
        Self::Drain,
        Self::Backup,
        Self::Stop,
        Self::Export,
        Self::Change,
        Self::Restore,
        Self::Configure,
        Self::Migrate,
        Self::Start,
        Self::Verify,
        Self::Undrain,
        Self::Finish,
        Self::Cleanup,
    ];

    /// The word for it, as written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Drain => "drain",
            Self::Backup => "backup",
            Self::Stop => "stop",
            Self::Export => "export",
            Self::Change => "change",
            Self::Restore => "restore",
            Self::Configure => "configure",
            Self::Migrate => "migrate",
            Self::Start => "start",
            Self::Verify => "verify",
            Self::Undrain => "undrain",
            Self::Finish => "finish",
            Self::Cleanup => "cleanup",
        }
    }

    /// The stage that it belongs to by default.
    pub fn stage(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Finish => "finish",
            Self::Cleanup => "cleanup",
            Self::Drain
            | Self::Backup
            | Self::Stop
            | Self::Export
            | Self::Change
            | Self::Restore
            | Self::Configure
            | Self::Migrate
            | Self::Start
            | Self::Verify
            | Self::Undrain => "upgrade",
        }
    }
}

/// A condition that a machine decides just before a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    /// Its name, for the line that says what is waited for.
    pub name: String,
    /// The condition.
    pub test: Test,
    /// How long the step is held at most while it is not so; then the step fails.
    pub at_most: Span,
}

/// What a guard asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Test {
    /// This is measured.
    Measure(Measure),
    /// So many hosts of a service serve, the step's own host not counted, nor any host that was let away
    /// before and is not back. From then on the step's host is away, until its turn is over.
    Members {
        /// The service.
        service: ServiceName,
        /// How many of its hosts.
        at_least: u32,
    },
    /// No host of the service that works would damage this one by giving it its data: where its kind says from which
    /// versions on a member feeds no older one, this host is not older, or no other host that works is newer.
    Donors {
        /// The service.
        service: ServiceName,
    },
    /// The service is stopped on all of its other hosts: each was asked and said so.
    Quiet {
        /// The service.
        service: ServiceName,
    },
}

impl Guard {
    /// What is measured, where it is one thing.
    pub fn measure(&self) -> Option<&Measure> {
        match &self.test {
            Test::Measure(measure) => Some(measure),
            Test::Members { .. } | Test::Quiet { .. } | Test::Donors { .. } => None,
        }
    }
}

impl Definition {
    /// Every step that people wrote: those of roles, then those of stages.
    pub fn steps(&self) -> impl Iterator<Item = &WrittenStep> {
        let placed = self.roles.iter().flat_map(RoleUpgrade::steps);
        let stages = self.stage_plan.iter();
        let once = stages.flat_map(|stage| stage.before.iter().chain(&stage.after));
        placed.chain(once.map(|once| &once.step))
    }
}

impl RoleUpgrade {
    /// Every step that is placed in a slot, those inside blocks too, in the order in which they are written.
    pub fn steps_in(&self, slot: Slot) -> impl Iterator<Item = &WrittenStep> {
        let blocks = self.slots.get(&slot).into_iter().flatten();
        blocks.flat_map(WrittenBlock::steps)
    }

    /// Every step that is placed anywhere.
    pub fn steps(&self) -> impl Iterator<Item = &WrittenStep> {
        self.slots.values().flatten().flat_map(WrittenBlock::steps)
    }
}

/// What a person placed in a slot or a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WrittenBlock {
    /// A step.
    Step(Box<WrittenStep>),
    /// What is opened and closed whatever happens in between.
    Scope(Box<WrittenScope>),
    /// A remedy for what may fail in a known way.
    Repair(Box<WrittenRepair>),
}

/// Something opened and closed, whatever happens in between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrittenScope {
    /// What holds meanwhile.
    pub name: String,
    /// Sets up.
    pub open: WrittenStep,
    /// What needs it.
    pub body: Vec<WrittenBlock>,
    /// Takes away.
    pub close: WrittenStep,
}

/// What may fail in a known way, and what is done then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrittenRepair {
    /// What is repaired.
    pub name: String,
    /// What may fail.
    pub body: Vec<WrittenBlock>,
    /// The finding that the remedy is for.
    pub when: Measure,
    /// The remedy.
    pub remedy: Vec<WrittenBlock>,
    /// How often it is tried at most.
    pub attempts: u32,
    /// Where it was written.
    pub origin: Origin,
}

impl WrittenBlock {
    /// Its steps, in the order in which they are written.
    pub fn steps(&self) -> Vec<&WrittenStep> {
        match self {
            Self::Step(step) => vec![step],
            Self::Scope(scope) => std::iter::once(&scope.open)
                .chain(scope.body.iter().flat_map(Self::steps))
                .chain(std::iter::once(&scope.close))
                .collect(),
            Self::Repair(repair) => {
                let parts = repair.body.iter().chain(&repair.remedy);
                parts.flat_map(Self::steps).collect()
            }
        }
    }
}

impl WrittenBlock {
    /// The findings of its repairs, each with the line on which the repair was written.
    pub fn repairs(&self) -> Vec<(&Measure, u32)> {
        match self {
            Self::Step(_) => Vec::new(),
            Self::Scope(scope) => scope.body.iter().flat_map(Self::repairs).collect(),
            Self::Repair(repair) => {
                let parts = repair.body.iter().chain(&repair.remedy);
                std::iter::once((&repair.when, repair.origin.line))
                    .chain(parts.flat_map(Self::repairs))
                    .collect()
            }
        }
    }
}

impl From<WrittenStep> for WrittenBlock {
    fn from(step: WrittenStep) -> Self {
        Self::Step(Box::new(step))
    }
}

/// A step as a person wrote it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrittenStep {
    /// What it is called.
    pub name: String,
    /// What it does.
    pub action: WrittenAction,
    /// Already so? Then it is skipped.
    pub check: Option<Measure>,
    /// So now?
    pub verify: Option<Measure>,
    /// How it is taken back.
    pub undo: Option<Exec>,
    /// It must happen once only, in this scope.
    pub once: Option<OnceScope>,
    /// Whether it may be begun again freely, as its author says.
    pub repeatable: bool,
    /// Bound of the whole act.
    pub timeout: Option<Span>,
    /// Bound without progress.
    pub stall: Option<Span>,
    /// How long it usually takes.
    pub expected: Option<Span>,
    /// Attempts.
    pub retry: Retry,
    /// What it disturbs.
    pub touches: Touches,
    /// The known issue that it is the remedy of; it is planned only for hosts that may have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<String>,
    /// An expression over the host's variables; the step is planned only for hosts where it is true.
    pub when: Option<String>,
    /// Outputs: name to where the value comes from.
    pub outputs: BTreeMap<String, OutputFrom>,
    /// Conditions just before it.
    pub guards: Vec<Guard>,
    /// Where it was written.
    pub origin: Origin,
}

/// Where a step's output value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputFrom {
    /// Its standard output, without the end of line; at most 64 KiB.
    Stdout,
}

/// An action as a person wrote it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WrittenAction {
    /// `run:` or `shell:`.
    Run(Exec),
    /// `service:`.
    Service {
        /// The unit.
        unit: String,
        /// What happens to it.
        op: ServiceOp,
    },
    /// `packages:`.
    Packages {
        /// To be installed.
        install: Vec<String>,
        /// To be removed.
        remove: Vec<String>,
    },
    /// `reboot:`.
    Reboot {
        /// Within this the host must be back.
        back_within: Span,
    },
    /// `file:`.
    File(WriteFile),
    /// `edit:`.
    Edit(EditFile),
    /// `database: {move_cluster: DATASET}`.
    MoveCluster {
        /// The dataset whose cluster moves to the new major version.
        dataset: DatasetName,
    },
    /// `archive:`.
    Archive(Archive),
    /// `transfer: {dataset: DATASET}`.
    Transfer {
        /// The dataset that comes from the host that has the authority over it.
        dataset: DatasetName,
        /// How a database comes; as a dump when nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<DatabaseWay>,
        /// Below which folder of both hosts what is on its way lies; the usual one when nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        staging: Option<String>,
    },
    /// `machine:` and `instance:`.
    Machine(WrittenMachine),
    /// `volume:`.
    Volume(WrittenVolume),
    /// `address: {move: ...}`.
    Address(WrittenAddress),
    /// `cluster:`.
    Cluster {
        /// The service whose hosts form the cluster.
        service: ServiceName,
        /// What is done.
        op: ClusterOp,
    },
    /// `quiesce: {others: ROLE}`.
    QuiesceOthers {
        /// The role whose hosts stop, but for the first.
        role: RoleName,
    },
    /// `ansible:`.
    Ansible(Playbook),
    /// `wait:`.
    Wait(Wait),
    /// `gate:`.
    Gate(Ask),
    /// `announce:`.
    Announce(Announce),
    /// Something that no program of this version carries out.
    Later {
        /// What it is.
        what: Later,
        /// What it would be done to, and what else is said about it.
        work: NotAvailable,
    },
}

/// Paths that are copied to the controller and kept there, as a person wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Absolute paths, none in another one; `/` alone for the whole root.
    pub paths: Vec<String>,
    /// The archive's name: a plain file name.
    pub name: String,
    /// Whether what is mounted below the paths is left out.
    pub one_filesystem: bool,
    /// Absolute paths that are left out.
    pub exclude: Vec<String>,
    /// Whether files may change while they are copied.
    pub live: bool,
}

/// A playbook of Ansible, as a person wrote it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Playbook {
    /// Its file: absolute once the definition was read from its own file.
    pub playbook: String,
    /// Tags; all tasks when empty.
    pub tags: Vec<String>,
    /// The pattern of hosts, when it is not the host of the lane alone.
    pub limit: Option<String>,
    /// The inventory, when it is not the one that the plan is made from.
    pub inventory: Option<String>,
    /// Further variables; they reach Ansible on its standard input.
    pub extra_vars: BTreeMap<String, serde_json::Value>,
}
