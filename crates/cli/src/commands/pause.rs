//! `overhaul pause`.

use super::decide::put;
use crate::args::RunArg;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::runs;
use overhaul_model::event::Choice;

/// Lets nothing new begin.
pub fn pause(args: &RunArg, state: Option<&std::path::Path>, console: Console) -> Outcome {
    let store = runs::open_store(state)?;
    let told = runs::unfinished(&store, args.run.as_deref())?;
    if !told.dir.is_held()? && told.run.verdict().is_none() {
        console.note(&format!(
            "no process has run {}: nothing begins until `overhaul resume`",
            told.dir.id()
        ));
        return Ok(Exit::Ok);
    }
    put(&told, Choice::Pause, "", console)
}
