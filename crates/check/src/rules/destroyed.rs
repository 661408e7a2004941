//! Machines that are ended or made anew: the right one, and nothing of value lost with it.

use super::packages::list;
use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::effects::{Effect, effects};
use overhaul_model::facts::{HostFacts, Known};
use overhaul_model::id::HostName;
use overhaul_model::primitive::Primitive;
use overhaul_model::step::Step;
use std::collections::BTreeSet;

/// Each step that ends a host's machine and is not over, with the steps before and after it.
struct End<'v> {
    host: &'v HostName,
    step: &'v Step,
    before: &'v [&'v Step],
    after: &'v [&'v Step],
}

fn ends<'v>(view: &'v View<'v>) -> Vec<End<'v>> {
    let mut out = Vec::new();
    for (host, steps) in &view.lanes {
        for (place, step) in steps.iter().enumerate() {
            let ends = effects(step).contains(&Effect::MachineDestroyed);
            if ends && !view.is_settled(step, host) {
                out.push(End {
                    host,
                    step,
                    before: steps.get(..place).unwrap_or_default(),
                    after: steps.get(place.saturating_add(1)..).unwrap_or_default(),
                });
            }
        }
    }
    out
}

/// The machine that is harmed is the one that was measured.
pub(super) fn right_machine(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for (host, steps) in &view.lanes {
        let harming = steps.iter().find(|step| match &step.work {
            Primitive::Machine(act) => act.op.harms() && !view.is_settled(step, host),
            _ => false,
        });
        let Some(step) = harming.filter(|_| !view.plan.machines.contains_key(*host)) else {
            continue;
        };
        let sentence = format!(
            "{} would harm the machine of {host}, and nobody measured which one that is",
            step.id
        );
        let help = "gather facts while the machine runs, and compile the plan anew";
        out.push(Complaint::error(format!("host:{host}"), sentence, help));
    }
    out
}

/// Nothing is lost with a machine: what lies on it was copied, or carried and comes back.
pub(super) fn nothing_lost(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for end in ends(view) {
        let subject = format!("host:{}", end.host);
        let carried = carried(end.before);
        let restored = restored(end.after);
        let lost: Vec<String> = carried
            .iter()
            .filter(|path| !restored.contains(*path))
            .map(|path| (*path).to_owned())
            .collect();
        if !lost.is_empty() {
            let sentence = format!(
                "{} is carried away before {} and never brought back",
                list(lost),
                end.step.id
            );
            let help = "bring it back in the slot `restore`, or do not carry it";
            out.push(Complaint::error(subject.clone(), sentence, help));
        }
        if carried.contains("/") {
            continue;
        }
        let Some(facts) = view.facts.get(end.host) else {
            // `unknown-facts` says that nothing was measured.
            continue;
        };
        match lying_there(view, end.host, facts, &carried) {
            Err(why) => {
                let sentence = format!("{} ends its machine, and {why}", end.step.id);
                let help = "gather facts with `--stored`, so that what is on it is known";
                out.push(Complaint::error(subject, sentence, help));
            }
            Ok(data) if !data.is_empty() => {
                let sentence = format!(
                    "{} ends its machine, and nothing carries what is in {}",
                    end.step.id,
                    list(data)
                );
                let help = "carry it, or waive this finding when it may be lost";
                out.push(Complaint::error(subject, sentence, help));
            }
            Ok(_) => {}
        }
    }
    out
}

fn carried<'s>(steps: &[&'s Step]) -> BTreeSet<&'s str> {
    paths(steps, |work| match work {
        Primitive::Persist(persist) => Some(&persist.paths),
        _ => None,
    })
}

fn restored<'s>(steps: &[&'s Step]) -> BTreeSet<&'s str> {
    paths(steps, |work| match work {
        Primitive::Restore(restore) => Some(&restore.paths),
        _ => None,
    })
}

fn paths<'s>(
    steps: &[&'s Step],
    of: impl Fn(&'s Primitive) -> Option<&'s Vec<String>>,
) -> BTreeSet<&'s str> {
    let lists = steps.iter().filter_map(|step| of(&step.work));
    lists.flatten().map(String::as_str).collect()
}

/// Folders with data that nothing carries. Data of a dataset has its own rule.
fn lying_there(
    view: &View<'_>,
    host: &HostName,
    facts: &HostFacts,
    carried: &BTreeSet<&str>,
) -> Result<Vec<String>, String> {
    let folders = match &facts.storage.data {
        Known::Measured { value, .. } => value,
        Known::Unknown { reason } => {
            return Err(format!("nobody knows what lies on it: {reason}"));
        }
    };
    let own = facts.postgresql.value().into_iter().flatten();
    let datasets = view.plan.datasets.values();
    let copied: Vec<&str> = if datasets.into_iter().any(|data| data.authority == *host) {
        own.map(|cluster| cluster.data_dir.as_str()).collect()
    } else {
        Vec::new()
    };
    let is_below = |path: &str, folder: &str| {
        path == folder
            || path
                .strip_prefix(folder)
                .is_some_and(|rest| rest.starts_with('/'))
    };
    let safe = |path: &str| {
        carried.iter().any(|folder| is_below(path, folder))
            // The folder of a database is found as the folder above it.
            || copied.iter().any(|data| is_below(data, path))
    };
    let members = facts.clusters.value().into_iter().flatten();
    let theirs = members.flat_map(|member| member.data_paths.iter().map(String::as_str));
    let with_data = folders.iter().filter(|folder| folder.entries > 0);
    let all: BTreeSet<&str> = with_data
        .map(|folder| folder.path.as_str())
        .chain(theirs)
        .filter(|path| !safe(path))
        .collect();
    Ok(all.into_iter().map(str::to_owned).collect())
}
