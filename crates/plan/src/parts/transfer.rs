//! A dataset that comes from the host that has the authority over it, which moves with it.
//!
//! Two steps: the data is received, which may be done again until it is whole; then the authority moves, once. Databases
//! have two more ([`super::transfer_database`]).

use super::site::Site;
use super::transfer_database;
use super::written::own_words;
use crate::draft::Draft;
use crate::error::Wrong;
use crate::limits;
use crate::slug::{literal, slug};
use crate::space::carried_bytes;
use overhaul_model::action::{Action, OnceScope, Repeat, Retry, TransferOp, Undo};
use overhaul_model::definition::{DatabaseWay, DatasetKind, WrittenStep};
use overhaul_model::id::{DatasetName, HostName};
use overhaul_model::plan::{PlannedDataset, PlannedSpace};
use overhaul_model::primitive::{Exec, Moving, Primitive, Receive, TakeOver};
use overhaul_model::step::Step;
use overhaul_model::template::step_word;
use std::collections::BTreeSet;

/// What is left to do when the authority has moved.
const WAY_BACK: &str = "the receiving host is the authority: what it writes from here is on no old host; \
                        `overhaul void --dataset` lets a person decide otherwise, on each of the two hosts";

/// What a person wrote of it.
pub(super) struct Wanted<'w> {
    pub dataset: &'w DatasetName,
    pub by: Option<DatabaseWay>,
    pub staging: Option<&'w str>,
}

/// The two hosts, and what goes between them.
pub(super) struct Between<'b> {
    pub from: &'b HostName,
    pub to: &'b HostName,
    pub data: Moving,
    pub bytes: Option<u64>,
    /// What the data is, for people.
    pub what: String,
}

pub(super) fn steps(
    draft: &mut Draft<'_>,
    site: &Site<'_>,
    written: &WrittenStep,
    wanted: &Wanted<'_>,
    concerned: &BTreeSet<HostName>,
) -> Vec<Step> {
    // What is wrong with the dataset itself was told where it was planned.
    let Some(planned) = draft.plan.datasets.get(wanted.dataset).cloned() else {
        return Vec::new();
    };
    let from = planned.authority.clone();
    let Some(to) = receiver(draft, written, wanted.dataset, (&from, concerned)) else {
        return Vec::new();
    };
    let ends = (&from, &to);
    match &planned.kind {
        DatasetKind::Paths { .. } if wanted.by.is_some() || wanted.staging.is_some() => {
            let what = Wrong::NoDatabaseComes {
                step: written.name.clone(),
                dataset: wanted.dataset.to_string(),
            };
            let help = "files go as they are: take `by` and `staging` away";
            draft.wrong(&written.origin, what, help);
            Vec::new()
        }
        DatasetKind::Paths { paths } => {
            of_paths(draft, site, written, ends, (wanted, &planned, paths))
        }
        DatasetKind::Postgresql { .. } | DatasetKind::Mariadb => {
            transfer_database::steps(draft, site, written, ends, (wanted, &planned))
        }
    }
}

/// The one host that receives.
fn receiver(
    draft: &mut Draft<'_>,
    written: &WrittenStep,
    name: &DatasetName,
    (from, concerned): (&HostName, &BTreeSet<HostName>),
) -> Option<HostName> {
    let (step, dataset) = (written.name.clone(), name.to_string());
    let mut hosts = concerned.iter();
    match (hosts.next(), hosts.next()) {
        (Some(to), None) if to != from => return Some(to.clone()),
        (Some(_), None) => {
            let host = from.to_string();
            let what = Wrong::SameHost {
                step,
                dataset,
                host,
            };
            let help = "write it in a role of the host that receives, or limit it with `when`";
            draft.wrong(&written.origin, what, help);
        }
        _ => {
            let hosts = concerned.len();
            let what = Wrong::ManyReceive {
                step,
                dataset,
                hosts,
            };
            let help = "limit it with `when` to the host that receives";
            draft.wrong(&written.origin, what, help);
        }
    }
    None
}

/// All of a dataset below these paths.
pub(super) fn moving(
    draft: &Draft<'_>,
    name: &DatasetName,
    planned: &PlannedDataset,
    paths: &[String],
) -> Moving {
    let service = draft.plan.services.get(&planned.of);
    Moving {
        dataset: name.clone(),
        paths: paths.iter().map(|path| literal(path)).collect(),
        one_filesystem: false,
        exclude: Vec::new(),
        units: service
            .map(|service| literal(&service.unit))
            .into_iter()
            .collect(),
    }
}

fn of_paths(
    draft: &mut Draft<'_>,
    site: &Site<'_>,
    written: &WrittenStep,
    (from, to): (&HostName, &HostName),
    (wanted, planned, paths): (&Wanted<'_>, &PlannedDataset, &[String]),
) -> Vec<Step> {
    let data = moving(draft, wanted.dataset, planned, paths);
    let source = draft.fleet.hosts.get(from);
    let bytes = source.and_then(|host| carried_bytes(draft, host, paths));
    let what = paths.join(", ");
    draft
        .plan
        .space
        .extend(data.paths.first().map(|path| PlannedSpace {
            host: Some(to.clone()),
            path: path.clone(),
            bytes,
            because: format!("{what} of {from}, received: at most what it takes there"),
        }));
    let between = Between {
        from,
        to,
        data,
        bytes,
        what,
    };
    let copy = copy(site, written, &between, None);
    let over = authority(site, written, &between, (&copy, None));
    vec![copy, over]
}

/// The data is received, as often as it takes.
pub(super) fn copy(
    site: &Site<'_>,
    written: &WrittenStep,
    between: &Between<'_>,
    first: Option<Exec>,
) -> Step {
    let Between {
        from,
        data,
        bytes,
        what,
        ..
    } = between;
    let receive = Primitive::Receive(Receive {
        data: data.clone(),
        from: (*from).clone(),
        first,
    });
    let action = action(between, TransferOp::Receive);
    let mut copy = site.step(&written.name, &written.name, action, receive);
    copy.limits = limits::copy(*bytes);
    copy.why = format!("{from} has the authority over {}: {what}", data.dataset);
    own_words(&mut copy, written);
    if written.retry == Retry::NEVER {
        copy.retry = limits::COPY_RETRY;
    }
    copy.repeat = Repeat::Safe;
    copy.only = only(site, between);
    copy
}

/// Then the authority moves, once.
pub(super) fn authority(
    site: &Site<'_>,
    written: &WrittenStep,
    between: &Between<'_>,
    (copy, first): (&Step, Option<Exec>),
) -> Step {
    let Between { from, to, data, .. } = between;
    let word = step_word(&copy.id);
    let output = |name: &str| format!("{{{{ steps.{word}.{name} }}}}");
    let take = Primitive::TakeOver(TakeOver {
        digest: output("digest"),
        stamps: output("stamps"),
        data: data.clone(),
        from: (*from).clone(),
        first,
    });
    let title = format!(
        "the authority over {} moves from {from} to {to}",
        data.dataset
    );
    let name = format!("{}-authority", slug(&written.name));
    let mut over = site.step(&name, &title, action(between, TransferOp::TakeOver), take);
    over.origin = written.origin.clone();
    over.only = only(site, between);
    over.repeat = Repeat::Once(OnceScope::Dataset);
    over.limits = limits::COMMAND;
    over.undo = Undo::None {
        way_back: WAY_BACK.to_owned(),
    };
    over.why =
        "both hosts keep it on record, for every later run: the old one is not written again"
            .to_owned();
    over
}

pub(super) fn action(between: &Between<'_>, op: TransferOp) -> Action {
    Action::Transfer {
        dataset: between.data.dataset.clone(),
        from: between.from.clone(),
        op,
    }
}

/// The lane of the host that receives.
pub(super) fn only(site: &Site<'_>, between: &Between<'_>) -> Option<BTreeSet<HostName>> {
    site.only(BTreeSet::from([between.to.clone()]))
}
