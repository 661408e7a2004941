//! The limits of a sitting, from the words of a person to what they mean in a plan.

use crate::args::LimitArgs;
use crate::commands::facts::read_limit;
use crate::failure::Failure;
use crate::text;
use overhaul_machine::Run;
use overhaul_model::definition::Slot;
use overhaul_model::event::{Sitting, Until};
use overhaul_model::id::{HostName, StepId};
use overhaul_model::plan::{Block, Child, Plan};
use overhaul_source::fleet::Membership;
use overhaul_source::fleet::pattern::Pattern;
use std::collections::BTreeSet;

/// Candidates that an error lists.
const CANDIDATES_MAX: usize = 10;

/// What the limits mean in this plan; `None` when there are none.
///
/// # Errors
/// When they name what the plan does not have.
pub fn sitting(args: &LimitArgs, plan: &Plan) -> Result<Option<Sitting>, Failure> {
    let LimitArgs {
        limit,
        until,
        stage,
    } = args;
    let given = [("--limit", limit), ("--until", until), ("--stage", stage)];
    let words: Vec<String> = given
        .into_iter()
        .filter_map(|(option, value)| {
            Some(format!("{option} {}", text::shell_word(value.as_ref()?)))
        })
        .collect();
    if words.is_empty() {
        return Ok(None);
    }
    let sitting = Sitting {
        words: words.join(" "),
        hosts: limit.as_ref().map(|l| hosts(l, plan)).transpose()?,
        until: until.as_ref().map(|u| named(u, plan)).transpose()?,
        stage: stage.as_ref().map(|stage| stage.as_str().into()),
    };
    let run = Run::new(plan.clone()).map_err(Failure::internal)?;
    run.permits_sitting(&sitting).map_err(|error| {
        Failure::input(format!("{}: {error}", sitting.words))
            .hint("overhaul export shows stages and steps; nothing was changed")
    })?;
    Ok(Some(sitting))
}

fn hosts(limit: &str, plan: &Plan) -> Result<BTreeSet<HostName>, Failure> {
    let members = Membership::of_plan(plan.hosts.values());
    let selection = Pattern::parse_limit(limit, read_limit)
        .and_then(|pattern| pattern.limit(&members))
        .map_err(|error| Failure::input(format!("--limit: {error}")))?;
    if let Some(unmatched) = selection.unmatched.first() {
        return Err(Failure::input(format!(
            "--limit: `{}` is no host, role or zone of the plan",
            unmatched.part
        ))
        .hint("nothing was changed"));
    }
    Ok(selection.hosts.into_iter().map(HostName::new).collect())
}

/// A stage before a slot of the same name, before a block or a step by its id or the end of it.
fn named(until: &str, plan: &Plan) -> Result<Until, Failure> {
    if plan
        .positions()
        .iter()
        .any(|p| p.step.stage.as_str() == until)
    {
        return Ok(Until::Stage(until.into()));
    }
    if let Some(slot) = Slot::ALL.into_iter().find(|slot| slot.word() == until) {
        return Ok(Until::Slot(slot));
    }
    let mut ids = Vec::new();
    collect(Child::Block(&plan.root), &mut ids);
    let ending = format!("/{until}");
    let found: Vec<&StepId> = match ids.iter().find(|id| id.as_str() == until) {
        Some(exact) => vec![exact],
        None => ids
            .iter()
            .filter(|id| id.as_str().ends_with(&ending))
            .collect(),
    };
    match found.as_slice() {
        [one] => Ok(Until::Step((*one).clone())),
        [] => Err(Failure::input(format!(
            "--until: the plan has no stage, slot, block or step `{until}`"
        ))
        .hint("overhaul export shows them; a host is named with --limit")),
        many => {
            let names = many.iter().take(CANDIDATES_MAX).map(|id| id.as_str());
            let names: Vec<&str> = names.collect();
            Err(Failure::input(format!(
                "--until: `{until}` could be {} blocks or steps: {}",
                many.len(),
                names.join(", ")
            ))
            .hint("name one of them whole"))
        }
    }
}

fn collect(child: Child<'_>, out: &mut Vec<StepId>) {
    match child {
        Child::Step(step) => out.push(step.id.clone()),
        Child::Block(block) => {
            let id: &StepId = Block::id(block);
            if !id.as_str().is_empty() {
                out.push(id.clone());
            }
            for child in block.children() {
                collect(child, out);
            }
        }
    }
}
