//! Two runs side by side: a rehearsal, and the run that it was held for.
//!
//! Steps are held against each other by their ids, so that a rehearsal on other hosts can be compared too: of
//! a step that several hosts carried out, the longest time counts.

use super::{Report, ServiceRow, StepStanding, TimelineRow};
use overhaul_model::event::Verdict;
use overhaul_model::id::{HostName, RunId, ServiceName, StepId};
use overhaul_model::span::Span;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The version of the comparison's JSON.
pub const COMPARISON_FORMAT: u32 = 1;

/// A run beside the one that it was rehearsed by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// [`COMPARISON_FORMAT`].
    pub format: u32,
    /// The run as a whole.
    pub run: Pair<Whole>,
    /// What makes the two hard to compare, in words.
    pub unlike: Vec<String>,
    /// Services of either, by name.
    pub services: BTreeMap<ServiceName, Pair<Down>>,
    /// Steps to which something happened in either, those first whose time changed most.
    pub steps: Vec<StepPair>,
}

/// What is so in each of the two runs; `None` where a run has no such thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair<T> {
    /// In the rehearsal.
    pub rehearsal: Option<T>,
    /// In the run.
    pub run: Option<T>,
}

/// A run as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Whole {
    /// The run.
    pub run: Option<RunId>,
    /// Its fleet.
    pub fleet: String,
    /// How it ended; `None` while it is not over.
    pub verdict: Option<Verdict>,
    /// From its begin to its end, or to its last row.
    pub length: Option<Span>,
    /// How long it was expected to take, without failures and waits for people.
    pub predicted: Span,
    /// The time in which no controller watched.
    pub not_observed: Span,
    /// Attempts after the first.
    pub retries: usize,
    /// Times at which nobody could say what was so.
    pub unknowns: usize,
    /// Decisions of people.
    pub decisions: usize,
}

/// How long a service was down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Down {
    /// The longest outage that was predicted.
    pub predicted: Span,
    /// The longest that was measured; `None`: nothing measured it.
    pub measured: Option<Span>,
    /// The time with a single serving host, as well as it is known: by probes, else by the steps. `None` for a
    /// service of one host.
    pub single: Option<Span>,
    /// The longest that was agreed on.
    pub budget: Option<Span>,
}

/// A step in both runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepPair {
    /// The step.
    pub step: StepId,
    /// What became of it.
    #[serde(flatten)]
    pub sides: Pair<StepSide>,
}

/// What became of a step in one run, on all its hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepSide {
    /// How often it was to be done: once for each host of its lane.
    pub places: usize,
    /// Of these, how many are done.
    pub done: usize,
    /// The longest time from its begin to its end; `None`: it ended nowhere.
    pub longest: Option<Span>,
    /// Where it took that long.
    pub host: Option<HostName>,
    /// The most attempts that one host needed.
    pub attempts: u32,
}

impl StepPair {
    /// How much longer the longest time is than in the rehearsal, in milliseconds; `None` where one of both is
    /// not known.
    pub fn change_ms(&self) -> Option<i64> {
        let ms = |side: &Option<StepSide>| {
            let longest = side.as_ref()?.longest?;
            i64::try_from(longest.as_ms()).ok()
        };
        ms(&self.sides.run)?.checked_sub(ms(&self.sides.rehearsal)?)
    }
}

/// Holds a run against its rehearsal.
pub fn compare(rehearsal: &Report, run: &Report) -> Comparison {
    Comparison {
        format: COMPARISON_FORMAT,
        run: Pair {
            rehearsal: Some(whole(rehearsal)),
            run: Some(whole(run)),
        },
        unlike: unlike(rehearsal, run),
        services: paired(services(rehearsal), services(run)),
        steps: steps(rehearsal, run),
    }
}

/// What either side has, under each key.
fn paired<K: Ord + Clone, T>(
    mut rehearsal: BTreeMap<K, T>,
    mut run: BTreeMap<K, T>,
) -> BTreeMap<K, Pair<T>> {
    let keys: BTreeSet<K> = rehearsal.keys().chain(run.keys()).cloned().collect();
    let pair = |key: K| {
        let pair = Pair {
            rehearsal: rehearsal.remove(&key),
            run: run.remove(&key),
        };
        (key, pair)
    };
    keys.into_iter().map(pair).collect()
}

fn whole(report: &Report) -> Whole {
    let until = report.ended.or(report.last_row);
    let gaps = report.controllers.iter().filter_map(|c| c.not_observed);
    Whole {
        run: report.run.clone(),
        fleet: report.fleet.clone(),
        verdict: report.verdict,
        length: report
            .began
            .and_then(|began| Some(Span::between(began, until?))),
        predicted: report.predicted,
        not_observed: gaps.fold(Span::default(), |sum, gap| sum.plus(gap.length)),
        retries: report.retries.len(),
        unknowns: report.unknowns.len(),
        decisions: report.decisions.len(),
    }
}

fn unlike(rehearsal: &Report, run: &Report) -> Vec<String> {
    let mut out = Vec::new();
    let mut differ = |what: &str, before: String, now: String| {
        if before != now {
            out.push(format!("{what}: {before} in the rehearsal, {now} here"));
        }
    };
    let releases = |report: &Report| format!("{} to {}", report.from, report.to);
    differ(
        "the upgrade",
        rehearsal.upgrade.clone(),
        run.upgrade.clone(),
    );
    differ("the releases", releases(rehearsal), releases(run));
    differ("the fleet", rehearsal.fleet.clone(), run.fleet.clone());
    let hosts = |report: &Report| report.hosts.len().to_string();
    differ("hosts that took part", hosts(rehearsal), hosts(run));
    for (report, which) in [(rehearsal, "the rehearsal"), (run, "this run")] {
        match report.verdict {
            Some(Verdict::Complete) => {}
            Some(Verdict::Aborted) => out.push(format!("{which} was aborted")),
            None => out.push(format!("{which} is not over")),
        }
    }
    out
}

fn services(report: &Report) -> BTreeMap<ServiceName, Down> {
    let down = |row: &ServiceRow| Down {
        predicted: row.predicted_longest,
        measured: row.resolution.map(|_| row.measured_longest),
        single: row.no_redundancy.map(|n| n.by_probes.unwrap_or(n.by_steps)),
        budget: row.budget,
    };
    let rows = report.services.iter();
    rows.map(|row| (row.service.clone(), down(row))).collect()
}

fn steps(rehearsal: &Report, run: &Report) -> Vec<StepPair> {
    let pairs = paired(sides(rehearsal), sides(run)).into_iter();
    let mut out: Vec<StepPair> = pairs
        .map(|(step, sides)| StepPair { step, sides })
        .collect();
    // The order of their ids is kept among those that changed alike.
    out.sort_by_key(|pair| std::cmp::Reverse(pair.change_ms().map(i64::unsigned_abs)));
    out
}

fn sides(report: &Report) -> BTreeMap<StepId, StepSide> {
    let mut out: BTreeMap<StepId, StepSide> = BTreeMap::new();
    for row in &report.timeline {
        match out.get_mut(&row.position.step) {
            Some(side) => side.add(row),
            None => {
                let mut side = StepSide::none();
                side.add(row);
                out.insert(row.position.step.clone(), side);
            }
        }
    }
    out
}

impl StepSide {
    const fn none() -> Self {
        Self {
            places: 0,
            done: 0,
            longest: None,
            host: None,
            attempts: 0,
        }
    }

    fn add(&mut self, row: &TimelineRow) {
        self.places = self.places.saturating_add(1);
        if row.standing == StepStanding::Done {
            self.done = self.done.saturating_add(1);
        }
        self.attempts = self.attempts.max(row.attempts);
        if row.length > self.longest {
            self.longest = row.length;
            self.host.clone_from(&row.position.host);
        }
    }
}
