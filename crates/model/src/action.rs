//! What a step means to the fleet. Effects are derived from this, never stored beside it.

use crate::belonging::{Belonging, Which};
use crate::definition::Release;
use crate::id::{DatasetName, HostName, ServiceName};
use crate::later::Later;
use crate::primitive::MachineOp;
use crate::span::Span;
use serde::{Deserialize, Serialize};

/// What people write, as the plan keeps it beside the primitive that carries it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A command whose meaning only its author knows.
    Run {
        /// What it may disturb.
        touches: Touches,
    },
    /// A unit started, stopped, held down or let go.
    Service {
        /// The unit.
        unit: String,
        /// The declared service that the unit is, if it is one.
        service: Option<ServiceName>,
        /// What happens to it.
        op: ServiceOp,
    },
    /// Packages installed or removed.
    Packages {
        /// Names to be installed.
        install: Vec<String>,
        /// Names to be removed.
        remove: Vec<String>,
    },
    /// A part of a change of the operating system's release.
    ReleaseUpgrade {
        /// The upgrader's kind.
        kind: String,
        /// Which part.
        part: UpgradePart,
        /// The release it leads to.
        to: Release,
    },
    /// A reboot.
    Reboot,
    /// A file written whole.
    File {
        /// Its path.
        path: String,
    },
    /// A file edited.
    Edit {
        /// Its path.
        path: String,
    },
    /// Work on a dataset.
    Database {
        /// The dataset.
        dataset: DatasetName,
        /// What is done to it.
        op: DatabaseOp,
    },
    /// Files copied to the controller, or put back.
    Carry {
        /// Absolute paths.
        paths: Vec<String>,
        /// Which way.
        op: CarryOp,
    },
    /// Files copied to the controller, to be kept there.
    Archive {
        /// Absolute paths; `/` alone for the whole root.
        paths: Vec<String>,
    },
    /// A dataset that comes from another host.
    Transfer {
        /// The dataset.
        dataset: DatasetName,
        /// The host that had the authority.
        from: HostName,
        /// Which part.
        op: TransferOp,
    },
    /// The host's machine is made, ended, or switched on or off.
    Machine {
        /// What is done.
        op: MachineOp,
        /// Which of the host's machines it is done to.
        #[serde(default, skip_serializing_if = "Which::is_own")]
        which: Which,
        /// The release that a new machine is made with, where one is made.
        release: Option<Release>,
    },
    /// A volume or an address comes to the host or leaves it.
    Moves {
        /// Which of the two.
        kind: Belonging,
        /// Its name at the provider.
        name: String,
        /// What is done.
        op: MoveOp,
        /// The path below which a volume's data lies, where it is mounted by steps of the plan.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mount: Option<String>,
    },
    /// The host leaves the cluster of a service, joins it, or is it alone.
    Cluster {
        /// The service.
        service: ServiceName,
        /// What is done.
        op: ClusterOp,
    },
    /// A playbook of Ansible, run on the controller.
    Ansible {
        /// The playbook's file.
        playbook: String,
        /// Tags; all tasks when empty.
        tags: Vec<String>,
        /// The pattern of hosts that it is limited to.
        limit: String,
        /// What it may disturb.
        touches: Touches,
    },
    /// A bounded wait.
    Wait,
    /// A person's decision.
    Gate,
    /// A message to people.
    Announce,
    /// Something that no program of this version carries out.
    Later {
        /// What it is.
        what: Later,
        /// What it may disturb.
        touches: Touches,
    },
}

impl Action {
    /// The word that people write for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Run { .. } => "run",
            Self::Service { .. } => "service",
            Self::Packages { .. } => "packages",
            Self::ReleaseUpgrade { .. } => "release_upgrade",
            Self::Reboot => "reboot",
            Self::File { .. } => "file",
            Self::Edit { .. } => "edit",
            Self::Database { .. } => "database",
            Self::Carry { .. } => "carry",
            Self::Archive { .. } => "archive",
            Self::Transfer { .. } => "transfer",
            Self::Machine { .. } => "machine",
            Self::Moves { kind, .. } => kind.word(),
            Self::Cluster { .. } => "cluster",
            Self::Ansible { .. } => "ansible",
            Self::Wait => "wait",
            Self::Gate => "gate",
            Self::Announce => "announce",
            Self::Later { what, .. } => what.word().key,
        }
    }
}

/// What a command may disturb.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Touches {
    /// Not declared: it may stop every service of its host and reboot it.
    Anything,
    /// Only these services; none when empty.
    Only(Vec<ServiceName>),
}

/// What happens to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceOp {
    /// Started.
    Start,
    /// Stopped.
    Stop,
    /// Restarted.
    Restart,
    /// Reloaded; it stays up.
    Reload,
    /// Stopped and masked, so that neither packages nor a boot start it.
    Hold,
    /// Unmasked and started.
    LetGo,
    /// Started at boot from now on.
    Enable,
    /// No longer started at boot.
    Disable,
}

/// What happens to a member of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterOp {
    /// It is no member any more.
    Leave,
    /// It becomes a member and receives its data from the others.
    Join,
    /// It alone is the cluster.
    Bootstrap,
    /// It forgets what it has, and receives all of it when it starts.
    Forget,
}

impl ClusterOp {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Leave, Self::Join, Self::Bootstrap, Self::Forget];

    /// The word for it, as in a kind.
    pub fn word(self) -> &'static str {
        match self {
            Self::Leave => "leave",
            Self::Join => "join",
            Self::Bootstrap => "bootstrap",
            Self::Forget => "forget",
        }
    }
}

/// A part of a release upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpgradePart {
    /// Nothing of the running system changes yet: questions answered, space made, sources saved.
    Prepare,
    /// Packages are replaced: from here the old release does not come back by itself.
    Change,
    /// Packages are settled and measured after the change.
    Settle,
    /// What was set up for the change is taken away again.
    TakeDown,
}

/// What is done to a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseOp {
    /// A copy goes to the controller, digests equal at both ends.
    Backup,
    /// The copy is read back.
    ReadBack,
    /// The cluster moves to the new major version.
    MoveCluster,
}

/// What is done to a volume or an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MoveOp {
    /// Nothing changes.
    Describe,
    /// It is made.
    Create,
    /// Nobody uses it any more: unmounted, and everything written out.
    Unmount,
    /// It leaves the machine.
    Leave,
    /// It comes to the machine.
    Come,
    /// A file system is made on it, where there is none.
    Format,
    /// It is mounted.
    Mount,
}

/// Which way files are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CarryOp {
    /// From the host to the controller, digests equal at both ends.
    Persist,
    /// From the controller to the host, read back there.
    Restore,
}

/// A part of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferOp {
    /// The data is received, digests equal at both ends.
    Receive,
    /// What was received is loaded into the database here, whose contents are compared with those of the old one.
    Load,
    /// The authority over it comes to the host.
    TakeOver,
}

/// Whether a step may be begun again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repeat {
    /// Freely.
    Safe,
    /// Only when its check measured "not so".
    CheckFirst,
    /// Never after it began; a measured check "so" settles it, all else is a person's to decide.
    Once(OnceScope),
    /// After a failure or an unknown outcome a person decides.
    Person,
}

/// What a once-only step is once in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnceScope {
    /// Once on each host.
    Host,
    /// Once in each role.
    Role,
    /// Once for the dataset that it works on.
    Dataset,
    /// Once in the whole fleet.
    Fleet,
}

/// The bounds of a step's act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The act is ended after this.
    pub total: Span,
    /// The act is ended after this long without output and without processor time.
    pub stall: Option<Span>,
    /// How long it usually takes, for predictions.
    pub expected: Span,
}

/// How often a failed act is tried again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// Wait before the second attempt; doubled before each further one.
    pub back_off: Span,
}

impl Retry {
    /// Longest wait between two attempts: an hour is as long as a night's window can spare.
    pub const BACK_OFF_MAX: Span = Span::from_s(3_600);

    /// One attempt, no more.
    pub const NEVER: Self = Self {
        attempts: 1,
        back_off: Span::from_ms(0),
    };

    /// The wait after so many attempts have been made.
    pub fn wait_after(self, attempts_made: u32) -> Span {
        let doubled = self.back_off.as_ms().saturating_mul(
            1_u64
                .checked_shl(attempts_made.saturating_sub(1))
                .unwrap_or(u64::MAX),
        );
        Span::from_ms(doubled.min(Self::BACK_OFF_MAX.as_ms()))
    }
}

/// Whether and how a step can be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// There is nothing to take back.
    Nothing,
    /// By this command.
    By(crate::primitive::Exec),
    /// Not at all: a point of no return, with what that means.
    None {
        /// What is left to do instead.
        way_back: String,
    },
}
