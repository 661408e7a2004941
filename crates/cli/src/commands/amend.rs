//! `overhaul amend`: another plan in the place of a run's plan.

use crate::args::AmendArgs;
use crate::compile::{blocked, checked, warned};
use crate::console::Console;
use crate::durations;
use crate::exit::Exit;
use crate::facts_file::stored_facts;
use crate::failure::{Failure, Outcome};
use crate::gather;
use crate::inputs::{self, Loaded};
use crate::person::person;
use crate::runs::{self, Told};
use crate::show;
use crate::text;
use crate::wiring;
use overhaul_engine::ports::Journal as _;
use overhaul_machine::{Amendment, Renamed, Run};
use overhaul_model::event::Event;
use overhaul_model::facts::FleetFacts;
use overhaul_model::id::{HostName, Position, RunId, StepId};
use overhaul_model::plan::Plan;
use overhaul_model::step::Step;
use overhaul_plan::diff::diff;
use overhaul_plan::{compile, print_diff};
use overhaul_store::StoreError;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Steps that are listed of each sort.
const LISTED_MAX: usize = 20;

/// Amends the plan of a run that no process has.
pub async fn amend(args: &AmendArgs, state: Option<&Path>, console: Console) -> Outcome {
    if args.reason.trim().is_empty() {
        return Err(Failure::input(
            "a plan is amended for a reason only: --reason TEXT; nothing was changed",
        ));
    }
    if !args.yes && !console.can_ask() {
        return Err(
            Failure::input("nobody can be asked whether to amend the plan")
                .hint("look at it first: overhaul plan DEFINITION --diff RUN; then give --yes"),
        );
    }
    let dir = runs::open_store(state)?.run(&RunId::new(args.run.as_str()))?;
    // Held until the row is written: no process begins anything meanwhile.
    let _lock = dir.lock().map_err(|error| match error {
        held @ StoreError::Held { .. } => Failure::new(Exit::Held, held)
            .hint("a plan is amended while nothing begins: overhaul pause, then amend"),
        other => other.into(),
    })?;
    let told = Told::of(dir)?;
    nothing_waits(&told)?;
    let (plan, mut fresh) = compiled(args, &told, state, console).await?;
    let was: Renamed = args
        .was
        .iter()
        .map(|w| (w.new.clone(), w.old.clone()))
        .collect();
    let (run, steps) = told.run.amended(&plan, &was).map_err(|why| {
        Failure::input(format!(
            "the plan of run {} cannot be amended so: {why}; nothing was changed",
            told.dir.id()
        ))
    })?;
    let over = run.positions().filter(|(_, state)| state.is_over());
    let over: BTreeSet<Position> = over.map(|(position, _)| position).collect();
    all_there(&run, &fresh)?;
    let checked = checked(&plan, &mut fresh, &over, told.dir.path());
    if !console.json {
        let changes = diff(told.plan(), &plan).map_err(Failure::internal)?;
        console.out(&print_diff::text(&changes));
        console.out(&words(&steps));
        console.out(&format!(
            "\n{}",
            show::findings::findings(&checked.findings)
        ));
    }
    if checked.passed.is_none() {
        return Err(blocked(&checked.findings));
    }
    if !args.yes {
        let question = format!("\nAmend the plan of run {}?", told.dir.id());
        if !console.confirm(&question).map_err(Failure::internal)? {
            return Err(Failure::input("not amended; nothing was changed"));
        }
    }
    write(&told, plan, was, args, warned(&checked.findings)).await?;
    let id = told.dir.id();
    if console.json {
        console.out_json(&serde_json::json!({
            "run": id, "plan": run.hash(), "steps": steps, "findings": checked.findings,
        }));
    } else {
        console.out(&format!(
            "the plan of run {id} is {} now; go on with: overhaul resume {id}\n",
            run.hash().short()
        ));
    }
    Ok(Exit::Ok)
}

/// Requests were made for the plan as it is: they are taken up first.
fn nothing_waits(told: &Told) -> Result<(), Failure> {
    if told.run.verdict().is_some() {
        return Err(Failure::input(format!("run {} is over", told.dir.id())));
    }
    match told.dir.pending()?.len() {
        0 => Ok(()),
        waiting => Err(Failure::input(format!(
            "{} of run {} not taken up yet; nothing was changed",
            text::count(waiting, "request"),
            told.dir.id()
        ))
        .hint(format!(
            "overhaul resume {} takes them up; pause it then",
            told.dir.id()
        ))),
    }
}

/// The new plan, and fresh facts. Hosts that the run's plan knew are planned as they were measured then: what
/// was done since must not look like another beginning.
async fn compiled(
    args: &AmendArgs,
    told: &Told,
    state: Option<&Path>,
    console: Console,
) -> Result<(Plan, FleetFacts), Failure> {
    let loaded = Loaded::from(&args.input)?;
    for note in loaded.notes() {
        console.note(&note);
    }
    let fresh = match &args.facts.facts {
        Some(path) => stored_facts(path)?,
        None => {
            let hosts = loaded.hosts();
            let reach = wiring::reach(
                &loaded.fleet.fleet.name,
                &hosts,
                loaded.fleet.passwords.clone(),
                &args.facts.hosts,
                &told.dir.data(),
            )?;
            for (host, machine) in told.run.machines() {
                overhaul_engine::ports::Reach::moved(&*reach, host, machine);
            }
            let wanted = inputs::wanted(&loaded.definition);
            gather::facts(&reach, hosts.keys(), &wanted).await?
        }
    };
    let mut then = told.dir.facts()?;
    for (host, facts) in &fresh {
        then.entry(host.clone()).or_insert_with(|| facts.clone());
    }
    let mut plan = compile(&loaded.definition, &loaded.fleet.fleet, &then)?;
    durations::foresee(&runs::state_dir(state)?, &mut plan, console);
    plan.parent = Some(told.run.hash().clone());
    let known: BTreeMap<&StepId, &Step> = (told.plan().steps().into_iter())
        .map(|step| (&step.id, step))
        .collect();
    for step in plan.root.steps_mut() {
        as_it_was(step, &known);
    }
    Ok((plan, fresh))
}

/// A step that is the same but for the line on which it is written stays the one that it was.
fn as_it_was(step: &mut Step, known: &BTreeMap<&StepId, &Step>) {
    if let Some(old) = known.get(&step.id) {
        let written = std::mem::replace(&mut step.origin, old.origin.clone());
        if *step != **old {
            step.origin = written;
        }
    }
}

/// Hosts with something left to do are there.
fn all_there(run: &Run, fresh: &FleetFacts) -> Result<(), Failure> {
    let open = run.positions().filter(|(_, state)| !state.is_over());
    let needed: BTreeSet<HostName> = open.filter_map(|(position, _)| position.host).collect();
    let mut facts = fresh.clone();
    facts.retain(|host, _| needed.contains(host));
    gather::none_in_trouble(&facts)
}

fn words(steps: &Amendment) -> String {
    let mut out = format!(
        "\n{} over or begun stay so\n",
        text::count(steps.kept, "step")
    );
    for (word, positions) in [
        ("over or begun, and in the plan no more", &steps.dropped),
        (
            "over or begun, different now, and carried out anew",
            &steps.anew,
        ),
    ] {
        if positions.is_empty() {
            continue;
        }
        out.push_str(&format!("{word}:\n"));
        for position in positions.iter().take(LISTED_MAX) {
            out.push_str(&format!("  {position}\n"));
        }
        if positions.len() > LISTED_MAX {
            let more = positions.len().saturating_sub(LISTED_MAX);
            out.push_str(&format!("  and {more} more\n"));
        }
    }
    out
}

async fn write(
    told: &Told,
    plan: Plan,
    was: Renamed,
    args: &AmendArgs,
    warned: Vec<String>,
) -> Result<(), Failure> {
    let (mut journal, _inbox) = told.dir.open()?;
    let records = journal.replay().await?;
    let after = records.last().map(|record| record.at);
    let now = jiff::Timestamp::now();
    let event = Event::Amended {
        person: person(),
        reason: args.reason.clone(),
        plan: Box::new(plan),
        was,
        warned,
    };
    journal
        .append(after.map_or(now, |after| now.max(after)), event)
        .await?;
    Ok(())
}
