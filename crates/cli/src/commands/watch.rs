//! `overhaul watch`: a run that goes on elsewhere on this machine, from its journal alone.

use crate::args::WatchArgs;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::live::Live;
use crate::runs::{self, Told};
use crate::show::status::Status;
use jiff::Timestamp;
use overhaul_engine::Watcher as _;
use std::path::Path;
use std::time::Duration;

/// Time between two looks into the journal: people do not notice it.
const LOOK_MS: u64 = 500;

/// Looks without a controller before it is certain that none comes: a service takes a moment to start.
const ALONE_MAX: u32 = 20;

/// Shows what happens until the run is over, or stands with no process that has it. The exit code is the run's.
pub async fn watch(args: &WatchArgs, state: Option<&Path>, console: Console) -> Outcome {
    let store = runs::open_store(state)?;
    let mut told = runs::any(&store, args.run.as_deref())?;
    let old = match args.all {
        true => 0,
        false => told.run.seq(),
    };
    let live = Live::new(console, told.plan(), old);
    for record in &told.records {
        live.recorded(record);
    }
    let mut follower = told.dir.follow(told.records.last())?;
    let mut alone = 0_u32;
    loop {
        let held = told.dir.is_held()?;
        let news = follower.news()?;
        alone = match held || !news.is_empty() {
            true => 0,
            false => alone.saturating_add(1),
        };
        for record in news {
            told.run
                .apply(&record)
                .map_err(|error| Failure::new(Exit::StoreTrouble, error))?;
            live.recorded(&record);
            told.records.push(record);
        }
        live.standing(&told.run.next(Timestamp::now()).standing);
        let began = told.run.seq() > old || old > 0;
        let patient = if began { 1 } else { ALONE_MAX };
        if told.run.verdict().is_some() || alone > patient {
            break;
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    }
    live.end();
    ended(&told, console)
}

fn ended(told: &Told, console: Console) -> Outcome {
    let now = Timestamp::now();
    let status = Status::of(told, told.dir.pending()?, told.dir.is_held()?, now);
    let exit = runs::exit_of(status.standing);
    if console.json {
        let line = serde_json::json!({
            "end": exit.word(), "exit": exit.code(), "run": told.dir.id(), "status": status,
        });
        console.out(&format!("{line}\n"));
    } else {
        console.out(&format!("\n{}", status.text(now)));
    }
    Ok(exit)
}
