//! Probes of services: whether users would be served, from the first step to the end of the run.

use crate::ports::{Clock, Reach, Vantage};
use overhaul_machine::report::{Resolution, resolution};
use overhaul_model::event::{Event, ProbeTally};
use overhaul_model::fleet::Host;
use overhaul_model::id::{HostName, ServiceName};
use overhaul_model::membership::Membership;
use overhaul_model::plan::Plan;
use overhaul_model::primitive::{Measure, Measurement, UnitState};
use overhaul_model::span::Span;
use overhaul_model::template::{Context, Renderer};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Given to the transport on top, so that its own words come first.
const GRACE: Span = Span::from_ms(200);

/// Answers that may wait for the loop; more than a run has services is never needed for long.
pub(crate) const ANSWERS_MAX: usize = 64;

/// One condition that is asked for again and again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Probe {
    service: ServiceName,
    host: Option<HostName>,
    vantage: Vantage,
    measure: Measure,
}

#[cfg(test)]
impl Probe {
    pub fn vantage(&self) -> &Vantage {
        &self.vantage
    }
}

/// The probes of a plan: one for each host of a service, but one alone where every host gives the
/// same question to the controller, as with an address that moves.
pub(crate) fn probes(plan: &Plan) -> Vec<Probe> {
    let mut out = Vec::new();
    for name in plan.services.keys() {
        let of_service = of_service(plan, name);
        match of_service.as_slice() {
            [first, _, ..]
                if first.vantage == Vantage::Controller
                    && of_service.iter().all(|p| p.measure == first.measure) =>
            {
                out.push(Probe {
                    host: None,
                    ..first.clone()
                });
            }
            _ => out.extend(of_service),
        }
    }
    out
}

/// A probe for each host of a service, as far as it is a host of the plan.
pub(crate) fn of_service(plan: &Plan, name: &ServiceName) -> Vec<Probe> {
    let service = plan.services.get(name);
    let Some((service, healthy)) = service.and_then(|s| Some((s, s.healthy.as_ref()?))) else {
        return Vec::new();
    };
    let renderer = Renderer::new();
    let hosts = service.hosts.iter().filter_map(|host| plan.hosts.get(host));
    let probe = |host: &Host| {
        let context = Context::new(Some(host), &plan.from, &plan.to);
        // The checker has rendered it before; a service that cannot be asked for has no probe.
        let measure = renderer.measure(healthy, &context).ok()?;
        let vantage = match measure.from_controller() {
            true => Vantage::Controller,
            false => Vantage::Host(host.name.clone()),
        };
        Some(Probe {
            service: name.clone(),
            host: Some(host.name.clone()),
            vantage,
            measure,
        })
    };
    hosts.filter_map(probe).collect()
}

/// A probe for each host of a service but this one: it holds where the service's unit is stopped.
pub(crate) fn quiet(plan: &Plan, name: &ServiceName, own: Option<&HostName>) -> Vec<Probe> {
    let Some(service) = plan.services.get(name) else {
        return Vec::new();
    };
    let renderer = Renderer::new();
    let stopped = Measure::Unit {
        unit: service.unit.clone(),
        state: UnitState::Stopped,
    };
    let others = service.hosts.iter().filter(|host| Some(*host) != own);
    let probe = |host: &HostName| {
        let context = Context::new(plan.hosts.get(host), &plan.from, &plan.to);
        let rendered = renderer.measure(&stopped, &context);
        Probe {
            service: name.clone(),
            host: Some(host.clone()),
            vantage: Vantage::Host(host.clone()),
            // The checker has rendered the unit's name before.
            measure: rendered.unwrap_or_else(|_| stopped.clone()),
        }
    };
    others.map(probe).collect()
}

/// A version from which on members feed no older one, with what is asked about it.
pub(crate) struct FeedBorder {
    /// Whether this host is beyond it.
    own: Option<Probe>,
    /// Whether another host works and is beyond it.
    others: Vec<Probe>,
}

/// What decides whether others may give a host its data, as the kind of the service's cluster says.
pub(crate) fn borders(plan: &Plan, name: &ServiceName, own: Option<&HostName>) -> Vec<FeedBorder> {
    let service = plan.services.get(name);
    let Some(healthy @ Measure::Member(member)) = service.and_then(|s| s.healthy.as_ref()) else {
        return Vec::new();
    };
    let hosts = service.map_or(&[][..], |service| &service.hosts);
    let border = |border: &String| {
        let beyond = Measure::Member(Box::new(Membership {
            beyond: Some(border.clone()),
            ..(**member).clone()
        }));
        let probe = |host: &HostName, measure| Probe {
            service: name.clone(),
            host: Some(host.clone()),
            vantage: Vantage::Host(host.clone()),
            measure,
        };
        let others = hosts.iter().filter(|host| Some(*host) != own);
        let both = || Measure::All(vec![beyond.clone(), healthy.clone()]);
        FeedBorder {
            own: own.map(|own| probe(own, beyond.clone())),
            others: others.map(|host| probe(host, both())).collect(),
        }
    };
    member.kind.no_feed.iter().map(border).collect()
}

impl FeedBorder {
    /// Whether no member that works is beyond the border while this host is not. What is not known is no answer.
    pub async fn answer<R: Reach>(self, reach: Arc<R>, within: Span) -> Measurement {
        let Some(own) = self.own else {
            let reason = "the step is in no host's lane".to_owned();
            return Measurement::Unknown { reason };
        };
        let who = match own.answer(Arc::clone(&reach), within).await {
            Measurement::NotSo { evidence } => evidence,
            newer_or_unknown => return newer_or_unknown,
        };
        let mut answers = Vec::new();
        for probe in self.others {
            answers.push(probe.answer(Arc::clone(&reach), within).await);
        }
        fed(&who, answers)
    }
}

/// Whether an older host may take its data from others, each of which was asked whether it works and is newer.
fn fed(who: &str, others: Vec<Measurement>) -> Measurement {
    let mut unknown = None;
    for answer in others {
        match answer {
            Measurement::So { evidence } => {
                let evidence = format!("{who}, and would be fed by a newer one: {evidence}");
                return Measurement::NotSo { evidence };
            }
            Measurement::NotSo { .. } => {}
            Measurement::Unknown { .. } => unknown = unknown.or(Some(answer)),
        }
    }
    unknown.unwrap_or(Measurement::So {
        evidence: format!("{who}, and nobody who works is newer"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_host_is_fed_by_nobody_newer_and_not_while_somebody_is_not_known() {
        let so = || Measurement::So {
            evidence: "gal1 has 11.8.6".to_owned(),
        };
        let not_so = || Measurement::NotSo {
            evidence: "gal3 has 10.11.14".to_owned(),
        };
        let unknown = || Measurement::Unknown {
            reason: "gal2: no answer".to_owned(),
        };
        let fed = |others| fed("gal2 has 10.11.14", others);
        assert!(fed(vec![not_so(), not_so()]).is_so());
        assert!(fed(Vec::new()).is_so());
        assert!(matches!(
            fed(vec![unknown(), not_so()]),
            Measurement::Unknown { .. }
        ));
        let refused = fed(vec![unknown(), not_so(), so()]);
        assert!(
            matches!(&refused, Measurement::NotSo { evidence } if evidence.contains("11.8.6")),
            "{refused:?}"
        );
    }
}

impl Probe {
    /// Its host, if that serves now.
    pub async fn serving<R: Reach>(self, reach: Arc<R>, within: Span) -> Option<HostName> {
        let answer = reach.measure(&self.vantage, &self.measure, within).await;
        self.host.filter(|_| answer.is_so())
    }

    /// What its host answers, under the host's name.
    pub async fn answer<R: Reach>(self, reach: Arc<R>, within: Span) -> Measurement {
        let answer = reach.measure(&self.vantage, &self.measure, within).await;
        let host = self.host.map_or_else(String::new, |host| host.to_string());
        match answer {
            Measurement::So { evidence } => Measurement::So {
                evidence: format!("{host}: {evidence}"),
            },
            Measurement::NotSo { evidence } => Measurement::NotSo {
                evidence: format!("{host}: {evidence}"),
            },
            Measurement::Unknown { reason } => Measurement::Unknown {
                reason: format!("{host}: {reason}"),
            },
        }
    }
}

/// Probes at work. They end when this is dropped.
pub(crate) struct Watching {
    tallies: Arc<Tallies>,
    _tasks: JoinSet<()>,
}

impl Watching {
    /// What each probe has seen until now.
    pub fn tally(&self, now: Span) -> Vec<ProbeTally> {
        let tallies = self.tallies.lock();
        let told = tallies.iter().map(|((service, host), tally)| ProbeTally {
            service: service.clone(),
            host: host.clone(),
            asked: tally.asked,
            failed: tally.failed,
            longest_gap: tally.longest_gap.max(now.less(tally.last_good)),
        });
        told.collect()
    }
}

/// Tallies by service and host.
#[derive(Default)]
struct Tallies(Mutex<BTreeMap<(ServiceName, Option<HostName>), Tally>>);

impl Tallies {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(ServiceName, Option<HostName>), Tally>> {
        // A count is whole at any moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, probe: &Probe, up: bool, now: Span) {
        let key = (probe.service.clone(), probe.host.clone());
        let mut all = self.lock();
        let Some(tally) = all.get_mut(&key) else {
            return;
        };
        tally.asked = tally.asked.saturating_add(1);
        if up {
            tally.longest_gap = tally.longest_gap.max(now.less(tally.last_good));
            tally.last_good = now;
        } else {
            tally.failed = tally.failed.saturating_add(1);
        }
    }
}

struct Tally {
    asked: u64,
    failed: u64,
    longest_gap: Span,
    /// By the monotonic clock; the probe's begin before the first good answer.
    last_good: Span,
}

/// Starts them; what changes is sent as `Probed` events.
pub(crate) fn start<R: Reach, C: Clock>(
    plan: &Plan,
    reach: &Arc<R>,
    clock: &Arc<C>,
    changes: &mpsc::Sender<Event>,
) -> Watching {
    let mut tasks = JoinSet::new();
    let tallies = Arc::new(Tallies::default());
    for probe in probes(plan) {
        let tally = Tally {
            asked: 0,
            failed: 0,
            longest_gap: Span::default(),
            last_good: clock.elapsed(),
        };
        let key = (probe.service.clone(), probe.host.clone());
        tallies.lock().insert(key, tally);
        let (reach, clock, tallies) = (Arc::clone(reach), Arc::clone(clock), Arc::clone(&tallies));
        tasks.spawn(watch(probe, reach, clock, tallies, changes.clone()));
    }
    Watching {
        tallies,
        _tasks: tasks,
    }
}

async fn watch<R: Reach, C: Clock>(
    probe: Probe,
    reach: Arc<R>,
    clock: Arc<C>,
    tallies: Arc<Tallies>,
    changes: mpsc::Sender<Event>,
) {
    let Resolution {
        every,
        limit: within,
        ..
    } = resolution(&probe.measure);
    let mut was = None;
    loop {
        let asked = clock.elapsed();
        let answer = tokio::select! {
            answer = reach.measure(&probe.vantage, &probe.measure, within) => answer,
            () = clock.sleep(within.plus(GRACE)) => Measurement::Unknown {
                reason: format!("no answer within {within}"),
            },
        };
        let up = answer.is_so();
        tallies.count(&probe, up, clock.elapsed());
        if was != Some(up) {
            was = Some(up);
            let event = Event::Probed {
                service: probe.service.clone(),
                host: probe.host.clone(),
                up,
                detail: answer.words().to_owned(),
            };
            if changes.send(event).await.is_err() {
                return;
            }
        }
        let took = clock.elapsed().as_ms().saturating_sub(asked.as_ms());
        clock
            .sleep(Span::from_ms(every.as_ms().saturating_sub(took).max(1)))
            .await;
    }
}
