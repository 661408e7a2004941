//! `overhaul approve`, `retry`, `done`, `skip`: decisions go into the run's inbox.

use crate::args::{ApproveArgs, DecideArgs};
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::runs::{self, Submitted, Told};
use crate::text;
use overhaul_machine::StepState;
use overhaul_model::event::Choice;
use overhaul_model::id::{HostName, Position};
use std::path::Path;

/// Opens a gate; the answer is tied to the question that stands now.
pub fn approve(args: &ApproveArgs, state: Option<&Path>, console: Console) -> Outcome {
    let (told, position) = about(args.run.as_deref(), &args.step, state)?;
    let question = match told.run.state(&position) {
        StepState::Asked { nonce, .. } => Some(nonce.clone()),
        _ => None,
    };
    let choice = Choice::Approve { position, question };
    put(&told, choice, &args.reason, console)
}

/// Decides about a step.
pub fn decide(
    args: &DecideArgs,
    choice: impl FnOnce(Position) -> Choice,
    state: Option<&Path>,
    console: Console,
) -> Outcome {
    let (told, position) = about(args.run.as_deref(), &args.step, state)?;
    put(&told, choice(position), &args.reason, console)
}

/// Leaves out a step, or all that is left to do on a postponed host.
pub fn skip(args: &DecideArgs, state: Option<&Path>, console: Console) -> Outcome {
    let store = runs::open_store(state)?;
    let told = runs::unfinished(&store, args.run.as_deref())?;
    let named = |host: &&HostName| host.as_str() == args.step;
    let host = told.run.postponed().map(|(host, _)| host).find(named);
    if let Some(host) = host.cloned() {
        return put(&told, Choice::LeaveOut { host }, &args.reason, console);
    }
    let position = runs::position(&told.run, &args.step)?;
    put(&told, Choice::Skip { position }, &args.reason, console)
}

pub(super) fn about(
    run: Option<&str>,
    step: &str,
    state: Option<&Path>,
) -> Result<(Told, Position), Failure> {
    let store = runs::open_store(state)?;
    let told = runs::unfinished(&store, run)?;
    let position = runs::position(&told.run, step)?;
    Ok((told, position))
}

/// The step or the host that a choice is about, with a blank before it.
pub fn about_what(choice: &Choice) -> String {
    match (choice, choice.position(), choice.host()) {
        (Choice::Postpone { until, .. }, _, Some(host)) => {
            format!(" {host} until {}", text::moment(*until))
        }
        (_, Some(position), _) => format!(" {position}"),
        (_, _, Some(host)) => format!(" {host}"),
        (_, None, None) => String::new(),
    }
}

/// Puts a decision into the inbox if it could be carried out as the run stands now.
pub fn put(told: &Told, choice: Choice, reason: &str, console: Console) -> Outcome {
    let decision = runs::decision(&told.run, choice.clone(), reason);
    told.run.judge(&decision).map_err(|why| {
        Failure::input(format!("{why}; nothing was decided"))
            .hint("overhaul status names the steps that wait for a decision")
    })?;
    let submitted = runs::submit(told, choice.clone(), reason)?;
    let id = told.dir.id();
    let about = about_what(&choice);
    let effect = match submitted {
        Submitted::Now => "the process that has the run takes it up".to_owned(),
        Submitted::AtResume => {
            format!("no process has the run: will take effect at `overhaul resume {id}`")
        }
    };
    if console.json {
        console.out_json(&serde_json::json!({
            "run": id,
            "choice": choice.word(),
            "position": choice.position(),
            "host": choice.host(),
            "person": decision.person,
            "taken_up": submitted == Submitted::Now,
        }));
    } else {
        console.out(&format!(
            "{}{about}, by {}: {effect}\n",
            choice.word(),
            decision.person
        ));
    }
    Ok(Exit::Ok)
}
