//! Free space: all needs of a filesystem together, against what was measured.

use super::machines::mount_of;
use crate::CONTROLLER;
use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::facts::Mount;
use overhaul_model::id::HostName;
use overhaul_model::plan::PlannedSpace;
use std::collections::BTreeMap;

const HELP: &str = "make room, or enlarge the filesystem, and gather facts again";

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    let mut needs: BTreeMap<&HostName, Vec<&PlannedSpace>> = BTreeMap::new();
    for space in &view.plan.space {
        if let Some(host) = &space.host {
            needs.entry(host).or_default().push(space);
        }
    }
    for host in &view.fresh {
        let needs = needs.get(host).map(Vec::as_slice).unwrap_or_default();
        let mounts = view.facts.get(*host).and_then(|facts| facts.mounts.value());
        out.extend(of_host(host, needs, mounts.map(Vec::as_slice)));
    }
    // Once anything has begun, copies may lie there already: what is free no longer says what was needed.
    if view.settled.is_empty() {
        out.extend(of_controller(view));
    }
    out
}

fn of_host(host: &HostName, needs: &[&PlannedSpace], mounts: Option<&[Mount]>) -> Vec<Complaint> {
    let subject = format!("host:{host}");
    let mut out = Vec::new();
    // Paths that nobody can place, and bytes that nobody computed.
    for need in needs.iter().filter(|need| need.bytes.is_none()) {
        let sentence = format!("what {} needs is not known: {}", need.path, need.because);
        out.push(Complaint::error(
            subject.clone(),
            sentence,
            "gather the facts that are missing",
        ));
    }
    // Without mounts `unknown-facts` complains.
    let Some(mounts) = mounts else {
        return out;
    };
    let mut by_mount: BTreeMap<&str, (&Mount, u64, Vec<&PlannedSpace>)> = BTreeMap::new();
    for need in needs {
        let Some(mount) = mount_of(mounts, &need.path) else {
            let sentence = format!("no filesystem was measured that {} is on", need.path);
            out.push(Complaint::error(subject.clone(), sentence, HELP));
            continue;
        };
        let entry = by_mount
            .entry(&mount.path)
            .or_insert((mount, 0, Vec::new()));
        entry.1 = entry.1.saturating_add(need.bytes.unwrap_or(0));
        entry.2.push(need);
    }
    for (path, (mount, bytes, needs)) in by_mount {
        if mount.read_only && bytes > 0 {
            let sentence = format!(
                "{path} is mounted read-only, and must hold {}",
                reasons(&needs)
            );
            out.push(Complaint::error(subject.clone(), sentence, HELP));
        } else if mount.free_bytes < bytes {
            let sentence = format!(
                "{path} has {} free and needs {}: {}",
                mib(mount.free_bytes),
                mib(bytes),
                reasons(&needs)
            );
            out.push(Complaint::error(subject.clone(), sentence, HELP));
        }
    }
    out
}

fn of_controller(view: &View<'_>) -> Vec<Complaint> {
    let needs: Vec<&PlannedSpace> = view
        .plan
        .space
        .iter()
        .filter(|s| s.host.is_none())
        .collect();
    if needs.is_empty() {
        return Vec::new();
    }
    let subject = "controller:copies".to_owned();
    if let Some(need) = needs.iter().find(|need| need.bytes.is_none()) {
        let sentence = format!("what copies need is not known: {}", need.because);
        return vec![Complaint::error(
            subject,
            sentence,
            "gather the facts that are missing",
        )];
    }
    let bytes = needs.iter().fold(0_u64, |sum, need| {
        sum.saturating_add(need.bytes.unwrap_or(0))
    });
    let mount = view
        .facts
        .get(&HostName::new(CONTROLLER))
        .and_then(|facts| facts.mounts.value())
        .and_then(|mounts| mounts.first());
    match mount {
        None => {
            let sentence = format!(
                "its free space was not measured; copies need up to {}",
                mib(bytes)
            );
            let help = "see that the folder of runs has as much";
            vec![Complaint::warning(subject, sentence, help)]
        }
        Some(mount) if mount.free_bytes < bytes => {
            let sentence = format!(
                "{} has {} free and copies need up to {}",
                mount.path,
                mib(mount.free_bytes),
                mib(bytes)
            );
            vec![Complaint::error(subject, sentence, HELP)]
        }
        Some(_) => Vec::new(),
    }
}

fn reasons(needs: &[&PlannedSpace]) -> String {
    let list: Vec<String> = needs
        .iter()
        .map(|need| {
            let bytes = need.bytes.map_or_else(|| "?".to_owned(), mib);
            format!("{bytes} for {} ({})", need.path, need.because)
        })
        .collect();
    list.join("; ")
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
