//! Services: what stops starts again, and not everything stops at once.

use super::transfer::gives_away;
use crate::rule::Complaint;
use crate::view::{Act, Roll, View};
use overhaul_model::action::{Action, ServiceOp};
use overhaul_model::effects::{Effect, effects};
use overhaul_model::id::{HostName, ServiceName};
use overhaul_model::plan::{Block, Turns};
use std::collections::{BTreeMap, BTreeSet};

const START_HELP: &str = "start it again, in the slot `start` as a rule; or name it in `retired`, or in `expected` until a day";

fn stops(effects: &[Effect]) -> impl Iterator<Item = &ServiceName> {
    effects.iter().filter_map(|effect| match effect {
        Effect::ServiceStops(name) => Some(name),
        _ => None,
    })
}

/// Units that no service is, which are stopped and not started again, each with the step that stops it.
fn units_left_down<'s>(steps: &[&'s Act<'s>]) -> BTreeMap<&'s str, &'s Act<'s>> {
    let mut down = BTreeMap::new();
    for step in steps {
        let Action::Service {
            unit,
            service: None,
            op,
        } = &step.action
        else {
            continue;
        };
        match op {
            ServiceOp::Stop | ServiceOp::Hold => {
                down.insert(unit.as_str(), *step);
            }
            ServiceOp::Start | ServiceOp::LetGo | ServiceOp::Restart => {
                down.remove(unit.as_str());
            }
            ServiceOp::Reload | ServiceOp::Enable | ServiceOp::Disable => {}
        }
    }
    down
}

fn starts(effects: &[Effect], service: &ServiceName) -> bool {
    let mut effects = effects.iter();
    effects.any(|effect| matches!(effect, Effect::ServiceStarts(name) if name == service))
}

pub(super) fn stopped_started(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    let knowledge = &view.plan.knowledge;
    for (host, steps) in &view.lanes {
        let roles = view.plan.hosts.get(*host).map(|host| &host.roles);
        let stays_down = |service: &ServiceName, unit: &str| {
            roles.is_some_and(|roles| knowledge.stays_down(service, unit, roles))
        };
        for (unit, step) in units_left_down(steps) {
            if stays_down(&ServiceName::new(unit), unit) {
                continue;
            }
            let sentence = format!(
                "{} stops {unit} on {host}, and nothing starts it again",
                step.id
            );
            out.push(Complaint::error(
                format!("unit:{unit}"),
                sentence,
                START_HELP,
            ));
        }
        let mut down: BTreeMap<&ServiceName, &Act<'_>> = BTreeMap::new();
        for step in steps {
            for service in stops(&step.effects) {
                down.insert(service, step);
            }
            down.retain(|service, _| !starts(&step.effects, service));
        }
        down.retain(|service, _| {
            let planned = view.plan.services.get(*service);
            let unit = planned.map_or("", |service| &service.unit);
            !stays_down(service, unit) && !gives_away(view, host, service.as_str())
        });
        for (service, step) in down {
            let sentence = format!(
                "{} stops it on {host}, and nothing starts it again",
                step.id
            );
            out.push(Complaint::error(
                format!("service:{service}"),
                sentence,
                START_HELP,
            ));
        }
    }
    for block in &view.blocks {
        // When the body is given up or the run is aborted, only `close` comes.
        if let Block::Scope { open, close, .. } = block {
            let (opening, closing) = (effects(open), effects(close));
            for service in stops(&opening).filter(|name| !starts(&closing, name)) {
                let sentence = format!(
                    "{} stops it, and {} does not start it again when the run is aborted in between",
                    open.id, close.id
                );
                let help = "start it where the scope is closed";
                out.push(Complaint::error(
                    format!("service:{service}"),
                    sentence,
                    help,
                ));
            }
        }
    }
    out
}

pub(super) fn some_stay_up(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for (name, service) in &view.plan.services {
        let hosts: BTreeSet<&HostName> = service.hosts.iter().collect();
        for Roll { block, turns, acts } in view.rolls_with(&service.hosts) {
            if hosts.len() < 2 || !all_at_once(turns, &hosts) || !disturb(acts, name) {
                continue;
            }
            let sentence = format!(
                "all of its {} hosts may be down at once in {}",
                hosts.len(),
                block.id()
            );
            let help = "lower `at_once`, or write `order: one-by-one`";
            out.push(Complaint::warning(
                format!("service:{name}"),
                sentence,
                help,
            ));
        }
    }
    out
}

fn all_at_once(turns: &Turns, hosts: &BTreeSet<&HostName>) -> bool {
    let limit = usize::try_from(turns.at_once).unwrap_or(usize::MAX);
    turns.batches.iter().any(|batch| {
        let of_service = batch.iter().filter(|host| hosts.contains(host)).count();
        of_service == hosts.len() && limit >= hosts.len()
    })
}

fn disturb(acts: &[&Act<'_>], service: &ServiceName) -> bool {
    let mut effects = acts.iter().flat_map(|act| &act.effects);
    effects.any(|effect| match effect {
        Effect::ServiceStops(name) | Effect::ServiceMayBlink(name) => name == service,
        Effect::HostDown | Effect::AnythingMayBlink => true,
        _ => false,
    })
}
