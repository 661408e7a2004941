//! What a simulated world takes from the fleet that it stands for: its hosts as they were measured, and the time of day.

use crate::clock::BEGIN_MS;
use crate::host::{Body, Unit};
use jiff::Timestamp;
use overhaul_model::definition::Release;
use overhaul_model::facts::{FleetFacts, HostFacts};
use overhaul_model::id::{HostName, RunId};
use overhaul_model::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};

/// Virtual time that one controller may take where works are short.
const CONTROLLER_MS_MAX: u64 = 15 * 60 * 1_000;

/// How often everything may be done one after the other, where works take as long as they do.
const TIMES_OVER: u64 = 20;

/// A fleet that is there.
#[derive(Clone, Copy, Debug)]
pub struct Basis<'a> {
    /// The name of the simulated run, in everything that it writes.
    pub run: &'a RunId,
    /// The time of day at which it begins.
    pub begins: Timestamp,
    /// The hosts as they were measured.
    pub facts: &'a FleetFacts,
}

/// What a world begins from, beside its plan.
pub(crate) struct Ground {
    pub run: RunId,
    /// Milliseconds since the epoch.
    pub begin_ms: i64,
    /// Virtual time that one controller may take.
    pub controller_ms_max: u64,
    releases: BTreeMap<HostName, Release>,
    /// Units that did not run, without `.service`.
    idle: BTreeMap<HostName, BTreeSet<String>>,
}

impl Default for Ground {
    fn default() -> Self {
        Self {
            run: RunId::new("simulated"),
            begin_ms: BEGIN_MS,
            controller_ms_max: CONTROLLER_MS_MAX,
            releases: BTreeMap::new(),
            idle: BTreeMap::new(),
        }
    }
}

impl Ground {
    pub fn of(plan: &Plan, basis: &Basis<'_>) -> Self {
        let positions = plan.positions();
        let lengths = positions
            .iter()
            .map(|p| plan.expected(p.step, p.position.host.as_ref()).as_ms());
        let all = lengths.fold(0_u64, u64::saturating_add);
        let facts = || basis.facts.iter();
        Self {
            run: basis.run.clone(),
            begin_ms: basis.begins.as_millisecond(),
            controller_ms_max: CONTROLLER_MS_MAX.saturating_add(all.saturating_mul(TIMES_OVER)),
            releases: facts()
                .filter_map(|(host, facts)| Some((host.clone(), release(facts)?)))
                .collect(),
            idle: facts()
                .map(|(host, facts)| (host.clone(), idle(facts)))
                .collect(),
        }
    }

    /// Makes hosts what they were measured to be; what was not measured is as the plan begins.
    pub fn settle(&self, bodies: &mut BTreeMap<HostName, Body>) {
        for (host, body) in bodies {
            if let Some(release) = self.releases.get(host) {
                body.release = release.clone();
            }
            let Some(idle) = self.idle.get(host) else {
                continue;
            };
            for (_, unit) in body
                .units
                .iter_mut()
                .filter(|(name, _)| idle.contains(*name))
            {
                *unit = Unit {
                    active: false,
                    ..Unit::UP
                };
            }
        }
    }
}

fn release(facts: &HostFacts) -> Option<Release> {
    let found = facts.release.value()?;
    Some(Release {
        os: found.os.clone(),
        release: found.version.clone(),
    })
}

fn idle(facts: &HostFacts) -> BTreeSet<String> {
    let units = facts.units.value().into_iter().flatten();
    units
        .filter(|unit| unit.active != "active")
        .map(|unit| unit.name.trim_end_matches(".service").to_owned())
        .collect()
}
