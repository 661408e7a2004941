//! `overhaul void`: the effect of a step, or a host's record of the authority over a dataset.

use super::decide::{about, put};
use crate::agreed::Agreed;
use crate::args::VoidArgs;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::one_host::{self, trouble};
use crate::person::person;
use crate::text;
use overhaul_model::authority::{AuthorityRecord, AuthorityStand};
use overhaul_model::event::Choice;
use std::path::Path;

/// Declares the effect of a step void.
pub fn step(
    args: &VoidArgs,
    step: Option<&str>,
    state: Option<&Path>,
    console: Console,
) -> Outcome {
    let step =
        step.ok_or_else(|| Failure::input("name the step, as `overhaul status` shows it"))?;
    let (told, position) = about(args.run.as_deref(), step, state)?;
    put(&told, Choice::Void { position }, &args.reason, console)
}

/// Declares a host's record void. The host keeps person and reason.
pub async fn authority(args: &VoidArgs, dataset: &str, host: &str, console: Console) -> Outcome {
    if args.reason.trim().is_empty() {
        return Err(Failure::input(
            "a record of authority is declared void for a reason only: --reason TEXT",
        ));
    }
    let (host, reach) = one_host::found(&args.fleet, &args.hosts, host)?;
    let records = reach.authority(&host).await.map_err(trouble)?;
    let named = |record: &&AuthorityRecord| record.about.dataset.as_str() == dataset;
    let Some(record) = records.iter().find(named) else {
        console.note(&format!(
            "{host} keeps no record of the authority over {dataset}; nothing was changed"
        ));
        return Ok(Exit::Ok);
    };
    console.note(&format!("{host}: {}", text::clean(&record.words())));
    if matches!(record.stand, AuthorityStand::Voided { .. }) {
        return Ok(Exit::Ok);
    }
    let agreed = Agreed {
        whether: "whether to declare the record void",
        hint: "make sure which host has the data that counts, then give --yes",
        question: "Two hosts could write the same data from then on. Declare the record void?",
        otherwise: "not declared void; nothing was changed",
    };
    agreed.or_asked(args.yes, console)?;
    let seen = record.seen().map_err(Failure::internal)?;
    reach
        .void_authority(&host, seen, person(), args.reason.clone())
        .await
        .map_err(trouble)?;
    if console.json {
        console.out_json(&serde_json::json!({
            "host": host, "voided": record, "person": person(), "reason": args.reason,
        }));
    } else {
        console.out(&format!(
            "{host}: its record of the authority over {dataset} is void, by {}\n",
            person()
        ));
    }
    Ok(Exit::Ok)
}
