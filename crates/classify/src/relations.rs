//! Who needs whom: jump hosts, hosts named in the variables of others, the machine that Overhaul runs on.

use overhaul_model::facts::FleetFacts;
use overhaul_model::fleet::{Fleet, Host};
use overhaul_model::id::{HostName, RoleName};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The machine that Overhaul runs on, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controller {
    /// Its `/etc/machine-id`.
    pub machine_id: Option<String>,
}

/// Depth to which variables are looked through: inventories nest less.
const VARS_DEPTH_MAX: usize = 16;

/// How the hosts of a fleet need each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relations {
    /// Jump host to the hosts behind it.
    pub behind: BTreeMap<HostName, BTreeSet<HostName>>,
    /// Jumps that name no host of the fleet, by the host that is behind them.
    pub outside: BTreeMap<HostName, BTreeSet<String>>,
    /// Host to the hosts whose variables name it.
    pub named_by: BTreeMap<HostName, BTreeSet<HostName>>,
    /// The hosts that are the controller itself.
    pub controller: BTreeSet<HostName>,
    /// The role that tells most about a host: the smallest that it has.
    pub groups: BTreeMap<HostName, String>,
}

impl Relations {
    /// Of a fleet with its facts.
    pub fn of(fleet: &Fleet, facts: &FleetFacts, controller: &Controller) -> Self {
        let names = names(fleet);
        let mut out = Self::default();
        for host in fleet.hosts.values() {
            for jump in jumps(host) {
                match names.get(jump.as_str()) {
                    Some(through) if *through != &host.name => {
                        let behind = out.behind.entry((*through).clone()).or_default();
                        behind.insert(host.name.clone());
                    }
                    Some(_) => {}
                    None => {
                        out.outside
                            .entry(host.name.clone())
                            .or_default()
                            .insert(jump);
                    }
                }
            }
            for (key, value) in &host.vars {
                if !is_about_connection(key) {
                    named(&names, host, value, 0, &mut out);
                }
            }
        }
        if let Some(own) = &controller.machine_id {
            let is = |id: &String| id == own;
            let here = facts
                .iter()
                .filter(|(_, facts)| facts.machine_id.value().is_some_and(is));
            out.controller = here.map(|(host, _)| host.clone()).collect();
        }
        out.groups = smallest_roles(fleet);
        out
    }
}

fn smallest_roles(fleet: &Fleet) -> BTreeMap<HostName, String> {
    let mut sizes: BTreeMap<&RoleName, usize> = BTreeMap::new();
    for role in fleet.hosts.values().flat_map(|host| &host.roles) {
        let size = sizes.entry(role).or_default();
        *size = size.saturating_add(1);
    }
    let smallest = |host: &Host| {
        let roles = host.roles.iter();
        let role = roles.min_by_key(|role| (sizes.get(role).copied().unwrap_or(0), *role))?;
        Some((host.name.clone(), role.to_string()))
    };
    fleet.hosts.values().filter_map(smallest).collect()
}

/// Names and addresses, each of one host only; what two hosts share names nobody.
fn names(fleet: &Fleet) -> BTreeMap<&str, &HostName> {
    let mut out: BTreeMap<&str, &HostName> = BTreeMap::new();
    let mut shared = BTreeSet::new();
    for host in fleet.hosts.values() {
        for name in [host.name.as_str(), host.connection.address.as_str()] {
            if out
                .insert(name, &host.name)
                .is_some_and(|other| other != &host.name)
            {
                shared.insert(name);
            }
        }
    }
    out.retain(|name, _| !shared.contains(name));
    out
}

/// Whether a variable says how its own host is reached.
fn is_about_connection(key: &str) -> bool {
    key.starts_with("ansible_") || key.starts_with("overhaul_")
}

/// The hosts that a connection goes through, as they are written.
fn jumps(host: &Host) -> Vec<String> {
    let mut out = Vec::new();
    let mut words = host
        .connection
        .ssh_args
        .iter()
        .map(String::as_str)
        .peekable();
    while let Some(word) = words.next() {
        let value = match word {
            "-J" => words.next().map(|hops| ("ProxyJump", hops)),
            "-o" => words.next().and_then(option),
            _ => match (word.strip_prefix("-J"), word.strip_prefix("-o")) {
                (Some(hops), _) => Some(("ProxyJump", hops)),
                (_, Some(setting)) => option(setting),
                (None, None) => None,
            },
        };
        match value {
            Some(("ProxyJump", hops)) => out.extend(hops.split(',').map(bare)),
            Some(("ProxyCommand", command)) => {
                // `ssh -W %h:%p JUMP` is the old form of a jump: any word may be the host.
                let program = command.split_whitespace().next().unwrap_or_default();
                if program == "ssh" || program.ends_with("/ssh") {
                    let mut last = command.split_whitespace().filter(|w| !w.starts_with('-'));
                    out.extend(last.next_back().map(bare));
                }
            }
            Some(_) | None => {}
        }
    }
    out.retain(|jump| !jump.is_empty() && jump != "none");
    out
}

fn option(setting: &str) -> Option<(&'static str, &str)> {
    let (key, value) = setting.split_once(['=', ' '])?;
    let known = ["ProxyJump", "ProxyCommand"];
    let key = known
        .into_iter()
        .find(|k| k.eq_ignore_ascii_case(key.trim()))?;
    Some((key, value.trim().trim_matches('"')))
}

/// `[ssh://][USER@]HOST[:PORT]` without all but the host.
fn bare(hop: &str) -> String {
    let hop = hop.trim().trim_matches(['"', '\'']);
    let hop = hop.strip_prefix("ssh://").unwrap_or(hop);
    let hop = hop.rsplit_once('@').map_or(hop, |(_, host)| host);
    if let Some(inner) = hop.strip_prefix('[') {
        return inner.split(']').next().unwrap_or_default().to_owned();
    }
    match hop.split_once(':') {
        Some((host, rest)) if !rest.contains(':') => host.to_owned(),
        _ => hop.to_owned(),
    }
}

fn named(
    names: &BTreeMap<&str, &HostName>,
    host: &Host,
    value: &Value,
    depth: usize,
    out: &mut Relations,
) {
    if depth > VARS_DEPTH_MAX {
        return;
    }
    match value {
        Value::String(text) => {
            let parts = text.split(|c: char| !(c.is_ascii_alphanumeric() || "-._".contains(c)));
            for other in parts.filter_map(|part| names.get(part)) {
                if *other != &host.name {
                    let by = out.named_by.entry((*other).clone()).or_default();
                    by.insert(host.name.clone());
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                named(names, host, item, depth.saturating_add(1), out);
            }
        }
        Value::Object(map) => {
            for item in map.values() {
                named(names, host, item, depth.saturating_add(1), out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use overhaul_model::fleet::Connection;

    #[test]
    fn jumps_are_found_in_every_form() {
        let seen = |args: &[&str]| {
            let mut connection = Connection::to("x");
            connection.ssh_args = args.iter().map(|a| (*a).to_owned()).collect();
            let host = Host {
                name: "x".into(),
                roles: BTreeSet::new(),
                zone: None,
                connection,
                vars: BTreeMap::new(),
            };
            jumps(&host).join(" ")
        };
        for (args, expected) in [
            (&["-J", "ada@gate:2222"][..], "gate"),
            (&["-Jgate,second"], "gate second"),
            (&["-o", "ProxyJump=gate"], "gate"),
            (&["-oProxyJump=[2001:db8::1]:22"], "2001:db8::1"),
            (&["-o", "proxyjump none"], ""),
            (&["-o", "ProxyCommand=ssh -W %h:%p -q ada@gate"], "gate"),
            (&["-o", "ProxyCommand=nc -X 5 %h %p"], ""),
            (&["-o", "Compression=yes", "-v"], ""),
            (&["-J"], ""),
        ] {
            assert_eq!(seen(args), expected, "{args:?}");
        }
    }
}
