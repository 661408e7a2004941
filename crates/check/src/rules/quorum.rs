//! A cluster that decides by majority keeps one, also with its members that are away already.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::cluster::ClusterMember;
use overhaul_model::facts::HostFacts;
use overhaul_model::id::HostName;
use overhaul_model::plan::PlannedService;

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for (name, service) in &view.plan.services {
        let cluster = service.cluster.as_ref();
        let Some((cluster, quorum)) = cluster.and_then(|c| Some((c, c.quorum?))) else {
            continue;
        };
        let subject = format!("service:{name}");
        if service.keep < quorum {
            let sentence = format!(
                "it keeps {} of its hosts, and a majority of its {} cluster is {quorum}",
                service.keep, cluster.kind
            );
            let help = "raise `keep`, or leave it out; a cluster that cannot lose a member needs one more first";
            out.push(Complaint::error(subject.clone(), sentence, help));
        }
        let goes = view.rolls_with(&service.hosts).next().is_some();
        let absent = absent(view, service, &cluster.kind);
        let work = service.hosts.len().saturating_sub(absent.len());
        let needed = usize::try_from(quorum).unwrap_or(usize::MAX);
        if goes && work <= needed {
            let sentence = format!(
                "{work} of its {} members work, and a majority of its {} cluster is {quorum}: none of them can go{}",
                service.hosts.len(),
                cluster.kind,
                told(&absent)
            );
            let help =
                "bring the absent members back first; what was not measured counts as absent";
            out.push(Complaint::error(subject, sentence, help));
        }
    }
    out
}

/// The hosts of a service that are certainly no help to it, or of which nobody knows, with the reason.
fn absent<'p>(
    view: &View<'_>,
    service: &'p PlannedService,
    kind: &str,
) -> Vec<(&'p HostName, String)> {
    let hosts = service.hosts.iter();
    hosts
        .filter(|host| !in_turn(view, host))
        .filter_map(|host| Some((host, missing(view.facts.get(host), kind)?)))
        .collect()
}

/// Whether the run itself has a host away: its turn has begun and is not over. The others were counted before it
/// went, and are counted again before the next one goes, which waits for it.
fn in_turn(view: &View<'_>, host: &HostName) -> bool {
    view.rolls_with([host]).any(|roll| {
        let own = roll.acts.iter().map(|act| act.step);
        let own = own.filter(|step| step.place(Some(host)).is_some());
        let (over, rest): (Vec<_>, Vec<_>) = own.partition(|step| view.is_settled(step, host));
        !over.is_empty() && !rest.is_empty()
    })
}

/// Why a host does not count as a member that works.
fn missing(facts: Option<&HostFacts>, kind: &str) -> Option<String> {
    let clusters = facts.map(|facts| &facts.clusters);
    let Some(clusters) = clusters.and_then(|clusters| clusters.value()) else {
        return Some("nobody measured it".to_owned());
    };
    let mut own = clusters.iter().filter(|member| member.kind == kind);
    match own.next() {
        None => Some("it is no member".to_owned()),
        Some(member) => own.fold(trouble(member), |why, member| {
            why.or_else(|| trouble(member))
        }),
    }
}

fn trouble(member: &ClusterMember) -> Option<String> {
    let state = member.state.value().map_or("no state", String::as_str);
    let quorate = member.quorate.as_ref();
    match (member.healthy.value(), quorate.map(|known| known.value())) {
        (Some(true), None | Some(Some(true))) => None,
        (Some(_), None | Some(Some(_))) => Some(format!("it does not work: {state}")),
        _ => Some("nobody measured its health".to_owned()),
    }
}

fn told(absent: &[(&HostName, String)]) -> String {
    let each: Vec<String> = absent
        .iter()
        .map(|(host, why)| format!("{host}: {why}"))
        .collect();
    match each.is_empty() {
        true => String::new(),
        false => format!(" ({})", each.join("; ")),
    }
}
