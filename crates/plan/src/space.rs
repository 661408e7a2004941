//! Free space that the plan relies on: packages on each host, moved clusters, copies on the controller.

use crate::draft::Draft;
use overhaul_model::definition::{DatasetKind, RoleUpgrade, WrittenAction};
use overhaul_model::facts::{DataFolder, Mount, PostgresCluster};
use overhaul_model::fleet::Host;
use overhaul_model::id::DatasetName;
use overhaul_model::plan::PlannedSpace;
use overhaul_model::strategy::Data;
use std::collections::BTreeSet;

/// Where the controller keeps copies, below the run's folder.
const COPIES: &str = "data";

/// Where PostgreSQL has its clusters on Debian, when the real place was not measured.
pub(crate) const CLUSTERS: &str = "/var/lib/postgresql";

/// Where MariaDB has its databases on Debian.
pub(crate) const MARIADB: &str = "/var/lib/mysql";

/// Write-ahead log of a cluster that is being restored, as `max_wal_size` allows it by default.
pub(crate) const MOVE_LOG_BYTES: u64 = 1 << 30;

/// What an archive takes for the name, owner and rights of one file, carefully.
const ENTRY_BYTES: u64 = 512;

pub(crate) fn plan(draft: &mut Draft<'_>) {
    for role in &draft.definition.roles {
        let needs = draft
            .ways
            .get(&role.role)
            .map(|way| way.upgrader.space.clone())
            .unwrap_or_default();
        for host in draft.hosts_of(role) {
            for need in &needs {
                draft.plan.space.push(PlannedSpace {
                    host: Some(host.name.clone()),
                    path: need.path.clone(),
                    bytes: Some(need.bytes),
                    because: need.because.clone(),
                });
            }
        }
        for dataset in &role.backup {
            copy(draft, dataset);
        }
        if role.strategy.data() == Data::Carry {
            carried(draft, role);
        }
        let moved: BTreeSet<&DatasetName> = role
            .steps()
            .filter_map(|step| match &step.action {
                WrittenAction::MoveCluster { dataset } => Some(dataset),
                _ => None,
            })
            .collect();
        for dataset in moved {
            second_cluster(draft, dataset);
        }
    }
}

/// The sum of a cluster's databases, if it was measured.
pub(crate) fn databases_bytes(cluster: &PostgresCluster) -> u64 {
    cluster
        .databases
        .iter()
        .fold(0, |sum, database| sum.saturating_add(database.size_bytes))
}

fn carried(draft: &mut Draft<'_>, role: &RoleUpgrade) {
    let paths = role.carry.join(", ");
    for host in draft.hosts_of(role) {
        let bytes = carried_bytes(draft, host, &role.carry);
        let because = format!(
            "{paths} of {}, carried to its new machine: at most what it takes there",
            host.name
        );
        draft.plan.space.push(of_copy(bytes, because));
    }
}

/// What an archive of these paths takes at most, if all of them were measured. A folder around a path counts
/// for it, once.
pub(crate) fn carried_bytes(draft: &Draft<'_>, host: &Host, paths: &[String]) -> Option<u64> {
    let folders = draft.facts.get(&host.name)?.storage.data.value()?;
    let mut counted: BTreeSet<&str> = BTreeSet::new();
    let mut sum = 0_u64;
    for path in paths {
        let around = |folder: &&DataFolder| {
            folder.complete
                && path
                    .strip_prefix(folder.path.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let nearest = folders
            .iter()
            .filter(around)
            .max_by_key(|folder| folder.path.len())?;
        if counted.insert(&nearest.path) {
            let names = nearest.entries.saturating_mul(ENTRY_BYTES);
            sum = sum.saturating_add(nearest.size_bytes).saturating_add(names);
        }
    }
    Some(sum)
}

/// What an archive of the whole root takes at most, if its file systems were measured.
pub(crate) fn root_bytes(draft: &Draft<'_>, host: &Host, one_filesystem: bool) -> Option<u64> {
    let mounts = draft.facts.get(&host.name)?.mounts.value()?;
    let counted = |mount: &&Mount| !one_filesystem || mount.path == "/";
    let used = mounts.iter().filter(counted);
    let used = used.map(|mount| mount.size_bytes.saturating_sub(mount.free_bytes));
    used.reduce(u64::saturating_add)
}

/// Space for a copy on the controller.
pub(crate) fn of_copy(bytes: Option<u64>, because: String) -> PlannedSpace {
    PlannedSpace {
        host: None,
        path: COPIES.to_owned(),
        bytes,
        because,
    }
}

fn copy(draft: &mut Draft<'_>, dataset: &DatasetName) {
    let planned = draft.plan.datasets.get(dataset);
    let (bytes, because) = match planned.map(|planned| (&planned.kind, &planned.authority)) {
        Some((DatasetKind::Paths { paths }, host)) => {
            let host = draft.fleet.hosts.get(host);
            let bytes = host.and_then(|host| carried_bytes(draft, host, paths));
            (
                bytes,
                format!("copy of dataset {dataset}: at most what it takes there"),
            )
        }
        Some((DatasetKind::Mariadb, host)) => {
            let host = draft.fleet.hosts.get(host);
            let bytes = host.and_then(|host| carried_bytes(draft, host, &[MARIADB.to_owned()]));
            (
                bytes,
                format!("copy of dataset {dataset}: at most the size of its files"),
            )
        }
        _ => {
            let bytes = draft.clusters.get(dataset).map(databases_bytes);
            (
                bytes,
                format!("copy of dataset {dataset}: at most the size of its databases"),
            )
        }
    };
    draft.plan.space.push(of_copy(bytes, because));
}

fn second_cluster(draft: &mut Draft<'_>, name: &DatasetName) {
    let Some(dataset) = draft.plan.datasets.get(name) else {
        return;
    };
    let DatasetKind::Postgresql { .. } = dataset.kind else {
        return;
    };
    let cluster = draft.clusters.get(name);
    let space = PlannedSpace {
        host: Some(dataset.authority.clone()),
        path: cluster.map_or_else(|| CLUSTERS.to_owned(), |c| c.data_dir.clone()),
        bytes: cluster.map(|c| databases_bytes(c).saturating_add(MOVE_LOG_BYTES)),
        because: format!(
            "dataset {name} a second time in the new cluster: the size of its databases and 1 GiB of log"
        ),
    };
    draft.plan.space.push(space);
}
