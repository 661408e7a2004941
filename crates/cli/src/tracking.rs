//! The tracker as a file, and what runs tell of hosts.

use crate::args::HostArgs;
use crate::compile::NO_DATA;
use crate::failure::{Failure, file};
use crate::gather;
use crate::runs::{self, Told};
use crate::text;
use crate::wiring;
use jiff::civil::Date;
use overhaul_classify::Controller;
use overhaul_machine::report;
use overhaul_model::event::Verdict;
use overhaul_model::facts::{FactsWanted, FleetFacts};
use overhaul_model::fleet::Host;
use overhaul_model::id::HostName;
use overhaul_model::tracker::{Progress, Proposal, State, TrackedHost, Tracker};
use overhaul_source::tracker::{Update, WriteError};
use overhaul_source::{FleetInput, SourceFile, read, tracker};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The tracker's name beside an inventory.
const TRACKER_NAME: &str = "tracker.yaml";

/// The tracker that is meant: the named one, else the one beside the inventory.
pub fn path(named: Option<&Path>, inventory: Option<&PathBuf>) -> PathBuf {
    match (named, inventory) {
        (Some(named), _) => named.to_owned(),
        (None, Some(inventory)) if inventory.is_dir() => inventory.join(TRACKER_NAME),
        (None, Some(inventory)) => inventory.with_file_name(TRACKER_NAME),
        (None, None) => PathBuf::from(TRACKER_NAME),
    }
}

/// A tracker's text with its values; `None` when there is no such file.
///
/// # Errors
/// When it cannot be read or is wrong.
pub fn load(path: &Path) -> Result<Option<(SourceFile, Tracker)>, Failure> {
    if !path
        .try_exists()
        .map_err(|error| file(path, "read", &error))?
    {
        return Ok(None);
    }
    let source = read::file(path)?;
    let tracker = tracker::parse(&source)?;
    Ok(Some((source, tracker)))
}

/// The tracker belongs to this fleet.
///
/// # Errors
/// When it names another one.
pub fn same_fleet(path: &Path, tracker: &Tracker, fleet: &str) -> Result<(), Failure> {
    if tracker.fleet == fleet {
        return Ok(());
    }
    Err(Failure::input(format!(
        "{} is the tracker of the fleet `{}`, and this inventory is `{fleet}`; nothing was changed",
        path.display(),
        text::clean(&tracker.fleet)
    ))
    .hint("name the tracker that belongs to it: --tracker FILE"))
}

/// Facts of these hosts for a classification: everything that may show data.
///
/// # Errors
/// When no host can be asked at all, for a reason on this side.
pub async fn gathered(
    input: &FleetInput,
    hosts: &BTreeMap<HostName, Host>,
    args: &HostArgs,
    wanted: &FactsWanted,
) -> Result<FleetFacts, Failure> {
    let name = &input.fleet.name;
    let passwords = input.passwords.clone();
    let reach = wiring::reach(name, hosts, passwords, args, Path::new(NO_DATA))?;
    gather::facts(&reach, hosts.keys(), wanted).await
}

/// This machine, to be known among the hosts.
pub fn controller() -> Controller {
    let id = std::fs::read_to_string("/etc/machine-id").ok();
    let id = id
        .map(|id| id.trim().to_owned())
        .filter(|id| !id.is_empty());
    Controller { machine_id: id }
}

/// What the runs of a fleet tell of its hosts, the latest run that took a host counting; and runs that cannot be read.
///
/// # Errors
/// When the folder of runs cannot be read.
pub fn told_by_runs(
    state: Option<&Path>,
    fleet: &str,
) -> Result<(BTreeMap<HostName, Progress>, Vec<String>), Failure> {
    let folder = runs::state_dir(state)?;
    let mut out = BTreeMap::new();
    let mut unread = Vec::new();
    if !folder.exists() {
        // Looking is no reason to make one.
        return Ok((out, unread));
    }
    let mut told: Vec<Told> = Vec::new();
    for dir in runs::open_store(state)?.list()? {
        match Told::of(dir) {
            Ok(run) if run.plan().fleet == fleet => told.push(run),
            Ok(_) => {}
            Err(failure) => unread.push(failure.message),
        }
    }
    told.sort_by_key(|run| run.records.first().map(|record| record.at));
    for run in &told {
        out.extend(of_run(run));
    }
    Ok((out, unread))
}

fn of_run(told: &Told) -> BTreeMap<HostName, Progress> {
    let report = report::report(told.run.opened_with(), &told.records);
    let progress = |host: &HostName| {
        let left: Vec<String> = report
            .leftovers
            .iter()
            .filter(|left| left.host.as_ref() == Some(host))
            .map(|left| {
                format!(
                    "{}: {}",
                    text::one_line(&left.what, 200),
                    text::one_line(&left.way, 200)
                )
            })
            .collect();
        let state = match (report.verdict, left.is_empty()) {
            (Some(Verdict::Complete), true) => State::Done,
            (Some(Verdict::Complete), false) => State::Leftovers,
            // An aborted run has left hosts anywhere on their way.
            (Some(Verdict::Aborted) | None, _) => State::UnderWay,
        };
        Progress {
            state,
            run: Some(told.dir.id().clone()),
            leftovers: left,
            vanished: None,
        }
    };
    report
        .hosts
        .iter()
        .map(|row| (row.host.clone(), progress(&row.host)))
        .collect()
}

/// What is written of every host: those of the inventory, and those that are no longer in it.
pub fn updates(
    input: &FleetInput,
    only: &BTreeSet<HostName>,
    proposals: &BTreeMap<HostName, Proposal>,
    before: &Tracker,
    told: &BTreeMap<HostName, Progress>,
    today: Date,
) -> BTreeMap<HostName, Update> {
    let nothing = TrackedHost::default();
    let known = |host: &HostName| before.hosts.get(host).unwrap_or(&nothing);
    let mut out = BTreeMap::new();
    for (name, host) in input
        .fleet
        .hosts
        .iter()
        .filter(|(name, _)| only.contains(*name))
    {
        let mut tracked = known(name).clone();
        tracked.progress = told.get(name).or(tracked.progress.as_ref()).cloned();
        let state = tracked.state(today);
        let progress = Progress {
            state,
            vanished: None,
            ..tracked.progress.unwrap_or(Progress {
                state,
                run: None,
                leftovers: Vec::new(),
                vanished: None,
            })
        };
        let update = Update {
            roles: host.roles.clone(),
            zone: host.zone.clone(),
            proposed: proposals.get(name).cloned(),
            progress: Some(progress),
        };
        out.insert(name.clone(), update);
    }
    for (name, tracked) in &before.hosts {
        let gone = tracked
            .progress
            .as_ref()
            .and_then(|progress| progress.vanished);
        if !input.fleet.hosts.contains_key(name) && gone.is_none() {
            let progress = Progress {
                vanished: Some(today),
                ..tracked.progress.clone().unwrap_or(Progress {
                    state: State::NotStarted,
                    run: None,
                    leftovers: Vec::new(),
                    vanished: None,
                })
            };
            let update = Update {
                progress: Some(progress),
                ..Update::default()
            };
            out.insert(name.clone(), update);
        }
    }
    out
}

/// Writes a tracker at once, beside its place and renamed; the mode of the old one stays.
///
/// # Errors
/// When it cannot be written, or was edited since it was read.
pub fn write(path: &Path, before: Option<&SourceFile>, text: &str) -> Result<(), Failure> {
    let wrong = |error: std::io::Error| file(path, "written", &error);
    // A link stays a link.
    let target = if before.is_some() {
        path.canonicalize().map_err(wrong)?
    } else {
        path.to_owned()
    };
    let now = match before {
        Some(_) => Some(read::file(path)?.text),
        None if path.try_exists().map_err(wrong)? => Some(String::new()),
        None => None,
    };
    if now.as_ref() != before.map(|before| &before.text) {
        return Err(Failure::input(format!(
            "{} was changed while this command ran; nothing was written",
            path.display()
        ))
        .hint("give the same command again"));
    }
    let mut making = target.as_os_str().to_owned();
    making.push(format!(".{}.new", std::process::id()));
    let making = PathBuf::from(making);
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&making)
        .and_then(|mut out| {
            if before.is_some() {
                out.set_permissions(std::fs::metadata(&target)?.permissions())?;
            }
            out.write_all(text.as_bytes())?;
            out.sync_all()?;
            std::fs::rename(&making, &target)
        });
    if written.is_err() {
        let _ = std::fs::remove_file(&making);
    }
    written.map_err(wrong)
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Read(problems) => problems.into(),
            WriteError::Unusual { .. } => Self::input(&error).hint(
                "nothing was changed; write hosts and their keys on lines of their own, without anchors in `proposed` and `progress`",
            ),
        }
    }
}
