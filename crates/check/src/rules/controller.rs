//! What the controller itself needs does not stand on hosts that are being changed.
//!
//! The inventory is no such need: a plan holds the hosts as they were.

use super::whole_role::is_dangerous;
use crate::CONTROLLER;
use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::fleet::{Connection, Host};
use overhaul_model::id::HostName;
use overhaul_model::plan::{Block, Child};
use overhaul_model::step::Lane;
use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

/// Addresses of the machine that a program runs on.
const SELF: [&str; 4] = ["localhost", "127.0.0.1", "::1", "localhost.localdomain"];

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    let names = names(view);
    // Most fleets have no host behind another one.
    let meetings = LazyCell::new(|| Meetings::of(view));
    let mut out = Vec::new();
    for host in view.plan.hosts.values() {
        for jump in jumps(&host.connection) {
            let Some(through) = names.get(jump).filter(|through| ***through != host.name) else {
                continue;
            };
            out.extend(jump_host(view, &meetings, host, through));
        }
        if is_controller(view, host) && changes(view, &host.name) {
            out.push(of_controller(view, &meetings, host));
        }
    }
    out
}

/// Hosts of the plan by name and address.
fn names<'v>(view: &View<'v>) -> BTreeMap<&'v str, &'v HostName> {
    let hosts = view.plan.hosts.values();
    let both = hosts.flat_map(|host| {
        [
            (host.connection.address.as_str(), &host.name),
            (host.name.as_str(), &host.name),
        ]
    });
    both.collect()
}

/// The hosts that a connection goes through, as its words for ssh name them; what `ssh_config` says is not known here.
fn jumps(connection: &Connection) -> Vec<&str> {
    let mut out = Vec::new();
    let mut words = connection.ssh_args.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let value = if word == "-J" || word == "-o" {
            words.next().unwrap_or_default()
        } else {
            let joined = word.strip_prefix("-J").or_else(|| word.strip_prefix("-o"));
            joined.unwrap_or_default()
        };
        let hosts = if word.starts_with("-J") {
            value
        } else {
            option(value, "proxyjump").unwrap_or_default()
        };
        out.extend(hosts.split(',').map(bare).filter(|host| !host.is_empty()));
    }
    out
}

/// The value of an option, if it is this one.
fn option<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (key, value) = text.split_once(['=', ' '])?;
    key.trim()
        .eq_ignore_ascii_case(name)
        .then(|| value.trim_matches(['=', ' ', '"']))
}

/// A host without account and port.
fn bare(jump: &str) -> &str {
    let jump = jump.strip_prefix("ssh://").unwrap_or(jump);
    let host = jump.rsplit_once('@').map_or(jump, |(_, host)| host);
    if let Some((inside, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return inside;
    }
    match host.split_once(':') {
        // More than one colon is an address of IPv6.
        Some((name, port)) if !port.contains(':') => name,
        _ => host,
    }
}

fn changes(view: &View<'_>, host: &HostName) -> bool {
    let steps = view.lanes.get(host).into_iter().flatten();
    steps
        .into_iter()
        .any(|step| is_dangerous(step) && !view.is_settled(step, host))
}

fn jump_host(
    view: &View<'_>,
    meetings: &Meetings<'_>,
    host: &Host,
    through: &HostName,
) -> Option<Complaint> {
    if !changes(view, through) {
        return None;
    }
    let subject = format!("host:{}", host.name);
    if let Some(block) = meetings.together(&host.name, through) {
        let sentence = format!(
            "it is reached through {through}, which may reboot while this host is under way, in {}",
            block.id()
        );
        let help = "let the two change one after the other: a role of its own for the one, with `after`, or `order: one-by-one`";
        return Some(Complaint::error(subject, sentence, help));
    }
    let sentence = format!("it is reached through {through}, which changes too");
    let help = "see that there is another way to it: when that one fails, nothing can be done here";
    Some(Complaint::note(subject, sentence, help))
}

fn is_controller(view: &View<'_>, host: &Host) -> bool {
    let id = |name: &HostName| {
        let facts = view.facts.get(name)?;
        facts.machine_id.value()
    };
    let controller = id(&HostName::new(CONTROLLER));
    SELF.contains(&host.connection.address.as_str())
        || controller.is_some() && controller == id(&host.name)
}

fn of_controller(view: &View<'_>, meetings: &Meetings<'_>, host: &Host) -> Complaint {
    let subject = format!("host:{}", host.name);
    let mut others = view.plan.hosts.keys().filter(|other| **other != host.name);
    if let Some(block) = others.find_map(|other| meetings.together(other, &host.name)) {
        let sentence = format!(
            "it is this controller, and others are under way while it reboots, in {}",
            block.id()
        );
        let help = "give it a role of its own, which changes before all others";
        return Complaint::error(subject, sentence, help);
    }
    let sentence = "it is this controller: the run ends when it reboots".to_owned();
    let help = "go on with `overhaul resume` when it is back; what is done stays done";
    Complaint::warning(subject, sentence, help)
}

/// Blocks in which hosts may be under way at once, parents first.
struct Meetings<'v> {
    places: Vec<Place<'v>>,
    /// The places in which a host is, by their number.
    of: BTreeMap<&'v HostName, BTreeSet<usize>>,
}

/// A block, and the groups of its hosts: batches of a roll, or parts of a parallel block.
struct Place<'v> {
    block: &'v Block,
    groups: BTreeMap<&'v HostName, BTreeSet<usize>>,
    /// Whether hosts of one group meet; otherwise those of different ones do.
    inside: bool,
}

impl<'v> Place<'v> {
    /// None where no two hosts meet, or none of them is in a dangerous step.
    fn of(view: &View<'v>, block: &'v Block) -> Option<Self> {
        let (groups, inside): (Vec<BTreeSet<&HostName>>, bool) = match block {
            Block::Roll { id, body, .. } => {
                let turns = view.plan.rolls.get(id).filter(|turns| turns.at_once > 1)?;
                let batches = turns.batches.iter();
                let dangerous = body.steps().into_iter().any(is_dangerous);
                (
                    batches
                        .filter(|_| dangerous)
                        .map(|b| b.iter().collect())
                        .collect(),
                    true,
                )
            }
            Block::Parallel { blocks, .. } => {
                let parts = blocks.iter().map(|part| hosts_of(view, part));
                (parts.collect(), false)
            }
            _ => return None,
        };
        let mut by_host: BTreeMap<&HostName, BTreeSet<usize>> = BTreeMap::new();
        for (number, hosts) in groups.into_iter().enumerate() {
            for host in hosts {
                by_host.entry(host).or_default().insert(number);
            }
        }
        Some(Self {
            block,
            groups: by_host,
            inside,
        })
    }

    fn meet(&self, one: &HostName, other: &HostName) -> bool {
        let (Some(one), Some(other)) = (self.groups.get(one), self.groups.get(other)) else {
            return false;
        };
        match self.inside {
            true => !one.is_disjoint(other),
            false => one.iter().any(|group| other.iter().any(|o| o != group)),
        }
    }
}

impl<'v> Meetings<'v> {
    fn of(view: &View<'v>) -> Self {
        let blocks = view.blocks.iter();
        let places: Vec<Place<'_>> = blocks.filter_map(|block| Place::of(view, block)).collect();
        let mut of: BTreeMap<&HostName, BTreeSet<usize>> = BTreeMap::new();
        for (number, place) in places.iter().enumerate() {
            for host in place.groups.keys() {
                of.entry(host).or_default().insert(number);
            }
        }
        Self { places, of }
    }

    /// The first block in which two hosts may be under way at once, one of them in a dangerous step.
    fn together(&self, one: &HostName, other: &HostName) -> Option<&'v Block> {
        let numbers = self.of.get(one)?.intersection(self.of.get(other)?);
        let mut places = numbers.filter_map(|number| self.places.get(*number));
        places
            .find(|place| place.meet(one, other))
            .map(|place| place.block)
    }
}

/// Hosts that a block is about.
fn hosts_of<'v>(view: &View<'v>, block: &'v Block) -> BTreeSet<&'v HostName> {
    let mut out = BTreeSet::new();
    if let Block::Roll { id, .. } = block {
        let turns = view.plan.rolls.get(id).into_iter();
        out.extend(turns.flat_map(|turns| turns.batches.iter().flatten()));
    }
    for child in block.children() {
        match child {
            Child::Block(inner) => out.extend(hosts_of(view, inner)),
            Child::Step(step) => {
                if let Lane::Host(host) = &step.lane {
                    out.insert(host);
                }
            }
        }
    }
    if let Block::Step(step) = block
        && let Lane::Host(host) = &step.lane
    {
        out.insert(host);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jump_hosts_are_found_in_words_for_ssh() {
        for (words, found) in [
            (vec!["-J", "a"], vec!["a"]),
            (vec!["-Ja,root@b:22"], vec!["a", "b"]),
            (vec!["-o", "ProxyJump=ssh://me@c:2222"], vec!["c"]),
            (vec!["-oproxyjump=[fd00::1]:22"], vec!["fd00::1"]),
            (vec!["-o", "ProxyJump fd00::2"], vec!["fd00::2"]),
            (vec!["-o", "ProxyCommand=x", "-v", "-p", "22"], vec![]),
        ] {
            let connection = Connection {
                ssh_args: words.iter().map(|word| (*word).to_owned()).collect(),
                ..Connection::to("x")
            };
            assert_eq!(jumps(&connection), found, "{words:?}");
        }
    }
}
