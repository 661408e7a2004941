//! A minimum of serving hosts: no step takes one away while too few of the others serve.

use crate::evidence::Evidence;
use crate::trace::{Happened, Line, Why};
use overhaul_model::definition::Test;
use overhaul_model::event::Event;
use overhaul_model::id::{HostName, ServiceName};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What had been down for so long by a fault when the answer of the guard became durable was down when the guard was
/// measured, and counts: the slowest host is waited for, and answers come late. A fault that comes after the guard is
/// nobody's doing.
const SEEN_MS: u64 = 4_000;

/// Who of a service is away, since when, and why.
#[derive(Default)]
struct Away<'a> {
    by_steps: BTreeSet<&'a HostName>,
    by_faults: BTreeMap<&'a HostName, u64>,
    hosts_down: BTreeMap<&'a HostName, u64>,
}

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for (name, service) in &evidence.plan.services {
        if service.keep == 0 {
            continue;
        }
        let keep = usize::try_from(service.keep).unwrap_or(usize::MAX);
        let unit = service.unit.trim_end_matches(".service");
        let mut away = Away::default();
        let mut counted = Counted::of(evidence, name);
        for line in evidence.trace {
            counted.sees(line);
            let Some(taken) = away.sees(line, unit) else {
                continue;
            };
            if !service.hosts.contains(taken) {
                continue;
            }
            let at_ms = counted.last(taken).unwrap_or(line.at_ms);
            let left = service.hosts.iter().filter(|h| away.serves(h, at_ms));
            let left = left.count();
            if left < keep {
                out.push(format!(
                    "{left} hosts of {name} were left when {taken} went, {keep} must serve at any time"
                ));
            }
        }
    }
    out
}

/// When the members of a service were counted before a host went.
struct Counted<'a> {
    /// Rows that say so, in their order.
    rows: VecDeque<(u64, &'a HostName)>,
    /// When the last of each host became durable.
    at_ms: BTreeMap<&'a HostName, u64>,
}

impl<'a> Counted<'a> {
    fn of(evidence: &Evidence<'a>, service: &ServiceName) -> Self {
        let counts = |event: &'a Event| {
            let Event::GuardMeasured {
                position, guard, ..
            } = event
            else {
                return None;
            };
            let guard = evidence.known.step(&position.step)?.guards.get(*guard)?;
            let is_it = matches!(&guard.test, Test::Members { service: s, .. } if s == service);
            position.host.as_ref().filter(|_| is_it)
        };
        let rows = evidence.records.iter();
        Self {
            rows: rows
                .filter_map(|row| Some((row.seq, counts(&row.event)?)))
                .collect(),
            at_ms: BTreeMap::new(),
        }
    }

    fn sees(&mut self, line: &Line) {
        let Happened::Durable(seq) = &line.happened else {
            return;
        };
        while let Some((_, host)) = self.rows.pop_front_if(|(row, _)| *row <= *seq) {
            self.at_ms.insert(host, line.at_ms);
        }
    }

    fn last(&self, host: &HostName) -> Option<u64> {
        self.at_ms.get(host).copied()
    }
}

impl<'a> Away<'a> {
    /// Takes a line into account; the host that a step has just taken away.
    fn sees(&mut self, line: &'a Line, own: &str) -> Option<&'a HostName> {
        match &line.happened {
            Happened::UnitDown { host, unit, why } if unit == own => match why {
                Why::Step(_) => return self.by_steps.insert(host).then_some(host),
                Why::Fault => {
                    self.by_faults.insert(host, line.at_ms);
                }
            },
            Happened::UnitUp { host, unit } if unit == own => {
                self.by_steps.remove(host);
                self.by_faults.remove(host);
            }
            Happened::HostDown { host, .. } => {
                self.hosts_down.insert(host, line.at_ms);
            }
            Happened::HostUp { host } => {
                self.hosts_down.remove(host);
            }
            Happened::MachineMade { host, .. } => {
                self.by_steps.remove(host);
                self.by_faults.remove(host);
                self.hosts_down.remove(host);
            }
            _ => {}
        }
        None
    }

    fn serves(&self, host: &HostName, now: u64) -> bool {
        let long = |since: Option<&u64>| since.is_some_and(|s| now.saturating_sub(*s) > SEEN_MS);
        !self.by_steps.contains(host)
            && !long(self.by_faults.get(host))
            && !long(self.hosts_down.get(host))
    }
}
