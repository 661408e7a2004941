//! `overhaul fleet`: where every host stands, from tracker, inventory and runs. No host is reached.

use crate::commands::classify::decisions;
use crate::console::Console;
use crate::exit::Exit;
use crate::facts_file;
use crate::failure::{Failure, Outcome};
use crate::inputs;
use crate::show;
use crate::tracker_args::TrackedArgs;
use crate::tracking;
use overhaul_classify::{Warning, classify};
use overhaul_model::id::HostName;
use overhaul_model::tracker::TrackedHost;
use std::collections::BTreeMap;
use std::path::Path;

/// Shows the tracker, or what is known without one.
pub fn run(args: &TrackedArgs, state: Option<&Path>, console: Console) -> Outcome {
    let input = inputs::fleet_alone(&args.fleet)?;
    let path = tracking::path(args.tracker.as_deref(), args.fleet.sources.first());
    let old = tracking::load(&path)?;
    let there = old.is_some();
    if !there && args.tracker.is_some() {
        return Err(
            Failure::input(format!("{}: there is no such tracker", path.display()))
                .hint("`overhaul classify --fleet FILE --tracker FILE` makes it"),
        );
    }
    let mut tracker = old.map(|(_, tracker)| tracker).unwrap_or_default();
    if there {
        tracking::same_fleet(&path, &tracker, &input.fleet.name)?;
    }
    let (told, unread) = tracking::told_by_runs(state, &input.fleet.name)?;
    for why in unread {
        console.note(&format!("remark: a run cannot be read: {why}"));
    }
    let facts = args
        .facts
        .as_deref()
        .map(facts_file::stored_facts)
        .transpose()?;
    let mut warnings = Vec::new();
    if let Some(facts) = &facts {
        let found = classify(
            &input.fleet,
            facts,
            &decisions(&tracker),
            &tracking::controller(),
        );
        warnings = found.warnings;
        for (host, proposal) in found.proposals {
            tracker
                .hosts
                .entry(host)
                .or_default()
                .proposed
                .get_or_insert(proposal);
        }
    }
    for (name, host) in &input.fleet.hosts {
        let tracked = tracker.hosts.entry(name.clone()).or_default();
        tracked.roles.clone_from(&host.roles);
        tracked.zone.clone_from(&host.zone);
        if let Some(progress) = told.get(name) {
            tracked.progress = Some(progress.clone());
        }
    }
    let hosts = chosen(args, tracker.hosts)?;
    warnings.retain(|warning| hosts.contains_key(&warning.host));
    shown(args, &input.fleet.name, &hosts, &warnings, console);
    if !there {
        console.note(&format!(
            "{}: there is no tracker; `overhaul classify --fleet FILE` makes it",
            path.display()
        ));
    }
    Ok(Exit::Ok)
}

fn shown(
    args: &TrackedArgs,
    fleet: &str,
    hosts: &BTreeMap<HostName, TrackedHost>,
    warnings: &[Warning],
    console: Console,
) {
    let today = jiff::Zoned::now().date();
    if console.json {
        console.out_json(&show::fleet::json(fleet, hosts, warnings, today));
    } else if args.host.is_some() {
        for (name, host) in hosts {
            console.out(&show::fleet::page(name, host, today));
        }
        console.out(&show::classify::warnings(warnings));
    } else {
        console.out(&show::fleet::table(hosts, today));
        console.out(&show::classify::warnings(warnings));
    }
}

fn chosen(
    args: &TrackedArgs,
    mut hosts: BTreeMap<HostName, TrackedHost>,
) -> Result<BTreeMap<HostName, TrackedHost>, Failure> {
    let Some(only) = &args.host else {
        return Ok(hosts);
    };
    let only = HostName::new(only.clone());
    let host = hosts.remove(&only).ok_or_else(|| {
        Failure::input(format!(
            "{only}: no such host in the inventory or its tracker"
        ))
        .hint("`overhaul fleet --fleet FILE` lists them")
    })?;
    Ok([(only, host)].into())
}
