//! A dataset that comes from the host that has the authority over it, which moves with it.
//!
//! Two steps: the data is received, which may be done again until it is whole; then the authority moves, once.

use super::site::Site;
use super::written::own_words;
use crate::draft::Draft;
use crate::error::Wrong;
use crate::limits;
use crate::slug::{literal, slug};
use crate::space::carried_bytes;
use overhaul_model::action::{Action, OnceScope, Repeat, Retry, TransferOp, Undo};
use overhaul_model::definition::{DatasetKind, WrittenStep};
use overhaul_model::id::{DatasetName, HostName};
use overhaul_model::plan::{PlannedDataset, PlannedSpace};
use overhaul_model::primitive::{Moving, Primitive, Receive, TakeOver};
use overhaul_model::step::Step;
use overhaul_model::template::step_word;
use std::collections::BTreeSet;

/// What is left to do when the authority has moved.
const WAY_BACK: &str = "the receiving host is the authority: what it writes from here is on no old host; \
                        `overhaul void --dataset` lets a person decide otherwise, on each of the two hosts";

pub(super) fn steps(
    draft: &mut Draft<'_>,
    site: &Site<'_>,
    written: &WrittenStep,
    name: &DatasetName,
    concerned: &BTreeSet<HostName>,
) -> Vec<Step> {
    // What is wrong with the dataset itself was told where it was planned.
    let Some(planned) = draft.plan.datasets.get(name).cloned() else {
        return Vec::new();
    };
    let (step, dataset) = (written.name.clone(), name.to_string());
    let from = planned.authority.clone();
    let mut hosts = concerned.iter();
    let to = match (hosts.next(), hosts.next()) {
        (Some(to), None) if *to != from => to.clone(),
        (Some(_), None) => {
            let host = from.to_string();
            let what = Wrong::SameHost {
                step,
                dataset,
                host,
            };
            let help = "write it in a role of the host that receives, or limit it with `when`";
            draft.wrong(&written.origin, what, help);
            return Vec::new();
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
            return Vec::new();
        }
    };
    let DatasetKind::Paths { paths } = &planned.kind else {
        let what = Wrong::NotPaths { step, dataset };
        let help = "carry it (`data: carry`), or bring it over by commands of your own";
        draft.wrong(&written.origin, what, help);
        return Vec::new();
    };
    let data = moving(draft, name, &planned, paths);
    of_host(draft, site, written, (&from, &to), (data, paths))
}

fn moving(
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

fn of_host(
    draft: &mut Draft<'_>,
    site: &Site<'_>,
    written: &WrittenStep,
    (from, to): (&HostName, &HostName),
    (data, paths): (Moving, &[String]),
) -> Vec<Step> {
    let source = draft.fleet.hosts.get(from);
    let bytes = source.and_then(|host| carried_bytes(draft, host, paths));
    let all = paths.join(", ");
    draft
        .plan
        .space
        .extend(data.paths.first().map(|path| PlannedSpace {
            host: Some(to.clone()),
            path: path.clone(),
            bytes,
            because: format!("{all} of {from}, received: at most what it takes there"),
        }));
    let action = |op| Action::Transfer {
        dataset: data.dataset.clone(),
        from: from.clone(),
        op,
    };
    let only = site.only(BTreeSet::from([to.clone()]));
    let receive = Primitive::Receive(Receive {
        data: data.clone(),
        from: from.clone(),
    });
    let mut copy = site.step(
        &written.name,
        &written.name,
        action(TransferOp::Receive),
        receive,
    );
    copy.limits = limits::copy(bytes);
    copy.why = format!("{from} has the authority over {}: {all}", data.dataset);
    own_words(&mut copy, written);
    if written.retry == Retry::NEVER {
        copy.retry = limits::COPY_RETRY;
    }
    copy.repeat = Repeat::Safe;
    copy.only.clone_from(&only);
    let word = step_word(&copy.id);
    let output = |name: &str| format!("{{{{ steps.{word}.{name} }}}}");
    let take = Primitive::TakeOver(TakeOver {
        digest: output("digest"),
        stamps: output("stamps"),
        data: data.clone(),
        from: from.clone(),
    });
    let title = format!(
        "the authority over {} moves from {from} to {to}",
        data.dataset
    );
    let name = format!("{}-authority", slug(&written.name));
    let mut over = site.step(&name, &title, action(TransferOp::TakeOver), take);
    over.origin = written.origin.clone();
    over.only = only;
    over.repeat = Repeat::Once(OnceScope::Dataset);
    over.limits = limits::COMMAND;
    over.undo = Undo::None {
        way_back: WAY_BACK.to_owned(),
    };
    over.why =
        "both hosts keep it on record, for every later run: the old one is not written again"
            .to_owned();
    vec![copy, over]
}
