//! What people changed of packages, and what is left of old ones: an upgrade keeps it, asks about it, or
//! stumbles over it.

use super::packages::list;
use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::facts::{FileState, HostFacts, PackageFacts};

/// One finding for each fresh host of which `say` has something to say.
fn each(
    view: &View<'_>,
    say: impl Fn(&HostFacts) -> Option<String>,
    complain: fn(String, String, &str) -> Complaint,
    help: &str,
) -> Vec<Complaint> {
    view.fresh_facts()
        .filter_map(|(host, facts)| Some(complain(format!("host:{host}"), say(facts)?, help)))
        .collect()
}

/// Names in a sentence, if there are any.
fn told(what: &str, names: Vec<String>) -> Option<String> {
    (!names.is_empty()).then(|| format!("{what}: {}", list(names)))
}

pub(super) fn obsolete(view: &View<'_>) -> Vec<Complaint> {
    let say = |facts: &HostFacts| {
        let packages = facts.packages.obsolete.value()?;
        let names = packages
            .iter()
            .map(|package| format!("{} {}", package.name, package.version))
            .collect();
        told("packages are in none of its sources", names)
    };
    let help = "nobody brings them to the new release, and they may keep others from it: remove those that \
                nothing needs; see docs/facts.md";
    each(view, say, Complaint::warning, help)
}

pub(super) fn pins(view: &View<'_>) -> Vec<Complaint> {
    let say = |facts: &HostFacts| {
        let pins = facts.packages.pins.value()?;
        let names = pins
            .iter()
            .map(|pin| {
                format!(
                    "{} to {} at {} ({})",
                    pin.packages, pin.pin, pin.priority, pin.file
                )
            })
            .collect();
        told("packages are pinned", names)
    };
    let help = "a pin to the old release or to a version keeps packages from the upgrade: take it out, or see \
                that it means the new release too";
    each(view, say, Complaint::warning, help)
}

pub(super) fn leftovers(view: &View<'_>) -> Vec<Complaint> {
    let say = |facts: &HostFacts| {
        let removed = facts.packages.removed_not_purged.value();
        let files = facts.packages.set_aside.value();
        let parts: Vec<String> = [
            removed.and_then(|names| told("packages are removed and not purged", names.clone())),
            files.and_then(|names| told("files are set aside", names.clone())),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    };
    let help = "they do no harm by themselves: purge and remove what is not needed, so that what the upgrade \
                leaves can be told from it";
    each(view, say, Complaint::note, help)
}

pub(super) fn conffiles(view: &View<'_>) -> Vec<Complaint> {
    let say = |facts: &HostFacts| {
        let changed = facts.packages.conffiles_changed.value()?;
        let names = changed
            .iter()
            .map(|file| match file.state {
                FileState::Changed => file.path.clone(),
                FileState::Missing => format!("{} (removed)", file.path),
                FileState::Unreadable => format!("{} (not readable)", file.path),
            })
            .collect();
        told(
            "configuration files are not as packages shipped them",
            names,
        )
    };
    let help = "the upgrade keeps them, and lists those of which the new release brings another version: read \
                what is new in those afterwards";
    each(view, say, Complaint::note, help)
}

pub(super) fn files(view: &View<'_>) -> Vec<Complaint> {
    each(
        view,
        |facts| changed_files(&facts.packages),
        Complaint::warning,
        "the upgrade overwrites what was changed, and keeps what was diverted or overridden: see that the \
         reason for each still holds, and put changes where packages do not write",
    )
}

fn changed_files(packages: &PackageFacts) -> Option<String> {
    let files = packages.files_changed.value().map(|compared| {
        let names = compared.changed.iter().map(|file| file.path.clone());
        let what = if compared.complete {
            "files of packages are changed"
        } else {
            "files of packages are changed (not all were compared)"
        };
        told(what, names.collect())
    });
    let diverted = packages.local_diversions.value().map(|all| {
        let names = all.iter().map(|one| format!("{} to {}", one.path, one.to));
        told("files are diverted by hand", names.collect())
    });
    let parts: Vec<String> = [files, diverted].into_iter().flatten().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}
