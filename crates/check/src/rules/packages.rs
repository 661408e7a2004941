//! Packages before the upgrade.

use crate::rule::Complaint;
use crate::view::View;

/// So many names of a list are told; the rest is counted.
const NAMES_MAX: usize = 10;

pub(super) fn list(names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMES_MAX);
    let mut told: Vec<String> = names.into_iter().take(NAMES_MAX).collect();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told.join(", ")
}

pub(super) fn broken(view: &View<'_>) -> Vec<Complaint> {
    view.fresh_facts()
        .filter_map(|(host, facts)| {
            let broken = facts.packages_broken.value()?;
            if broken.is_empty() {
                return None;
            }
            let names = broken
                .iter()
                .map(|package| format!("{} ({})", package.name, package.status))
                .collect();
            let sentence = format!("packages are unfinished: {}", list(names));
            let help =
                "finish them with `dpkg --configure -a` and `apt-get -f install`, or remove them";
            Some(Complaint::error(format!("host:{host}"), sentence, help))
        })
        .collect()
}

pub(super) fn held(view: &View<'_>) -> Vec<Complaint> {
    view.fresh_facts()
        .filter_map(|(host, facts)| {
            let held = facts.packages_held.value()?;
            if held.is_empty() {
                return None;
            }
            let sentence = format!("packages are held back: {}", list(held.clone()));
            let help = "they stay as they are and may stop the upgrade: `apt-mark unhold` them if nothing speaks against it";
            Some(Complaint::warning(format!("host:{host}"), sentence, help))
        })
        .collect()
}

pub(super) fn foreign(view: &View<'_>) -> Vec<Complaint> {
    view.fresh_facts()
        .filter_map(|(host, facts)| {
            let foreign = facts.foreign_sources.value()?;
            if foreign.is_empty() {
                return None;
            }
            let names = foreign
                .iter()
                .map(|source| format!("{} {} in {}", source.uri, source.suite, source.file))
                .collect();
            let sentence = format!("package sources are not the distribution's: {}", list(names));
            let help = "they are switched off in the upgrade, and stay off until somebody brings them to the new release";
            Some(Complaint::warning(format!("host:{host}"), sentence, help))
        })
        .collect()
}
