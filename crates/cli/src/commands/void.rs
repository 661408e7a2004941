//! `overhaul void`: the effect of a step, or a host's record of the authority over a dataset.

use super::decide::{about, put};
use crate::args::VoidArgs;
use crate::compile::NO_DATA;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::inputs;
use crate::person::person;
use crate::text;
use crate::wiring;
use overhaul_engine::ports::Fault;
use overhaul_model::authority::{AuthorityRecord, AuthorityStand};
use overhaul_model::event::Choice;
use overhaul_model::id::HostName;
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
    let loaded = inputs::fleet_alone(&args.fleet)?;
    let host = HostName::new(host);
    let Some(known) = loaded.fleet.hosts.get(&host) else {
        let fleet = &loaded.fleet.name;
        return Err(Failure::input(format!(
            "the fleet {fleet} has no host `{host}`"
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
    if !args.yes {
        ask(console)?;
    }
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

fn ask(console: Console) -> Result<(), Failure> {
    if !console.can_ask() {
        let failure = Failure::input("nobody can be asked whether to declare the record void");
        return Err(failure.hint("make sure which host has the data that counts, then give --yes"));
    }
    let question = "Two hosts could write the same data from then on. Declare the record void?";
    if console.confirm(question).map_err(Failure::internal)? {
        return Ok(());
    }
    Err(Failure::input("not declared void; nothing was changed"))
}

fn trouble(fault: Fault) -> Failure {
    Failure::new(Exit::HostTrouble, fault)
}
