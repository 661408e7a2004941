//! Data that goes from one host to another, and the authority over it: one host has it at any time.

use super::copies::wrong_with_copies;
use crate::rule::Complaint;
use crate::view::{Act, View};
use overhaul_model::action::{Action, ClusterOp, TransferOp};
use overhaul_model::authority::{Claim, claims, judge};
use overhaul_model::definition::DatasetKind;
use overhaul_model::effects::Effect;
use overhaul_model::facts::Known;
use overhaul_model::id::{DatasetName, HostName, ServiceName};
use overhaul_model::plan::{Block, Child, Plan};
use overhaul_model::step::Step;
use std::collections::{BTreeMap, BTreeSet};

/// A part of a transfer in the lane of the host that receives.
struct Part<'v> {
    act: &'v Act<'v>,
    dataset: &'v DatasetName,
    from: &'v HostName,
    to: &'v HostName,
    op: TransferOp,
}

/// The parts of all transfers, in the order of the tree.
fn parts<'v>(view: &'v View<'_>) -> Vec<Part<'v>> {
    let mut out = Vec::new();
    for act in view.steps {
        let Action::Transfer { dataset, from, op } = &act.action else {
            continue;
        };
        let lanes = view.lanes.iter();
        let here = lanes.filter(|(_, acts)| acts.iter().any(|own| own.step.id == act.step.id));
        out.extend(here.map(|(to, _)| Part {
            act,
            dataset,
            from,
            to,
            op: *op,
        }));
    }
    out
}

fn subject(dataset: &DatasetName) -> String {
    format!("dataset:{dataset}")
}

/// The authority goes from the one that has it to another, after that one has received the data.
pub(super) fn one_authority(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    let planned = view.plan.datasets.iter();
    let mut holders: BTreeMap<&DatasetName, &HostName> = planned
        .map(|(name, dataset)| (name, &dataset.authority))
        .collect();
    let mut received: BTreeSet<(&DatasetName, &HostName, &HostName)> = BTreeSet::new();
    let mut loaded = received.clone();
    for part in parts(view) {
        let Part {
            act,
            dataset,
            from,
            to,
            op,
        } = part;
        let mut wrong = |sentence: String, help| {
            out.push(Complaint::error(subject(dataset), sentence, help));
        };
        if from == to {
            let sentence = format!("{} would bring it from {from} to itself", act.id);
            wrong(sentence, "let another host receive it");
        }
        if let Some(holder) = holders.get(dataset).filter(|holder| **holder != from) {
            let sentence = format!(
                "{} takes it from {from}, and {holder} has the authority over it by then: there would be two",
                act.id
            );
            wrong(
                sentence,
                "take it from the one that has the authority, once",
            );
        }
        let database = view.plan.datasets.get(dataset);
        let loads = database.is_some_and(|set| !matches!(set.kind, DatasetKind::Paths { .. }));
        match op {
            TransferOp::Receive => {
                received.insert((dataset, from, to));
            }
            TransferOp::Load if received.contains(&(dataset, from, to)) => {
                loaded.insert((dataset, from, to));
            }
            TransferOp::Load => {
                let sentence = format!("{} loads what {to} has not received", act.id);
                wrong(sentence, "let it receive the data before");
            }
            TransferOp::TakeOver => {
                let come = if loads { &loaded } else { &received };
                if !come.contains(&(dataset, from, to)) {
                    let lacks = if loads { "loaded" } else { "received" };
                    let sentence = format!(
                        "{} takes the authority over it to {to}, which has not {lacks} it",
                        act.id
                    );
                    wrong(sentence, "let it receive the data before");
                }
                holders.insert(dataset, to);
            }
        }
    }
    out
}

/// Steps that surely lie behind on a host when another one's turn comes to a step.
fn behind<'p>(plan: &'p Plan, target: &Step, host: &HostName, to: &HostName) -> Vec<&'p Step> {
    let mut out = Vec::new();
    let mut here = Child::Block(&plan.root);
    while let Child::Block(block) = here {
        let children = block.children();
        let place = children.iter().position(|child| holds(child, target));
        let Some(next) = place.and_then(|place| children.get(place)) else {
            break;
        };
        let before = children.get(..place.unwrap_or(0)).unwrap_or_default();
        match block {
            Block::Parallel { .. } => {}
            Block::Roll { id, body, .. } => {
                let batches = plan.rolls.get(id).map(|turns| turns.batches.as_slice());
                let batch = |name: &HostName| {
                    let mut batches = batches.unwrap_or_default().iter();
                    batches.position(|batch| batch.contains(name))
                };
                if batch(host) < batch(to) && batch(host).is_some() {
                    out.extend(body.steps());
                }
                // What lies before it in its own turn is no other host's.
                break;
            }
            _ => out.extend(before.iter().flat_map(steps_of)),
        }
        here = *next;
    }
    out
}

fn steps_of<'p>(child: &Child<'p>) -> Vec<&'p Step> {
    match child {
        Child::Step(step) => vec![step],
        Child::Block(block) => block.steps(),
    }
}

fn holds(child: &Child<'_>, target: &Step) -> bool {
    steps_of(child)
        .iter()
        .any(|step| std::ptr::eq(*step, target))
}

/// The steps of the old side: those that surely lie behind when the data is received, and the others.
fn old_side<'v>(view: &'v View<'_>, part: &Part<'v>) -> (Vec<&'v Act<'v>>, Vec<&'v Act<'v>>) {
    let done = behind(view.plan, part.act.step, part.from, part.to);
    let lane = view.lanes.get(part.from).map_or(&[][..], Vec::as_slice);
    lane.iter()
        .copied()
        .partition(|act| done.iter().any(|step| std::ptr::eq(*step, act.step)))
}

fn to_come<'v>(view: &'v View<'_>, op: TransferOp) -> impl Iterator<Item = Part<'v>> {
    let parts = parts(view).into_iter();
    parts.filter(move |part| part.op == op && !view.is_settled(part.act, part.to))
}

/// A copy lies outside both hosts before data moves.
pub(super) fn backed_up(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for part in to_come(view, TransferOp::Receive) {
        let (before, _) = old_side(view, &part);
        if let Some(wrong) = wrong_with_copies(view, part.from, &before, part.dataset) {
            let sentence = format!("{} moves it to {}, and {wrong}", part.act.id, part.to);
            let help =
                "name it under `backup:` of the role of the host that has it, before the transfer";
            out.push(Complaint::error(subject(part.dataset), sentence, help));
        }
    }
    out
}

/// The old side is at rest before, and stays so.
pub(super) fn old_side_rests(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for part in to_come(view, TransferOp::Receive) {
        let Some(planned) = view.plan.datasets.get(part.dataset) else {
            continue;
        };
        let service = &planned.of;
        let (before, after) = old_side(view, &part);
        let mut rests = false;
        for effect in before.iter().flat_map(|act| &act.effects) {
            match effect {
                Effect::ServiceStops(name) if name == service => rests = true,
                Effect::ServiceStarts(name) if name == service => rests = false,
                _ => {}
            }
        }
        if !rests {
            let sentence = format!(
                "{} takes it from {} while {service} may run there",
                part.act.id, part.from
            );
            let help =
                "stop the service there before, by a step of a stage or role that comes first";
            out.push(Complaint::error(subject(part.dataset), sentence, help));
        }
        // A machine that is made anew has nothing of the old data, and a member that forgets it has none.
        let mut old = after.iter().take_while(|act| {
            !act.effects.contains(&Effect::MachineCreated) && !forgets(act, service)
        });
        let starts = old.find(|act| {
            let mut effects = act.effects.iter();
            effects.any(|effect| matches!(effect, Effect::ServiceStarts(name) if name == service))
        });
        if let Some(starts) = starts {
            let sentence = format!(
                "{} starts {service} on {} again, from which {} takes the authority",
                starts.id, part.from, part.act.id
            );
            let help =
                "leave it down there: what it would write counts no more, and its host refuses it";
            out.push(Complaint::error(subject(part.dataset), sentence, help));
        }
    }
    out
}

/// Whether the step lets a member forget what it has of the service's data.
fn forgets(act: &Act<'_>, service: &ServiceName) -> bool {
    matches!(&act.action, Action::Cluster { service: own, op: ClusterOp::Forget } if own == service)
}

/// What hosts keep on record of authority does not stand against the plan, and is known where it is asked for.
pub(super) fn on_record(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for part in to_come(view, TransferOp::TakeOver) {
        for host in [part.from, part.to] {
            let known = view.facts.get(host).map(|facts| &facts.authority);
            let why = match known {
                Some(Known::Measured { .. }) => continue,
                Some(Known::Unknown { reason }) => reason.as_str(),
                None => "nothing was measured of it",
            };
            let sentence = format!("nobody knows who has the authority over it: of {host}, {why}");
            let help = "gather facts of the host, and compile the plan anew";
            out.push(Complaint::error(subject(part.dataset), sentence, help));
        }
        let claim = Claim::Sends {
            dataset: part.dataset.clone(),
            paths: Vec::new(),
        };
        out.extend(against(view, part.from, &part.act.id.to_string(), &[claim]));
    }
    for (host, acts) in &view.lanes {
        for act in acts.iter().filter(|act| !view.is_settled(act, host)) {
            let claims = claims(&act.action, &act.work);
            out.extend(against(view, host, &act.id.to_string(), &claims));
        }
    }
    out
}

/// What the records of a host say against what a step would do there.
fn against(view: &View<'_>, host: &HostName, step: &str, claims: &[Claim]) -> Option<Complaint> {
    let records = view.facts.get(host)?.authority.value()?;
    let why = judge(records, &view.plan.fleet, claims).err()?;
    let sentence = format!("{host} would refuse {step}: {why}");
    let help = "plan with the host that has the authority (`authority: HOST` of the dataset)";
    Some(Complaint::error(format!("host:{host}"), sentence, help))
}

/// Whether a service stays down on a host because the authority over its data goes from there.
pub(super) fn gives_away(view: &View<'_>, host: &HostName, service: &str) -> bool {
    parts(view).iter().any(|part| {
        let planned = view.plan.datasets.get(part.dataset);
        let its = planned.is_some_and(|dataset| dataset.of.as_str() == service);
        part.op == TransferOp::TakeOver && part.from == host && its
    })
}
