//! `overhaul export`: the plan as a runbook, from files alone.

use crate::args::ExportArgs;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::inputs::{self, write_text};
use crate::runs::{self, Told, replayed};
use crate::show::export::{Remaining, runbook};
use jiff::Timestamp;
use overhaul_engine::ports::JournalError;
use overhaul_model::id::RunId;
use overhaul_model::plan::Plan;
use overhaul_store::{RunDir, RunStore, StoreError};
use std::path::Path;

/// Prints or writes the runbook.
pub fn export(args: &ExportArgs, state: Option<&Path>, console: Console) -> Outcome {
    let text = match stored_plan(args)? {
        Some(_) if args.remaining => {
            return Err(Failure::input("a plan alone has no present state")
                .hint("name a run: overhaul export RUN --remaining"));
        }
        Some(plan) => runbook(&plan, None),
        None => {
            let store = RunStore::look(&runs::state_dir(state)?);
            let told = meant(&store, args.what.as_deref())?;
            let remaining = Remaining {
                run: &told.run,
                records: &told.records,
                now: Timestamp::now(),
            };
            runbook(told.plan(), args.remaining.then_some(remaining))
        }
    };
    match &args.output {
        Some(path) => write_text(path, &text)?,
        None if console.json => console.out_json(&serde_json::json!({ "markdown": text })),
        None => console.out(&text),
    }
    Ok(Exit::Ok)
}

fn stored_plan(args: &ExportArgs) -> Result<Option<Plan>, Failure> {
    let path = args.what.as_deref().map(Path::new);
    match path.filter(|path| path.is_file()) {
        Some(path) => inputs::stored_plan(path).map(Some),
        None => Ok(None),
    }
}

/// The run that was named, else the only one that is not over, else the latest.
fn meant(store: &RunStore, named: Option<&str>) -> Result<Told, Failure> {
    if let Some(named) = named {
        return read(store.run(&RunId::new(named))?);
    }
    let all: Vec<Told> = store
        .list()?
        .into_iter()
        .map(read)
        .collect::<Result<_, _>>()?;
    let open = all
        .iter()
        .filter(|told| told.run.verdict().is_none())
        .count();
    let many = open > 1;
    let mut wanted = all
        .into_iter()
        .filter(|told| open == 0 || told.run.verdict().is_none());
    match wanted.next_back() {
        Some(_) if many => {
            Err(Failure::input(format!("{open} runs are not over"))
                .hint("name the one that is meant"))
        }
        Some(told) => Ok(told),
        None => Err(Failure::input("there is no run").hint("overhaul run begins one")),
    }
}

/// Plan and journal; where the journal's file cannot be opened as usual, because it cannot be written, from
/// a copy of it.
fn read(dir: RunDir) -> Result<Told, Failure> {
    let plan = dir.plan()?;
    let records = match dir.records() {
        Err(StoreError::Journal(JournalError::Storage { .. })) => dir.records_of_copy()?,
        other => other?,
    };
    let run = replayed(plan, &records, dir.id())?;
    Ok(Told { dir, records, run })
}
