//! A database that comes from the host that has the authority over it.
//!
//! Neither server runs for others meanwhile: the one that is left was stopped before, and both are started by these
//! steps alone, where nobody else reaches them. So what is read there holds still, and nothing is written twice.
//!
//! Four steps: the new server is empty and fits; what the old one has is made into files there and received, as other
//! files are; it is loaded, and the contents at both ends are compared; then the authority moves.

use super::site::Site;
use super::transfer::{Between, Wanted, action, authority, copy, moving, only};
use crate::draft::Draft;
use crate::limits;
use crate::scripts::{Script, TRANSFER_MARIADB, TRANSFER_POSTGRESQL};
use crate::slug::{file_name, literal, slug};
use crate::space::{CLUSTERS, MARIADB, MOVE_LOG_BYTES, carried_bytes, databases_bytes};
use overhaul_model::action::{Action, Repeat, Touches, TransferOp};
use overhaul_model::definition::{DatabaseWay, DatasetKind, WrittenStep};
use overhaul_model::id::{DatasetName, HostName};
use overhaul_model::plan::{PlannedDataset, PlannedSpace};
use overhaul_model::primitive::{Exec, Primitive};
use overhaul_model::step::Step;

/// Below which folder of both hosts what is on its way lies, unless the definition names another one.
const STAGING: &str = "/var/lib/overhaul-transfer";

/// A database at both ends.
struct Engine {
    script: Script,
    /// The script's first words at the source, and where it is loaded.
    there: Vec<String>,
    here: Vec<String>,
    /// The version at the source, where it was measured.
    version: String,
    way: DatabaseWay,
    stage: String,
    /// Where its files lie.
    folder: String,
}

impl Engine {
    fn new(draft: &Draft<'_>, name: &DatasetName, kind: &DatasetKind, wanted: &Wanted<'_>) -> Self {
        let cluster = draft.clusters.get(name);
        let version = cluster.map_or_else(String::new, |cluster| cluster.version.clone());
        let (script, there, here, folder) = match kind {
            DatasetKind::Postgresql { cluster: name } => (
                TRANSFER_POSTGRESQL,
                vec![literal(name), version.clone()],
                vec![literal(name), String::new()],
                CLUSTERS,
            ),
            DatasetKind::Mariadb | DatasetKind::Paths { .. } => {
                (TRANSFER_MARIADB, Vec::new(), Vec::new(), MARIADB)
            }
        };
        let staging = wanted.staging.unwrap_or(STAGING);
        Self {
            script,
            there,
            here,
            version,
            way: wanted.by.unwrap_or(DatabaseWay::Dump),
            stage: format!("{staging}/{}", file_name(name.as_str())),
            folder: folder.to_owned(),
        }
    }

    fn run(&self, head: &[String], verb: &str, version: Option<&str>) -> Exec {
        let own = [verb, &literal(&self.stage), self.way.word()].map(str::to_owned);
        let version = version.map(str::to_owned);
        self.script
            .with(head.iter().cloned().chain(own).chain(version))
    }
}

pub(super) fn steps(
    draft: &mut Draft<'_>,
    site: &Site<'_>,
    written: &WrittenStep,
    (from, to): (&HostName, &HostName),
    (wanted, planned): (&Wanted<'_>, &PlannedDataset),
) -> Vec<Step> {
    let name = wanted.dataset;
    let engine = Engine::new(draft, name, &planned.kind, wanted);
    let bytes = match (&planned.kind, draft.clusters.get(name)) {
        (DatasetKind::Postgresql { .. }, cluster) => cluster.map(databases_bytes),
        _ => {
            let source = draft.fleet.hosts.get(from);
            source.and_then(|host| carried_bytes(draft, host, &[MARIADB.to_owned()]))
        }
    };
    space(draft, name, &engine, (from, to), bytes);
    let between = Between {
        from,
        to,
        data: moving(draft, name, planned, std::slice::from_ref(&engine.stage)),
        bytes,
        what: match engine.way {
            DatabaseWay::Dump => "dumped there, where nobody else reaches it meanwhile".to_owned(),
            DatabaseWay::Copy => {
                "its files copied there, where nobody else reaches it meanwhile".to_owned()
            }
        },
    };
    let ready = ready(site, written, &between, &engine);
    let first = engine.run(&engine.there, "dump", None);
    let mut copy = copy(site, written, &between, Some(first));
    // What its author wants to see is there once it is loaded.
    let verify = copy.verify.take();
    let mut load = load(site, written, &between, &engine);
    load.verify = verify;
    let still = engine.run(&engine.there, "rest", None);
    let over = authority(site, written, &between, (&copy, Some(still)));
    vec![ready, copy, load, over]
}

fn ready(site: &Site<'_>, written: &WrittenStep, between: &Between<'_>, engine: &Engine) -> Step {
    let work = engine.run(&engine.here, "ready", Some(&engine.version));
    let title = format!(
        "{}: the server on {} is stopped, empty and fits",
        between.data.dataset, between.to
    );
    let name = format!("{}-ready", slug(&written.name));
    let run = Action::Run {
        touches: Touches::Only(Vec::new()),
    };
    let mut step = site.step(&name, &title, run, Primitive::Exec(work));
    step.origin = written.origin.clone();
    step.only = only(site, between);
    step.repeat = Repeat::Safe;
    step.limits = limits::COMMAND;
    step.why = "what people have made there would be lost, and an older server cannot read what a newer one wrote".to_owned();
    step
}

fn load(site: &Site<'_>, written: &WrittenStep, between: &Between<'_>, engine: &Engine) -> Step {
    let work = engine.run(&engine.here, "load", None);
    let title = format!(
        "{}: loaded on {}, and compared with what {} has",
        between.data.dataset, between.to, between.from
    );
    let name = format!("{}-load", slug(&written.name));
    let load = action(between, TransferOp::Load);
    let mut step = site.step(&name, &title, load, Primitive::Exec(work));
    step.origin = written.origin.clone();
    step.only = only(site, between);
    // An attempt begins with the empty server that was kept aside.
    step.repeat = Repeat::Safe;
    step.limits = limits::move_cluster(between.bytes);
    step.why = "the contents of every table are digested at both ends, in a form that does not depend on the version".to_owned();
    step
}

/// What lies there for a while: the stage at both ends, the new database, and the empty one beside it.
fn space(
    draft: &mut Draft<'_>,
    name: &DatasetName,
    engine: &Engine,
    (from, to): (&HostName, &HostName),
    bytes: Option<u64>,
) {
    let of = |host: &HostName, path: &str, bytes, because: &str| PlannedSpace {
        host: Some(host.clone()),
        path: literal(path),
        bytes,
        because: format!("dataset {name}, {because}"),
    };
    let stage = engine.stage.as_str();
    draft.plan.space.extend([
        of(
            from,
            stage,
            bytes,
            "made into files for its way: at most what it takes there",
        ),
        of(
            to,
            stage,
            bytes,
            "what is on its way: at most what it takes there",
        ),
        of(
            to,
            &engine.folder,
            bytes.map(|bytes| bytes.saturating_add(MOVE_LOG_BYTES)),
            "loaded: the size of its databases and 1 GiB of log",
        ),
    ]);
}
