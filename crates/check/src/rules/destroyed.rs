//! Machines that are ended or made anew: the right one, and nothing of value lost with it.

use super::archives::{self, is_below};
use super::packages::list;
use crate::rule::Complaint;
use crate::view::{Act, View};
use overhaul_model::action::{Action, MoveOp};
use overhaul_model::effects::Effect;
use overhaul_model::facts::{HostFacts, Known};
use overhaul_model::id::HostName;
use overhaul_model::primitive::{Measure, Primitive};
use overhaul_model::step::Step;
use std::collections::BTreeSet;

/// Each step that ends a host's machine and is not over, with the steps before and after it.
struct End<'v> {
    host: &'v HostName,
    step: &'v Step,
    /// What it does, in words.
    does: &'static str,
    before: &'v [&'v Act<'v>],
    after: &'v [&'v Act<'v>],
}

fn ends<'v>(view: &'v View<'v>) -> Vec<End<'v>> {
    let mut out = Vec::new();
    for (host, steps) in &view.lanes {
        for (place, step) in steps.iter().enumerate() {
            let taken = step.effects.iter().find(|effect| effect.takes_machine());
            if let Some(taken) = taken.filter(|_| !view.is_settled(step, host)) {
                out.push(End {
                    host,
                    step: step.step,
                    does: match taken {
                        Effect::MachineReplaced => "puts another machine in its place",
                        _ => "ends its machine",
                    },
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
        let mut carried = carried(end.before);
        let mut restored = restored(end.after);
        carried.extend(mounts_moved(end.before, MoveOp::Leave));
        restored.extend(mounts_moved(end.after, MoveOp::Come));
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
        out.extend(unmounted_data(&end, facts));
        match lying_there(view, end.host, facts, &carried, &rejoined(end.after)) {
            Err(why) => {
                let sentence = format!("{} {}, and {why}", end.step.id, end.does);
                let help = "gather facts with `--stored`, so that what is on it is known";
                out.push(Complaint::error(subject, sentence, help));
            }
            Ok(data) => out.extend(uncarried(view, &end, data)),
        }
    }
    out
}

/// What is not carried is lost, but for what is in an archive that was made at rest.
fn uncarried(view: &View<'_>, end: &End<'_>, data: Vec<String>) -> Vec<Complaint> {
    let subject = format!("host:{}", end.host);
    let made = archives::made(view, end.host, end.before);
    let mounts = view.facts.get(end.host).and_then(|f| f.mounts.value());
    let mounts = mounts.map(Vec::as_slice);
    let holding = |path: &str| made.iter().find(|made| made.holds(path, mounts));
    let is_kept = |path: &String| {
        made.iter()
            .any(|made| made.at_rest && made.holds(path, mounts))
    };
    let (kept, lost): (Vec<String>, Vec<String>) = data.into_iter().partition(is_kept);
    let mut out = Vec::new();
    if !lost.is_empty() {
        let at_work = lost.iter().find_map(|path| Some((path, holding(path)?)));
        let but = at_work.map_or_else(String::new, |(path, made)| {
            format!(
                "; {path} is in the archive {}, which is made while it may be written to",
                made.persist.file
            )
        });
        let help = match at_work {
            Some(_) => {
                "carry it; or make the archive in the slot `export`, when services are stopped, and not `live`"
            }
            None => "carry it, or waive this finding when it may be lost",
        };
        let sentence = format!(
            "{} {}, and nothing carries what is in {}{but}",
            end.step.id,
            end.does,
            list(lost)
        );
        out.push(Complaint::error(subject.clone(), sentence, help));
    }
    if !kept.is_empty() {
        let sentence = format!(
            "{} {}; what is in {} lies in an archive on the controller from then on, and nothing brings it back",
            end.step.id,
            end.does,
            list(kept)
        );
        let help = "carry it; or put it back by hand, as `overhaul data unpack` makes it again";
        out.push(Complaint::warning(subject, sentence, help));
    }
    out
}

fn carried<'s>(steps: &[&'s Act<'s>]) -> BTreeSet<&'s str> {
    // An archive goes nowhere from the controller, and neither does the copy of a dataset.
    paths(steps, |step| match (&step.action, &step.work) {
        (Action::Archive { .. } | Action::Database { .. }, _) => None,
        (_, Primitive::Persist(persist)) => Some(&persist.paths),
        _ => None,
    })
}

fn restored<'s>(steps: &[&'s Act<'s>]) -> BTreeSet<&'s str> {
    paths(steps, |step| match &step.work {
        Primitive::Restore(restore) => Some(&restore.paths),
        _ => None,
    })
}

/// The paths of volumes that leave the machine, or come to it.
fn mounts_moved<'s>(steps: &[&'s Act<'s>], way: MoveOp) -> BTreeSet<&'s str> {
    let mounts = steps.iter().filter_map(|act| match &act.action {
        Action::Moves {
            op,
            mount: Some(mount),
            ..
        } if *op == way => Some(mount.as_str()),
        _ => None,
    });
    mounts.collect()
}

/// A path of which the plan says that it is a volume, and on which nothing is mounted.
fn unmounted_data(end: &End<'_>, facts: &HostFacts) -> Vec<Complaint> {
    let Some(mounts) = facts.mounts.value() else {
        return Vec::new();
    };
    let is_mounted = |path: &str| mounts.iter().any(|mount| mount.path == path);
    let gone = mounts_moved(end.before, MoveOp::Leave).into_iter();
    gone.filter(|path| !is_mounted(path))
        .map(|path| {
            let sentence = format!(
                "{path} is to go with its volume, and nothing is mounted there: what is in it lies on the machine itself"
            );
            let help = "mount the volume, or carry the path";
            Complaint::error(format!("host:{}", end.host), sentence, help)
        })
        .collect()
}

/// Kinds of clusters of which the host is proven to be a member again: the others have given it their data.
fn rejoined<'s>(steps: &[&'s Act<'s>]) -> BTreeSet<&'s str> {
    let proofs = steps.iter().filter_map(|act| match &act.work {
        Primitive::Wait(wait) => Some(&wait.until),
        _ => None,
    });
    proofs
        .filter_map(|measure| match measure {
            Measure::Member(member) => Some(member.kind.name.as_str()),
            _ => None,
        })
        .collect()
}

fn paths<'s>(
    steps: &[&'s Act<'s>],
    of: impl Fn(&'s Step) -> Option<&'s Vec<String>>,
) -> BTreeSet<&'s str> {
    let lists = steps.iter().filter_map(|act| of(act.step));
    lists.flatten().map(String::as_str).collect()
}

/// Folders with data that nothing carries. Data of a dataset has its own rule.
fn lying_there(
    view: &View<'_>,
    host: &HostName,
    facts: &HostFacts,
    carried: &BTreeSet<&str>,
    rejoined: &BTreeSet<&str>,
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
    let members = facts.clusters.value().into_iter().flatten();
    let (again, theirs): (Vec<_>, Vec<_>) =
        members.partition(|member| rejoined.contains(member.kind.as_str()));
    let given: Vec<&String> = again.iter().flat_map(|member| &member.data_paths).collect();
    let safe = |path: &str| {
        carried.iter().any(|folder| is_below(path, folder))
            // The folder of a database is found as the folder above it.
            || copied.iter().any(|data| is_below(data, path))
            || given.iter().any(|data| is_below(data, path) || is_below(path, data))
    };
    let theirs = theirs
        .iter()
        .flat_map(|member| member.data_paths.iter().map(String::as_str));
    let with_data = folders.iter().filter(|folder| folder.entries > 0);
    let all: BTreeSet<&str> = with_data
        .map(|folder| folder.path.as_str())
        .chain(theirs)
        .filter(|path| !safe(path))
        .collect();
    Ok(all.into_iter().map(str::to_owned).collect())
}
