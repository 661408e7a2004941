//! Services: what stops starts again, and not everything stops at once.

use crate::rule::Complaint;
use crate::view::{View, steps_in};
use overhaul_model::action::{Action, ServiceOp};
use overhaul_model::effects::{Effect, effects};
use overhaul_model::id::{HostName, ServiceName};
use overhaul_model::plan::{Block, Child, Turns};
use overhaul_model::step::Step;
use std::collections::{BTreeMap, BTreeSet};

const START_HELP: &str = "start it again, in the slot `start` as a rule; or name it in `retired`, or in `expected` until a day";

fn stops(step: &Step) -> Vec<ServiceName> {
    effects(step)
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::ServiceStops(name) => Some(name),
            _ => None,
        })
        .collect()
}

/// Units that no service is, which are stopped and not started again, each with the step that stops it.
fn units_left_down<'s>(steps: &[&'s Step]) -> BTreeMap<&'s str, &'s Step> {
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

fn starts(step: &Step, service: &ServiceName) -> bool {
    effects(step).contains(&Effect::ServiceStarts(service.clone()))
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
        let mut down: BTreeMap<ServiceName, &Step> = BTreeMap::new();
        for step in steps {
            for service in stops(step) {
                down.insert(service, step);
            }
            down.retain(|service, _| !starts(step, service));
        }
        down.retain(|service, _| {
            let planned = view.plan.services.get(service);
            !stays_down(service, planned.map_or("", |service| &service.unit))
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
    for block in view.blocks() {
        // When the body is given up or the run is aborted, only `close` comes.
        if let Block::Scope { open, close, .. } = block {
            for service in stops(open).into_iter().filter(|name| !starts(close, name)) {
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
    for block in view.blocks() {
        let Block::Roll { id, body, .. } = block else {
            continue;
        };
        let Some(turns) = view.plan.rolls.get(id) else {
            continue;
        };
        for (name, service) in &view.plan.services {
            let hosts: BTreeSet<&HostName> = service.hosts.iter().collect();
            if hosts.len() < 2 || !all_at_once(turns, &hosts) || !disturbs(body, name) {
                continue;
            }
            let sentence = format!(
                "all of its {} hosts may be down at once in {id}",
                hosts.len()
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

fn disturbs(body: &Block, service: &ServiceName) -> bool {
    steps_in(Child::Block(body)).into_iter().any(|step| {
        effects(step).iter().any(|effect| match effect {
            Effect::ServiceStops(name) | Effect::ServiceMayBlink(name) => name == service,
            Effect::HostDown | Effect::AnythingMayBlink => true,
            _ => false,
        })
    })
}
