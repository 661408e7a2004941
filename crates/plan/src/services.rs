//! Which hosts run each service, and what the cluster that they form asks for.

use crate::draft::Draft;
use overhaul_model::cluster::ClusterMember;
use overhaul_model::cluster_kind::ClusterKind;
use overhaul_model::definition::Service;
use overhaul_model::facts::FleetFacts;
use overhaul_model::fleet::Host;
use overhaul_model::membership::{Membership, majority};
use overhaul_model::plan::{PlannedCluster, PlannedService};
use overhaul_model::primitive::Measure;
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
            Some(kind) => clustered(planned, service, kind, &hosts, draft.facts),
            None => planned,
        };
        draft.plan.services.insert(name.clone(), planned);
    }
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
        healthy: Some(Measure::Member(Box::new(Membership {
            kind: kind.clone(),
            cluster: cluster.map(|name| (*name).clone()),
        }))),
        keep,
        cluster: Some(PlannedCluster {
            kind: kind.name.clone(),
            quorum,
        }),
        ..planned
    }
}
