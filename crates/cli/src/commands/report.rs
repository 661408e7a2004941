//! `overhaul report`: from plan and journal alone.

use crate::args::ReportArgs;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::inputs::{write_json, write_text};
use crate::runs::{self, Told};
use crate::show;
use overhaul_machine::report;
use serde::Serialize;

/// Prints or writes the report of a run, or what is different from its rehearsal.
pub fn report(args: &ReportArgs, state: Option<&std::path::Path>, console: Console) -> Outcome {
    let store = runs::open_store(state)?;
    let of = |told: &Told| report::report(told.run.opened_with(), &told.records);
    let run = of(&runs::any(&store, args.run.as_deref())?);
    let Some(rehearsal) = &args.compare else {
        return tell(args, &run, show::report::report, console);
    };
    let rehearsal = of(&runs::any(&store, Some(rehearsal))?);
    if rehearsal.run == run.run {
        return Err(
            Failure::input("--compare: the run and its rehearsal are the same run")
                .hint("overhaul report RUN --compare REHEARSAL"),
        );
    }
    let comparison = report::compare(&rehearsal, &run);
    tell(args, &comparison, show::compare::comparison, console)
}

fn tell<T: Serialize>(
    args: &ReportArgs,
    told: &T,
    words: impl Fn(&T) -> String,
    console: Console,
) -> Outcome {
    match (&args.output, console.json) {
        (Some(path), true) => write_json(path, told)?,
        (Some(path), false) => write_text(path, &words(told))?,
        (None, true) => console.out_json(told),
        (None, false) => console.out(&words(told)),
    }
    Ok(Exit::Ok)
}
