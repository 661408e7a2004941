//! `overhaul abort`: a run, or a host whose run's journal is lost.

use super::decide::put;
use crate::args::AbortArgs;
use crate::compile::NO_DATA;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::inputs;
use crate::person::person;
use crate::runs;
use crate::text;
use crate::wiring;
use overhaul_engine::ports::Fault;
use overhaul_model::event::{Choice, Generation};
use overhaul_model::id::HostName;
use std::path::Path;

/// Ends a run.
pub fn abort(args: &AbortArgs, state: Option<&Path>, console: Console) -> Outcome {
    let store = runs::open_store(state)?;
    let told = runs::unfinished(&store, args.run.as_deref())?;
    put(&told, Choice::Abort, &args.reason, console)
}

/// Frees a host of a run whose journal is lost. The host keeps person and reason.
pub async fn abort_lost(args: &AbortArgs, host: &str, console: Console) -> Outcome {
    if args.reason.trim().is_empty() {
        return Err(Failure::input(
            "a host is freed for a reason only: --reason TEXT",
        ));
    }
    let loaded = inputs::fleet_alone(&args.fleet)?;
    let host = HostName::new(host);
    let Some(known) = loaded.fleet.hosts.get(&host) else {
        return Err(Failure::input(format!(
            "the fleet {} has no host `{host}`",
            loaded.fleet.name
        )));
    };
    let hosts = [(host.clone(), known.clone())].into();
    let reach = wiring::reach(
        &loaded.fleet.name,
        &hosts,
        loaded.passwords,
        &args.hosts,
        Path::new(NO_DATA),
    )?;
    let Some(holder) = reach.holder(&host).await.map_err(trouble)? else {
        console.note(&format!("{host}: no run holds it; nothing was changed"));
        return Ok(Exit::Ok);
    };
    console.note(&format!("{host} belongs to {}", words(&holder)));
    if !args.yes {
        if !console.can_ask() {
            return Err(
                Failure::input("nobody can be asked whether to free the host")
                    .hint("make sure that no controller of that run is left, then give --yes"),
            );
        }
        let question =
            "No controller of that run may be left: it could go on unseen. Free the host?";
        if !console.confirm(question).map_err(Failure::internal)? {
            return Err(Failure::input("not freed; nothing was changed"));
        }
    }
    reach
        .force_release(&host, holder.clone(), person(), args.reason.clone())
        .await
        .map_err(trouble)?;
    if console.json {
        console.out_json(&serde_json::json!({
            "host": host, "freed_from": holder, "person": person(), "reason": args.reason,
        }));
    } else {
        console.out(&format!(
            "{host} is free; it was held by {}\n",
            words(&holder)
        ));
    }
    Ok(Exit::Ok)
}

fn words(holder: &Generation) -> String {
    text::clean(&format!(
        "run {} of fleet {} (controller {})",
        holder.run, holder.fleet, holder.counter
    ))
}

fn trouble(fault: Fault) -> Failure {
    Failure::new(Exit::HostTrouble, fault)
}
