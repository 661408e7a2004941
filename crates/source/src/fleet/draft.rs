//! A host while it is read: settings that may still be missing, from the general to the particular.

use overhaul_model::fleet::{Become, Connection, Host, Transport, Vars};
use overhaul_model::id::{HostName, RoleName, ZoneName};
use overhaul_model::secret::Secret;
use std::collections::BTreeSet;

/// The account that work runs as when none is named.
pub(super) const BECOME_USER_DEFAULT: &str = "root";

/// How a host is reached, as far as one place says it.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) address: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) user: Option<String>,
    pub(super) identity_files: Option<Vec<String>>,
    pub(super) known_hosts: Option<Vec<String>>,
    pub(super) ssh_args: Option<Vec<String>>,
    pub(super) transport: Option<Transport>,
    pub(super) by_sudo: Option<bool>,
    pub(super) become_user: Option<String>,
    pub(super) state_dir: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) password: Option<Secret>,
}

impl Settings {
    /// These, and where they say nothing the ones of `below`.
    pub(super) fn over(self, below: &Self) -> Self {
        let below = below.clone();
        Self {
            address: self.address.or(below.address),
            port: self.port.or(below.port),
            user: self.user.or(below.user),
            identity_files: self.identity_files.or(below.identity_files),
            known_hosts: self.known_hosts.or(below.known_hosts),
            ssh_args: self.ssh_args.or(below.ssh_args),
            transport: self.transport.or(below.transport),
            by_sudo: self.by_sudo.or(below.by_sudo),
            become_user: self.become_user.or(below.become_user),
            state_dir: self.state_dir.or(below.state_dir),
            zone: self.zone.or(below.zone),
            password: self.password.or(below.password),
        }
    }
}

/// A host as far as it is known.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) roles: BTreeSet<String>,
    pub(super) settings: Settings,
    pub(super) vars: Vars,
}

impl Draft {
    pub(super) fn into_host(self) -> (Host, Option<Secret>) {
        let settings = self.settings;
        let become_user = match settings.by_sudo {
            Some(true) => Become::Sudo {
                user: settings
                    .become_user
                    .unwrap_or_else(|| BECOME_USER_DEFAULT.to_owned()),
            },
            Some(false) | None => Become::No,
        };
        let host = Host {
            roles: self.roles.into_iter().map(RoleName::new).collect(),
            zone: settings.zone.map(ZoneName::new),
            connection: Connection {
                port: settings.port,
                user: settings.user,
                identity_files: settings.identity_files.unwrap_or_default(),
                known_hosts: settings.known_hosts.unwrap_or_default(),
                ssh_args: settings.ssh_args.unwrap_or_default(),
                transport: settings.transport.unwrap_or_default(),
                become_user,
                state_dir: settings.state_dir,
                ..Connection::to(settings.address.unwrap_or_else(|| self.name.clone()))
            },
            vars: self.vars,
            name: HostName::new(self.name),
        };
        let password = settings
            .password
            .filter(|_| host.connection.become_user != Become::No);
        (host, password)
    }
}

/// Why a text cannot be an address, if it cannot.
pub(super) fn address_fault(address: &str) -> Option<&'static str> {
    if address.contains("{{") || address.contains("{%") {
        return Some("an address is no template");
    }
    if address.is_empty() {
        return Some("an address is empty");
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_:%".contains(c);
    if address.starts_with('-') || !address.chars().all(allowed) {
        return Some("an address is a name or a number, without user, brackets, port or scheme");
    }
    None
}

/// Whether a text would be a template where templates are not read.
pub(super) fn is_template(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains("{{") || text.contains("{%"),
        serde_json::Value::Array(items) => items.iter().any(is_template),
        serde_json::Value::Object(map) => map.values().any(is_template),
        _ => false,
    }
}
