//! One host: what is gathered of it, and what a measurement is.

use super::{
    KernelFacts, MachineFacts, NameFacts, PackageFacts, PostgresCluster, RunningFacts,
    StorageFacts, Unit,
};
use crate::authority::AuthorityRecord;
use crate::cluster::ClusterMember;
use crate::cluster_kind::ClusterKind;
use crate::id::{HostName, InstallId};
use crate::word::Word;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A measurement, or the reason why there is none. Never assumed good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known<T> {
    /// It was measured.
    Measured {
        /// The value.
        value: T,
        /// When, by the target's clock.
        at: Timestamp,
    },
    /// It could not be measured.
    Unknown {
        /// Why not.
        reason: String,
    },
}

impl<T> Known<T> {
    /// The value, if it was measured.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Measured { value, .. } => Some(value),
            Self::Unknown { .. } => None,
        }
    }

    /// No measurement, for this reason.
    pub fn unknown(reason: &str) -> Self {
        Self::Unknown {
            reason: reason.to_owned(),
        }
    }

    /// A fact that nobody has asked for.
    pub fn not_asked() -> Self {
        Self::unknown(NOT_ASKED)
    }

    /// Why there is no measurement, if there is none.
    pub fn gap(&self) -> Option<&str> {
        match self {
            Self::Measured { .. } => None,
            Self::Unknown { reason } => Some(reason),
        }
    }
}

/// A fact that is not there at all, as in a file of an older program.
impl<T> Default for Known<T> {
    fn default() -> Self {
        Self::unknown("not gathered by the program that wrote these facts")
    }
}

/// The reason of a fact that nobody has asked for.
pub const NOT_ASKED: &str = "not asked";

/// The facts of a fleet.
pub type FleetFacts = BTreeMap<HostName, HostFacts>;

/// What to gather beyond the facts that every host has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactsWanted {
    /// Gather PostgreSQL clusters and databases.
    pub postgresql: bool,
    /// Gather what a release upgrade asks about and takes some reading: packages that no source has, changed
    /// configuration files, names of interfaces and disks in files.
    #[serde(default)]
    pub upgrade: bool,
    /// Gather where data is and how large, and name every installed package.
    #[serde(default)]
    pub stored: bool,
    /// Name every installed package.
    #[serde(default)]
    pub installed: bool,
    /// Gather the size of these paths, whatever they hold: absolute ones.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Compare all files of packages with what was shipped; this reads most of `/usr`.
    #[serde(default)]
    pub verify_files: bool,
    /// The code name of a release whose indexes are fetched, to see what it does to what is installed.
    #[serde(default)]
    pub next_release: Option<String>,
    /// Kinds of clusters to look for; none are when it is empty.
    #[serde(default)]
    pub clusters: Vec<ClusterKind>,
}

impl FactsWanted {
    /// Asks for what takes minutes as well: the comparison of all files, and the effect of the next
    /// release where its code name is known.
    pub fn go_deep(&mut self, next_release: Option<String>) {
        self.verify_files = true;
        self.next_release = next_release;
    }

    /// Whether it asks for something that takes minutes.
    pub fn is_deep(&self) -> bool {
        self.verify_files || self.next_release.is_some()
    }
}

/// The facts of one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostFacts {
    /// When gathering began, by the controller's clock.
    pub gathered_at: Timestamp,
    /// `/etc/os-release`.
    pub release: Known<OsRelease>,
    /// `/etc/machine-id`.
    pub machine_id: Known<String>,
    /// What tells one boot from another.
    pub boot: Known<BootProof>,
    /// The receipt store's own id.
    pub install_id: Known<InstallId>,
    /// Hardware name as `uname -m` has it.
    pub architecture: Known<String>,
    /// Packages in an unfinished state, as dpkg names them.
    pub packages_broken: Known<Vec<PackageState>>,
    /// Packages held back.
    pub packages_held: Known<Vec<String>>,
    /// Package sources that are not the distribution's own.
    pub foreign_sources: Known<Vec<ForeignSource>>,
    /// Units of systemd.
    pub units: Known<Vec<Unit>>,
    /// Mounted filesystems.
    pub mounts: Known<Vec<Mount>>,
    /// Listening sockets.
    pub listening: Known<Vec<Listener>>,
    /// Target's clock minus controller's clock, in milliseconds.
    pub clock_offset_ms: Known<i64>,
    /// PostgreSQL clusters, when asked for.
    pub postgresql: Known<Vec<PostgresCluster>>,
    /// Packages beyond their states.
    #[serde(default)]
    pub packages: PackageFacts,
    /// Kernel and boot.
    #[serde(default)]
    pub kernel: KernelFacts,
    /// Names of interfaces and disks.
    #[serde(default)]
    pub names: NameFacts,
    /// Storage beyond the mounted filesystems.
    #[serde(default)]
    pub storage: StorageFacts,
    /// What runs beyond units and sockets.
    #[serde(default)]
    pub running: RunningFacts,
    /// The machine below the system.
    #[serde(default)]
    pub machine: MachineFacts,
    /// Memberships in clusters, of the kinds that were asked for.
    #[serde(default)]
    pub clusters: Known<Vec<ClusterMember>>,
    /// What the host keeps of the authority over datasets.
    #[serde(default)]
    pub authority: Known<Vec<AuthorityRecord>>,
}

impl HostFacts {
    /// All facts unknown for one reason, as for an unreachable host.
    pub fn unknown(at: Timestamp, reason: &str) -> Self {
        fn no<T>(reason: &str) -> Known<T> {
            Known::unknown(reason)
        }
        Self {
            gathered_at: at,
            release: no(reason),
            machine_id: no(reason),
            boot: no(reason),
            install_id: no(reason),
            architecture: no(reason),
            packages_broken: no(reason),
            packages_held: no(reason),
            foreign_sources: no(reason),
            units: no(reason),
            mounts: no(reason),
            listening: no(reason),
            clock_offset_ms: no(reason),
            postgresql: no(reason),
            packages: PackageFacts::unknown(reason),
            kernel: KernelFacts::unknown(reason),
            names: NameFacts::unknown(reason),
            storage: StorageFacts::unknown(reason),
            running: RunningFacts::unknown(reason),
            machine: MachineFacts::unknown(reason),
            clusters: no(reason),
            authority: no(reason),
        }
    }
}

/// The operating system's release, from `/etc/os-release`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OsRelease {
    /// `ID`, like `debian`.
    pub os: String,
    /// `VERSION_ID`, like `12`; empty where there is none.
    pub version: String,
    /// `VERSION_CODENAME`, like `bookworm`; empty where there is none.
    pub codename: String,
    /// `PRETTY_NAME`.
    pub pretty: String,
}

/// What changes at every boot. Uptime is the kernel's and does not change in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootProof {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Start time of process 1 in clock ticks, field 22 of `/proc/1/stat`.
    pub init_started_ticks: u64,
}

/// A package that dpkg has not finished with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageState {
    /// Its name.
    pub name: String,
    /// dpkg's status words, like `install ok half-configured`.
    pub status: String,
}

/// A package source outside the distribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignSource {
    /// The file that names it.
    pub file: String,
    /// Its address, without any login in it.
    pub uri: String,
    /// Its suite.
    pub suite: String,
}

/// A mounted filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where.
    pub path: Word,
    /// The device or source.
    pub source: Word,
    /// `ext4`, `overlay`, ...
    pub kind: Word,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Bytes that an ordinary process may still write.
    pub free_bytes: u64,
    /// Whether programs may be started from it.
    pub exec: bool,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

/// A listening socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Listener {
    /// `tcp`, `tcp6`, `udp` or `udp6`.
    pub protocol: String,
    /// Local address.
    pub address: String,
    /// Local port.
    pub port: u16,
    /// Name of the program behind it; empty where that cannot be seen, as without root.
    #[serde(default)]
    pub program: String,
    /// Unit of systemd that it belongs to; empty where it belongs to none or that cannot be seen.
    #[serde(default)]
    pub unit: String,
}
