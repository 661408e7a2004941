//! Kinds: those that every build knows, and those of a person's own folder.

use crate::failure::{Failure, file};
use overhaul_model::cluster_kind::ClusterKind;
use overhaul_model::kind::{UpgradePath, Upgrader};
use overhaul_model::knowledge::NoMix;
use overhaul_source::definition::KnownKinds;
use overhaul_source::{SourceFile, cluster_kind, kind, read};
use std::collections::BTreeMap;
use std::path::Path;

/// The kinds that every build knows.
const BUILT_IN: [(&str, &str); 11] = [
    ("kinds/apt.yaml", include_str!("../../../kinds/apt.yaml")),
    (
        "kinds/ceph-mon.yaml",
        include_str!("../../../kinds/ceph-mon.yaml"),
    ),
    (
        "kinds/do-release-upgrade.yaml",
        include_str!("../../../kinds/do-release-upgrade.yaml"),
    ),
    (
        "kinds/leapp.yaml",
        include_str!("../../../kinds/leapp.yaml"),
    ),
    (
        "kinds/galera.yaml",
        include_str!("../../../kinds/galera.yaml"),
    ),
    ("kinds/etcd.yaml", include_str!("../../../kinds/etcd.yaml")),
    (
        "kinds/pacemaker.yaml",
        include_str!("../../../kinds/pacemaker.yaml"),
    ),
    (
        "kinds/rabbitmq.yaml",
        include_str!("../../../kinds/rabbitmq.yaml"),
    ),
    (
        "kinds/keepalived.yaml",
        include_str!("../../../kinds/keepalived.yaml"),
    ),
    (
        "kinds/postgresql-replicas.yaml",
        include_str!("../../../kinds/postgresql-replicas.yaml"),
    ),
    (
        "kinds/redis.yaml",
        include_str!("../../../kinds/redis.yaml"),
    ),
];

/// Kinds of one's own that are read: more than one definition can use.
const OWN_MAX: usize = 200;

/// All kinds; one of a person's own takes the place of ours with the same name.
#[derive(Debug)]
pub struct Kinds {
    /// Release upgraders by name.
    pub upgraders: BTreeMap<String, Upgrader>,
    /// Clusters, in the order of their names.
    pub clusters: Vec<ClusterKind>,
}

impl Kinds {
    /// Ours and those of a folder.
    ///
    /// # Errors
    /// When the folder or a file in it cannot be read, or a kind is wrong.
    pub fn with(own: Option<&Path>) -> Result<Self, Failure> {
        let mut files: Vec<SourceFile> = BUILT_IN
            .iter()
            .map(|(name, text)| SourceFile::new(*name, *text))
            .collect();
        if let Some(folder) = own {
            files.extend(own_files(folder)?);
        }
        let mut upgraders = BTreeMap::new();
        let mut clusters = BTreeMap::new();
        for file in &files {
            if cluster_kind::is_cluster_kind(file) {
                let kind = cluster_kind::parse(file)?;
                clusters.insert(kind.name.clone(), kind);
            } else {
                let upgrader = kind::parse(file)?;
                upgraders.insert(upgrader.name.clone(), upgrader);
            }
        }
        Ok(Self {
            upgraders,
            clusters: clusters.into_values().collect(),
        })
    }

    /// As a definition may name them.
    pub fn known(&self) -> KnownKinds<'_> {
        KnownKinds {
            upgraders: &self.upgraders,
            clusters: &self.clusters,
        }
    }

    /// Versions that never meet in one cluster, by the kind of cluster.
    pub fn no_mix(&self) -> BTreeMap<String, NoMix> {
        let bordered = self.clusters.iter().filter(|kind| !kind.no_mix.is_empty());
        let no_mix = |kind: &ClusterKind| NoMix {
            units: kind.detect.units.clone(),
            apart: kind.no_mix.clone(),
        };
        bordered
            .map(|kind| (kind.name.clone(), no_mix(kind)))
            .collect()
    }

    /// The upgrader and its path that leads to a release, named by code name or number.
    ///
    /// # Errors
    /// When none leads there.
    pub fn way(&self, to: &str) -> Result<(&Upgrader, &UpgradePath), Failure> {
        let leads = |path: &&UpgradePath| {
            path.to_codename == to || path.to.release == to || path.to.to_string() == to
        };
        let upgraders = self.upgraders.values();
        let found = upgraders
            .clone()
            .find_map(|upgrader| Some((upgrader, upgrader.paths.iter().rev().find(leads)?)));
        found.ok_or_else(|| {
            let known: Vec<String> = upgraders
                .flat_map(|upgrader| &upgrader.paths)
                .map(|path| format!("{} ({})", path.to_codename, path.to))
                .collect();
            Failure::input(format!("no upgrader leads to `{to}`"))
                .hint(format!("known: {}", known.join(", ")))
        })
    }
}

fn own_files(folder: &Path) -> Result<Vec<SourceFile>, Failure> {
    let wrong = |error| file(folder, "read", &error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        if yaml {
            paths.push(path);
        }
    }
    if paths.len() > OWN_MAX {
        return Err(Failure::input(format!(
            "{}: {} kinds in this folder; at most {OWN_MAX} are read",
            folder.display(),
            paths.len()
        )));
    }
    paths.sort();
    Ok(paths
        .iter()
        .map(|path| read::file(path))
        .collect::<Result<_, _>>()?)
}
