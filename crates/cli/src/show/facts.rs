//! Facts of hosts as text.

use crate::text;
use overhaul_model::facts::{FleetFacts, HostFacts, Known, Mount, PostgresCluster};
use std::fmt::Write as _;

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
                list(failed.map(|u| u.name.clone()))
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
    }
    out
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
