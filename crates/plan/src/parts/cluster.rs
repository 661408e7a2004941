//! Members of a cluster leave, join, begin one alone, or forget what they have, by what their kind says.

use super::site::Site;
use crate::draft::Draft;
use crate::error::Wrong;
use crate::limits;
use overhaul_model::action::{Action, ClusterOp, Limits, OnceScope, Repeat, Undo};
use overhaul_model::cluster_kind::{ClusterKind, Deed};
use overhaul_model::definition::{Guard, Origin, Test};
use overhaul_model::id::{HostName, ServiceName};
use overhaul_model::plan::PlannedService;
use overhaul_model::primitive::{Exec, Measure, Primitive, Wait};
use overhaul_model::step::Step;
use overhaul_model::strategy::Data;
use std::collections::BTreeSet;

/// What is left when a cluster was begun anew.
const BEGUN: &str =
    "stop it here before an old member starts again: two clusters would both take writes";

/// A service of the site whose hosts form a cluster, with its kind.
pub(super) struct Clustered<'d> {
    pub name: ServiceName,
    pub service: PlannedService,
    pub here: BTreeSet<HostName>,
    pub kind: &'d ClusterKind,
}

/// The clustered ones of the services that start here.
pub(super) fn clustered<'d>(draft: &Draft<'d>, site: &Site<'_>) -> Vec<Clustered<'d>> {
    let services = site.services_that_start(draft).into_iter();
    let found = services.filter_map(|(name, service, here)| {
        let kind = &service.cluster.as_ref()?.kind;
        let kind = draft.definition.clusters.get(kind)?;
        Some(Clustered {
            name,
            service,
            here,
            kind,
        })
    });
    found.collect()
}

/// The steps of a written `cluster`, under its name.
pub(super) fn written(
    draft: &mut Draft<'_>,
    site: &Site<'_>,
    (name, origin): (&str, &Origin),
    (service, op): (&ServiceName, ClusterOp),
) -> Vec<Step> {
    let found = clustered(draft, site);
    let Some(clustered) = found.into_iter().find(|found| found.name == *service) else {
        let wrong = Wrong::NoMembers {
            service: service.to_string(),
            role: site.role.role.to_string(),
        };
        let help =
            "name a service that runs on hosts of this role and says which `cluster` they form";
        draft.wrong(origin, wrong, help);
        return Vec::new();
    };
    let steps = steps(draft, site, &clustered, op, name);
    if steps.is_empty() {
        let wrong = Wrong::NoDeed {
            kind: clustered.kind.name.clone(),
            deed: op.word(),
        };
        let help = "write it into the kind (kinds/README.md), or write a step of your own";
        draft.wrong(origin, wrong, help);
    }
    steps
}

/// What is done with a member, and what is measured around it; nothing when its kind does not say how.
pub(super) fn steps(
    draft: &Draft<'_>,
    site: &Site<'_>,
    of: &Clustered<'_>,
    op: ClusterOp,
    name: &str,
) -> Vec<Step> {
    let Some(deed) = of.kind.deeds.of(op) else {
        return Vec::new();
    };
    let hosts = match op {
        ClusterOp::Bootstrap => first(draft, site).into_iter().collect(),
        ClusterOp::Leave | ClusterOp::Join | ClusterOp::Forget => of.here.clone(),
    };
    if hosts.is_empty() {
        return Vec::new();
    }
    let mut step = site.step(
        name,
        name,
        Action::Cluster {
            service: of.name.clone(),
            op,
        },
        Primitive::Exec(script(draft, of, deed.script.clone())),
    );
    let done = deed
        .done
        .clone()
        .map(|done| Measure::Command(script(draft, of, done)));
    step.check = done.clone().or_else(|| match op {
        ClusterOp::Join | ClusterOp::Bootstrap => of.service.healthy.clone(),
        ClusterOp::Leave | ClusterOp::Forget => None,
    });
    step.verify = done;
    step.guards = guards(of, op);
    if op == ClusterOp::Join {
        step.guards.extend(donors(draft, &of.name));
    }
    step.limits = Limits {
        total: deed.timeout,
        stall: None,
        expected: limits::MEMBER.expected,
    };
    step.repeat = match op {
        ClusterOp::Bootstrap => Repeat::Once(OnceScope::Role),
        ClusterOp::Leave | ClusterOp::Join | ClusterOp::Forget => Repeat::Safe,
    };
    step.undo = undo(draft, of, op);
    step.only = site.only(hosts.clone());
    step.origin = Site::kind_origin(&of.kind.name);
    let mut out = vec![step];
    out.extend(after(site, of, op, name, hosts));
    out
}

/// The first host of the role, if it goes through the slot here.
fn first(draft: &Draft<'_>, site: &Site<'_>) -> Option<HostName> {
    let first = draft.hosts_of(site.role).first()?.name.clone();
    site.has(&first).then_some(first)
}

/// A script of the kind, which finds all that it needs in its environment.
fn script(draft: &Draft<'_>, of: &Clustered<'_>, text: String) -> Exec {
    let hosts = of.service.hosts.iter();
    let known: Vec<(&str, &str)> = hosts
        .filter_map(|name| {
            let host = draft.fleet.hosts.get(name)?;
            Some((name.as_str(), host.connection.address.as_str()))
        })
        .collect();
    let joined = |words: Vec<&str>| words.join(" ");
    let mut exec = Exec::argv([
        "/bin/sh".to_owned(),
        "-euc".to_owned(),
        text,
        of.kind.name.clone(),
    ]);
    exec.env = [
        ("host", "{{ host.name }}".to_owned()),
        ("address", "{{ host.address }}".to_owned()),
        ("unit", of.service.unit.clone()),
        (
            "members",
            joined(known.iter().map(|(name, _)| *name).collect()),
        ),
        (
            "addresses",
            joined(known.iter().map(|(_, at)| *at).collect()),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    exec
}

/// A majority stays when a host leaves; somebody can give it its data when it joins; nobody else is the
/// cluster when it begins one alone.
fn guards(of: &Clustered<'_>, op: ClusterOp) -> Vec<Guard> {
    let service = of.name.clone();
    let (name, test) = match op {
        ClusterOp::Leave if of.service.keep == 0 => return Vec::new(),
        ClusterOp::Leave => (
            format!("{service} keeps {}", of.service.keep),
            Test::Members {
                at_least: of.service.keep,
                service,
            },
        ),
        ClusterOp::Join | ClusterOp::Forget => (
            format!("others of {service} work"),
            Test::Members {
                at_least: of.service.keep.max(1),
                service,
            },
        ),
        ClusterOp::Bootstrap => (
            format!("nobody else runs {service}"),
            Test::Quiet { service },
        ),
    };
    vec![Guard {
        name,
        test,
        at_most: limits::MINIMUM_AT_MOST,
    }]
}

/// What must be so once it is done: the others decide without it, or it does its work.
fn after(
    site: &Site<'_>,
    of: &Clustered<'_>,
    op: ClusterOp,
    name: &str,
    hosts: BTreeSet<HostName>,
) -> Option<Step> {
    let service = &of.name;
    let mut step = match (op, of.service.healthy.clone()) {
        (ClusterOp::Leave, _) => {
            let guards = guards(of, op);
            if guards.is_empty() {
                return None;
            }
            let title = format!("the others of {service} work without it");
            site.guarded(&format!("{name} afterwards"), &title, guards)
        }
        (ClusterOp::Join | ClusterOp::Bootstrap, Some(healthy)) => {
            let wait = Wait {
                until: healthy,
                every: limits::MEMBER_EVERY,
                at_most: limits::MEMBER.total,
            };
            let mut step = site.step(
                &format!("{name} afterwards"),
                &format!("it works as a member of {service}"),
                Action::Wait,
                Primitive::Wait(wait),
            );
            step.repeat = Repeat::Safe;
            step.limits = limits::MEMBER;
            step
        }
        (ClusterOp::Join | ClusterOp::Bootstrap | ClusterOp::Forget, _) => return None,
    };
    step.only = site.only(hosts);
    step.why = format!("what the cluster of {service} says counts, not that a command ended well");
    Some(step)
}

fn undo(draft: &Draft<'_>, of: &Clustered<'_>, op: ClusterOp) -> Undo {
    let by = |deed: &Option<Deed>| {
        let deed = deed.as_ref();
        deed.map_or(Undo::Nothing, |deed| {
            Undo::By(script(draft, of, deed.script.clone()))
        })
    };
    match op {
        ClusterOp::Leave => by(&of.kind.deeds.join),
        ClusterOp::Join => by(&of.kind.deeds.leave),
        ClusterOp::Bootstrap => Undo::None {
            way_back: BEGUN.to_owned(),
        },
        ClusterOp::Forget => Undo::Nothing,
    }
}

/// Nobody who works may damage a host by giving it its data: asked before its member starts, where the kind knows of such
/// versions.
pub(super) fn donors(draft: &Draft<'_>, service: &ServiceName) -> Option<Guard> {
    let planned = draft.plan.services.get(service)?;
    let kind = &planned.cluster.as_ref()?.kind;
    let kind = draft.definition.clusters.get(kind)?;
    (!kind.no_feed.is_empty()).then(|| Guard {
        name: format!("no newer {service} feeds it"),
        test: Test::Donors {
            service: service.clone(),
        },
        at_most: limits::MINIMUM_AT_MOST,
    })
}

/// In a strategy: the host leaves before its services are held. Not where it could not begin its turn anyway.
pub(super) fn leave(draft: &Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let why = "its place is free for the empty host that comes back";
    by_strategy(
        draft,
        site,
        ClusterOp::Leave,
        ("leave", "leaves its cluster"),
        why,
    )
}

/// In a strategy: the first host begins the cluster alone.
pub(super) fn bootstrap(draft: &Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let why = "it has the data, and the others are quiet: it is the cluster until they join";
    let words = ("begin", "is its cluster, alone");
    by_strategy(draft, site, ClusterOp::Bootstrap, words, why)
}

/// In a strategy: the empty host joins.
pub(super) fn join(draft: &Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let why = "it is empty, and the others give it its data";
    by_strategy(
        draft,
        site,
        ClusterOp::Join,
        ("join", "joins its cluster"),
        why,
    )
}

/// Services that the strategy starts by letting their hosts join or begin their cluster.
pub(super) fn started_as_members(draft: &Draft<'_>, site: &Site<'_>) -> BTreeSet<ServiceName> {
    let needed: &[ClusterOp] = match site.role.strategy.data() {
        Data::Rejoin => &[ClusterOp::Join],
        Data::Transfer => &[ClusterOp::Join, ClusterOp::Bootstrap],
        _ => return BTreeSet::new(),
    };
    let can = |of: &Clustered<'_>| needed.iter().all(|op| of.kind.deeds.of(*op).is_some());
    let own = clustered(draft, site).into_iter();
    own.filter(|of| can(of) && !site.role.stay_up.contains_key(&of.name))
        .map(|of| of.name)
        .collect()
}

/// For each service whose kind says how it is done; the health of the strategy's last slots comes by itself.
fn by_strategy(
    draft: &Draft<'_>,
    site: &Site<'_>,
    op: ClusterOp,
    (verb, says): (&str, &str),
    why: &str,
) -> Vec<Step> {
    if site.role.by_steps {
        return Vec::new();
    }
    let mut out = Vec::new();
    for of in clustered(draft, site) {
        if site.role.stay_up.contains_key(&of.name) {
            continue;
        }
        let name = format!("{verb} {}", of.name);
        let steps = steps(draft, site, &of, op, &name).into_iter();
        let with_health = op == ClusterOp::Leave;
        for mut step in steps.take(if with_health { 2 } else { 1 }) {
            if step.why.is_empty() {
                why.clone_into(&mut step.why);
                step.title = format!("{} {says}", of.name);
            }
            out.push(step);
        }
    }
    out
}
