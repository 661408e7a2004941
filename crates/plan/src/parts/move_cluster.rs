//! A PostgreSQL cluster moves to the new major.

use super::site::Site;
use crate::draft::Draft;
use crate::error::Wrong;
use crate::limits;
use crate::scripts;
use crate::slug::literal;
use crate::space::databases_bytes;
use overhaul_model::action::{Action, DatabaseOp, OnceScope, Repeat, Undo};
use overhaul_model::definition::{DatasetKind, WrittenStep};
use overhaul_model::facts::PostgresCluster;
use overhaul_model::id::DatasetName;
use overhaul_model::primitive::{Measure, Primitive};
use overhaul_model::step::Step;
use std::collections::BTreeSet;

/// The step without what the definition says about it: see `written`.
pub(super) fn step(
    draft: &mut Draft<'_>,
    site: &Site<'_>,
    written: &WrittenStep,
    dataset: &DatasetName,
) -> Option<Step> {
    let authority = draft.authority(site.role, dataset, &written.origin)?;
    if !site.has(&authority) {
        return None;
    }
    let planned = draft.plan.datasets.get(dataset)?;
    let DatasetKind::Postgresql { cluster: name } = &planned.kind else {
        let what = Wrong::NoDatabase {
            step: written.name.clone(),
            dataset: dataset.to_string(),
        };
        let help = "name a dataset of `kind: postgresql`";
        draft.wrong(&written.origin, what, help);
        return None;
    };
    let cluster = draft.clusters.get(dataset);
    let version = cluster.map_or_else(String::new, |c| c.version.clone());
    let port = cluster.map_or_else(String::new, |c| c.port.to_string());
    let name = literal(name);
    let moved = Measure::Command(scripts::CLUSTER_MOVED.with([
        version.as_str(),
        name.as_str(),
        port.as_str(),
    ]));
    let action = Action::Database {
        dataset: dataset.clone(),
        op: DatabaseOp::MoveCluster,
    };
    let work = Primitive::Exec(scripts::MOVE_CLUSTER.with([version.as_str(), name.as_str()]));
    let mut step = site.step(&written.name, &written.name, action, work);
    step.only = site.only(BTreeSet::from([authority]));
    step.verify = Some(match cluster {
        Some(cluster) => Measure::All(vec![moved.clone(), databases(cluster)]),
        None => moved.clone(),
    });
    step.check = Some(moved);
    step.repeat = Repeat::Once(OnceScope::Dataset);
    step.limits = limits::move_cluster(cluster.map(databases_bytes));
    step.undo = Undo::None {
        way_back: "the old cluster is kept, stopped, on a port of its own, and the copy lies on the controller; \
                   what is written after the move is in the new cluster only"
            .to_owned(),
    };
    step.why = format!("the new release brings a new major of PostgreSQL to {dataset}");
    Some(step)
}

/// The moved cluster has the port of the old one, and every database of it.
fn databases(cluster: &PostgresCluster) -> Measure {
    let mut names: Vec<&str> = cluster.databases.iter().map(|d| d.name.as_str()).collect();
    names.sort_unstable();
    let mut arguments = vec![cluster.port.to_string()];
    arguments.extend(names.into_iter().map(literal));
    Measure::Command(scripts::DATABASES.with(arguments))
}
