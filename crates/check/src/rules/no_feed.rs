//! A member never takes its data from a newer one that would damage it.
//!
//! The plan is followed host by host in its order. A release that changes may bring a version behind the border: which
//! one is not known before, so it counts as one that does.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::action::{Action, ClusterOp, ServiceOp};
use overhaul_model::definition::Test;
use overhaul_model::effects::{Effect, effects};
use overhaul_model::id::{HostName, ServiceName};
use overhaul_model::membership::Membership;
use overhaul_model::plan::{Place, PlannedService};
use overhaul_model::primitive::Measure;
use overhaul_model::step::Step;
use overhaul_model::version;
use std::collections::BTreeMap;

const HELP: &str =
    "change the older host first, and start it then; or leave it down until its turn";

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for (name, service) in &view.plan.services {
        let Some(Measure::Member(membership)) = &service.healthy else {
            continue;
        };
        if membership.kind.no_feed.is_empty() {
            continue;
        }
        let subject = format!("service:{name}");
        if let Some(step) = unmeasured(view, name, service) {
            let sentence = format!(
                "{} starts it, and nothing measures before whether a newer member would give it its data",
                step.id
            );
            let help = "compile the plan anew";
            out.push(Complaint::error(subject.clone(), sentence, help));
        }
        for border in &membership.kind.no_feed {
            let members = Members::now(view, (name, service), membership, border);
            out.extend(members.first_feed(view).map(|who| {
                let sentence = format!(
                    "{who}, which is {border} or newer: it would take its data from it, and be damaged"
                );
                Complaint::error(subject.clone(), sentence, HELP)
            }));
        }
    }
    out
}

/// Whether the step starts the service, or starts it anew.
fn starts(step: &Step, service: &ServiceName) -> bool {
    if let Action::Service {
        service: Some(own),
        op: ServiceOp::Restart,
        ..
    } = &step.action
    {
        return own == service;
    }
    let mut effects = effects(step).into_iter();
    effects.any(|effect| matches!(effect, Effect::ServiceStarts(name) if name == *service))
}

/// Who begins the cluster alone is fed by nobody.
fn begins(step: &Step, service: &ServiceName) -> bool {
    matches!(&step.action, Action::Cluster { service: own, op: ClusterOp::Bootstrap } if own == service)
}

/// The first step that lets a member start and does not ask who would feed it.
fn unmeasured<'v>(
    view: &'v View<'_>,
    name: &ServiceName,
    service: &PlannedService,
) -> Option<&'v Step> {
    let asks = |step: &Step| {
        let mut guards = step.guards.iter();
        guards.any(|guard| matches!(&guard.test, Test::Donors { service } if service == name))
    };
    let lanes = view.lanes.iter();
    let mut acts = lanes
        .filter(|(host, _)| service.hosts.contains(host))
        .flat_map(|(_, acts)| acts.iter().map(|act| act.step));
    acts.find(|step| starts(step, name) && !begins(step, name) && !asks(step))
}

/// Where a member stands.
#[derive(Clone, Copy)]
struct Member {
    /// Behind the border, for all that is known.
    beyond: bool,
    up: bool,
}

/// Where all hosts of a service stand beside one border.
struct Members<'a> {
    service: &'a ServiceName,
    hosts: BTreeMap<&'a HostName, Member>,
}

impl<'a> Members<'a> {
    fn now(
        view: &View<'_>,
        (name, service): (&'a ServiceName, &'a PlannedService),
        membership: &Membership,
        border: &str,
    ) -> Self {
        let beyond = |host: &HostName| {
            let facts = view.facts.get(host)?;
            let mut members = facts.clusters.value()?.iter();
            let own = members.find(|member| member.kind == membership.kind.name)?;
            let version = own.version.as_ref()?.value()?;
            Some(version::compare(version, border).is_ge())
        };
        let hosts = service.hosts.iter().map(|host| {
            let beyond = beyond(host).unwrap_or(false);
            (host, Member { beyond, up: true })
        });
        Self {
            service: name,
            hosts: hosts.collect(),
        }
    }

    /// The first time that a member of the older side starts while one of the newer side is up.
    fn first_feed(mut self, view: &View<'_>) -> Option<String> {
        let mut found = None;
        view.plan.each_place(&mut |Place { step, host }| {
            if let Some(host) = host.filter(|host| found.is_none() && self.hosts.contains_key(host))
            {
                let fed = self.pass(host, step);
                found = fed.filter(|_| !view.is_settled(step, host));
            }
        });
        found
    }

    /// A step passes on a host; who would feed whom by it.
    fn pass(&mut self, host: &HostName, step: &Step) -> Option<String> {
        let donor = self
            .hosts
            .iter()
            .find(|(other, member)| **other != host && member.up && member.beyond)
            .map(|(other, _)| (*other).clone());
        let member = self.hosts.get_mut(host)?;
        let mut fed = false;
        for effect in effects(step) {
            match effect {
                Effect::ReleaseChanges(_) | Effect::MachineCreated => member.beyond = true,
                Effect::ServiceStops(name) if name == *self.service => member.up = false,
                // What was up starts again with its host.
                Effect::HostUp => fed = !member.beyond && member.up,
                _ => {}
            }
        }
        if starts(step, self.service) {
            fed = !member.beyond && !begins(step, self.service);
            member.up = true;
        }
        let donor = donor.filter(|_| fed)?;
        Some(format!("{} starts it on {host} beside {donor}", step.id))
    }
}
