//! Outages of services: what the probes saw, beside what was predicted and agreed on.

use super::{Gap, NoRedundancy, Observer, Outage, Resolution, ServiceRow, redundancy};
use jiff::Timestamp;
use overhaul_model::event::{Event, ProbeTally, Record};
use overhaul_model::id::{HostName, ServiceName};
use overhaul_model::plan::{Plan, PlannedService};
use overhaul_model::primitive::Measure;
use overhaul_model::span::Span;
use overhaul_model::windows::{Away, ServiceForecast, coverage, forecast};
use std::collections::BTreeMap;

/// Time between two questions from the controller: short outages of a restart shall be seen.
const CONTROLLER_EVERY: Span = Span::from_ms(100);

/// Time between two questions on the host: each one starts a process there.
const HOST_EVERY: Span = Span::from_s(1);

/// An answer that takes longer counts as none: users have given up by then.
const LIMIT: Span = Span::from_s(1);

/// Time between two questions to a member of a cluster: each starts some programs on its host, of which that
/// of ceph takes half a second alone.
const MEMBER_EVERY: Span = Span::from_s(5);

/// A member that has not answered within this is down: its kind's questions may take so long each.
const MEMBER_LIMIT: Span = Span::from_s(10);

/// How a service is asked during the whole run.
pub fn resolution(measure: &Measure) -> Resolution {
    let (asked_from, every, limit) = match measure {
        Measure::Member(_) => (Observer::Host, MEMBER_EVERY, MEMBER_LIMIT),
        _ if measure.from_controller() => (Observer::Controller, CONTROLLER_EVERY, LIMIT),
        _ => (Observer::Host, HOST_EVERY, LIMIT),
    };
    Resolution {
        asked_from,
        every,
        limit,
    }
}

pub(super) fn services(plan: &Plan, records: &[Record], gaps: &[Gap]) -> Vec<ServiceRow> {
    let carried_out = redundancy::by_steps(plan, records);
    let predicted = forecast(plan).services.into_iter();
    let both = predicted.zip(carried_out);
    both.filter_map(|(predicted, carried_out)| {
        let planned = plan.services.get(&predicted.service)?;
        let looked = Looked {
            plan,
            records,
            gaps,
            service: &predicted.service,
            planned,
        };
        Some(looked.row(&predicted, &carried_out))
    })
    .collect()
}

/// What a service's row is made from.
struct Looked<'a> {
    plan: &'a Plan,
    records: &'a [Record],
    gaps: &'a [Gap],
    service: &'a ServiceName,
    planned: &'a PlannedService,
}

impl Looked<'_> {
    fn row(&self, predicted: &ServiceForecast, carried_out: &ServiceForecast) -> ServiceRow {
        let Self { planned, .. } = self;
        let outages = outages(self.service, self.records, self.gaps);
        let watched = planned.healthy.as_ref();
        let probes = tally(self.service, self.records);
        let by_host = outages.iter().all(|outage| outage.host.is_some())
            && probes.iter().all(|probe| probe.host.is_some())
            && watched.is_some();
        let (down, single) = match by_host {
            true => self.whole(&outages),
            false => (outages.clone(), Span::default()),
        };
        let measured_longest = down.iter().map(|o| o.length).max().unwrap_or_default();
        let no_redundancy = (planned.hosts.len() > 1).then(|| NoRedundancy {
            predicted: predicted.single_in_all(),
            by_steps: carried_out.single_in_all(),
            by_probes: by_host.then_some(single),
        });
        ServiceRow {
            service: self.service.clone(),
            budget: planned.window,
            resolution: watched.map(resolution),
            predicted: predicted.hosts.clone(),
            predicted_down: predicted.windows.clone(),
            predicted_longest: predicted.longest(),
            outages,
            down,
            measured_longest,
            probes,
            no_redundancy,
            within_budget: watched
                .and(planned.window)
                .map(|budget| measured_longest <= budget),
        }
    }

    /// From outages of hosts to those of the service, and how long a single host served. A host that is no
    /// host of the plan is not asked, and counts as one that does not serve.
    fn whole(&self, outages: &[Outage]) -> (Vec<Outage>, Span) {
        let Some(first) = self.records.first().map(|record| record.at) else {
            return (Vec::new(), Span::default());
        };
        let hosts = self.planned.hosts.iter();
        let asked: Vec<HostName> = hosts
            .filter(|host| self.plan.hosts.contains_key(*host))
            .cloned()
            .collect();
        let away = outages.iter().enumerate().filter_map(|(index, outage)| {
            let begins = Span::between(first, outage.began);
            Some(Away {
                host: outage.host.as_ref()?,
                begins,
                ends: begins.plus(outage.length),
                certain: true,
                index,
            })
        });
        let covered = coverage(&asked, away.collect());
        let down = covered.none.iter().filter_map(|none| {
            let (opened, closed) = (outages.get(none.opened_by)?, outages.get(none.closed_by)?);
            let began = none.begins.after(first);
            let until = none.length.after(began);
            Some(Outage {
                host: (asked.len() == 1).then(|| opened.host.clone()).flatten(),
                began,
                ended: closed.ended,
                length: none.length,
                not_observed: not_observed(began, until, self.gaps),
                seen: opened.seen.clone(),
            })
        });
        let single = covered.single.iter().map(|single| single.length);
        (down.collect(), single.fold(Span::default(), Span::plus))
    }
}

/// How often each probe of a service asked, over all controllers.
fn tally(service: &ServiceName, records: &[Record]) -> Vec<ProbeTally> {
    let mut out: BTreeMap<Option<HostName>, ProbeTally> = BTreeMap::new();
    let told = records.iter().filter_map(|record| match &record.event {
        Event::Tallied { probes } => Some(probes),
        _ => None,
    });
    for probe in told.flatten().filter(|probe| probe.service == *service) {
        match out.get_mut(&probe.host) {
            None => {
                out.insert(probe.host.clone(), probe.clone());
            }
            Some(sum) => {
                sum.asked = sum.asked.saturating_add(probe.asked);
                sum.failed = sum.failed.saturating_add(probe.failed);
                sum.longest_gap = sum.longest_gap.max(probe.longest_gap);
            }
        }
    }
    out.into_values().collect()
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
