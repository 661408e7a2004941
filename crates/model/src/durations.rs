//! How long steps took in earlier runs of a fleet, and what is expected of the next one because of it.
//!
//! A length is kept under the step's action and id, of a release change also with both releases: the same
//! work in the same place of the same role. It runs from the attempt's begin until its verify has passed.

#[cfg(test)]
mod tests;

use crate::action::Action;
use crate::event::{Event, Outcome, Record};
use crate::id::{HostName, Position, RunId};
use crate::plan::Plan;
use crate::span::Span;
use crate::step::Step;
use crate::timing::{Basis, Expected};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The version of the stored form.
pub const DURATIONS_FORMAT: u32 = 1;

/// Lengths of a step that are kept for one host, the latest: older ones tell of other disks and data.
pub const SAMPLES_OF_HOST_MAX: usize = 5;

/// Lengths of a step that are kept over all hosts, so that a large fleet's file stays small.
pub const SAMPLES_OF_STEP_MAX: usize = 64;

/// A host's own lengths count from so many on: a single one may have been an accident.
const SAMPLES_OF_HOST_MIN: usize = 2;

/// Of a hundred recorded lengths so many are within what is expected. Below five it is the longest of all:
/// an outage that is announced too short is worse than one that is announced too long.
const WITHIN_PERCENT: usize = 80;

/// The recorded lengths of a fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Durations {
    /// [`DURATIONS_FORMAT`] of the program that wrote it.
    pub format: u32,
    /// The fleet's name.
    pub fleet: String,
    /// Lengths by what was done and where, the latest last.
    pub steps: BTreeMap<String, Vec<Sample>>,
}

/// How long a step took once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// The run.
    pub run: RunId,
    /// The host of its lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// When it was over.
    pub at: Timestamp,
    /// How long it took.
    pub length: Span,
}

impl Durations {
    /// Nothing recorded yet.
    pub fn of(fleet: &str) -> Self {
        Self {
            format: DURATIONS_FORMAT,
            fleet: fleet.to_owned(),
            steps: BTreeMap::new(),
        }
    }

    /// Adds the lengths of a run. Those that are known of the same run are replaced, so that a run can be
    /// recorded again when it has gone on.
    pub fn learn(&mut self, plan: &Plan, records: &[Record]) {
        for (key, sample) in lengths(plan, records) {
            let samples = self.steps.entry(key).or_default();
            samples.retain(|old| old.run != sample.run || old.host != sample.host);
            samples.push(sample);
            samples.sort_by_key(|sample| sample.at);
            thin_out(samples);
        }
    }

    /// Puts what was recorded into a plan. What a person wrote stands.
    pub fn foresee(&self, plan: &mut Plan) {
        let mut found = BTreeMap::new();
        for step in plan.steps() {
            if plan.basis(&step.id) == Basis::Written || found.contains_key(&step.id) {
                continue;
            }
            let samples = self.steps.get(&key(plan, step));
            if let Some(expected) = samples.and_then(|samples| expected(plan, samples)) {
                found.insert(step.id.clone(), expected);
            }
        }
        plan.timing.expected.extend(found);
    }
}

/// What was done and where.
fn key(plan: &Plan, step: &Step) -> String {
    let (word, id) = (step.action.word(), &step.id);
    match &step.action {
        Action::ReleaseUpgrade { to, .. } => format!("{word} {} to {to} {id}", plan.from),
        _ => format!("{word} {id}"),
    }
}

/// Keeps the latest of each host, and the latest of all.
fn thin_out(samples: &mut Vec<Sample>) {
    let mut of_host: BTreeMap<Option<HostName>, usize> = BTreeMap::new();
    let mut kept = Vec::new();
    for sample in samples.drain(..).rev() {
        let count = of_host.entry(sample.host.clone()).or_default();
        *count = count.saturating_add(1);
        if *count <= SAMPLES_OF_HOST_MAX && kept.len() < SAMPLES_OF_STEP_MAX {
            kept.push(sample);
        }
    }
    kept.reverse();
    *samples = kept;
}

fn expected(plan: &Plan, samples: &[Sample]) -> Option<Expected> {
    let length = upper(samples.iter().map(|sample| sample.length))?;
    let runs: BTreeSet<&RunId> = samples.iter().map(|sample| &sample.run).collect();
    let mut by_host: BTreeMap<&HostName, Vec<Span>> = BTreeMap::new();
    for sample in samples {
        let host = sample
            .host
            .as_ref()
            .filter(|host| plan.hosts.contains_key(*host));
        if let Some(host) = host {
            by_host.entry(host).or_default().push(sample.length);
        }
    }
    let own = by_host
        .into_iter()
        .filter(|(_, own)| own.len() >= SAMPLES_OF_HOST_MIN);
    let own = own.filter_map(|(host, own)| Some((host.clone(), upper(own.into_iter())?)));
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Some(Expected {
        basis: Basis::Recorded {
            runs: count(runs.len()),
            samples: count(samples.len()),
        },
        length,
        hosts: own.filter(|(_, own)| *own != length).collect(),
    })
}

/// The length within which [`WITHIN_PERCENT`] of a hundred are, by nearest rank.
fn upper(lengths: impl Iterator<Item = Span>) -> Option<Span> {
    let mut lengths: Vec<Span> = lengths.collect();
    lengths.sort();
    let rank = lengths.len().saturating_mul(WITHIN_PERCENT).div_ceil(100);
    lengths.get(rank.checked_sub(1)?).copied()
}

/// The lengths of what was carried out in a run, with what each is of. Left out is what tells nothing of the
/// work: what was so already, what failed, what a person settled or answered, what no controller saw end.
pub fn lengths(plan: &Plan, records: &[Record]) -> Vec<(String, Sample)> {
    let positions = plan.positions().into_iter();
    let mut fold = Fold {
        plan,
        steps: positions
            .map(|placed| (placed.position, placed.step))
            .collect(),
        run: None,
        begun: BTreeMap::new(),
        out: Vec::new(),
    };
    for record in records {
        fold.take(record);
    }
    fold.out
}

struct Fold<'a> {
    plan: &'a Plan,
    steps: BTreeMap<Position, &'a Step>,
    run: Option<RunId>,
    begun: BTreeMap<Position, Timestamp>,
    out: Vec<(String, Sample)>,
}

impl Fold<'_> {
    fn take(&mut self, record: &Record) {
        match &record.event {
            Event::RunOpened { run, .. } => self.run = Some(run.clone()),
            Event::ControllerTook { .. } => self.begun.clear(),
            Event::Started { position, .. } => {
                self.begun.insert(position.clone(), record.at);
            }
            Event::Ended {
                position,
                outcome: Outcome::Succeeded { changed, .. },
                ..
            } => self.ended(position, *changed, record.at),
            Event::Verified {
                position, result, ..
            } if result.is_so() => self.over(position, record.at),
            Event::Ended { position, .. }
            | Event::Verified { position, .. }
            | Event::Settled { position, .. } => {
                self.begun.remove(position);
            }
            _ => {}
        }
    }

    /// Who had nothing to do was fast; waiting changes nothing, and takes its time all the same.
    fn ended(&mut self, position: &Position, changed: bool, at: Timestamp) {
        let Some(step) = self.steps.get(position) else {
            return;
        };
        if !changed && step.action != Action::Wait {
            self.begun.remove(position);
        } else if step.verify.is_none() {
            self.over(position, at);
        }
    }

    fn over(&mut self, position: &Position, at: Timestamp) {
        let (Some(began), Some(step), Some(run)) = (
            self.begun.remove(position),
            self.steps.get(position),
            &self.run,
        ) else {
            return;
        };
        if matches!(step.action, Action::Gate) {
            return;
        }
        let sample = Sample {
            run: run.clone(),
            host: position.host.clone(),
            at,
            length: Span::between(began, at),
        };
        self.out.push((key(self.plan, step), sample));
    }
}
