//! Nothing runs that this version only knows how to plan.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::action::Action;
use overhaul_model::id::StepId;
use overhaul_model::later::Later;
use overhaul_model::primitive::Primitive;
use overhaul_model::step::Step;
use std::collections::BTreeMap;

const HELP: &str = "the definition can be planned and judged; ROADMAP.md says what comes when";

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    let mut things: BTreeMap<(Later, String), Vec<&StepId>> = BTreeMap::new();
    for step in view.steps {
        match (&step.action, &step.work) {
            (Action::Later { what, .. }, work) => {
                things
                    .entry((*what, name(*what, work)))
                    .or_default()
                    .push(&step.id);
            }
            (Action::ReleaseUpgrade { .. }, work @ Primitive::NotAvailable(_)) => {
                let name = name(Later::Upgrader, work);
                things
                    .entry((Later::Upgrader, name))
                    .or_default()
                    .push(&step.id);
            }
            (_, Primitive::NotAvailable(_)) => out.push(disguised(step)),
            _ => {}
        }
    }
    out.extend(things.iter().map(|((what, name), steps)| {
        let sentence = format!(
            "not available in this version; {} needs it (ROADMAP: {})",
            places(steps),
            what.word().roadmap
        );
        Complaint::error(format!("declared:{name}"), sentence, HELP)
    }));
    out
}

/// How the thing is called: as people write it; an upgrader by its name.
fn name(what: Later, work: &Primitive) -> String {
    match (what, work) {
        (Later::Upgrader, Primitive::NotAvailable(work)) => format!("upgrader: {}", work.subject),
        _ => what.written(),
    }
}

fn places(steps: &[&StepId]) -> String {
    match steps {
        [] => String::new(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

/// Its meaning is one that this version knows, and its work is none.
fn disguised(step: &Step) -> Complaint {
    let sentence = format!(
        "its work is not available, although it is a `{}`",
        step.action.word()
    );
    Complaint::error(format!("step:{}", step.id), sentence, HELP)
}
