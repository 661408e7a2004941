//! Probes of services: whether users would be served, from the first step to the end of the run.

use crate::ports::{Clock, Reach, Vantage};
use overhaul_machine::report::{Resolution, resolution};
use overhaul_model::event::{Event, ProbeTally};
use overhaul_model::fleet::Host;
use overhaul_model::id::{HostName, ServiceName};
use overhaul_model::plan::Plan;
use overhaul_model::primitive::{Measure, Measurement};
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

impl Probe {
    /// Its host, if that serves now.
    pub async fn serving<R: Reach>(self, reach: Arc<R>, within: Span) -> Option<HostName> {
        let answer = reach.measure(&self.vantage, &self.measure, within).await;
        self.host.filter(|_| answer.is_so())
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
