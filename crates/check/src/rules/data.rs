//! Data is at rest while it is changed, and from its copy on.

use crate::rule::Complaint;
use crate::view::{Act, View};
use overhaul_model::effects::Effect;
use overhaul_model::id::{DatasetName, HostName, ServiceName};
use overhaul_model::step::Step;

/// What one step does to a dataset and its service.
enum Move {
    Stops,
    Starts,
    Copied,
    Changes,
}

fn moves(step: &Act<'_>, dataset: &DatasetName, service: &ServiceName) -> Vec<Move> {
    step.effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::ServiceStops(name) if name == service => Some(Move::Stops),
            Effect::ServiceStarts(name) if name == service => Some(Move::Starts),
            Effect::DatasetCopied(name) if name == dataset => Some(Move::Copied),
            Effect::DatasetChanges(name) if name == dataset => Some(Move::Changes),
            _ => None,
        })
        .collect()
}

/// What lies behind a change of a dataset.
struct Story<'s> {
    dataset: &'s DatasetName,
    service: &'s ServiceName,
    host: &'s HostName,
    change: &'s Step,
    stopped: bool,
    copied_while_up: bool,
    started_since_copy: bool,
}

fn stories<'s>(view: &'s View<'_>) -> Vec<Story<'s>> {
    let mut out = Vec::new();
    let changes = |act: &&Act<'_>| {
        let mut effects = act.effects.iter();
        effects.any(|effect| matches!(effect, Effect::DatasetChanges(_)))
    };
    let changed = view
        .lanes
        .iter()
        .filter(|(_, steps)| steps.iter().any(changes));
    for (host, steps) in changed {
        for (dataset, planned) in &view.plan.datasets {
            let service = &planned.of;
            let (mut stopped, mut copied_while_up, mut started_since_copy) = (false, false, false);
            for step in steps {
                for its_move in moves(step, dataset, service) {
                    match its_move {
                        Move::Stops => stopped = true,
                        Move::Starts => {
                            stopped = false;
                            started_since_copy = true;
                        }
                        Move::Copied => {
                            copied_while_up = !stopped;
                            started_since_copy = false;
                        }
                        Move::Changes if view.is_settled(step, host) => {}
                        Move::Changes => out.push(Story {
                            dataset,
                            service,
                            host,
                            change: step.step,
                            stopped,
                            copied_while_up,
                            started_since_copy,
                        }),
                    }
                }
            }
        }
    }
    out
}

pub(super) fn at_rest(view: &View<'_>) -> Vec<Complaint> {
    stories(view)
        .into_iter()
        .filter(|story| !story.stopped)
        .map(|story| {
            let sentence = format!(
                "{} is changed on {} while {} may run",
                story.dataset, story.host, story.service
            );
            let help =
                "change it between the stop and the start of its service, as in the slot `migrate`";
            Complaint::error(format!("step:{}", story.change.id), sentence, help)
        })
        .collect()
}

pub(super) fn copy_at_rest(view: &View<'_>) -> Vec<Complaint> {
    stories(view)
        .into_iter()
        .filter_map(|story| {
            let subject = format!("dataset:{}", story.dataset);
            if story.started_since_copy {
                let sentence = format!(
                    "{} is started again between the copy and {}",
                    story.service, story.change.id
                );
                let help = "copy it after the last start";
                return Some(Complaint::error(subject, sentence, help));
            }
            story.copied_while_up.then(|| {
                let sentence = format!(
                    "it is copied while {} runs: what is written until {} stops is not in the copy",
                    story.service, story.service
                );
                let help = "if that matters, stop what writes to it by a step in the slot `drain`";
                Complaint::note(subject, sentence, help)
            })
        })
        .collect()
}
