//! `overhaul approve`, `retry`, `done`, `skip`, `void`: decisions go into the run's inbox.

use crate::args::{ApproveArgs, DecideArgs};
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::runs::{self, Submitted, Told};
use overhaul_machine::StepState;
use overhaul_model::event::Choice;
use overhaul_model::id::Position;
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

fn about(run: Option<&str>, step: &str, state: Option<&Path>) -> Result<(Told, Position), Failure> {
    let store = runs::open_store(state)?;
    let told = runs::unfinished(&store, run)?;
    let position = runs::position(&told.run, step)?;
    Ok((told, position))
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
    let about = choice
        .position()
        .map(|p| format!(" {p}"))
        .unwrap_or_default();
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
