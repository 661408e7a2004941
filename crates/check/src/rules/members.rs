//! A cluster is begun alone by one host, once, and a member forgets its data only when others have it.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::action::{Action, ClusterOp, Repeat};
use overhaul_model::definition::Test;
use overhaul_model::facts::OsRelease;
use overhaul_model::id::{HostName, ServiceName};
use overhaul_model::step::Step;
use std::collections::BTreeMap;

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    let mut begun: BTreeMap<&ServiceName, Vec<&HostName>> = BTreeMap::new();
    view.plan.each_place(&mut |place| {
        if let (Some(host), Action::Cluster { service, op }) = (place.host, &place.step.action)
            && *op == ClusterOp::Bootstrap
        {
            begun.entry(service).or_default().push(host);
        }
    });
    for (service, hosts) in begun.iter().filter(|(_, hosts)| hosts.len() > 1) {
        let names: Vec<&str> = hosts.iter().map(|host| host.as_str()).collect();
        let sentence = format!(
            "its cluster is begun {} times: {}",
            hosts.len(),
            names.join(", ")
        );
        let help = "one host begins it, and the others join";
        out.push(Complaint::error(
            format!("service:{service}"),
            sentence,
            help,
        ));
    }
    for (service, hosts) in begun {
        let first = hosts.first().copied();
        out.extend(first.and_then(|first| others_are_old(view, service, first)));
    }
    out.extend(view.steps.iter().filter_map(|act| of_step(act.step)));
    out
}

/// Whoever begins is the one new member: where the release changes, all others of which it was measured are old.
fn others_are_old(view: &View<'_>, name: &ServiceName, first: &HostName) -> Option<Complaint> {
    let plan = view.plan;
    if plan.from == plan.to {
        return None;
    }
    let hosts = plan.services.get(name)?.hosts.iter();
    let measured: BTreeMap<&HostName, &OsRelease> = view
        .fresh_facts()
        .filter_map(|(host, facts)| Some((host, facts.release.value()?)))
        .collect();
    let new = |host: &&HostName| {
        measured
            .get(host)
            .is_some_and(|release| release.os == plan.to.os && release.version == plan.to.release)
    };
    let others: Vec<&HostName> = hosts.filter(|host| *host != first).collect();
    let already: Vec<&str> = others
        .iter()
        .copied()
        .filter(new)
        .map(|host| host.as_str())
        .collect();
    if already.is_empty() {
        return None;
    }
    let sentence = match already.len() == others.len() {
        true => format!(
            "{first} would begin its cluster, and no old member is left: {} are on the new release",
            already.join(", ")
        ),
        false => format!(
            "{first} would begin its cluster as the first new member, and there is another one: {}",
            already.join(", ")
        ),
    };
    let help = "look which of them has the data; a cluster that was begun already is joined, and not begun again";
    Some(Complaint::error(format!("service:{name}"), sentence, help))
}

fn of_step(step: &Step) -> Option<Complaint> {
    let Action::Cluster { service, op } = &step.action else {
        return None;
    };
    let guarded = |holds: &dyn Fn(&Test) -> bool| step.guards.iter().any(|g| holds(&g.test));
    let (wrong, help) = match op {
        ClusterOp::Bootstrap
            if !guarded(&|test| matches!(test, Test::Quiet { service: s } if s == service)) =>
        {
            (
                format!(
                    "it begins the cluster of {service}, and nothing measures that nobody else runs it"
                ),
                "compile the plan anew",
            )
        }
        ClusterOp::Bootstrap if !matches!(step.repeat, Repeat::Once(_)) => (
            format!("it begins the cluster of {service}, and may be begun again"),
            "take `repeat` away",
        ),
        ClusterOp::Forget
            if !guarded(
                &|test| matches!(test, Test::Members { service: s, at_least } if s == service && *at_least > 0),
            ) =>
        {
            (
                format!(
                    "the host forgets its data of {service}, and nothing measures that others have it"
                ),
                "compile the plan anew",
            )
        }
        ClusterOp::Leave | ClusterOp::Join | ClusterOp::Bootstrap | ClusterOp::Forget => {
            return None;
        }
    };
    Some(Complaint::error(format!("step:{}", step.id), wrong, help))
}
