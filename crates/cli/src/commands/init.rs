//! `overhaul init --from-inventory`: a first definition and a first tracker.

use crate::args::FleetArgs;
use crate::commands::classify::wanted;
use crate::console::Console;
use crate::draft::Draft;
use crate::exit::Exit;
use crate::facts_file;
use crate::failure::{Failure, Outcome, file};
use crate::inputs;
use crate::kinds::Kinds;
use crate::tracker_args::InitArgs;
use crate::tracking;
use overhaul_classify::classify;
use overhaul_model::facts::FleetFacts;
use overhaul_model::kind::{UpgradePath, Upgrader};
use overhaul_model::tracker::Tracker;
use overhaul_source::{SourceFile, definition, tracker};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Drafts both files; overwrites none.
pub async fn run(args: &InitArgs, state: Option<&Path>, console: Console) -> Outcome {
    let upgraders = Kinds::with(args.kinds.as_deref())?.upgraders;
    let input = inputs::fleet_alone(&FleetArgs {
        sources: vec![args.from_inventory.clone()],
        vault: args.vault.clone(),
    })?;
    let (upgrade, tracker_path) = places(args);
    none_there([&upgrade, &tracker_path])?;
    let facts = match &args.facts {
        Some(path) => facts_file::stored_facts(path)?,
        None => {
            let wanted = wanted(args.kinds.as_deref())?;
            tracking::gathered(&input, &input.fleet.hosts, &args.hosts, &wanted).await?
        }
    };
    let (upgrader, path) = way(&upgraders, &facts, args.to.as_deref())?;
    let classified = classify(
        &input.fleet,
        &facts,
        &BTreeMap::new(),
        &tracking::controller(),
    );
    let draft = Draft {
        fleet: &input.fleet,
        facts: &facts,
        proposals: &classified.proposals,
        path,
        upgrader: &upgrader.name,
    };
    let text = draft.text();
    definition::parse(&SourceFile::new("the draft", text.clone()), &upgraders).map_err(|problems| {
        Failure::input(format!("no definition can be drafted from this; nothing was written\n\n{problems}"))
            .hint("a definition needs a role whose hosts can change: see `overhaul classify --dry-run`")
    })?;
    let (told, _) = tracking::told_by_runs(state, &input.fleet.name)?;
    let all: BTreeSet<_> = input.fleet.hosts.keys().cloned().collect();
    let today = jiff::Zoned::now().date();
    let updates = tracking::updates(
        &input,
        &all,
        &classified.proposals,
        &Tracker::default(),
        &told,
        today,
    );
    let tracker_text = tracker::fresh(&input.fleet.name, &updates)?;
    create(&upgrade, &text)?;
    create(&tracker_path, &tracker_text)?;
    said(args, &upgrade, &tracker_path, &text, console);
    Ok(Exit::Ok)
}

/// No file is overwritten.
fn none_there(paths: [&PathBuf; 2]) -> Result<(), Failure> {
    for path in paths {
        if path
            .try_exists()
            .map_err(|error| file(path, "read", &error))?
        {
            return Err(Failure::input(format!(
                "{} is there already; nothing was written",
                path.display()
            ))
            .hint("name another folder: --directory DIR")
            .hint("overhaul classify brings a tracker up to date"));
        }
    }
    Ok(())
}

fn said(args: &InitArgs, upgrade: &Path, tracker: &Path, text: &str, console: Console) {
    if console.json {
        console.out_json(&serde_json::json!({"definition": upgrade, "tracker": tracker}));
    } else {
        console.out(&format!("{}\n{}\n", upgrade.display(), tracker.display()));
    }
    let gaps = text.lines().filter(|line| line.contains("GAP")).count();
    console.note(&format!(
        "{} marked GAP in {} need a decision of yours; then: overhaul check {} --fleet {}",
        crate::text::count(gaps, "line"),
        upgrade.display(),
        crate::text::shell_word(&upgrade.display().to_string()),
        crate::text::shell_word(&args.from_inventory.display().to_string()),
    ));
}

fn places(args: &InitArgs) -> (PathBuf, PathBuf) {
    let tracker = match &args.directory {
        Some(folder) => folder.join("tracker.yaml"),
        None => tracking::path(None, Some(&args.from_inventory)),
    };
    (tracker.with_file_name("upgrade.yaml"), tracker)
}

/// The upgrader and its path from the release that most hosts have.
fn way<'a>(
    upgraders: &'a BTreeMap<String, Upgrader>,
    facts: &FleetFacts,
    to: Option<&str>,
) -> Result<(&'a Upgrader, &'a UpgradePath), Failure> {
    let mut releases: BTreeMap<(String, String), usize> = BTreeMap::new();
    for release in facts.values().filter_map(|facts| facts.release.value()) {
        let seen = releases
            .entry((release.os.clone(), release.version.clone()))
            .or_default();
        *seen = seen.saturating_add(1);
    }
    let most = releases
        .iter()
        .max_by_key(|(_, seen)| **seen)
        .map(|(release, _)| release);
    let Some((os, version)) = most else {
        return Err(
            Failure::input("the release of no host is known; nothing was written")
                .hint("overhaul facts --fleet FILE shows why"),
        );
    };
    let leads = |path: &&UpgradePath| {
        let from = &path.from.os == os && &path.from.release == version;
        from && to.is_none_or(|to| {
            path.to_codename == to || path.to.release == to || path.to.to_string() == to
        })
    };
    let found = upgraders
        .values()
        .find_map(|upgrader| Some((upgrader, upgrader.paths.iter().find(leads)?)));
    found.ok_or_else(|| {
        let known: Vec<String> = upgraders
            .values()
            .flat_map(|upgrader| &upgrader.paths)
            .map(|path| format!("{} to {}", path.from, path.to))
            .collect();
        let to = to.map(|to| format!(" to `{to}`")).unwrap_or_default();
        Failure::input(format!("most hosts have {os} {version}, and no upgrader leads from there{to}; nothing was written"))
            .hint(format!("known: {}", known.join(", ")))
    })
}

fn create(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut out| {
            out.write_all(text.as_bytes())?;
            out.sync_all()
        })
        .map_err(|error| file(path, "written", &error))
}
