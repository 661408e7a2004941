//! Facts of hosts as text.

use crate::text;
use overhaul_model::facts::{FleetFacts, HostFacts, Known};
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

fn lines(host: &HostFacts) -> Vec<(&'static str, String)> {
    let list = |names: Vec<String>| match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    };
    let mut out = vec![
        ("release", known(&host.release, |r| r.pretty.clone())),
        ("architecture", known(&host.architecture, Clone::clone)),
        ("machine id", known(&host.machine_id, Clone::clone)),
        ("boot id", known(&host.boot, |b| b.boot_id.clone())),
        (
            "clock offset",
            known(&host.clock_offset_ms, |ms| format!("{ms} ms")),
        ),
        (
            "broken packages",
            known(&host.packages_broken, |p| {
                list(
                    p.iter()
                        .map(|p| format!("{} ({})", p.name, p.status))
                        .collect(),
                )
            }),
        ),
        (
            "held packages",
            known(&host.packages_held, |p| list(p.clone())),
        ),
        (
            "foreign sources",
            known(&host.foreign_sources, |s| {
                list(
                    s.iter()
                        .map(|s| format!("{} ({})", s.uri, s.file))
                        .collect(),
                )
            }),
        ),
        (
            "failed units",
            known(&host.units, |units| {
                let failed = units.iter().filter(|u| u.active == "failed");
                list(failed.map(|u| u.name.clone()).collect())
            }),
        ),
        (
            "filesystems",
            known(&host.mounts, |mounts| {
                list(
                    mounts
                        .iter()
                        .filter(|m| m.size_bytes > 0 && !m.read_only)
                        .map(|m| {
                            let exec = if m.exec { "" } else { ", noexec" };
                            format!("{} {} free{exec}", m.path, text::size(m.free_bytes))
                        })
                        .collect(),
                )
            }),
        ),
        (
            "listening",
            known(&host.listening, |sockets| {
                list(
                    sockets
                        .iter()
                        .map(|s| format!("{} {}:{}", s.protocol, s.address, s.port))
                        .collect(),
                )
            }),
        ),
    ];
    if let Known::Measured { value, .. } = &host.postgresql {
        let clusters = value.iter().map(|c| {
            let bytes = c.databases.iter().map(|d| d.size_bytes).sum();
            format!(
                "{}/{} port {} {}, {} in {}",
                c.version,
                c.name,
                c.port,
                if c.online { "online" } else { "down" },
                text::size(bytes),
                text::count(c.databases.len(), "database"),
            )
        });
        out.push(("postgresql", list(clusters.collect())));
    }
    out
}
