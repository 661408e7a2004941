//! Which hosts run each service, and what the cluster that they form asks for.

use crate::draft::Draft;
use overhaul_model::action::ClusterOp;
use overhaul_model::cluster::ClusterMember;
use overhaul_model::cluster_kind::ClusterKind;
use overhaul_model::definition::{Definition, Service, WrittenAction};
use overhaul_model::facts::FleetFacts;
use overhaul_model::fleet::Host;
use overhaul_model::id::ServiceName;
use overhaul_model::membership::{Membership, majority};
use overhaul_model::plan::{PlannedCluster, PlannedService};
use overhaul_model::primitive::Measure;
use overhaul_model::strategy::Data;
use std::collections::BTreeSet;

pub(crate) fn plan(draft: &mut Draft<'_>) {
    for (name, service) in &draft.definition.services {
        let hosts = draft.of_role(&service.on).to_vec();
        for host in &hosts {
            let services = draft.services_on.entry(&host.name).or_default();
            services.insert(name);
        }
        let kind = service.cluster.as_ref();
        let kind = kind.and_then(|name| draft.definition.clusters.get(name));
        let planned = PlannedService {
            unit: service.unit.clone(),
            hosts: hosts.iter().map(|host| host.name.clone()).collect(),
            healthy: service.healthy.clone(),
            window: service.window,
            keep: service.keep,
            cluster: None,
        };
        let planned = match kind {
            Some(kind) if begins_anew(draft.definition, name, service) => PlannedService {
                healthy: Some(member_of(kind, None)),
                cluster: Some(PlannedCluster {
                    kind: kind.name.clone(),
                    quorum: None,
                }),
                ..planned
            },
            Some(kind) => clustered(planned, service, kind, &hosts, draft.facts),
            None => planned,
        };
        draft.plan.services.insert(name.clone(), planned);
    }
}

/// Whether one host begins the cluster alone: it is another one then, and no majority of the old one is kept.
fn begins_anew(definition: &Definition, name: &ServiceName, service: &Service) -> bool {
    let roles = definition.roles.iter();
    let mut own = roles.filter(|role| role.role == service.on);
    own.any(|role| {
        let begins = |action: &WrittenAction| matches!(action, WrittenAction::Cluster { service, op: ClusterOp::Bootstrap } if service == name);
        let takes_over = role.strategy.data() == Data::Transfer && !role.stay_up.contains_key(name);
        takes_over || role.steps().any(|step| begins(&step.action))
    })
}

/// Health of a member: it does its work in that cluster, or in any when none is named.
fn member_of(kind: &ClusterKind, cluster: Option<String>) -> Measure {
    Measure::Member(Box::new(Membership {
        kind: kind.asking(),
        cluster,
        beyond: None,
    }))
}

/// A service whose hosts form a cluster: health is membership, and the minimum is a majority when the
/// definition says no other.
fn clustered(
    planned: PlannedService,
    service: &Service,
    kind: &ClusterKind,
    hosts: &[&Host],
    facts: &FleetFacts,
) -> PlannedService {
    let members: Vec<&ClusterMember> = hosts
        .iter()
        .filter_map(|host| facts.get(&host.name)?.clusters.value())
        .flatten()
        .filter(|member| member.kind == kind.name)
        .collect();
    let by_majority = !kind.read.quorate.is_empty();
    let told = members
        .iter()
        .filter_map(|member| member.size_known.value());
    let known = told.copied().max().unwrap_or(0);
    let own = u32::try_from(hosts.len()).unwrap_or(u32::MAX);
    let quorum = by_majority.then(|| majority(known.max(own)));
    // A cluster without a majority may be another one after the change: PostgreSQL gets a new identifier.
    let names: BTreeSet<&String> = members.iter().filter_map(|m| m.cluster.value()).collect();
    let cluster = names.first().filter(|_| by_majority && names.len() == 1);
    let keep = match service.keep {
        // The last host of a service cannot stay while it changes.
        0 if own > 1 => quorum.unwrap_or(0).min(own.saturating_sub(1)),
        keep => keep,
    };
    PlannedService {
        healthy: Some(member_of(kind, cluster.map(|name| (*name).clone()))),
        keep,
        cluster: Some(PlannedCluster {
            kind: kind.name.clone(),
            quorum,
        }),
        ..planned
    }
}
