//! `overhaul resume`: the stored plan is checked again, then the run goes on.

use crate::args::{CleanupArgs, ResumeArgs};
use crate::compile::{blocked, checked, warned};
use crate::console::Console;
use crate::detach;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::gather;
use crate::inputs;
use crate::lead::{Lead, lead};
use crate::runs::{self, NotKept, Told};
use crate::show;
use crate::sitting;
use crate::wiring;
use overhaul_engine::ports::Reach as _;
use overhaul_machine::HostLink;
use overhaul_model::event::Choice;
use overhaul_model::facts::FleetFacts;
use overhaul_model::id::{HostName, Position, RunId, StepId};
use overhaul_model::plan::{Block, Child};
use overhaul_reach::SshReach;
use overhaul_store::StoreError;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Takes a run up where it stands.
pub async fn resume(args: &ResumeArgs, state: Option<&Path>, console: Console) -> Outcome {
    let hooks = args.leading.hooks.ready()?;
    if args.leading.detach {
        detach::possible(&args.fleet, &args.leading)?;
    }
    let store = runs::open_store(state)?;
    let told = runs::to_take_up(&store, args.run.as_deref())?;
    let id = told.dir.id().clone();
    if told.run.verdict().is_some() {
        return Err(Failure::input(format!("run {id} is over"))
            .hint(format!("overhaul report {id} tells of it")));
    }
    let sitting = sitting::sitting(&args.leading.limits, told.plan())?;
    runs::room(told.dir.path()).map_err(|failure| failure.hint(again(&id)))?;
    let lock = match told.dir.lock() {
        Ok(lock) => lock,
        Err(StoreError::Held { .. }) if told.run.is_paused() && sitting.is_none() => {
            runs::submit(&told, Choice::Unpause, "")?;
            console.note(&format!("run {id} goes on in the process that has it"));
            return Ok(Exit::Ok);
        }
        Err(error) => return Err(error.into()),
    };
    let told = told.up_to_date()?;
    let plan = told.plan();
    let passwords = inputs::passwords(&args.fleet)?;
    let reach = wiring::reach(
        &plan.fleet,
        &plan.hosts,
        passwords,
        &args.leading.hosts,
        &told.dir.data(),
    )?;
    know_machines(&told, &reach);
    let aborting = is_aborting(&told)?;
    let mut facts = facts(&told, &reach, aborting, console).await?;
    let mut settled = settled(&told, aborting);
    let later = later(&told);
    let own = |host: &HostName| later.contains(host);
    let positions = told.run.positions().map(|(position, _)| position);
    settled.extend(positions.filter(|p| p.host.as_ref().is_some_and(own)));
    let checked = checked(plan, &mut facts, &settled, told.dir.path());
    if !console.json {
        console.out(&show::findings::findings(&checked.findings));
    }
    let Some(passed) = checked.passed else {
        return Err(blocked(&checked.findings).hint(again(&id)).hint(format!(
            "a run that shall not go on is ended with: overhaul abort {id} --reason TEXT"
        )));
    };
    if args.leading.detach {
        drop(lock);
        let state = runs::state_dir(state)?;
        return detach::hand_over(&id, &state, &args.fleet, &args.leading, console);
    }
    go_on_if_paused(&told)?;
    let lead_it = Lead {
        checked: passed,
        warned: warned(&checked.findings),
        dir: told.dir,
        lock,
        reach,
        wait: args.leading.wait,
        sitting,
        cleanup: Vec::new(),
        hooks,
    };
    // Of a large fleet these would take more memory than carrying it out.
    drop((facts, told.run));
    lead(lead_it, console).await
}

/// Carries out what was named of the stage `cleanup` of a run that is complete. Everything else of the plan
/// counts as over for the checker.
pub async fn clean(
    told: Told,
    names: Vec<StepId>,
    args: &CleanupArgs,
    console: Console,
) -> Outcome {
    runs::room(told.dir.path())?;
    let lock = told.dir.lock()?;
    let plan = told.plan();
    let passwords = inputs::passwords(&args.fleet)?;
    let data = told.dir.data();
    let reach = wiring::reach(&plan.fleet, &plan.hosts, passwords, &args.hosts, &data)?;
    know_machines(&told, &reach);
    let wanted: BTreeSet<Position> = names
        .iter()
        .flat_map(|name| told.run.positions_in(name))
        .collect();
    let hosts: BTreeSet<HostName> = wanted.iter().filter_map(|p| p.host.clone()).collect();
    let others: BTreeSet<HostName> = plan.hosts.keys().cloned().collect();
    let others: BTreeSet<HostName> = others.difference(&hosts).cloned().collect();
    let asked = inputs::wanted_by_plan(plan);
    let mut facts = gather::facts_of_present(&reach, &hosts, &asked, console).await?;
    gather::none_in_trouble(&facts)?;
    facts.extend(gather::facts(&reach, &others, &asked).await?);
    let all = told.run.positions().map(|(position, _)| position);
    let settled: BTreeSet<Position> = all.filter(|p| !wanted.contains(p)).collect();
    let checked = checked(plan, &mut facts, &settled, told.dir.path());
    if !console.json {
        console.out(&show::findings::findings(&checked.findings));
    }
    let Some(passed) = checked.passed else {
        return Err(blocked(&checked.findings));
    };
    let lead_it = Lead {
        checked: passed,
        warned: warned(&checked.findings),
        dir: told.dir,
        lock,
        reach,
        wait: false,
        sitting: None,
        cleanup: names,
        // Somebody sits there: what is cleared away is named and begins at once.
        hooks: Vec::new(),
    };
    lead(lead_it, console).await
}

/// Machines that this run made anew are reached by the keys that their providers proved: the operator's known hosts still hold the old ones.
fn know_machines<R>(told: &Told<R>, reach: &Arc<SshReach>) {
    for (host, machine) in told.run.machines() {
        reach.moved(host, machine);
    }
}

/// Facts of all hosts. Those that the rest of the run is about must be there, but when it is ended: then a
/// host that is gone for ever must not keep the others.
async fn facts(
    told: &Told<NotKept>,
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
    gather::none_in_trouble(&facts).map_err(|failure| failure.hint(again(told.dir.id())))?;
    facts.extend(gather::facts(reach, &others, &wanted).await?);
    Ok(facts)
}

/// What leads on once the reason for a refusal is gone: whoever is woken by it must not have to look it up.
fn again(id: &RunId) -> String {
    format!("when that is mended: overhaul resume {id}")
}

/// Whether a person is ending the run, or has asked for it.
fn is_aborting(told: &Told<NotKept>) -> Result<bool, Failure> {
    let asked = told.dir.pending()?;
    let asked = asked.iter().any(|request| request.choice == Choice::Abort);
    Ok(asked || told.run.is_aborting())
}

/// Hosts that are left for later and whose day has not come: nothing of them is begun in this sitting as far
/// as anybody knows, and they may be away. When their day comes, the next `resume` checks them. And hosts that are
/// away by the run's own doing: their next step brings them back, and looks for itself.
fn later(told: &Told<NotKept>) -> BTreeSet<HostName> {
    let now = jiff::Timestamp::now();
    let asked = told.dir.pending().unwrap_or_default();
    let taken_up = |host: &HostName| {
        let wanted = |choice: &Choice| *choice == Choice::TakeUp { host: host.clone() };
        asked.iter().any(|request| wanted(&request.choice))
    };
    let mut out: BTreeSet<HostName> = told
        .run
        .postponed()
        .filter(|(host, postponed)| postponed.until > now && !taken_up(host))
        .map(|(host, _)| host.clone())
        .collect();
    out.extend(told.run.away());
    for request in &asked {
        match &request.choice {
            Choice::Postpone { host, until } if *until > now && told.run.judge(request).is_ok() => {
                out.insert(host.clone());
            }
            Choice::LeaveOut { host } => {
                out.insert(host.clone());
            }
            _ => {}
        }
    }
    out
}

/// Hosts that the rest of the run is about, and the others.
fn needed(told: &Told<NotKept>) -> (BTreeSet<HostName>, BTreeSet<HostName>) {
    let later = later(told);
    let with_work = told.run.hosts_with_work();
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
        .partition(|host| !later.contains(host) && (with_work.contains(host) || held(host)))
}

/// What the checker takes for over. A run that is ended does nothing any more but close its scopes, so that
/// no rule about anything else may stand in its way.
fn settled(told: &Told<NotKept>, aborting: bool) -> BTreeSet<Position> {
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
fn go_on_if_paused(told: &Told<NotKept>) -> Result<(), Failure> {
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
            | Choice::Postpone { .. }
            | Choice::TakeUp { .. }
            | Choice::LeaveOut { .. }
            | Choice::Abort => {}
        }
    }
    if paused {
        let request = runs::decision(&told.run, Choice::Unpause, "");
        told.dir.submit(&request)?;
    }
    Ok(())
}
