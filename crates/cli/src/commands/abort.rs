//! `overhaul abort`: a run, or a host whose run's journal is lost.

use super::decide::put;
use crate::agreed::Agreed;
use crate::args::AbortArgs;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::one_host::{self, trouble};
use crate::person::person;
use crate::runs;
use crate::text;
use overhaul_model::event::{Choice, Generation};
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
    let (host, reach) = one_host::found(&args.fleet, &args.hosts, host)?;
    let Some(holder) = reach.holder(&host).await.map_err(trouble)? else {
        console.note(&format!("{host}: no run holds it; nothing was changed"));
        return Ok(Exit::Ok);
    };
    console.note(&format!("{host} belongs to {}", words(&holder)));
    let agreed = Agreed {
        whether: "whether to free the host",
        hint: "make sure that no controller of that run is left, then give --yes",
        question: "No controller of that run may be left: it could go on unseen. Free the host?",
        otherwise: "not freed; nothing was changed",
    };
    agreed.or_asked(args.yes, console)?;
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
