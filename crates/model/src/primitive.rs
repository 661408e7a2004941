//! What hosts and the controller carry out, and what they measure. Actions are compiled to these.
//!
//! Every text in here may be a template; it is rendered with the host's frozen variables and the
//! outputs of earlier steps just before it is sent (see [`crate::template`]).

use crate::belonging::{BelongingAct, Which};
use crate::id::{DatasetName, HostName, ProviderName};
use crate::membership::Membership;
use crate::span::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The act of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Primitive {
    /// A command, detached from the connection, with spool and receipt.
    Exec(Exec),
    /// A file written whole.
    WriteFile(WriteFile),
    /// Named lines or keys of a file changed.
    EditFile(EditFile),
    /// A reboot, proven by [`crate::facts::BootProof`].
    Reboot(Reboot),
    /// A command whose standard output becomes a file of the controller.
    Fetch(Fetch),
    /// A file of the controller fed to a command's standard input.
    Feed(Feed),
    /// Paths of the host, copied into an archive of the controller.
    Persist(Persist),
    /// Such an archive, put back on a host.
    Restore(Restore),
    /// Data of another host, received as it is packed there.
    Receive(Receive),
    /// The authority over data that was received, taken from the host that it came from.
    TakeOver(TakeOver),
    /// A command of the controller, detached from it, with spool and receipt there.
    Local(Exec),
    /// A provider's work on the host's machine, by the controller; or the proof of what a person did to it.
    Machine(MachineAct),
    /// A provider's work on a volume or an address, by the controller.
    Belonging(BelongingAct),
    /// Nothing is done: the step is over when its condition holds.
    Wait(Wait),
    /// A person decides (a gate).
    Ask(Ask),
    /// People are told; nothing waits for them.
    Announce(Announce),
    /// Nothing that this version can do: refused by the checker, and by whatever would carry it out.
    NotAvailable(NotAvailable),
}

impl Primitive {
    /// Whether the controller's own helper carries it out and keeps its receipt, though the step stands
    /// in a host's lane.
    pub fn runs_on_controller(&self) -> bool {
        match self {
            Self::Local(_) | Self::Belonging(_) => true,
            Self::Machine(act) => act.op != MachineOp::Prove,
            Self::Exec(_)
            | Self::WriteFile(_)
            | Self::EditFile(_)
            | Self::Reboot(_)
            | Self::Fetch(_)
            | Self::Feed(_)
            | Self::Persist(_)
            | Self::Restore(_)
            | Self::Receive(_)
            | Self::TakeOver(_)
            | Self::Wait(_)
            | Self::Ask(_)
            | Self::Announce(_)
            | Self::NotAvailable(_) => false,
        }
    }

    /// The host that takes part beside that of the lane: it must have accepted the controller, too.
    pub fn other_host(&self) -> Option<&HostName> {
        match self {
            Self::Receive(receive) => Some(&receive.from),
            Self::TakeOver(take) => Some(&take.from),
            _ => None,
        }
    }
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// What is run.
    pub command: Command,
    /// Variables added to a clean environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Working directory; `/` when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Exit codes that mean success.
    #[serde(default = "only_zero")]
    pub success: Vec<i32>,
    /// Whether output is kept.
    #[serde(default)]
    pub output: OutputPolicy,
    /// What it reads on its standard input; nothing when `None`. It stands in no argument and no receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
}

fn only_zero() -> Vec<i32> {
    vec![0]
}

impl Exec {
    /// A plain command from a list of arguments.
    pub fn argv<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self::new(Command::Argv(argv.into_iter().map(Into::into).collect()))
    }

    /// A script for `/bin/sh`.
    pub fn shell(script: impl Into<String>) -> Self {
        Self::new(Command::Shell(script.into()))
    }

    /// With no variables, in `/`, successful on 0, output kept.
    pub fn new(command: Command) -> Self {
        Self {
            command,
            env: BTreeMap::new(),
            cwd: None,
            success: only_zero(),
            output: OutputPolicy::Keep,
            stdin: None,
        }
    }
}

/// A command in one of its two written forms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Program and arguments, passed on as they are. Never empty.
    Argv(Vec<String>),
    /// A script for `/bin/sh -eu`; interpolated values are quoted.
    Shell(String),
}

/// Whether a command's output may be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputPolicy {
    /// Into the bounded spool.
    #[default]
    Keep,
    /// Thrown away: it may hold secrets.
    None,
}

/// A file written whole: to a temporary file beside it, synced, renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteFile {
    /// Absolute path.
    pub path: String,
    /// Content.
    pub content: String,
    /// Permission bits, like `0o644`; kept as they are when `None` and the file exists, else 0644.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// Whether the old content is kept beside it, as `PATH.overhaul-before`.
    #[serde(default)]
    pub backup: bool,
    /// Whether the file shall be absent instead; `content` is then empty.
    #[serde(default)]
    pub absent: bool,
}

/// Named changes of a text file; all or none of them are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditFile {
    /// Absolute path of a file that exists.
    pub path: String,
    /// The changes, in order.
    pub edits: Vec<Edit>,
    /// A command that must succeed on the new file before it takes the old one's place; `{path}` in it
    /// is the new file's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<Vec<String>>,
    /// Whether the old content is kept beside it, as `PATH.overhaul-before`.
    #[serde(default)]
    pub backup: bool,
}

/// One change of a text file. Each is idempotent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edit {
    /// `key<separator>value`; the first line with that key is changed, others with it removed, else added at the end.
    Set {
        /// The key at the start of the line.
        key: String,
        /// The new value.
        value: String,
        /// What stands between them, ` = ` or `=`.
        separator: String,
    },
    /// The line stands in the file, at the end if it was not there.
    Line {
        /// The whole line.
        line: String,
    },
    /// No line equal to this stands in the file.
    Remove {
        /// The whole line.
        line: String,
    },
    /// Each occurrence of a fixed text becomes another.
    Replace {
        /// The text to find.
        find: String,
        /// What takes its place; must not contain `find`, so that the edit is idempotent.
        with: String,
    },
}

/// A reboot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reboot {
    /// The command that orders it.
    pub command: Vec<String>,
    /// Within this the host must answer again under a new boot.
    pub back_within: Span,
}

/// A command's standard output, streamed to the controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// The command.
    pub exec: Exec,
    /// Name of the file below the run's data folder: `<host>/<dataset>/<file>`; plain components only.
    pub file: String,
}

/// A file of the controller, streamed to a command's standard input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// The command; it may stop reading before the end.
    pub exec: Exec,
    /// The file below the run's data folder.
    pub file: String,
    /// The step whose output `sha256` the file must have before it is fed.
    pub digest_from: String,
}

/// Paths of the host, copied whole into one archive below the run's data folder of the controller
/// (docs/data.md says what of them is kept).
///
/// Outputs of the step: `sha256` (of the archive file), `bytes` (its size), `file`, `entries` (files,
/// directories and all else in it), `content` (bytes of the files in it), `manifest` (digest of what was
/// copied, see [`Restore`]), `left_out` (sockets, mount points, excluded: how many) and, for a copy
/// that is `live`, `changed` (how many files changed meanwhile).
///
/// A cut connection fails the attempt; the next attempt goes on after the last chunk that is on the
/// controller's disk, if the source is still the same. Give such a step `Repeat::Safe` and a retry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persist {
    /// Absolute paths of directories or files, none below another; `/` for the whole root. A path that
    /// does not exist, or leads through a symbolic link, is an error.
    pub paths: Vec<String>,
    /// Name of the archive below the run's data folder: `<host>/<name>`; plain components only.
    pub file: String,
    /// Whether what is mounted below the paths is left out (the mount point itself is kept, empty).
    #[serde(default)]
    pub one_filesystem: bool,
    /// Absolute paths that are left out; of a directory its content, while itself is kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Whether a source that is in use may change meanwhile. Otherwise anything that changes between
    /// the first look and the end of the copy fails it, by name.
    #[serde(default)]
    pub live: bool,
}

/// An archive that [`Persist`] made, put back at its absolute paths on the host of the lane, which need
/// not be the one that it came from.
///
/// Owners are mapped by name (docs/data.md). Done only when what is read back from the host's disk gives
/// the manifest digest that was taken at the source: path, type, mode, owner, extended attributes, size
/// and content of each entry. Outputs of the step: `entries`, `content`, `manifest`.
///
/// An attempt that is cut off leaves a marker beside each path, `.NAME.overhaul-restoring`, which is
/// removed last; the next attempt goes on from where the host's disk has it for certain. So it is
/// `Repeat::Safe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// The same paths as in the [`Persist`] that made the archive; another set is refused.
    pub paths: Vec<String>,
    /// The archive below the run's data folder.
    pub file: String,
    /// The step (its id or its last word) whose output `sha256` the archive must have.
    pub digest_from: String,
    /// What becomes of a path that exists on the host already and is not an empty directory.
    #[serde(default)]
    pub existing: Existing,
}

/// What becomes of what is in the way of a restore. What an earlier attempt at the same restore left is
/// never in the way, nor is what equals the archive already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Existing {
    /// It stays, and the restore is refused before anything is changed.
    #[default]
    Refuse,
    /// It is kept beside, as `PATH.overhaul-before` (a leftover). Refused for a mount point, which
    /// cannot be renamed, and when that name is taken.
    SetAside,
}

/// Data that goes from one host to another, as both know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moving {
    /// The dataset.
    pub dataset: DatasetName,
    /// Its absolute paths, the same on both hosts.
    pub paths: Vec<String>,
    /// Whether what is mounted below the paths is left out.
    #[serde(default)]
    pub one_filesystem: bool,
    /// Absolute paths that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Units of the services that write to it: none of them may run on the host that it is taken from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
}

/// Data of another host, received on that of the lane. Nothing of it lies anywhere else on its way.
///
/// Done only when the digest of all that was sent is the same at both ends, and what is read back here gives the
/// manifest of the source. Outputs of the step: `digest`, `manifest`, `stamps` (what the source looked like, see
/// [`TakeOver`]), `entries`, `content`, `way` (how it came).
///
/// An attempt that is cut off leaves a mark beside each path, `.NAME.overhaul-restoring`, which is removed last; the
/// next attempt goes on after the last chunk that is on the disk here, if the source is still the same. So it is
/// `Repeat::Safe`. A path that exists and is not an empty directory is refused before anything is changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receive {
    /// What.
    pub data: Moving,
    /// From whom.
    pub from: HostName,
    /// What is run there before, as the host's own work with a receipt of its own: it makes the paths out of data that
    /// is no tree of files. It finds by itself what an earlier attempt has made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Exec>,
}

/// The authority over data goes from the host that it was received from to that of the lane. First the old host
/// puts on record that it has given it away, then this one that it has it: at no moment do both have it.
///
/// Refused when the source is not as it was when it was copied, when a unit that writes to it runs there, or when
/// this host has not received exactly what the digest says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeOver {
    /// What.
    pub data: Moving,
    /// From whom.
    pub from: HostName,
    /// The output `digest` of the step that received it.
    pub digest: String,
    /// Its output `stamps`.
    pub stamps: String,
    /// What must succeed on the old host before it gives the authority away: it proves that what the paths were made
    /// of is as it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Exec>,
}

/// Work on a machine as a whole. Who may be meant by it stands in [`crate::plan::Plan::machines`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MachineAct {
    /// The provider; `None` only for [`MachineOp::Prove`], where a person is the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderName>,
    /// What is done.
    pub op: MachineOp,
    /// The machine's name at the provider.
    pub machine: String,
    /// Which of the host's machines that is.
    #[serde(default, skip_serializing_if = "Which::is_own")]
    pub which: Which,
    /// Another name that the work needs: the new one of [`MachineOp::Rename`]; where a machine takes the
    /// place of another one ([`MachineOp::Prove`] of [`Which::Beside`]), that of the other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    /// What a new machine is made from, in the provider's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What else the provider is told; every text in it may be a template.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, serde_json::Value>,
    /// Within this a machine that is started or made must answer, as itself, over SSH.
    pub answers_within: Span,
}

impl MachineAct {
    /// [`MachineAct::answers_within`] when nothing is said: firmware, first boot and the making of host
    /// keys included.
    pub const ANSWERS_WITHIN_DEFAULT: Span = Span::from_s(15 * 60);

    /// Whether another machine than before stands under the host's name afterwards. One that is launched
    /// beside it does not, until it takes over.
    pub fn makes_new(&self) -> bool {
        self.op.makes_new() && (self.which == Which::Own || self.takes_over())
    }

    /// Whether the machine beside takes the place of the one under the host's name.
    pub fn takes_over(&self) -> bool {
        self.op == MachineOp::Prove && self.which == Which::Beside
    }
}

/// What is done to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MachineOp {
    /// The provider says what it knows of it; nothing changes.
    Describe,
    /// It is made anew from an image, under the same name.
    Rebuild,
    /// It is switched off.
    Stop,
    /// It is switched on.
    Start,
    /// It is made, where there was none.
    Create,
    /// It is ended for good.
    Destroy,
    /// It gets another name; all else stays.
    Rename,
    /// Its protection against being ended is switched off.
    Unprotect,
    /// A person has made it anew: that is proven, by a new machine id behind a host key that the person
    /// entered into the known hosts.
    Prove,
}

impl MachineOp {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Describe,
        Self::Rebuild,
        Self::Stop,
        Self::Start,
        Self::Create,
        Self::Destroy,
        Self::Rename,
        Self::Unprotect,
        Self::Prove,
    ];

    /// The word for it, as in the plan and in what a provider reads.
    pub fn word(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Rebuild => "rebuild",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Create => "create",
            Self::Destroy => "destroy",
            Self::Rename => "rename",
            Self::Unprotect => "unprotect",
            Self::Prove => "prove",
        }
    }

    /// Whether another machine than before answers afterwards.
    pub fn makes_new(self) -> bool {
        matches!(self, Self::Rebuild | Self::Create | Self::Prove)
    }

    /// Whether a wrong machine would be harmed: then the right one is asserted first.
    pub fn harms(self) -> bool {
        matches!(self, Self::Rebuild | Self::Stop | Self::Destroy)
    }
}

/// A bounded wait for a condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// The condition.
    pub until: Measure,
    /// Time between two measurements.
    pub every: Span,
    /// The wait fails after this.
    pub at_most: Span,
}

/// A question to a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// What is asked.
    pub question: String,
}

/// A message to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announce {
    /// What is said.
    pub message: String,
}

/// What is declared and not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotAvailable {
    /// What it would be done to.
    pub subject: String,
    /// What else is said about it, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub with: BTreeMap<String, String>,
}

/// A condition that can be measured again and again without changing anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// So when the command succeeds; not so when it ends otherwise; unknown when it cannot be run
    /// (126, 127), is killed or takes too long.
    Command(Exec),
    /// A unit of systemd is in this state.
    Unit {
        /// Its name.
        unit: String,
        /// The state.
        state: UnitState,
    },
    /// `/etc/os-release` names this release.
    Release {
        /// `ID`.
        os: String,
        /// `VERSION_ID`.
        version: String,
    },
    /// dpkg has nothing unfinished and no broken dependency.
    PackagesClean,
    /// These packages are installed.
    PackagesInstalled {
        /// Their names.
        names: Vec<String>,
    },
    /// The file is as it would be written.
    FileIs(WriteFile),
    /// The file is as it would be after the edits.
    FileEdited(EditFile),
    /// An HTTP answer with this status. Asked from the controller.
    Http {
        /// `http://host[:port]/path`.
        url: String,
        /// The status that means healthy.
        status: u16,
    },
    /// A TCP connection is accepted. Asked from the controller.
    Tcp {
        /// `host:port`.
        address: String,
    },
    /// The host does its work as a member of its cluster, by what the cluster's own programs say.
    Member(Box<Membership>),
    /// All hold. So only when each is so; not so when one is not so; else unknown.
    All(Vec<Measure>),
}

impl Measure {
    /// Whether the controller asks, not the helper on the host.
    pub fn from_controller(&self) -> bool {
        match self {
            Self::Http { .. } | Self::Tcp { .. } => true,
            Self::All(parts) => !parts.is_empty() && parts.iter().all(Self::from_controller),
            Self::Command(_)
            | Self::Unit { .. }
            | Self::Release { .. }
            | Self::PackagesClean
            | Self::PackagesInstalled { .. }
            | Self::FileIs(_)
            | Self::FileEdited(_)
            | Self::Member(_) => false,
        }
    }
}

/// The state of a unit that a measure looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitState {
    /// `active`.
    Active,
    /// Neither active nor about to be: `inactive` or `failed`.
    Stopped,
    /// Stopped, and masked so that nothing starts it.
    Held,
    /// Not masked.
    Startable,
    /// Started at boot.
    Enabled,
    /// Not started at boot.
    Disabled,
}

/// The answer to a [`Measure`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measurement {
    /// It holds.
    So {
        /// What was seen, in a few words.
        evidence: String,
    },
    /// It does not hold.
    NotSo {
        /// What was seen.
        evidence: String,
    },
    /// It could not be measured; never taken for good.
    Unknown {
        /// Why not.
        reason: String,
    },
}

impl Measurement {
    /// Whether it was measured and holds.
    pub fn is_so(&self) -> bool {
        matches!(self, Self::So { .. })
    }

    /// What was seen, or why nothing was.
    pub fn words(&self) -> &str {
        match self {
            Self::So { evidence } | Self::NotSo { evidence } => evidence,
            Self::Unknown { reason } => reason,
        }
    }

    /// The answer to "do all hold".
    #[must_use]
    pub fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut seen: Vec<String> = Vec::new();
        let mut unknown = None;
        for part in parts {
            match part {
                Self::So { evidence } => seen.push(evidence),
                Self::NotSo { .. } => return part,
                Self::Unknown { .. } => unknown = unknown.or(Some(part)),
            }
        }
        unknown.unwrap_or(Self::So {
            evidence: seen.join("; "),
        })
    }
}
