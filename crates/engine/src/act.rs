//! What the tasks do: measure, act, settle. Each ends in exactly one event.

use crate::MEASURE_WITHIN;
use crate::launch::{Errand, rendered};
use crate::ports::{Clock, Fault, Order, Progress, Reach, Registration, Unbegun, Vantage};
use crate::probe::{FeedBorder, Probe};
use overhaul_model::definition::Guard;
use overhaul_model::event::{Event, Generation, Outcome, Settlement};
use overhaul_model::id::{AttemptKey, HostName, Position};
use overhaul_model::planted;
use overhaul_model::primitive::{Measure, Measurement, Primitive, Wait};
use overhaul_model::span::Span;
use overhaul_model::step::Step;
use overhaul_model::template::Context;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Hosts of a service that are asked at one time before one of them is let away.
const MEMBERS_AT_ONCE: usize = 64;

/// What every task holds.
pub(crate) struct Hands<R, C> {
    pub reach: Arc<R>,
    pub clock: Arc<C>,
    pub progress: Progress,
}

impl<R, C> Clone for Hands<R, C> {
    fn clone(&self) -> Self {
        Self {
            reach: Arc::clone(&self.reach),
            clock: Arc::clone(&self.clock),
            progress: Arc::clone(&self.progress),
        }
    }
}

impl<R: Reach, C: Clock> Hands<R, C> {
    /// `unsettled` are attempts whose receipts the host is still to be asked for. Where its store went back in time it
    /// cannot tell what became of them, and the journal gives them up: requests for them that are still on their way
    /// are refused from then on, before anything else is begun in their place.
    pub async fn register(
        self,
        host: HostName,
        generation: Generation,
        unsettled: Vec<Errand>,
    ) -> Event {
        let Registration {
            install_id,
            sequence,
            boot,
        } = match self.reach.register(&host, &generation).await {
            Ok(registration) => registration,
            Err(fault) => return refused(host, fault),
        };
        for errand in unsettled {
            let receipts = errand.receipts.as_ref();
            if receipts.is_some_and(|(id, known)| *id == install_id && sequence < *known) {
                // The answer tells nothing: a receipt may be lost.
                self.clone().settle(errand).await;
            }
        }
        Event::HostRegistered {
            host,
            install_id,
            sequence,
            boot,
        }
    }

    pub async fn release(self, host: HostName, generation: Generation) -> Event {
        match self.reach.release(&host, &generation).await {
            Ok(()) => Event::HostReleased { host },
            Err(fault) => refused(host, fault),
        }
    }

    /// Measures a condition at a position; `None` is one that the step does not have.
    pub async fn measure(
        &self,
        position: &Position,
        measure: Option<&Measure>,
        context: Option<&Context>,
        within: Span,
    ) -> Measurement {
        let unknown = |reason: &str| Measurement::Unknown {
            reason: reason.to_owned(),
        };
        let Some(measure) = measure else {
            return unknown("the step has no such condition");
        };
        let measure = match rendered(measure, context) {
            Ok(measure) => measure,
            Err(answer) => return answer,
        };
        let vantage = match (measure.from_controller(), &position.host) {
            (true, _) => Vantage::Controller,
            (false, Some(host)) => Vantage::Host(host.clone()),
            (false, None) => return unknown("the step is in no host's lane"),
        };
        self.reach.measure(&vantage, &measure, within).await
    }

    pub async fn guard(self, errand: Errand, guard: usize) -> Event {
        let measure = errand.step.guards.get(guard).and_then(Guard::measure);
        let Errand {
            position, context, ..
        } = &errand;
        let result = self
            .measure(position, measure, context.as_ref(), MEASURE_WITHIN)
            .await;
        Event::GuardMeasured {
            position: errand.position,
            guard,
            result,
            serving: BTreeSet::new(),
        }
    }

    /// Asks each host of a service whether it serves, some of them at a time.
    pub async fn members(self, position: Position, guard: usize, probes: Vec<Probe>) -> Event {
        let asked = probes.len();
        let mut probes = probes.into_iter();
        let mut tasks = JoinSet::new();
        let mut serving = BTreeSet::new();
        loop {
            while tasks.len() < MEMBERS_AT_ONCE
                && let Some(probe) = probes.next()
            {
                tasks.spawn(probe.serving(Arc::clone(&self.reach), MEASURE_WITHIN));
            }
            match tasks.join_next().await {
                None => break,
                // A host whose question broke off is not known to serve.
                Some(answer) => serving.extend(answer.ok().flatten()),
            }
        }
        let evidence = format!("{} of {asked} hosts serve", serving.len());
        Event::GuardMeasured {
            position,
            guard,
            result: Measurement::So { evidence },
            serving,
        }
    }

    /// Whether all that is asked is so: an answer that does not come is no answer.
    pub async fn quiet(self, position: Position, guard: usize, probes: Vec<Probe>) -> Event {
        let mut tasks = JoinSet::new();
        let mut answers = Vec::new();
        let mut probes = probes.into_iter();
        loop {
            while tasks.len() < MEMBERS_AT_ONCE
                && let Some(probe) = probes.next()
            {
                tasks.spawn(probe.answer(Arc::clone(&self.reach), MEASURE_WITHIN));
            }
            match tasks.join_next().await {
                None => break,
                Some(answer) => {
                    answers.push(answer.unwrap_or_else(|broken| Measurement::Unknown {
                        reason: broken.to_string(),
                    }))
                }
            }
        }
        Event::GuardMeasured {
            position,
            guard,
            result: Measurement::all(answers),
            serving: BTreeSet::new(),
        }
    }

    /// Whether nobody who works would damage the host by giving it its data.
    pub async fn donors(self, position: Position, guard: usize, borders: Vec<FeedBorder>) -> Event {
        let mut answers = Vec::new();
        for border in borders {
            answers.push(border.answer(Arc::clone(&self.reach), MEASURE_WITHIN).await);
        }
        Event::GuardMeasured {
            position,
            guard,
            result: Measurement::all(answers),
            serving: BTreeSet::new(),
        }
    }

    pub async fn check(self, errand: Errand) -> Event {
        let Errand {
            position, context, ..
        } = &errand;
        let measure = errand.step.check.as_ref();
        let result = self
            .measure(position, measure, context.as_ref(), MEASURE_WITHIN)
            .await;
        Event::Checked {
            position: errand.position,
            result,
        }
    }

    pub async fn verify(self, errand: Errand) -> Event {
        let Errand {
            position, context, ..
        } = &errand;
        let measure = errand.step.verify.as_ref();
        let result = self
            .measure(position, measure, context.as_ref(), MEASURE_WITHIN)
            .await;
        Event::Verified {
            position: errand.position,
            attempt: errand.attempt,
            result,
        }
    }

    pub async fn repair(
        self,
        position: Position,
        when: Option<Arc<Measure>>,
        context: Context,
    ) -> Event {
        let result = self
            .measure(&position, when.as_deref(), Some(&context), MEASURE_WITHIN)
            .await;
        Event::RepairMeasured { position, result }
    }

    pub async fn settle(self, errand: Errand) -> Event {
        let settlement = match (errand.order(), &errand.receipts) {
            (Ok(order), Some((install_id, sequence))) => {
                let settle =
                    self.reach
                        .settle(order.clone(), install_id, *sequence, Unbegun::Refuse);
                match settle.await {
                    Settlement::NeverBegan => match self.lost_attempt(&errand, &order).await {
                        Some((_, settlement)) => settlement,
                        None => Settlement::NeverBegan,
                    },
                    told => told,
                }
            }
            (Ok(_), None) => Settlement::Unknown {
                reason: "the journal knows no receipts of this host".to_owned(),
            },
            (Err(outcome), _) => Settlement::Unknown {
                reason: match outcome {
                    Outcome::Failed { why, .. } => why,
                    other => format!("{other:?}"),
                },
            },
        };
        Event::Settled {
            position: errand.position,
            attempt: errand.attempt,
            settlement,
        }
    }

    /// Where rows of the journal were lost: the latest attempt after this one that the target has begun, or
    /// about which it cannot tell.
    async fn lost_attempt(
        &self,
        errand: &Errand,
        order: &Order,
    ) -> Option<(AttemptKey, Settlement)> {
        let (install_id, sequence) = errand.receipts.as_ref()?;
        for key in &errand.lost {
            let asked = Order {
                key: key.clone(),
                ..order.clone()
            };
            let settled = self
                .reach
                .settle(asked, install_id, *sequence, Unbegun::Leave);
            match settled.await {
                Settlement::NeverBegan => {}
                told => return Some((key.clone(), told)),
            }
        }
        None
    }

    /// Begins an attempt, or attaches to one of which the journal lost the rows.
    async fn begin(&self, errand: &Errand, order: Order) -> Outcome {
        let progress = Arc::clone(&self.progress);
        match self.lost_attempt(errand, &order).await {
            None => self.reach.act(order, progress).await,
            Some((key, Settlement::Running | Settlement::NeverBegan)) => {
                let order = Order {
                    key,
                    begun: true,
                    ..order
                };
                self.reach.act(order, progress).await
            }
            Some((_, Settlement::Ended(outcome))) => outcome,
            Some((_, Settlement::Unknown { reason })) => Outcome::Unknown { reason },
        }
    }

    pub async fn act(self, errand: Errand) -> Event {
        let outcome = match &errand.step.work {
            Primitive::Wait(wait) => self.wait(&errand, wait).await,
            Primitive::Announce(announce) => said(&errand, &announce.message),
            // No checked plan has such a step; whatever let it through, nobody acts on it.
            Primitive::NotAvailable(_) => not_available(&errand.step),
            Primitive::Exec(_)
            | Primitive::Local(_)
            | Primitive::Machine(_)
            | Primitive::Belonging(_)
            | Primitive::WriteFile(_)
            | Primitive::EditFile(_)
            | Primitive::Reboot(_)
            | Primitive::Fetch(_)
            | Primitive::Feed(_)
            | Primitive::Persist(_)
            | Primitive::Restore(_)
            | Primitive::Receive(_)
            | Primitive::TakeOver(_)
            | Primitive::Ask(_) => match errand.order() {
                Ok(_) if planted::is("outcome-before-act") => succeeded(String::new()),
                Ok(order) => self.begin(&errand, order).await,
                Err(outcome) => outcome,
            },
        };
        Event::Ended {
            position: errand.position,
            attempt: errand.attempt,
            outcome,
        }
    }

    /// Measures until it is so, by the clock that does not jump.
    async fn wait(&self, errand: &Errand, wait: &Wait) -> Outcome {
        let begun = self.clock.elapsed();
        loop {
            let Errand {
                position, context, ..
            } = errand;
            let passed = self.clock.elapsed().as_ms().saturating_sub(begun.as_ms());
            let left = Span::from_ms(wait.at_most.as_ms().saturating_sub(passed));
            let within = left.clamp(SHORTEST_MEASURE, MEASURE_WITHIN);
            let answer = self
                .measure(position, Some(&wait.until), context.as_ref(), within)
                .await;
            if let Measurement::So { evidence } = answer {
                return succeeded(evidence);
            }
            let passed = self.clock.elapsed().as_ms().saturating_sub(begun.as_ms());
            if passed >= wait.at_most.as_ms() {
                return Outcome::Failed {
                    why: format!("not so within {}: {}", wait.at_most, answer.words()),
                    tail: String::new(),
                    end: None,
                };
            }
            let left = wait.at_most.as_ms().saturating_sub(passed);
            self.clock
                .sleep(Span::from_ms(wait.every.as_ms().clamp(1, left)))
                .await;
        }
    }
}

/// A wait's last measurement gets at least this, so that it can succeed at all.
const SHORTEST_MEASURE: Span = Span::from_s(1);

fn refused(host: HostName, fault: Fault) -> Event {
    Event::HostRefused {
        host,
        why: fault.why,
        transient: fault.transient,
    }
}

fn said(errand: &Errand, message: &str) -> Outcome {
    match errand.said(message) {
        Ok(message) => succeeded(message),
        Err(error) => Outcome::Failed {
            why: format!("its text cannot be rendered: {error}"),
            tail: String::new(),
            end: None,
        },
    }
}

fn not_available(step: &Step) -> Outcome {
    Outcome::Failed {
        why: format!(
            "`{}` is not available in this version; nothing was done",
            step.action.word()
        ),
        tail: String::new(),
        end: None,
    }
}

fn succeeded(evidence: String) -> Outcome {
    Outcome::Succeeded {
        changed: false,
        outputs: BTreeMap::new(),
        evidence,
        unsynced: None,
    }
}
