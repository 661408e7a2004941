//! `overhaul run`: fresh facts, plan, check, and the run itself.

use crate::args::{FleetArgs, InputArgs, RunArgs};
use crate::compile::{blocked, checked, warned};
use crate::console::Console;
use crate::detach;
use crate::durations;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::gather;
use crate::inputs::{self, Loaded};
use crate::lead::{Lead, lead};
use crate::runs::{self, Told};
use crate::show;
use crate::sitting;
use crate::text;
use crate::wiring;
use jiff::Timestamp;
use overhaul_model::definition::Definition;
use overhaul_model::facts::{FactsWanted, FleetFacts};
use overhaul_model::fleet::{Fleet, Host};
use overhaul_model::id::HostName;
use overhaul_model::plan::Plan;
use overhaul_model::secret::Secret;
use overhaul_plan::{compile, print::tree};
use overhaul_reach::SshReach;
use overhaul_store::RunStore;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// What is to be run.
pub enum Input {
    /// Is compiled with fresh facts.
    Definition(Box<(Definition, Fleet)>),
    /// Was compiled before; fresh facts check it.
    Plan(Box<Plan>),
}

/// What a command line and its files ask for.
pub struct Wanted {
    /// What is to be run.
    pub input: Input,
    fleet: String,
    hosts: BTreeMap<HostName, Host>,
    passwords: BTreeMap<HostName, Secret>,
    facts: FactsWanted,
}

/// Runs a definition or a stored plan.
pub async fn run(args: &RunArgs, state: Option<&Path>, console: Console) -> Outcome {
    let wanted = wanted(args, console)?;
    let hooks = args.leading.hooks.ready()?;
    if !args.yes && !console.can_ask() {
        return Err(Failure::input("nobody can be asked whether to go on")
            .hint("give --yes when the plan was looked at: overhaul plan"));
    }
    if args.leading.detach {
        detach::possible(&args.fleet, &args.leading)?;
    }
    let store = runs::open_store(state)?;
    no_other_run(&store, &wanted.fleet, console)?;
    let id = runs::new_id(Timestamp::now());
    let state = runs::state_dir(state)?;
    runs::room(&state)?;
    let data = state.join("runs").join(id.as_str()).join("data");
    let reach = wiring::reach(
        &wanted.fleet,
        &wanted.hosts,
        wanted.passwords.clone(),
        &args.leading.hosts,
        &data,
    )?;
    let mut facts = gather::facts(&reach, wanted.hosts.keys(), &wanted.facts).await?;
    gather::none_in_trouble(&facts)?;
    nobody_holds(&reach, &facts, &args.fleet).await?;
    let plan = match wanted.input {
        Input::Plan(plan) => *plan,
        Input::Definition(both) => {
            let mut plan = compile(&both.0, &both.1, &facts)?;
            durations::foresee(&state, &mut plan, console);
            plan
        }
    };
    let checked = checked(&plan, &mut facts, &BTreeSet::new(), &state);
    show_before(&plan, &checked.findings, console);
    let Some(passed) = checked.passed else {
        return Err(blocked(&checked.findings));
    };
    if !args.yes && !agreed(&plan, console)? {
        return Err(Failure::input("not begun; nothing was changed"));
    }
    let sitting = sitting::sitting(&args.leading.limits, &plan)?;
    let dir = store.create(&id, &plan, &facts)?;
    let lock = dir.lock()?;
    console.note(&format!("run {id}, in {}", dir.path().display()));
    if args.leading.detach {
        drop(lock);
        return detach::hand_over(&id, &state, &args.fleet, &args.leading, console);
    }
    let warned = warned(&checked.findings);
    let lead_it = Lead {
        checked: passed,
        dir,
        lock,
        reach,
        warned,
        wait: args.leading.wait,
        sitting,
        cleanup: Vec::new(),
        hooks,
    };
    // All of it is on the disk. Of a large fleet it would take more memory than carrying it out.
    drop((plan, facts));
    lead(lead_it, console).await
}

/// Reads what is to be run.
///
/// # Errors
/// When a file is wrong.
pub fn wanted(args: &RunArgs, console: Console) -> Result<Wanted, Failure> {
    if inputs::is_stored_plan(&args.input)? {
        let plan = inputs::stored_plan(&args.input)?;
        if let Some(switch) = args.change.first() {
            return Err(
                Failure::input(format!("--change {switch}: a plan is made already"))
                    .hint("give it to overhaul plan, with the definition"),
            );
        }
        let passwords = inputs::passwords(&args.fleet)?;
        return Ok(Wanted {
            fleet: plan.fleet.clone(),
            hosts: plan.hosts.clone(),
            passwords,
            facts: inputs::wanted_by_plan(&plan),
            input: Input::Plan(Box::new(plan)),
        });
    }
    let input = InputArgs {
        definition: args.input.clone(),
        fleet: args.fleet.clone(),
        kinds: args.kinds.clone(),
        change: args.change.clone(),
    };
    let loaded = Loaded::from(&input)?;
    for note in loaded.notes() {
        console.note(&note);
    }
    Ok(Wanted {
        fleet: loaded.fleet.fleet.name.clone(),
        hosts: loaded.hosts(),
        passwords: loaded.fleet.passwords,
        facts: inputs::wanted(&loaded.definition),
        input: Input::Definition(Box::new((loaded.definition, loaded.fleet.fleet))),
    })
}

/// Two runs on one fleet exclude each other.
fn no_other_run(store: &RunStore, fleet: &str, console: Console) -> Result<(), Failure> {
    for dir in store.list()? {
        let id = dir.id().clone();
        match Told::of(dir) {
            Ok(told) if told.plan().fleet == fleet && told.run.verdict().is_none() => {
                return Err(Failure::new(
                    Exit::Held,
                    format!("run {id} of the fleet {fleet} is not over; nothing was changed"),
                )
                .hint(format!("go on with it: overhaul resume {id}"))
                .hint(format!("or end it: overhaul abort {id} --reason TEXT")));
            }
            Ok(_) => {}
            // The hosts themselves refuse a second run, so that a damaged journal of another one is no hindrance.
            Err(failure) => console.note(&format!(
                "remark: run {id} cannot be read: {}",
                failure.message
            )),
        }
    }
    Ok(())
}

/// No host belongs to another run, as the hosts themselves say.
async fn nobody_holds(
    reach: &Arc<SshReach>,
    facts: &FleetFacts,
    fleet: &FleetArgs,
) -> Result<(), Failure> {
    let mut tasks = tokio::task::JoinSet::new();
    for host in facts.keys() {
        let (reach, host) = (Arc::clone(reach), host.clone());
        tasks.spawn(async move { (host.clone(), reach.holder(&host).await) });
    }
    let mut held = BTreeMap::new();
    while let Some(done) = tasks.join_next().await {
        // A fault here is found again at the registration, where it is tried again.
        if let (host, Ok(Some(holder))) = done.map_err(Failure::internal)? {
            held.insert(host, holder);
        }
    }
    let Some((host, holder)) = held.first_key_value() else {
        return Ok(());
    };
    let list: Vec<String> = held
        .iter()
        .map(|(host, holder)| format!("\n  {host}: run {} of fleet {}", holder.run, holder.fleet))
        .collect();
    // A stored plan is run without a fleet file, and freeing a host needs one.
    let fleet = match fleet.sources.as_slice() {
        [] => "FILE".to_owned(),
        sources => {
            let words = sources
                .iter()
                .map(|source| text::shell_word(&source.to_string_lossy()));
            words.collect::<Vec<_>>().join(" --fleet ")
        }
    };
    Err(Failure::new(
        Exit::Held,
        format!(
            "{} of {} belong to another run; nothing was changed{}",
            held.len(),
            text::count(facts.len(), "host"),
            text::clean(&list.concat())
        ),
    )
    .hint("go on with that run, or abort it, where its journal lies")
    .hint(format!(
        "if the journal of {} is lost: overhaul abort --lost --host {host} --fleet {fleet} --reason TEXT",
        text::clean(holder.run.as_str())
    )))
}

fn show_before(plan: &Plan, findings: &[overhaul_model::finding::Finding], console: Console) {
    if console.json {
        return;
    }
    console.out(&tree(plan));
    console.out(&format!("\n{}", show::findings::findings(findings)));
}

fn agreed(plan: &Plan, console: Console) -> Result<bool, Failure> {
    let hash = plan.hash().map_err(Failure::internal)?;
    let question = format!(
        "\nRun plan {} on {}?",
        hash.short(),
        text::count(plan.hosts.len(), "host")
    );
    console.confirm(&question).map_err(Failure::internal)
}
