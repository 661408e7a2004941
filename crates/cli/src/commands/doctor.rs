//! `overhaul doctor`: whether what lies in the state folder is whole, and what of a run can be kept.

use crate::args::DoctorArgs;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::gather;
use crate::person::person;
use crate::runs;
use crate::show::doctor::{Health, RunHealth, StateHealth};
use overhaul_machine::{ReplayError, Run};
use overhaul_model::event::Event;
use overhaul_model::id::RunId;
use overhaul_store::{Inspection, RunDir, RunStore, StoreError};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// By how much controllers count on after a salvage: lost rows cannot tell of so many. Each takes seconds.
const COUNTERS_LOST_MAX: u64 = 1_000_000;

/// Looks, and keeps what is whole when that was asked for.
pub fn doctor(args: &DoctorArgs, state: Option<&Path>, console: Console) -> Outcome {
    let state = runs::state_dir(state)?;
    let store = RunStore::look(&state);
    if let (Some(run), Some(into)) = (&args.run, &args.salvage) {
        return salvage(&store.run(&RunId::new(run.as_str()))?, into, console);
    }
    let dirs = match &args.run {
        Some(run) => vec![store.run(&RunId::new(run.as_str()))?],
        None if state.join("runs").is_dir() => store.list()?,
        None => {
            return Err(Failure::input(format!("{} holds no runs", state.display()))
                .hint("another folder is named with --state DIR"));
        }
    };
    let mut found = Vec::new();
    for dir in &dirs {
        found.push(health(dir.inspect()?));
    }
    let health = Health {
        state: of_state(&state, &store)?,
        runs: found,
    };
    if console.json {
        console.out_json(&health);
    } else {
        console.out(&health.text());
    }
    Ok(match health.runs.iter().all(RunHealth::is_whole) {
        true => Exit::Ok,
        false => Exit::StoreTrouble,
    })
}

fn of_state(state: &Path, store: &RunStore) -> Result<StateHealth, Failure> {
    let facts = gather::controller(state);
    let mount = facts.mounts.value().and_then(|mounts| mounts.first());
    let mode =
        std::fs::metadata(state).map_err(|error| crate::failure::file(state, "read", &error));
    Ok(StateHealth {
        folder: state.to_owned(),
        version: env!("CARGO_PKG_VERSION"),
        mode: mode?.mode() & 0o777,
        free_bytes: mount.map(|mount| mount.free_bytes),
        cut_off: store.cut_off()?,
    })
}

/// What was found, with what the rows mean.
fn health(inspection: Inspection) -> RunHealth {
    let mut salvable = 0;
    let mut misfit = None;
    let mut standing = None;
    if let Some(plan) = &inspection.the_plan {
        match Run::replay(plan.clone(), &inspection.records) {
            Ok(run) => {
                salvable = run.seq();
                standing = Some(run.next(jiff::Timestamp::now()).standing.run);
            }
            Err(error) => {
                if let ReplayError::Illegal { seq, .. } = &error {
                    salvable = seq.saturating_sub(1);
                }
                misfit = Some(error.to_string());
            }
        }
    }
    RunHealth {
        standing,
        misfit,
        salvable,
        inspection,
    }
}

/// Makes a run of the whole rows in another state folder.
fn salvage(dir: &RunDir, into: &Path, console: Console) -> Outcome {
    let health = health(dir.inspect()?);
    let inspection = &health.inspection;
    let Some(plan) = &inspection.the_plan else {
        return Err(Failure::new(
            Exit::StoreTrouble,
            format!(
                "run {}: without its plan nothing can be kept; nothing was changed",
                dir.id()
            ),
        )
        .hint("put a whole copy of plan.json and SHA256SUMS back, then try again")
        .hint("else free each host with overhaul abort --lost after you have looked at it"));
    };
    let kept = inspection
        .records
        .iter()
        .take_while(|r| r.seq <= health.salvable);
    let kept: Vec<_> = kept.cloned().collect();
    let run = runs::replayed(plan.clone(), &kept, dir.id())?;
    let mut events = Vec::new();
    if kept.is_empty() {
        events.push(Event::RunOpened {
            run: dir.id().clone(),
            plan: run.hash().clone(),
            person: person(),
            warned: Vec::new(),
        });
    }
    if run.verdict().is_none() {
        events.push(Event::Salvaged {
            person: person(),
            kept: health.salvable,
            known: inspection.journal.known_rows,
            why: health.why(),
            counter: run
                .generation()
                .map_or(0, |generation| generation.counter)
                .saturating_add(COUNTERS_LOST_MAX),
        });
    }
    let salvage = inspection.salvage(health.salvable, events, into);
    let salvage = salvage.map_err(|error| match error {
        exists @ StoreError::Exists { .. } => {
            Failure::input(format!("{}: {exists}; nothing was changed", into.display()))
                .hint("name another folder")
        }
        other => other.into(),
    })?;
    if console.json {
        console.out_json(&serde_json::json!({
            "run": dir.id(),
            "folder": salvage.dir.path(),
            "kept": salvage.kept,
            "known": inspection.journal.known_rows,
            "facts": salvage.facts,
            "not_copied": salvage.left,
        }));
    } else {
        console.out(&crate::show::doctor::salvaged(&health, &salvage, into));
    }
    Ok(Exit::Ok)
}
