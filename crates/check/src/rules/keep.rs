//! Services keep their minimum of hosts.

use super::away::Projection;
use crate::rule::Complaint;
use crate::view::{Act, View};
use overhaul_model::definition::Test;
use overhaul_model::effects::Effect;
use overhaul_model::id::ServiceName;

pub(super) fn minimum(view: &View<'_>) -> Vec<Complaint> {
    let plan = view.plan;
    let mut out = Vec::new();
    for (name, service) in &plan.services {
        let keep = usize::try_from(service.keep).unwrap_or(usize::MAX);
        if keep == 0 {
            continue;
        }
        let subject = format!("service:{name}");
        if service.healthy.is_none() {
            let sentence =
                "it keeps a minimum of hosts, and nothing measures their health".to_owned();
            let help = "say how its health is measured: `healthy`";
            out.push(Complaint::error(subject.clone(), sentence, help));
        }
        out.extend(unguarded(view, name, service.keep));
        let projection = Projection::new(view, service.hosts.iter().collect(), Some(name));
        let worst = projection
            .crowds()
            .into_iter()
            .max_by_key(|crowd| crowd.size());
        let Some(worst) = worst else {
            continue;
        };
        let (hosts, away) = (service.hosts.len(), worst.size());
        if hosts.saturating_sub(away) < keep {
            let sentence = format!(
                "{away} of its {hosts} hosts may be away at once in {}; {keep} must stay",
                worst.block.id()
            );
            let help = "lower `at_once` or the batches, write `order: one-by-one`, or lower `keep`";
            out.push(Complaint::error(subject, sentence, help));
        }
    }
    out
}

/// Rolls that take a host away before a guard has counted the others.
fn unguarded(view: &View<'_>, name: &ServiceName, keep: u32) -> Vec<Complaint> {
    let counts = |step: &Act<'_>| {
        step.guards.iter().any(|guard| {
            matches!(&guard.test, Test::Members { service, at_least } if service == name && *at_least >= keep)
        })
    };
    let takes_away = |step: &Act<'_>| {
        step.effects.iter().any(|effect| match effect {
            Effect::HostDown | Effect::AnythingMayBlink => true,
            Effect::ServiceStops(service) | Effect::ServiceMayBlink(service) => service == name,
            _ => false,
        })
    };
    let hosts = view.plan.services.get(name).map(|service| &service.hosts);
    let mut out = Vec::new();
    for roll in view.rolls_with(hosts.into_iter().flatten()) {
        let mut acts = roll.acts.iter();
        let first = acts.find(|step| counts(step) || takes_away(step));
        if let Some(step) = first.filter(|step| !counts(step)) {
            let sentence = format!(
                "{} takes a host away, and nothing counts the others before it",
                step.id
            );
            let help = "compile the plan anew; a step of `prepare` that disturbs nothing says `touches: nothing`";
            out.push(Complaint::error(format!("service:{name}"), sentence, help));
        }
    }
    out
}
