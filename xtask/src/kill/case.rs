//! The rows of the kill table, as data.

use std::time::Duration;

/// What is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: the undisturbed run that all others are compared with.
    None,
    /// `kill -9` of the controller.
    Controller,
    /// `kill -9` of every sshd on the host, sessions included; systemd starts it again.
    Sshd,
    /// The host loses power at once and is switched on again.
    Power,
    /// The network is silent for longer than every bound of the connection.
    Network(Duration),
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// The part of a step's id that must have started.
    pub step: &'static str,
    /// A line of the host's dpkg log that must have been written since then; `None` waits for nothing.
    pub dpkg: Option<&'static str>,
    /// How long the step is left alone after that.
    pub delay: Duration,
    /// The fault.
    pub fault: Fault,
    /// What it shows.
    pub shows: &'static str,
}

/// The reconnect budget that the trials give: short, so that a cut can outlast it.
pub const RECONNECT_BUDGET_S: u64 = 15;

/// All rows, the undisturbed one first.
pub const CASES: [Case; 8] = [
    Case {
        name: "undisturbed",
        step: "",
        dpkg: None,
        delay: Duration::ZERO,
        fault: Fault::None,
        shows: "the end that all others must reach",
    },
    Case {
        name: "controller-in-backup",
        step: "/backup/",
        dpkg: None,
        delay: Duration::from_millis(300),
        fault: Fault::Controller,
        shows: "a half copy never counts; the backup is made again",
    },
    Case {
        name: "controller-in-dist-upgrade",
        step: "/full-upgrade",
        dpkg: Some("status unpacked"),
        delay: Duration::from_secs(1),
        fault: Fault::Controller,
        shows: "work on the target goes on; the next controller attaches to it",
    },
    Case {
        name: "controller-in-reboot",
        step: "/reboot",
        dpkg: None,
        delay: Duration::from_millis(50),
        fault: Fault::Controller,
        shows: "a reboot is ordered once and proven by the boot id",
    },
    Case {
        name: "controller-in-migration",
        step: "/migrate/",
        dpkg: None,
        delay: Duration::from_secs(1),
        fault: Fault::Controller,
        shows: "the once-only move of the cluster happens once",
    },
    Case {
        name: "sshd-in-dist-upgrade",
        step: "/full-upgrade",
        dpkg: None,
        delay: Duration::from_secs(5),
        fault: Fault::Sshd,
        shows: "the connection is made again and output continues at the byte",
    },
    Case {
        name: "power-in-dist-upgrade",
        step: "/minimal-upgrade",
        dpkg: Some("status half-configured libc6:"),
        delay: Duration::ZERO,
        fault: Fault::Power,
        shows: "dpkg was interrupted; the convergent step repairs and finishes",
    },
    Case {
        name: "network-in-dist-upgrade",
        step: "/full-upgrade",
        dpkg: None,
        delay: Duration::from_secs(3),
        fault: Fault::Network(Duration::from_secs(RECONNECT_BUDGET_S + 25)),
        shows: "beyond the budget the outcome is unknown, until the host is back and its receipt tells the truth",
    },
];
