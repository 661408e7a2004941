//! Outages of services: what the probes saw, beside what was predicted and agreed on.

use super::{Gap, Observer, Outage, Resolution, ServiceRow};
use jiff::Timestamp;
use overhaul_model::event::{Event, Record};
use overhaul_model::id::{HostName, ServiceName};
use overhaul_model::plan::{Plan, PlannedService};
use overhaul_model::primitive::Measure;
use overhaul_model::span::Span;
use overhaul_model::windows::predict;
use std::collections::BTreeMap;

/// Time between two questions from the controller: short outages of a restart shall be seen.
pub const PROBE_CONTROLLER_EVERY_MS: u64 = 100;

/// Time between two questions on the host: each one starts a process there.
pub const PROBE_HOST_EVERY_MS: u64 = 1_000;

/// An answer that takes longer counts as none: users have given up by then.
pub const PROBE_LIMIT_MS: u64 = 1_000;

fn resolution(measure: &Measure) -> Resolution {
    let (asked_from, every_ms) = if measure.from_controller() {
        (Observer::Controller, PROBE_CONTROLLER_EVERY_MS)
    } else {
        (Observer::Host, PROBE_HOST_EVERY_MS)
    };
    Resolution {
        asked_from,
        every: Span::from_ms(every_ms),
        limit: Span::from_ms(PROBE_LIMIT_MS),
    }
}

pub(super) fn services(plan: &Plan, records: &[Record], gaps: &[Gap]) -> Vec<ServiceRow> {
    let mut predicted = predict(plan);
    plan.services
        .iter()
        .map(|(service, planned)| {
            let (mine, rest) = std::mem::take(&mut predicted)
                .into_iter()
                .partition(|window| window.service == *service);
            predicted = rest;
            row(service, planned, mine, outages(service, records, gaps))
        })
        .collect()
}

fn row(
    service: &ServiceName,
    planned: &PlannedService,
    predicted: Vec<overhaul_model::windows::PredictedWindow>,
    outages: Vec<Outage>,
) -> ServiceRow {
    let measured_longest = outages.iter().map(|o| o.length).max().unwrap_or_default();
    let watched = planned.healthy.as_ref();
    ServiceRow {
        service: service.clone(),
        budget: planned.window,
        resolution: watched.map(resolution),
        predicted_longest: predicted
            .iter()
            .map(|w| w.predicted)
            .max()
            .unwrap_or_default(),
        predicted,
        outages,
        measured_longest,
        within_budget: watched
            .and(planned.window)
            .map(|budget| measured_longest <= budget),
    }
}

fn outages(service: &ServiceName, records: &[Record], gaps: &[Gap]) -> Vec<Outage> {
    let mut out = Vec::new();
    let mut down: BTreeMap<Option<&HostName>, (Timestamp, &str)> = BTreeMap::new();
    let outage = |host: Option<&HostName>, began, seen: &str, ended: Option<Timestamp>, until| {
        let length = Span::between(began, until);
        Outage {
            host: host.cloned(),
            began,
            ended,
            length,
            not_observed: not_observed(began, until, gaps),
            seen: seen.to_owned(),
        }
    };
    for record in records {
        let Event::Probed {
            service: probed,
            host,
            up,
            detail,
        } = &record.event
        else {
            continue;
        };
        if probed != service {
            continue;
        }
        if *up {
            if let Some((began, seen)) = down.remove(&host.as_ref()) {
                out.push(outage(
                    host.as_ref(),
                    began,
                    seen,
                    Some(record.at),
                    record.at,
                ));
            }
        } else {
            down.entry(host.as_ref()).or_insert((record.at, detail));
        }
    }
    if let Some(last) = records.last() {
        for (host, (began, seen)) in down {
            out.push(outage(host, began, seen, None, last.at));
        }
    }
    out.sort_by(|a, b| (a.began, &a.host).cmp(&(b.began, &b.host)));
    out
}

/// The part of a span in which no controller watched.
fn not_observed(began: Timestamp, until: Timestamp, gaps: &[Gap]) -> Span {
    gaps.iter().fold(Span::default(), |sum, gap| {
        sum.plus(Span::between(gap.from.max(began), gap.to.min(until)))
    })
}
