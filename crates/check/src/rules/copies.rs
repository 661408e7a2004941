//! Copies of datasets: outside their host, of everything, read back.

use super::archives::is_below;
use crate::rule::Complaint;
use crate::view::{Act, View};
use overhaul_model::action::{Action, DatabaseOp};
use overhaul_model::definition::DatasetKind;
use overhaul_model::effects::Effect;
use overhaul_model::id::{DatasetName, HostName};
use overhaul_model::plan::{Place, PlannedDataset};
use overhaul_model::primitive::{Command, Feed, Fetch, Primitive};
use overhaul_model::step::Step;
use overhaul_model::template::step_word;
use std::collections::BTreeSet;
use std::ops::Bound;

pub(super) fn verified(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for (host, steps) in &view.lanes {
        for (place, step) in steps.iter().enumerate() {
            if view.is_settled(step, host) {
                continue;
            }
            for effect in &step.effects {
                let Effect::DatasetChanges(dataset) = effect else {
                    continue;
                };
                let before = steps.get(..place).unwrap_or_default();
                if let Some(wrong) = wrong_with_copies(view, host, before, dataset) {
                    let sentence = format!("{dataset} is changed, and {wrong}");
                    let help =
                        "name the dataset under `backup:` of its role, and gather facts again";
                    out.push(Complaint::error(
                        format!("step:{}", step.id),
                        sentence,
                        help,
                    ));
                }
            }
        }
        out.extend(uncopied(view, host, steps));
    }
    out
}

/// A release that changes under data of which there is no copy, or a machine that is ended with it.
fn uncopied(view: &View<'_>, host: &HostName, steps: &[&Act<'_>]) -> Vec<Complaint> {
    let changes = steps.iter().position(|step| {
        step.effects
            .iter()
            .any(|effect| matches!(effect, Effect::ReleaseChanges(_)) || effect.takes_machine())
    });
    let Some(changes) = changes else {
        return Vec::new();
    };
    if steps
        .get(changes)
        .is_some_and(|step| view.is_settled(step, host))
    {
        return Vec::new();
    }
    let before = steps.get(..changes).unwrap_or_default();
    view.plan
        .datasets
        .iter()
        .filter(|(_, dataset)| dataset.authority == *host)
        .filter_map(|(name, _)| {
            let wrong = wrong_with_copies(view, host, before, name)?;
            let subject = format!("dataset:{name}");
            let help = "name the dataset under `backup:` of its role";
            let step = steps.get(changes)?;
            if !step.effects.contains(&Effect::MachineDestroyed) {
                let sentence = format!("the release of {host} changes under it, and {wrong}");
                return Some(Complaint::warning(subject, sentence, help));
            }
            let copied = before
                .iter()
                .find(|step| matches!(step.work, Primitive::Persist(_)));
            let but = match copied.map(|step| &step.action) {
                Some(Action::Archive { .. }) => "; an archive of its files is no copy of it",
                Some(_) => "; what is carried for the upgrade is no backup",
                None => "",
            };
            let sentence = format!("{} ends the machine under it, and {wrong}{but}", step.id);
            Some(Complaint::error(subject, sentence, help))
        })
        .collect()
}

struct Copy<'s> {
    step: &'s Step,
    fetch: &'s Fetch,
}

/// Whether an archive is a copy of a path, which the controller reads back before it gives it its name. What is carried
/// for the upgrade is no backup.
fn holds(act: &Act<'_>, path: &str) -> bool {
    match (&act.action, &act.work) {
        (Action::Carry { .. }, _) => false,
        (_, Primitive::Persist(persist)) => {
            let covered = persist.paths.iter().any(|top| is_below(path, top));
            covered
                && !persist
                    .exclude
                    .iter()
                    .any(|out| is_below(path, out) || is_below(out, path))
        }
        _ => false,
    }
}

pub(super) fn wrong_with_copies(
    view: &View<'_>,
    host: &HostName,
    before: &[&Act<'_>],
    name: &DatasetName,
) -> Option<String> {
    if let Some(DatasetKind::Paths { paths }) = view.plan.datasets.get(name).map(|set| &set.kind) {
        let left: Vec<&str> = paths
            .iter()
            .filter(|path| !before.iter().any(|act| holds(act, path)))
            .map(String::as_str)
            .collect();
        return (!left.is_empty()).then(|| {
            format!(
                "no copy of {} goes to the controller before",
                left.join(", ")
            )
        });
    }
    let mut copies = Vec::new();
    let mut read: Vec<&Feed> = Vec::new();
    for step in before {
        match (&step.action, &step.work) {
            (
                Action::Database {
                    dataset,
                    op: DatabaseOp::Backup,
                },
                Primitive::Fetch(fetch),
            ) if dataset == name => {
                copies.push(Copy { step, fetch });
            }
            (
                Action::Database {
                    dataset,
                    op: DatabaseOp::ReadBack,
                },
                Primitive::Feed(feed),
            ) if dataset == name
                    // Only a copy that exists by then is read.
                    && copies.iter().any(|copy| reads(feed, copy)) =>
            {
                read.push(feed);
            }
            _ => {}
        }
    }
    if copies.is_empty() {
        return Some("no copy of it goes to the controller before".to_owned());
    }
    if let Some(unread) = copies
        .iter()
        .find(|copy| !read.iter().any(|feed| reads(feed, copy)))
    {
        return Some(format!(
            "the copy {} is not read back before",
            unread.fetch.file
        ));
    }
    let planned = view.plan.datasets.get(name)?;
    let missing = missing_databases(view, host, planned, &copies);
    (!missing.is_empty()).then(|| format!("no copy is made of {}", missing.join(", ")))
}

fn reads(feed: &Feed, copy: &Copy<'_>) -> bool {
    feed.file == copy.fetch.file && feed.digest_from == step_word(&copy.step.id)
}

/// Databases that facts know and no copy names. A dump of the whole cluster names none and has all.
fn missing_databases(
    view: &View<'_>,
    host: &HostName,
    planned: &PlannedDataset,
    copies: &[Copy<'_>],
) -> Vec<String> {
    let DatasetKind::Postgresql { cluster } = &planned.kind else {
        return Vec::new();
    };
    let arguments: Vec<Vec<&str>> = copies.iter().map(|copy| words(copy.fetch)).collect();
    let whole = arguments.iter().any(|words| {
        words.contains(&"pg_dumpall") && !words.iter().any(|word| word.ends_with("-only"))
    });
    let measured = view
        .facts
        .get(host)
        .and_then(|facts| facts.postgresql.value());
    let Some(clusters) = measured.filter(|_| !whole) else {
        return Vec::new();
    };
    let named: BTreeSet<&str> = arguments.into_iter().flatten().collect();
    clusters
        .iter()
        .filter(|measured| measured.name == *cluster && measured.online)
        .flat_map(|measured| &measured.databases)
        .map(|database| database.name.as_str())
        // A name in braces is written as a template in the plan.
        .filter(|name| !named.contains(name) && !name.contains("{{") && !name.contains("{%"))
        .map(|name| format!("database {name}"))
        .collect()
}

fn words(fetch: &Fetch) -> Vec<&str> {
    match &fetch.exec.command {
        Command::Argv(argv) => argv.iter().map(String::as_str).collect(),
        Command::Shell(script) => script.split_whitespace().collect(),
    }
}

/// A file that cannot be there beside this one, because one of the two would lie in the other.
fn in_the_way<'f>(taken: &BTreeSet<&'f str>, file: &str) -> Option<&'f str> {
    let mut above = file.match_indices('/').filter_map(|(at, _)| file.get(..at));
    let folder = above.find_map(|folder| taken.get(folder).copied());
    let within = format!("{file}/");
    let from = (Bound::Included(within.as_str()), Bound::Unbounded);
    let next = taken.range::<str, _>(from).next().copied();
    folder.or(next.filter(|other| other.starts_with(&within)))
}

pub(super) fn files(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    view.plan.each_place(&mut |Place { step, .. }| {
        let file = match &step.work {
            Primitive::Fetch(fetch) => &fetch.file,
            Primitive::Feed(feed) => &feed.file,
            Primitive::Persist(persist) => &persist.file,
            Primitive::Restore(restore) => &restore.file,
            _ => return,
        };
        let subject = format!("step:{}", step.id);
        let plain = file.split('/').all(|part| {
            !part.is_empty() && part != "." && part != ".." && !part.contains(['\0', '\\'])
        });
        if !plain {
            let sentence = format!("`{file}` is not a plain path below the run's folder");
            let help = "write names separated by single slashes";
            out.push(Complaint::error(subject.clone(), sentence, help));
        }
        let fetched = matches!(step.work, Primitive::Fetch(_) | Primitive::Persist(_));
        if !fetched || file.contains("{{") {
            return;
        }
        let help = "give each copy a file of its own";
        if let Some(other) = in_the_way(&taken, file) {
            let sentence = format!("another copy goes to `{other}`: one of them would be a folder");
            out.push(Complaint::error(subject, sentence, help));
        } else if !taken.insert(file) {
            let sentence = format!("another copy goes to `{file}` too");
            out.push(Complaint::error(subject, sentence, help));
        }
    });
    out
}
