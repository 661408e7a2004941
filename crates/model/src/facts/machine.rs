//! The machine below the system.

use super::group::fact_group;
use serde::{Deserialize, Serialize};

fact_group! {
    /// The machine, and how it is set up.
    MachineFacts {
        /// Whether it is a machine of its own.
        virtualisation: Virtualisation,
        /// Its maker and model, from the firmware.
        model: String,
        /// Memory in bytes.
        memory_bytes: u64,
        /// Processors that the system may use.
        cpus: u32,
        /// Its time zone, like `Europe/Athens`.
        time_zone: String,
        /// Its default locale, like `en_GB.UTF-8`; empty when none is set.
        locale: String,
    }
}

/// Whether a system has a machine of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Virtualisation {
    /// It is a container.
    Container {
        /// Of what: `lxc`, `docker`, `systemd-nspawn`, ...; empty when it does not say.
        by: String,
    },
    /// It is a virtual machine.
    Machine {
        /// Of what, as its firmware says.
        by: String,
    },
    /// It is none of both.
    None,
}
