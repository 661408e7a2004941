//! The right machine: every name in the plan leads to something in the plan.

use crate::rule::Complaint;
use crate::view::{Act, View};
use overhaul_model::action::Action;
use overhaul_model::effects::Effect;
use overhaul_model::id::HostName;
use overhaul_model::plan::{Block, Child, Plan};
use overhaul_model::step::{Lane, Step};
use std::collections::BTreeSet;

const HELP: &str = "compile the plan anew from its definition";

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    let plan = view.plan;
    let mut out = Vec::new();
    for step in view.steps {
        out.extend(of_step(plan, step));
    }
    for (name, dataset) in &plan.datasets {
        let subject = format!("dataset:{name}");
        if !plan.hosts.contains_key(&dataset.authority) {
            let sentence = format!("its host {} is not one of the plan", dataset.authority);
            out.push(Complaint::error(subject.clone(), sentence, HELP));
        }
        if !plan.services.contains_key(&dataset.of) {
            let sentence = format!("its service {} is not one of the plan", dataset.of);
            out.push(Complaint::error(subject, sentence, HELP));
        }
    }
    let mut strays = BTreeSet::new();
    without_turn(Child::Block(&plan.root), &mut strays);
    out.extend(strays.into_iter().map(|id| {
        let sentence = "it waits for a host's turn, but stands in no roll".to_owned();
        Complaint::error(format!("step:{id}"), sentence, HELP)
    }));
    out
}

fn of_step(plan: &Plan, step: &Act<'_>) -> Vec<Complaint> {
    let mut unknown = Vec::new();
    let lane = match &step.lane {
        Lane::Host(host) => Some(host),
        Lane::Turn | Lane::Run => None,
    };
    let hosts = step.only.iter().flatten().chain(lane);
    for host in hosts.filter(|host| !plan.hosts.contains_key::<HostName>(host)) {
        unknown.push(format!("host {host}"));
    }
    if step.only.as_ref().is_some_and(BTreeSet::is_empty) {
        unknown.push("any host: it concerns none".to_owned());
    }
    for effect in &step.effects {
        match effect {
            Effect::ServiceStops(name)
            | Effect::ServiceStarts(name)
            | Effect::ServiceMayBlink(name)
                if !plan.services.contains_key(name) =>
            {
                unknown.push(format!("service {name}"));
            }
            _ => {}
        }
    }
    let named = match &step.action {
        Action::Database { dataset, .. } | Action::Transfer { dataset, .. } => Some(dataset),
        _ => None,
    };
    if let Some(host) = step.work.other_host()
        && !plan.hosts.contains_key(host)
    {
        unknown.push(format!("host {host}"));
    }
    if let Some(dataset) = named
        && !plan.datasets.contains_key(dataset)
    {
        unknown.push(format!("dataset {dataset}"));
    }
    unknown
        .into_iter()
        .map(|what| {
            let sentence = format!("the plan does not know {what}");
            Complaint::error(format!("step:{}", step.id), sentence, HELP)
        })
        .collect()
}

/// Steps that need a turn where there are none.
fn without_turn(child: Child<'_>, out: &mut BTreeSet<String>) {
    match child {
        Child::Block(Block::Roll { .. }) => {}
        Child::Step(step) => of_lane(step, out),
        Child::Block(Block::Step(step)) => of_lane(step, out),
        Child::Block(block) => {
            for child in block.children() {
                without_turn(child, out);
            }
        }
    }
}

fn of_lane(step: &Step, out: &mut BTreeSet<String>) {
    if step.lane == Lane::Turn {
        out.insert(step.id.to_string());
    }
}
