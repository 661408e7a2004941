//! Versions: none is jumped over, and packages that go together stay together.

use super::packages::list;
use crate::rule::Complaint;
use crate::view::{Act, View};
use overhaul_model::action::Action;
use overhaul_model::effects::Effect;
use overhaul_model::facts::HostFacts;
use overhaul_model::id::HostName;
use overhaul_model::knowledge::{VersionPath, installed_version};
use overhaul_model::step::Step;
use std::collections::{BTreeMap, BTreeSet};

const GATHER: &str =
    "gather facts again: installed packages are asked for when a definition speaks of them";

pub(super) fn path(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for (name, path) in &view.plan.knowledge.versions {
        for &host in &view.fresh {
            let facts = view.facts.get(host);
            let steps = view.lanes.get(host).map(Vec::as_slice).unwrap_or_default();
            let way = if *name == view.plan.to.os {
                Ok(way_of_release(facts, steps))
            } else {
                way_of_package(facts, steps, name, path)
            };
            let subject = format!("host:{host}");
            match way {
                Err(why) => {
                    let sentence = format!("the version of {name} is not known: {why}");
                    out.push(Complaint::error(subject, sentence, GATHER));
                }
                Ok(way) => out
                    .extend(jumps(name, path, &way).map(|(sentence, help)| {
                        Complaint::error(subject.clone(), sentence, &help)
                    })),
            }
        }
    }
    out
}

/// The releases that a host goes through. What is not known, other rules tell.
fn way_of_release(facts: Option<&HostFacts>, steps: &[&Act<'_>]) -> Vec<String> {
    let measured = facts.and_then(|facts| facts.release.value());
    let now = measured.map(|release| release.version.clone());
    let ahead = steps.iter().flat_map(|step| &step.effects);
    let ahead = ahead.filter_map(|effect| match effect {
        Effect::ReleaseChanges(release) => Some(release.release.clone()),
        _ => None,
    });
    now.into_iter().chain(ahead).collect()
}

/// The versions of a package that a host goes through; none where it is not installed.
fn way_of_package(
    facts: Option<&HostFacts>,
    steps: &[&Act<'_>],
    name: &str,
    path: &VersionPath,
) -> Result<Vec<String>, String> {
    let Some(now) = installed_version(facts, name)? else {
        return Ok(Vec::new());
    };
    let mut way = vec![now.to_owned()];
    for step in steps {
        way.extend(planned_version(step, name).map(str::to_owned));
        let word = step.id.last();
        let stops = path.stops.iter();
        let by = stops.filter(|stop| stop.by.as_deref() == Some(word));
        way.extend(by.map(|stop| stop.version.clone()));
    }
    way.extend(path.target().map(str::to_owned));
    Ok(way)
}

/// The version of a package that a step asks for by name.
fn planned_version<'s>(step: &'s Step, name: &str) -> Option<&'s str> {
    let Action::Packages { install, .. } = &step.action else {
        return None;
    };
    let mut versions = install.iter().filter_map(|text| text.split_once('='));
    let (_, version) = versions.find(|(package, _)| *package == name)?;
    // A template is no version yet.
    (!version.contains("{{")).then_some(version)
}

/// Each jump over a stop on the way, with what to do instead.
fn jumps(name: &str, path: &VersionPath, way: &[String]) -> impl Iterator<Item = (String, String)> {
    way.windows(2).filter_map(move |pair| {
        let [from, to] = pair else {
            return None;
        };
        let left_out = path.left_out(from, to);
        if left_out.is_empty() {
            return None;
        }
        let stops: Vec<&str> = left_out.iter().map(|stop| stop.version.as_str()).collect();
        let sentence = format!(
            "{name} would go from {from} to {to}, and leave out {}",
            stops.join(", ")
        );
        let help = format!(
            "go from {from} by {} to {to}: an upgrade for each, or a step that brings it there",
            stops.join(" and ")
        );
        Some((sentence, help))
    })
}

pub(super) fn equal(view: &View<'_>) -> Vec<Complaint> {
    let sets = &view.plan.knowledge.equal_versions;
    sets.iter().flat_map(|set| of_set(view, set)).collect()
}

fn of_set(view: &View<'_>, set: &BTreeSet<String>) -> Vec<Complaint> {
    let names: Vec<&str> = set.iter().map(String::as_str).collect();
    let subject = format!("packages:{}", names.join(","));
    let (mut now, mut afterwards) = (Versions::default(), Versions::default());
    let mut unknown = Vec::new();
    for &host in &view.fresh {
        for package in set {
            let measured = installed_version(view.facts.get(host), package);
            let measured = measured.unwrap_or_else(|_| {
                unknown.push(host.to_string());
                None
            });
            let steps = view.lanes.get(host).into_iter().flatten();
            let mut planned = steps.filter_map(|step| planned_version(step, package));
            now.add(measured, package, host);
            afterwards.add(planned.next_back().or(measured), package, host);
        }
    }
    let mut out = Vec::new();
    if !unknown.is_empty() {
        unknown.dedup();
        let sentence = format!("their versions are not known on {}", list(unknown));
        out.push(Complaint::error(subject.clone(), sentence, GATHER));
    }
    if now.differ() {
        let sentence = format!("their versions differ: {}", now.told());
        let help = "bring them to one version first";
        out.push(Complaint::error(subject.clone(), sentence, help));
    }
    if afterwards.differ() && afterwards.0.keys().ne(now.0.keys()) {
        let sentence = format!(
            "their versions would differ afterwards: {}",
            afterwards.told()
        );
        let help = "name one version in all steps that install them";
        out.push(Complaint::error(subject, sentence, help));
    }
    out
}

/// Where each version is.
#[derive(Default)]
struct Versions<'a>(BTreeMap<&'a str, Vec<(&'a str, &'a HostName)>>);

impl<'a> Versions<'a> {
    fn add(&mut self, version: Option<&'a str>, package: &'a str, host: &'a HostName) {
        if let Some(version) = version {
            self.0.entry(version).or_default().push((package, host));
        }
    }

    fn differ(&self) -> bool {
        self.0.len() > 1
    }

    fn told(&self) -> String {
        let each = self.0.iter().map(|(version, places)| {
            let places = places
                .iter()
                .map(|(package, host)| format!("{package} on {host}"));
            format!("{version} ({})", list(places.collect()))
        });
        each.collect::<Vec<_>>().join("; ")
    }
}
