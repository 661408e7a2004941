//! `overhaul status`: from journal and inbox, beside whoever leads the run.

use crate::args::RunArg;
use crate::console::Console;
use crate::failure::Outcome;
use crate::runs;
use crate::show::status::Status;
use jiff::Timestamp;

/// Shows how a run stands; the exit code says it too.
pub fn status(args: &RunArg, state: Option<&std::path::Path>, console: Console) -> Outcome {
    let store = runs::open_store(state)?;
    let told = runs::any(&store, args.run.as_deref())?;
    let now = Timestamp::now();
    let status = Status::of(&told, told.dir.pending()?, told.dir.is_held()?, now);
    if console.json {
        console.out_json(&status);
    } else {
        console.out(&status.text(now));
    }
    Ok(runs::exit_of(status.standing))
}
