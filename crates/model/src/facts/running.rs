//! What runs, beyond units and sockets.

use super::group::fact_group;
use serde::{Deserialize, Serialize};

fact_group! {
    /// What runs, and what is run at times.
    RunningFacts {
        /// Processes whose program or libraries are no longer on the disk as they run.
        old_code: Vec<OldCode>,
        /// Managers of containers and virtual machines, with their guests.
        guests: Vec<GuestManager>,
        /// Files with cron jobs.
        cron: Vec<CronFile>,
        /// Accounts with a shell to log in with.
        people: Vec<Account>,
    }
}

/// A process that runs a program or library that was replaced or removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OldCode {
    /// Its process id.
    pub pid: u32,
    /// Its program's name.
    pub program: String,
    /// The unit of systemd that it belongs to; empty when it is in none.
    pub unit: String,
    /// One of the files.
    pub file: String,
}

/// A manager of containers or virtual machines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GuestManager {
    /// `docker`, `podman`, `lxc`, `lxd`, `incus`, `nspawn` or `libvirt`.
    pub manager: String,
    /// Guests that it knows.
    pub known: u32,
    /// Guests that run.
    pub running: u32,
}

/// A file with cron jobs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CronFile {
    /// The file.
    pub path: String,
    /// So many jobs.
    pub jobs: u32,
}

/// An account of a person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its shell.
    pub shell: String,
    /// Its home.
    pub home: String,
}
