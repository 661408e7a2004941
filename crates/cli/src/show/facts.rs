//! Facts of hosts as text.

use crate::text;
use overhaul_model::facts::{
    ChangedFile, FileState, FleetFacts, HostFacts, Interface, Known, Mount, NOT_ASKED, NamedBy,
    NextRelease, PostgresCluster,
};
use std::fmt::Write as _;

/// Entries of a list that are shown before the rest is only counted; `facts HOST` has all below.
const SHOWN_MAX: usize = 12;

/// The facts of each host in a few lines.
pub fn facts(facts: &FleetFacts) -> String {
    let mut out = String::new();
    for (name, host) in facts {
        let _ = writeln!(out, "{name}");
        for (what, value) in lines(host) {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "  {what:<16} {}", text::clean(&value));
        }
    }
    out
}

fn known<T>(fact: &Known<T>, show: impl FnOnce(&T) -> String) -> String {
    match fact {
        Known::Measured { value, .. } => show(value),
        Known::Unknown { reason } => format!("unknown: {reason}"),
    }
}

fn list(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// A host in a few lines.
pub fn lines(host: &HostFacts) -> Vec<(&'static str, String)> {
    let mut out = vec![
        ("release", known(&host.release, |r| r.pretty.clone())),
        ("architecture", known(&host.architecture, Clone::clone)),
        ("machine id", known(&host.machine_id, Clone::clone)),
        ("boot id", known(&host.boot, |b| b.boot_id.clone())),
        (
            "clock offset",
            known(&host.clock_offset_ms, |ms| format!("{ms} ms")),
        ),
    ];
    out.extend(packages(host));
    out.extend([
        (
            "failed units",
            known(&host.units, |units| {
                let failed = units.iter().filter(|u| u.active == "failed");
                list(failed.map(|u| u.name.to_string()))
            }),
        ),
        (
            "filesystems",
            known(&host.mounts, |mounts| {
                let shown = mounts.iter().filter(|m| m.size_bytes > 0 && !m.read_only);
                list(shown.map(mount))
            }),
        ),
        (
            "listening",
            known(&host.listening, |sockets| {
                list(
                    sockets
                        .iter()
                        .map(|s| format!("{} {}:{}", s.protocol, s.address, s.port)),
                )
            }),
        ),
    ]);
    if let Known::Measured { value, .. } = &host.postgresql {
        out.push(("postgresql", list(value.iter().map(cluster))));
        let copies = value.iter().filter_map(replication);
        out.push(("replication", list(copies)));
    }
    out.extend(upgrade(host).into_iter().filter_map(|(what, fact)| {
        // What nobody has asked for is no news.
        (fact.as_ref().err().map(String::as_str) != Some(NOT_ASKED))
            .then(|| (what, fact.unwrap_or_else(|why| format!("unknown: {why}"))))
    }));
    out
}

/// A fact in words, or why there is none.
fn told<T>(fact: &Known<T>, show: impl FnOnce(&T) -> String) -> Result<String, String> {
    match fact {
        Known::Measured { value, .. } => Ok(show(value)),
        Known::Unknown { reason } => Err(reason.clone()),
    }
}

/// The first of many, and how many there are.
fn some(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    let more = names.len().saturating_sub(SHOWN_MAX);
    let shown = list(names.into_iter().take(SHOWN_MAX));
    if more == 0 {
        shown
    } else {
        format!("{shown} and {more} more")
    }
}

/// What a release upgrade asks about.
fn upgrade(host: &HostFacts) -> Vec<(&'static str, Result<String, String>)> {
    let packages = &host.packages;
    let files = |all: &[ChangedFile]| some(all.iter().map(changed));
    vec![
        (
            "obsolete",
            told(&packages.obsolete, |all| {
                some(all.iter().map(|p| format!("{} {}", p.name, p.version)))
            }),
        ),
        (
            "changed config",
            told(&packages.conffiles_changed, |all| files(all)),
        ),
        (
            "changed files",
            told(&packages.files_changed, |done| {
                let cut = if done.complete { "" } else { ", not all" };
                format!("{} ({} compared{cut})", files(&done.changed), done.compared)
            }),
        ),
        ("next release", told(&packages.next_release, next)),
        (
            "interfaces",
            told(&host.names.interfaces, |all| {
                some(all.iter().map(interface))
            }),
        ),
        (
            "disks by name",
            told(&host.names.kernel_disk_names, |all| {
                some(
                    all.iter()
                        .map(|p| format!("{} {}:{}", p.name, p.file, p.line)),
                )
            }),
        ),
        (
            "deleted code",
            told(&host.running.old_code, |all| {
                some(all.iter().map(|p| format!("{} ({})", p.program, p.pid)))
            }),
        ),
        (
            "reboot wanted by",
            told(&host.kernel.reboot_wanted_by, |all| {
                some(all.iter().cloned())
            }),
        ),
        (
            "data",
            told(&host.storage.data, |all| {
                let least = |complete| if complete { "" } else { "at least " };
                some(all.iter().map(|folder| {
                    let size = text::size(folder.size_bytes);
                    format!("{} {}{size}", folder.path, least(folder.complete))
                }))
            }),
        ),
    ]
}

fn changed(file: &ChangedFile) -> String {
    let state = match file.state {
        FileState::Changed => "",
        FileState::Missing => " (missing)",
        FileState::Unreadable => " (unreadable)",
    };
    format!("{}{state}", file.path)
}

fn next(next: &NextRelease) -> String {
    format!(
        "{}: {} it does not have, {} removed, {} upgraded, {} new",
        next.codename,
        text::count(next.absent.len(), "package"),
        next.removed.len(),
        next.upgraded,
        next.new
    )
}

fn interface(interface: &Interface) -> String {
    let by = match interface.named_by {
        NamedBy::Kernel => "the kernel",
        NamedBy::Place => "its place",
        NamedBy::Rule => "a rule",
        NamedBy::Maker => "its maker",
    };
    format!("{} (named by {by})", interface.name)
}

/// A cluster's part in replication, when it has one.
fn replication(cluster: &PostgresCluster) -> Option<String> {
    let name = format!("{}/{}", cluster.version, cluster.name);
    let part = match &cluster.replication {
        Known::Unknown { reason } => format!("unknown: {reason}"),
        Known::Measured { value, .. } if value.in_recovery => match &value.upstream {
            Some(from) => format!("standby of {from}"),
            None => "standby, not connected".to_owned(),
        },
        Known::Measured { value, .. } if value.standbys.is_empty() && value.slots.is_empty() => {
            return None;
        }
        Known::Measured { value, .. } => {
            let standbys = value.standbys.iter();
            let standbys = list(standbys.map(|s| format!("{} {}", s.name, s.state)));
            let slots = text::count(value.slots.len(), "slot");
            format!("primary of {standbys}, {slots}")
        }
    };
    Some(format!("{name} {part}"))
}

fn packages(host: &HostFacts) -> [(&'static str, String); 3] {
    [
        (
            "broken packages",
            known(&host.packages_broken, |packages| {
                list(
                    packages
                        .iter()
                        .map(|p| format!("{} ({})", p.name, p.status)),
                )
            }),
        ),
        (
            "held packages",
            known(&host.packages_held, |names| list(names.iter().cloned())),
        ),
        (
            "foreign sources",
            known(&host.foreign_sources, |sources| {
                list(sources.iter().map(|s| format!("{} ({})", s.uri, s.file)))
            }),
        ),
    ]
}

fn mount(mount: &Mount) -> String {
    let exec = if mount.exec { "" } else { ", noexec" };
    format!("{} {} free{exec}", mount.path, text::size(mount.free_bytes))
}

fn cluster(cluster: &PostgresCluster) -> String {
    format!(
        "{}/{} port {} {}, {} in {}",
        cluster.version,
        cluster.name,
        cluster.port,
        if cluster.online { "online" } else { "down" },
        text::size(cluster.databases.iter().map(|d| d.size_bytes).sum()),
        text::count(cluster.databases.len(), "database"),
    )
}
