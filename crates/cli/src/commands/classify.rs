//! `overhaul classify`: proposals for every host, kept in the tracker.

use crate::console::Console;
use crate::exit::Exit;
use crate::facts_file;
use crate::failure::{Failure, Outcome};
use crate::gather;
use crate::inputs;
use crate::kinds::Kinds;
use crate::show;
use crate::tracker_args::ClassifyArgs;
use crate::tracking;
use overhaul_classify::{Classified, Difference, classify, differences, roles};
use overhaul_model::facts::{FactsWanted, FleetFacts};
use overhaul_model::fleet::Host;
use overhaul_model::id::HostName;
use overhaul_model::tracker::{Decided, Tracker};
use overhaul_source::fleet::pattern::Pattern;
use overhaul_source::{FleetInput, tracker};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Gathers or takes facts, proposes, shows what changed, writes the tracker.
pub async fn run(args: &ClassifyArgs, state: Option<&Path>, console: Console) -> Outcome {
    let input = inputs::fleet_alone(&args.fleet)?;
    let hosts = limited(args.limit.as_deref(), &input)?;
    let path = tracking::path(args.tracker.as_deref(), args.fleet.sources.first());
    let old = tracking::load(&path)?;
    let before = old
        .as_ref()
        .map(|(_, tracker)| tracker.clone())
        .unwrap_or_default();
    if old.is_some() {
        tracking::same_fleet(&path, &before, &input.fleet.name)?;
    }
    let facts = match &args.facts {
        Some(file) => facts_file::stored_facts(file)?,
        None => {
            tracking::gathered(&input, &hosts, &args.hosts, &wanted(args.kinds.as_deref())?).await?
        }
    };
    if let Some(file) = &args.save_facts {
        facts_file::save_facts(file, &facts)?;
    }
    let decisions = decisions(&before);
    let mut classified = classify(&input.fleet, &facts, &decisions, &tracking::controller());
    let only: BTreeSet<HostName> = hosts.keys().cloned().collect();
    classified.proposals.retain(|host, _| only.contains(host));
    let seen = before
        .hosts
        .iter()
        .filter(|(host, _)| only.contains(*host) || !input.fleet.hosts.contains_key(*host));
    let seen = seen
        .map(|(host, tracked)| (host.clone(), tracked.clone()))
        .collect();
    let changed = differences(&seen, &classified.proposals);
    let (told, unread) = tracking::told_by_runs(state, &input.fleet.name)?;
    for why in unread {
        console.note(&format!("remark: a run cannot be read: {why}"));
    }
    let today = jiff::Zoned::now().date();
    let updates = tracking::updates(&input, &only, &classified.proposals, &before, &told, today);
    let text = match &old {
        Some((source, _)) => tracker::updated(source, &updates)?,
        None => tracker::fresh(&input.fleet.name, &updates)?,
    };
    let same = old.as_ref().is_some_and(|(source, _)| source.text == text);
    if !same && !args.dry_run {
        tracking::write(&path, old.as_ref().map(|(source, _)| source), &text)?;
    }
    shown(&input, &classified, &changed, console);
    let done = match (same, args.dry_run) {
        (true, _) => "nothing changed; the tracker stays as it is",
        (false, true) => "nothing was written (--dry-run)",
        (false, false) => "written",
    };
    console.note(&format!("{}: {done}", path.display()));
    let troubled: FleetFacts = facts
        .into_iter()
        .filter(|(host, _)| only.contains(host))
        .collect();
    if args.facts.is_none() {
        gather::none_in_trouble(&troubled).map_err(|failure| in_tracker(failure, args.dry_run))?;
    }
    Ok(Exit::Ok)
}

/// Hosts that gave no facts are in the tracker like the others.
fn in_tracker(mut failure: Failure, dry_run: bool) -> Failure {
    if !dry_run {
        failure.message = failure.message.replace(
            "nothing was changed",
            "nothing can be said of them, and the tracker says so",
        );
    }
    failure
}

/// The hosts that a limit leaves.
///
/// # Errors
/// When the pattern is wrong or names nobody.
pub fn limited(
    limit: Option<&str>,
    input: &FleetInput,
) -> Result<BTreeMap<HostName, Host>, Failure> {
    let all = &input.fleet.hosts;
    let Some(limit) = limit else {
        return Ok(all.clone());
    };
    let read = |path: &str| std::fs::read_to_string(path).map_err(|error| error.to_string());
    let selection = Pattern::parse_limit(limit, read)
        .and_then(|pattern| pattern.limit(&input.membership))
        .map_err(|error| Failure::input(format!("--limit: {error}")))?;
    let named = selection.hosts.into_iter().map(HostName::new);
    Ok(named
        .filter_map(|name| Some((name.clone(), all.get(&name)?.clone())))
        .collect())
}

/// Everything that may show data.
///
/// # Errors
/// When a kind cannot be read.
pub fn wanted(kinds: Option<&Path>) -> Result<FactsWanted, Failure> {
    Ok(FactsWanted {
        postgresql: true,
        stored: true,
        clusters: Kinds::with(kinds)?.clusters,
        ..FactsWanted::default()
    })
}

/// What people decided, by host.
pub fn decisions(tracker: &Tracker) -> BTreeMap<HostName, Decided> {
    let decided = tracker.hosts.iter();
    decided
        .map(|(host, tracked)| (host.clone(), tracked.decided.clone()))
        .collect()
}

fn shown(input: &FleetInput, classified: &Classified, changed: &[Difference], console: Console) {
    let roles = roles(&input.fleet, &classified.proposals);
    if console.json {
        console.out_json(&serde_json::json!({
            "fleet": input.fleet.name,
            "hosts": classified.proposals,
            "roles": roles,
            "changed": changed,
            "warnings": classified.warnings,
        }));
        return;
    }
    console.out(&show::classify::proposals(&classified.proposals, &roles));
    console.out(&show::classify::changed(changed));
    console.out(&show::classify::warnings(&classified.warnings));
}
