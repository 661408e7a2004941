//! `overhaul resume`: the stored plan is checked again, then the run goes on.

use crate::args::ResumeArgs;
use crate::compile::{blocked, checked, warned};
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::gather;
use crate::inputs;
use crate::lead::{Lead, lead};
use crate::runs::{self, Told};
use crate::show;
use crate::wiring;
use overhaul_machine::HostLink;
use overhaul_model::event::Choice;
use overhaul_model::facts::FleetFacts;
use overhaul_model::id::{HostName, Position, StepId};
use overhaul_model::plan::{Block, Child};
use overhaul_reach::SshReach;
use overhaul_store::StoreError;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Takes a run up where it stands.
pub async fn resume(
    args: &ResumeArgs,
    state: Option<&std::path::Path>,
    console: Console,
) -> Outcome {
    let store = runs::open_store(state)?;
    let told = runs::unfinished(&store, args.run.as_deref())?;
    let id = told.dir.id().clone();
    if told.run.verdict().is_some() {
        return Err(Failure::input(format!("run {id} is over"))
            .hint(format!("overhaul report {id} tells of it")));
    }
    runs::room(told.dir.path())?;
    let lock = match told.dir.lock() {
        Ok(lock) => lock,
        Err(StoreError::Held { .. }) if told.run.is_paused() => {
            runs::submit(&told, Choice::Unpause, "")?;
            console.note(&format!("run {id} goes on in the process that has it"));
            return Ok(Exit::Ok);
        }
        Err(error) => return Err(error.into()),
    };
    // The journal may have grown until the lock was taken.
    let told = Told::of(told.dir)?;
    let plan = told.plan().clone();
    let passwords = inputs::passwords(&args.fleet)?;
    let reach = wiring::reach(
        &plan.fleet,
        &plan.hosts,
        passwords,
        &args.hosts,
        &told.dir.data(),
    )?;
    let aborting = is_aborting(&told)?;
    let facts = facts(&told, &reach, aborting, console).await?;
    let settled = settled(&told, aborting);
    let checked = checked(&plan, &facts, &settled, told.dir.path());
    if !console.json {
        console.out(&show::findings::findings(&checked.findings));
    }
    let Some(passed) = checked.passed else {
        return Err(blocked(&checked.findings).hint(format!(
            "a run that shall not go on is ended with: overhaul abort {id} --reason TEXT"
        )));
    };
    go_on_if_paused(&told)?;
    let lead_it = Lead {
        checked: passed,
        warned: warned(&checked.findings),
        dir: told.dir,
        lock,
        reach,
        wait: args.wait,
    };
    lead(lead_it, console).await
}

/// Facts of all hosts. Those that the rest of the run is about must be there, but when it is ended: then a
/// host that is gone for ever must not keep the others.
async fn facts(
    told: &Told,
    reach: &Arc<SshReach>,
    aborting: bool,
    console: Console,
) -> Result<FleetFacts, Failure> {
    let wanted = inputs::wanted_by_plan(told.plan());
    if aborting {
        return gather::facts(reach, told.plan().hosts.keys(), &wanted).await;
    }
    let (needed, others) = needed(told);
    let mut facts = gather::facts_of_present(reach, &needed, &wanted, console).await?;
    gather::none_in_trouble(&facts)?;
    facts.extend(gather::facts(reach, &others, &wanted).await?);
    Ok(facts)
}

/// Whether a person is ending the run, or has asked for it.
fn is_aborting(told: &Told) -> Result<bool, Failure> {
    let asked = told.dir.pending()?;
    let asked = asked.iter().any(|request| request.choice == Choice::Abort);
    Ok(asked || told.run.is_aborting())
}

/// Hosts that the rest of the run is about, and the others.
fn needed(told: &Told) -> (BTreeSet<HostName>, BTreeSet<HostName>) {
    let with_work: BTreeSet<HostName> = told
        .run
        .positions()
        .filter(|(_, state)| !state.is_over())
        .filter_map(|(position, _)| position.host)
        .collect();
    let held = |host: &HostName| {
        let link = told.run.link(host);
        !matches!(
            link,
            None | Some(HostLink::Released | HostLink::LeftBehind { .. })
        )
    };
    told.plan()
        .hosts
        .keys()
        .cloned()
        .partition(|host| with_work.contains(host) || held(host))
}

/// What the checker takes for over. A run that is ended does nothing any more but close its scopes, so that
/// no rule about anything else may stand in its way.
fn settled(told: &Told, aborting: bool) -> BTreeSet<Position> {
    let closings = closings(&told.plan().root);
    told.run
        .positions()
        .filter(|(position, state)| {
            state.is_over() || (aborting && !closings.contains(&position.step))
        })
        .map(|(position, _)| position)
        .collect()
}

fn closings(block: &Block) -> BTreeSet<StepId> {
    let mut out = BTreeSet::new();
    if let Block::Scope { close, .. } = block {
        out.insert(close.id.clone());
    }
    for child in block.children() {
        if let Child::Block(block) = child {
            out.extend(closings(block));
        }
    }
    out
}

/// Who resumes wants steps to begin again, also when a pause was asked for and not taken up.
fn go_on_if_paused(told: &Told) -> Result<(), Failure> {
    let mut paused = told.run.is_paused();
    for request in told.dir.pending()? {
        match request.choice {
            Choice::Pause => paused = true,
            Choice::Unpause => paused = false,
            Choice::Approve { .. }
            | Choice::Retry { .. }
            | Choice::Done { .. }
            | Choice::Skip { .. }
            | Choice::Void { .. }
            | Choice::Abort => {}
        }
    }
    if paused {
        let request = runs::decision(&told.run, Choice::Unpause, "");
        told.dir.submit(&request)?;
    }
    Ok(())
}
