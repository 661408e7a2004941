//! Which host has authority over each dataset, and what was measured of it.

use crate::draft::Draft;
use crate::error::Wrong;
use overhaul_model::definition::{Dataset, DatasetKind};
use overhaul_model::facts::PostgresCluster;
use overhaul_model::id::{DatasetName, HostName};
use overhaul_model::plan::PlannedDataset;

pub(crate) fn plan(draft: &mut Draft<'_>) {
    for (name, dataset) in &draft.definition.datasets {
        let Some(authority) = authority(draft, name, dataset) else {
            continue;
        };
        match &dataset.kind {
            DatasetKind::Postgresql { cluster } => {
                measured_cluster(draft, name, &authority, cluster);
            }
            DatasetKind::Mariadb | DatasetKind::Paths { .. } => {}
        }
        draft.plan.datasets.insert(
            name.clone(),
            PlannedDataset {
                of: dataset.of.clone(),
                kind: dataset.kind.clone(),
                authority,
                fresh_for: dataset.fresh_for,
            },
        );
    }
}

fn authority(draft: &mut Draft<'_>, name: &DatasetName, dataset: &Dataset) -> Option<HostName> {
    let origin = draft.origin();
    let Some(service) = draft.plan.services.get(&dataset.of) else {
        draft.wrong(
            &origin,
            Wrong::NoService {
                dataset: name.to_string(),
                service: dataset.of.to_string(),
            },
            "declare the service under `services:`",
        );
        return None;
    };
    if let Some(named) = &dataset.authority {
        let known = service.hosts.contains(named);
        if !known {
            let hosts: Vec<String> = service.hosts.iter().map(HostName::to_string).collect();
            let help = format!("its hosts are {}", hosts.join(", "));
            draft.wrong(
                &origin,
                Wrong::StrangeAuthority {
                    dataset: name.to_string(),
                    host: named.to_string(),
                    service: dataset.of.to_string(),
                },
                help,
            );
        }
        return known.then(|| named.clone());
    }
    if let [host] = service.hosts.as_slice() {
        return Some(host.clone());
    }
    let hosts = service.hosts.len();
    draft.wrong(
        &origin,
        Wrong::NoAuthority {
            dataset: name.to_string(),
            hosts,
        },
        "name the one whose copy counts (`authority: HOST`), or give its service a role that exactly one host has",
    );
    None
}

/// Keeps the cluster that the dataset means, when its host's clusters were measured.
fn measured_cluster(draft: &mut Draft<'_>, dataset: &DatasetName, host: &HostName, cluster: &str) {
    let Some(all) = draft
        .facts
        .get(host)
        .and_then(|facts| facts.postgresql.value())
    else {
        return;
    };
    let named: Vec<&PostgresCluster> = all.iter().filter(|c| c.name == cluster).collect();
    let online: Vec<&PostgresCluster> = named.iter().copied().filter(|c| c.online).collect();
    match (named.as_slice(), online.as_slice()) {
        (_, [one]) | ([one], []) => {
            draft.clusters.insert(dataset.clone(), (*one).clone());
        }
        ([], _) => {
            let origin = draft.origin();
            draft.wrong(
                &origin,
                Wrong::NoCluster {
                    host: host.to_string(),
                    cluster: cluster.to_owned(),
                },
                "write `cluster: NAME` beside `kind: postgresql`, with a name that `pg_lsclusters` shows there",
            );
        }
        (many, _) => {
            let which: Vec<String> = many
                .iter()
                .map(|c| format!("{} on port {}", c.version, c.port))
                .collect();
            let (count, origin) = (many.len(), draft.origin());
            draft.wrong(
                &origin,
                Wrong::ManyClusters {
                    host: host.to_string(),
                    cluster: cluster.to_owned(),
                    count,
                    which: which.join(", "),
                },
                "start the one that is meant, stop the others, and gather facts again",
            );
        }
    }
}
