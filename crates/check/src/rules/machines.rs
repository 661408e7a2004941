//! The machines themselves: which they are, and whether the helper and the services have a place there.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::facts::Mount;
use overhaul_model::fleet::Host;
use overhaul_model::id::HostName;
use std::collections::BTreeMap;

/// Kinds of units that facts tell of. Masking a unit that does not exist succeeds, so that a wrong name
/// would hold nothing, and silently.
const LISTED: [&str; 4] = [".service", ".socket", ".timer", ".mount"];

/// Where the helper lives when it runs as root and no other place is named.
const STATE_DIR: &str = "/var/lib/overhaul";

pub(super) fn shared(view: &View<'_>) -> Vec<Complaint> {
    let mut hosts: BTreeMap<&str, Vec<&HostName>> = BTreeMap::new();
    for host in view.plan.hosts.keys() {
        let id = view
            .facts
            .get(host)
            .and_then(|facts| facts.machine_id.value());
        if let Some(id) = id {
            hosts.entry(id).or_default().push(host);
        }
    }
    let mut out = Vec::new();
    for (_, names) in hosts {
        let [first, others @ ..] = names.as_slice() else {
            continue;
        };
        for other in others {
            let sentence =
                format!("it has the machine id of {first}: one machine under two names, or a copy");
            let help =
                "take one name out; give a copy an id of its own with systemd-machine-id-setup";
            out.push(Complaint::error(format!("host:{other}"), sentence, help));
        }
    }
    out
}

/// The mount that a path is on: the longest one that leads to it.
pub(super) fn mount_of<'m>(mounts: &'m [Mount], path: &str) -> Option<&'m Mount> {
    mounts
        .iter()
        .filter(|mount| leads_to(&mount.path, path))
        // Of several at one place the last one covers the others.
        .max_by_key(|mount| mount.path.len())
}

fn leads_to(mount: &str, path: &str) -> bool {
    let mount = mount.trim_end_matches('/');
    path.strip_prefix(mount)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn state_dir(host: &Host) -> Option<&str> {
    match (&host.connection.state_dir, host.connection.user.as_deref()) {
        (Some(dir), _) => Some(dir),
        (None, Some("root")) => Some(STATE_DIR),
        // Without sudo it is in a home that only the host knows.
        (None, _) => match &host.connection.become_user {
            overhaul_model::fleet::Become::Sudo { user } if user == "root" => Some(STATE_DIR),
            _ => None,
        },
    }
}

pub(super) fn helper(view: &View<'_>) -> Vec<Complaint> {
    view.fresh_facts()
        .filter_map(|(name, facts)| {
            let dir = state_dir(view.plan.hosts.get(name)?)?;
            let mount = mount_of(facts.mounts.value()?, dir)?;
            let wrong = match (mount.read_only, mount.exec) {
                (true, _) => "cannot be written to",
                (false, false) => "is mounted noexec",
                (false, true) => return None,
            };
            let sentence = format!("{dir} is on {}, which {wrong}", mount.path);
            let help = "name another folder with the host variable overhaul_state_dir";
            Some(Complaint::error(format!("host:{name}"), sentence, help))
        })
        .collect()
}

pub(super) fn units(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for (host, facts) in view.fresh_facts() {
        let Some(units) = facts.units.value() else {
            continue;
        };
        for (name, service) in view.services_on(host) {
            let known = units
                .iter()
                .any(|unit| unit.name == service.unit && unit.load != "not-found");
            let listed = LISTED.iter().any(|suffix| service.unit.ends_with(suffix));
            if known || !listed || service.unit.contains("{{") {
                continue;
            }
            let sentence = format!("its unit {} is not on {host}", service.unit);
            let help = "write the unit as `systemctl list-units` shows it, and see that it runs before the upgrade";
            out.push(Complaint::error(format!("service:{name}"), sentence, help));
        }
    }
    out
}
