//! `overhaul report`: from plan and journal alone.

use crate::args::ReportArgs;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::inputs::{write_json, write_text};
use crate::runs;
use crate::show;
use overhaul_machine::report;

/// Prints or writes the report of a run.
pub fn report(args: &ReportArgs, state: Option<&std::path::Path>, console: Console) -> Outcome {
    let store = runs::open_store(state)?;
    let told = runs::any(&store, args.run.as_deref())?;
    let report = report::report(told.run.opened_with(), &told.records);
    match (&args.output, console.json) {
        (Some(path), true) => write_json(path, &report)?,
        (Some(path), false) => write_text(path, &show::report::report(&report))?,
        (None, true) => console.out_json(&report),
        (None, false) => console.out(&show::report::report(&report)),
    }
    Ok(Exit::Ok)
}
