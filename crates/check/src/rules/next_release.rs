//! What the new release takes away.

use super::packages::list;
use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::facts::{LostPackage, NextRelease};
use overhaul_model::id::HostName;

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for (host, facts) in view.fresh_facts() {
        let Some(next) = facts.packages.next_release.value() else {
            continue;
        };
        out.extend(services(view, host, next));
        let with_units = |lost: &&LostPackage| !lost.units.is_empty();
        let units: Vec<String> = lost(next)
            .filter(with_units)
            .map(|lost| format!("{} ({})", lost.name, lost.units.join(" ")))
            .collect();
        if !units.is_empty() {
            let sentence = format!(
                "the new release does not have what brought units: {}",
                list(units)
            );
            let help = "find what takes its place, or take it out before the upgrade";
            out.push(Complaint::warning(format!("host:{host}"), sentence, help));
        }
        let removed: Vec<String> = next.removed.iter().map(|lost| lost.name.clone()).collect();
        if !removed.is_empty() {
            let sentence = format!(
                "the upgrade to {} would remove {}",
                next.codename,
                list(removed)
            );
            let help =
                "see that nobody needs them; libraries go when what needed them has newer ones";
            out.push(Complaint::note(format!("host:{host}"), sentence, help));
        }
    }
    out
}

/// Packages that will be gone, or stay behind without updates; each once.
fn lost(next: &NextRelease) -> impl Iterator<Item = &LostPackage> {
    let gone = next.removed.iter();
    let behind = next
        .absent
        .iter()
        .filter(|lost| !next.removed.iter().any(|gone| gone.name == lost.name));
    gone.chain(behind)
}

/// Services of the plan whose unit comes from such a package.
fn services(view: &View<'_>, host: &HostName, next: &NextRelease) -> Vec<Complaint> {
    let mut out = Vec::new();
    for (name, service) in view.services_on(host) {
        for lost in lost(next).filter(|lost| brings(lost, &service.unit)) {
            let mut sentence = format!(
                "its unit {} on {host} comes from {} {}, which {} does not have",
                service.unit, lost.name, lost.version, next.codename
            );
            if !lost.replaced_by.is_empty() {
                let by = list(lost.replaced_by.clone());
                sentence.push_str(&format!("; it is replaced by {by}"));
            }
            let help = "move the service to what takes the package's place before the upgrade, or keep the service out of it";
            out.push(Complaint::error(format!("service:{name}"), sentence, help));
        }
    }
    out
}

/// Whether the package has the unit, or the template that the unit is made from.
fn brings(lost: &LostPackage, unit: &str) -> bool {
    let template = unit.split_once('@').and_then(|(name, rest)| {
        let (_, kind) = rest.rsplit_once('.')?;
        Some(format!("{name}@.{kind}"))
    });
    lost.units
        .iter()
        .any(|brought| *brought == unit || Some(brought) == template.as_ref())
}
