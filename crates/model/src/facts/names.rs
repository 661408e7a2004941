//! Names that the kernel gives and that files rely on: interfaces and disks.

use super::group::fact_group;
use serde::{Deserialize, Serialize};

fact_group! {
    /// Names of interfaces and disks.
    NameFacts {
        /// Network interfaces, but the loopback one.
        interfaces: Vec<Interface>,
        /// What decides how interfaces are named.
        naming: InterfaceNaming,
        /// Places in configuration files that name a disk by what the kernel calls it.
        kernel_disk_names: Vec<NamedPlace>,
    }
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address; empty where it has none.
    pub mac: String,
    /// Its driver, like `virtio_net`; empty for a virtual one.
    pub driver: String,
    /// Where it is plugged in, like `0000:00:03.0`; empty for a virtual one.
    pub bus_path: String,
    /// What gave it its name.
    pub named_by: NamedBy,
    /// Places in configuration files that name it.
    pub used_in: Vec<NamedPlace>,
}

impl Interface {
    /// Whether it is a device and not made by software.
    pub fn is_device(&self) -> bool {
        !self.bus_path.is_empty()
    }
}

/// What gave an interface its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamedBy {
    /// The kernel, in the order in which devices were found: `eth0`.
    Kernel,
    /// udev, from where it is plugged in or from its address: `enp3s0`, `eno1`, `enx...`.
    Place,
    /// A link file or a rule of the administrator.
    Rule,
    /// Whoever made it: a bridge, a bond, a tunnel, a container's manager.
    Maker,
}

/// What decides how interfaces are named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceNaming {
    /// The scheme that the kernel's command line asks for with `net.naming-scheme=`.
    pub scheme: Option<String>,
    /// Whether the command line or a masked link file leaves names to the kernel.
    pub kernel_names: bool,
    /// Link files and rules of the administrator that give names.
    pub rules: Vec<String>,
}

/// A place in a file that names something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NamedPlace {
    /// The file.
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
    /// The name that stands there.
    pub name: String,
}
