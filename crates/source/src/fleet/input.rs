//! What reading a fleet gives, and how its two forms are told apart.

use super::draft::Draft;
use super::membership::Membership;
use super::{ini, short};
use crate::problem::{Problem, Problems, Sink, SourceFile};
use overhaul_model::fleet::Fleet;
use overhaul_model::id::HostName;
use overhaul_model::secret::Secret;
use std::collections::BTreeMap;
use std::ops::Range;

/// A fleet as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetInput {
    /// The fleet.
    pub fleet: Fleet,
    /// Passwords for sudo, of hosts that need one.
    pub passwords: BTreeMap<HostName, Secret>,
    /// Hosts and groups in Ansible's order, for patterns.
    pub membership: Membership,
    /// What the inventory says and this tool does not use; nothing of it stops a run.
    pub notes: Vec<Problem>,
}

/// Reads a fleet.
///
/// # Errors
/// All problems of the file at once; only the first one when it is no valid YAML.
pub fn parse(file: &SourceFile) -> Result<FleetInput, Problems> {
    let sink = Sink::new(file);
    let notes = Sink::new(file);
    let read = if is_yaml(file) {
        short::read(&sink)
    } else {
        ini::read(&sink, &notes)
    };
    let input = read.map(|read| finish(&sink, read, notes.into_notes()));
    sink.into_result(input)
}

/// What both forms are read to.
pub(super) struct Read {
    pub(super) name: String,
    /// Hosts with the place where each was written.
    pub(super) hosts: Vec<(Draft, Range<usize>)>,
}

fn finish(sink: &Sink, read: Read, notes: Vec<Problem>) -> FleetInput {
    let drafts = read.hosts.iter().map(|(draft, _)| draft);
    let membership = Membership::of_hosts(drafts.map(|draft| {
        let roles = draft.roles.iter().map(String::as_str).collect();
        (draft.name.as_str(), roles)
    }));
    let mut input = FleetInput {
        membership,
        fleet: Fleet {
            name: read.name,
            hosts: BTreeMap::new(),
        },
        passwords: BTreeMap::new(),
        notes,
    };
    let mut sshds: BTreeMap<(String, Option<u16>), HostName> = BTreeMap::new();
    for (draft, span) in read.hosts {
        let (host, password) = draft.into_host();
        let sshd = (host.connection.address.clone(), host.connection.port);
        if let Some(other) = sshds.insert(sshd, host.name.clone()) {
            let port = match host.connection.port {
                Some(port) => format!(" and port {port}"),
                None => String::new(),
            };
            let message = format!(
                "`{}` and `{other}` have the same address {}{port}",
                host.name, host.connection.address
            );
            let help = "a machine stands in a fleet once; give it all its roles under one name";
            sink.add_with_help(&span, message, help);
        }
        if let Some(password) = password {
            input.passwords.insert(host.name.clone(), password);
        }
        input.fleet.hosts.insert(host.name.clone(), host);
    }
    if input.fleet.hosts.is_empty() && sink.count() == 0 {
        sink.add(&(0..0), "the fleet has no hosts");
    }
    input
}

/// By the extension; where that does not tell, by the first line that is neither empty nor a remark.
fn is_yaml(file: &SourceFile) -> bool {
    let extension = file.name.rsplit_once('.').map(|(_, end)| end);
    match extension {
        Some("yaml" | "yml" | "json") => return true,
        Some("ini" | "cfg") => return false,
        _ => {}
    }
    let text = file.text.trim_start_matches('\u{feff}');
    let first = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    match first {
        Some(line) if line.starts_with("---") || line.starts_with('{') => true,
        Some(line) if line.starts_with('[') => false,
        Some(line) => match line.split_once(':') {
            Some((key, rest)) => {
                (rest.is_empty() || rest.starts_with(' ')) && !key.contains([' ', '='])
            }
            None => false,
        },
        None => true,
    }
}
