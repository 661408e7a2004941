//! Hosts, roles, zones, addresses and variables, as an inventory names them.

use crate::id::{HostName, RoleName, ZoneName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Variables of a host, by name. Hosts of a group share the group's values.
pub type Vars = BTreeMap<String, Arc<serde_json::Value>>;

/// All hosts that an upgrade may concern.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    /// The fleet's name; two runs on one fleet exclude each other.
    pub name: String,
    /// Hosts by name.
    pub hosts: BTreeMap<HostName, Host>,
}

impl Fleet {
    /// The hosts of a role, in the order of their names.
    pub fn of_role<'a>(&'a self, role: &'a RoleName) -> impl Iterator<Item = &'a Host> {
        self.hosts
            .values()
            .filter(move |host| host.roles.contains(role))
    }
}

/// One host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// Its name in the inventory.
    pub name: HostName,
    /// The roles (groups) that it belongs to.
    pub roles: BTreeSet<RoleName>,
    /// Its failure domain, if one is named.
    pub zone: Option<ZoneName>,
    /// How it is reached.
    pub connection: Connection,
    /// Its variables, group variables included.
    pub vars: Vars,
}

/// How a host is reached. Passwords are not part of it: see `secret`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// What one would write behind `ssh`: a name, an address, or an alias of the operator's `ssh_config`.
    pub address: String,
    /// TCP port of sshd; `None` means what `ssh_config` says, else 22.
    pub port: Option<u16>,
    /// Account to log in with; `None` means what `ssh_config` says, else the operator's own name.
    pub user: Option<String>,
    /// Private keys to try, in order; empty means what `ssh_config` says, else agent and the usual files.
    pub identity_files: Vec<String>,
    /// Files with known host keys; empty means what `ssh_config` says, else the usual ones.
    pub known_hosts: Vec<String>,
    /// Further words for `ssh`, before the host, like `-o`, `ProxyJump=bastion`. Understood as `ssh` does.
    pub ssh_args: Vec<String>,
    /// Which client makes the connection.
    pub transport: Transport,
    /// The account that work runs as.
    pub become_user: Become,
    /// Folder for helper, receipts and spools on the host; `None` means the usual one.
    pub state_dir: Option<String>,
}

impl Connection {
    /// The way to an address when nothing else is said.
    pub fn to(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            port: None,
            user: None,
            identity_files: Vec::new(),
            known_hosts: Vec::new(),
            ssh_args: Vec::new(),
            transport: Transport::Native,
            become_user: Become::No,
            state_dir: None,
        }
    }
}

/// The client that connects to a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Our own: one process, one connection for each host.
    #[default]
    Native,
    /// The `ssh` program of OpenSSH, for what only it can do: Kerberos, keys in hardware.
    Openssh,
}

/// The account that work runs as on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Become {
    /// The account that logs in.
    #[default]
    No,
    /// Another account, by sudo.
    Sudo {
        /// Its name, `root` as a rule.
        user: String,
    },
}
