//! The loop: one writer of the journal, one task per command.

use crate::INBOX_POLL_MS;
use crate::act::Hands;
use crate::error::EngineError;
use crate::launch::{Errand, attempt_key, context};
use crate::ports::{Clock, Inbox, Journal, Reach};
use crate::probe;
use crate::settings::{Control, Ports, RunEnd, Settings, Watcher};
use crate::time::SteadyTime;
use jiff::Timestamp;
use overhaul_machine::{Command, Doing, Next, Run, RunStanding, Standing, StepState};
use overhaul_model::definition::Test;
use overhaul_model::event::{Choice, Decision, Event, Generation, Record};
use overhaul_model::id::{AttemptKey, Digest, HostName, Nonce, Position};
use overhaul_model::plan::Plan;
use overhaul_model::planted;
use overhaul_model::primitive::Primitive;
use overhaul_model::span::Span;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Events that are made durable together at most: what waits for people and for the clock is looked at in between.
const AT_ONCE_MAX: usize = 1_000;

/// A command that is being carried out, and the state of its subject when it was begun.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    command: Command,
    version: u64,
}

/// What woke the loop.
enum Woken {
    Done(Flight, Event),
    Broken(String),
    Probe(Event),
    Control(Control),
    Time,
}

struct Loop<J, I, R, C, W> {
    run: Run,
    journal: J,
    inbox: I,
    hands: Hands<R, C>,
    time: SteadyTime<C>,
    settings: Settings,
    watch: Arc<W>,
    /// Requests that became events, whoever wrote them.
    seen: BTreeSet<Nonce>,
    flights: BTreeSet<Flight>,
    tasks: JoinSet<(Flight, Event)>,
    /// Whether anything happened since the machine was asked what is to be done.
    stirred: bool,
    shown: Option<Standing>,
    /// Rows that nobody was told of yet: they are not durable.
    untold: Vec<Record>,
    /// When the inbox is looked into again, by the monotonic clock.
    poll_at: Span,
    changes: (mpsc::Sender<Event>, mpsc::Receiver<Event>),
    probes: Option<probe::Watching>,
    control_open: bool,
}

/// Carries out the plan of a run before its first event, or the one that is in force after its amendments; see
/// [`crate::run`].
pub(crate) async fn carry_out<J, I, R, C, W>(
    new: Run,
    in_force: Option<&Plan>,
    ports: Ports<J, I, R, C>,
    settings: Settings,
    watch: W,
) -> Result<RunEnd, EngineError>
where
    J: Journal,
    I: Inbox,
    R: Reach,
    C: Clock,
    W: Watcher,
{
    let mut this = Loop::open(new, ports, settings, watch).await?;
    // The checked plan is the only one that is carried out.
    let is_checked = match in_force {
        Some(plan) => std::ptr::eq(plan, this.run.plan()) || plan == this.run.plan(),
        None => !this.run.is_amended(),
    };
    if !is_checked {
        let why = "the journal's plan in force is not the one that was checked";
        return Err(EngineError::Refused(why.to_owned()));
    }
    if let Some(verdict) = this.run.verdict() {
        if this.settings.cleanup.is_empty() {
            return Ok(RunEnd::Finished(verdict));
        }
        this.begin_cleanup()?;
    }
    this.take().await?;
    this.go().await
}

impl<J, I, R, C, W> Loop<J, I, R, C, W>
where
    J: Journal,
    I: Inbox,
    R: Reach,
    C: Clock,
    W: Watcher,
{
    async fn open(
        new: Run,
        mut ports: Ports<J, I, R, C>,
        settings: Settings,
        watch: W,
    ) -> Result<Self, EngineError> {
        let records = ports.journal.replay().await?;
        let run = new.after(&records)?;
        let watch = Arc::new(watch);
        let told = Arc::clone(&watch);
        let mut seen = BTreeSet::new();
        for record in &records {
            seen.extend(answered(&record.event).cloned());
            watch.recorded(record);
        }
        for (host, machine) in run.machines() {
            ports.reach.moved(host, machine);
        }
        let begun = records
            .iter()
            .any(|r| matches!(r.event, Event::Started { .. }));
        let mut this = Self {
            run,
            journal: ports.journal,
            inbox: ports.inbox,
            time: SteadyTime::new(Arc::clone(&ports.clock)),
            hands: Hands {
                reach: ports.reach,
                clock: ports.clock,
                progress: Arc::new(move |position, bytes| told.progress(position, bytes)),
            },
            settings,
            watch,
            seen,
            flights: BTreeSet::new(),
            tasks: JoinSet::new(),
            stirred: true,
            shown: None,
            untold: Vec::new(),
            poll_at: Span::default(),
            changes: mpsc::channel(probe::ANSWERS_MAX),
            probes: None,
            control_open: true,
        };
        if begun && this.run.verdict().is_none() {
            this.start_probes();
        }
        Ok(this)
    }

    /// A run that is complete carries out steps of its stage `cleanup`.
    fn begin_cleanup(&mut self) -> Result<(), EngineError> {
        let names = std::mem::take(&mut self.settings.cleanup);
        self.run
            .permits_cleanup(&names)
            .map_err(EngineError::Refused)?;
        let person = self.settings.person.clone();
        self.record(Event::CleanupBegan { person, names })
    }

    /// Opens the run if it is new, and takes it, with the limits of this sitting.
    async fn take(&mut self) -> Result<(), EngineError> {
        let sitting = self.settings.sitting.take();
        if let Some(sitting) = &sitting {
            let known = self.run.permits_sitting(sitting);
            known.map_err(|no| EngineError::Refused(no.to_string()))?;
        }
        let person = self.settings.person.clone();
        if self.run.seq() == 0 {
            self.record(Event::RunOpened {
                run: self.settings.run.clone(),
                plan: self.run.hash().clone(),
                person: person.clone(),
                warned: self.settings.warned.clone(),
            })?;
        }
        let run = self.run.id().unwrap_or(&self.settings.run).clone();
        let last = self.run.generation().map_or(0, |g| g.counter);
        let generation = Generation {
            fleet: self.run.plan().fleet.clone(),
            run,
            counter: last.saturating_add(u64::from(!planted::is("generation-not-raised"))),
            nonce: self.settings.nonce.clone(),
        };
        self.record(Event::ControllerTook { generation, person })?;
        if let Some(sitting) = sitting {
            self.record(Event::Limited { sitting })?;
        }
        self.commit().await
    }

    async fn go(&mut self) -> Result<RunEnd, EngineError> {
        let mut said: Option<Next> = None;
        loop {
            if self.hands.clock.elapsed() >= self.poll_at {
                self.drain_inbox().await?;
            }
            let now = self.time.now();
            let holds = |next: &Next| !self.stirred && next.holds(now);
            let next = match said.take().filter(holds) {
                Some(next) => next,
                None => {
                    self.stirred = false;
                    let next = self.run.next(now);
                    self.begin_all(&next).await?;
                    if let Some(verdict) = self.run.verdict() {
                        return Ok(RunEnd::Finished(verdict));
                    }
                    if self.stirred {
                        continue;
                    }
                    self.show(&next);
                    next
                }
            };
            if self.flights.is_empty()
                && next.wake.is_none()
                && !self.stays(&next)
                && !self.drain_inbox().await?
            {
                self.end_probes()?;
                self.commit().await?;
                return Ok(self.stopped(next));
            }
            let mut woken = self.sleep(next.wake, now).await;
            said = Some(next);
            let mut taken = 0;
            loop {
                match woken {
                    Woken::Done(flight, event) => self.done(flight, event)?,
                    Woken::Probe(event) => self.record(event)?,
                    Woken::Control(Control::Leave) => return self.left().await,
                    Woken::Control(Control::Pause) => self.pause().await?,
                    Woken::Broken(why) => return Err(EngineError::Task(why)),
                    Woken::Time => break,
                }
                taken += 1;
                if taken == AT_ONCE_MAX {
                    break;
                }
                woken = self.woken_already();
            }
            self.commit().await?;
        }
    }

    /// Whether the loop stays although nothing can be done now.
    fn stays(&self, next: &Next) -> bool {
        self.settings.wait_for_people && next.standing.run != RunStanding::Limited
    }

    /// Makes the next row of the journal and lets the run know it. Nothing is done because of it, and
    /// nobody is told, before it is durable: see [`Self::commit`].
    fn record(&mut self, event: Event) -> Result<(), EngineError> {
        let at = self.time.now();
        let record = self.journal.write(at, event)?;
        self.run.apply(&record)?;
        self.stirred = true;
        if let Event::Ended { position, .. } | Event::Settled { position, .. } = &record.event {
            self.tell_machine(position);
        }
        self.untold.push(record);
        Ok(())
    }

    /// After a step about a machine the hands must know where it answers now.
    fn tell_machine(&self, position: &Position) {
        let step = self.run.step(position);
        let about = step.is_some_and(|step| matches!(step.work, Primitive::Machine(_)));
        let host = position.host.as_ref().filter(|_| about);
        if let Some(host) = host
            && let Some(machine) = self.run.machine(host)
        {
            self.hands.reach.moved(host, machine);
        }
    }

    /// Makes durable what was recorded, then tells those who watch.
    async fn commit(&mut self) -> Result<(), EngineError> {
        self.journal.commit().await?;
        for record in self.untold.drain(..) {
            self.watch.recorded(&record);
        }
        Ok(())
    }

    async fn left(&mut self) -> Result<RunEnd, EngineError> {
        self.end_probes()?;
        self.commit().await?;
        Ok(RunEnd::Left)
    }

    /// Begins what is not being done yet.
    async fn begin_all(&mut self, next: &Next) -> Result<(), EngineError> {
        let mut flights = Vec::new();
        for command in &next.commands {
            let flight = Flight {
                version: self.run.version(command),
                command: command.clone(),
            };
            if !self.flights.contains(&flight) {
                let begun = match command {
                    Command::Act { position, attempt } => self.intend(position, *attempt)?,
                    _ => false,
                };
                flights.push((flight, begun));
            }
        }
        // All intents are durable before the first act.
        if !planted::is("act-before-intent") {
            self.commit().await?;
        }
        for (flight, begun) in flights {
            self.begin(flight, begun)?;
        }
        if !planted::is("act-before-intent") {
            self.commit().await?;
        }
        Ok(())
    }

    /// `begun`: of an act, whether its attempt was begun before.
    fn begin(&mut self, flight: Flight, begun: bool) -> Result<(), EngineError> {
        let hands = self.hands.clone();
        let generation = self.run.generation().cloned();
        match (flight.command.clone(), generation) {
            (Command::Finish { verdict }, _) => {
                self.end_probes()?;
                self.record(Event::Finished { verdict })?;
            }
            (Command::TakeUp { host }, _) => self.record(Event::TakenUp { host })?,
            (Command::Ask { position }, _) => self.ask(position)?,
            (Command::Register { host }, Some(generation)) => {
                let unsettled = self.unsettled_on(&host);
                self.spawn(flight, hands.register(host, generation, unsettled));
            }
            (Command::Release { host }, Some(generation)) => {
                self.spawn(flight, hands.release(host, generation));
            }
            (Command::MeasureRepair { position }, _) => {
                let (when, context) = (self.run.repair(&position), context(&self.run, &position));
                self.spawn(flight, hands.repair(position, when, context));
            }
            (Command::MeasureGuard { position, guard }, _) => {
                if let Some(errand) = self.errand(&position, 0) {
                    match errand.step.guards.get(guard).map(|guard| &guard.test) {
                        Some(Test::Members { service, .. }) => {
                            let probes = probe::of_service(self.run.plan(), service);
                            self.spawn(flight, hands.members(position, guard, probes));
                        }
                        Some(Test::Quiet { service }) => {
                            let own = position.host.as_ref();
                            let probes = probe::quiet(self.run.plan(), service, own);
                            self.spawn(flight, hands.quiet(position, guard, probes));
                        }
                        Some(Test::Donors { service }) => {
                            let own = position.host.as_ref();
                            let borders = probe::borders(self.run.plan(), service, own);
                            self.spawn(flight, hands.donors(position, guard, borders));
                        }
                        _ => self.spawn(flight, hands.guard(errand, guard)),
                    }
                }
            }
            (Command::Check { position }, _) => {
                if let Some(errand) = self.errand(&position, 0) {
                    self.spawn(flight, hands.check(errand));
                }
            }
            (Command::Verify { position, attempt }, _) => {
                if let Some(errand) = self.errand(&position, attempt) {
                    self.spawn(flight, hands.verify(errand));
                }
            }
            (Command::Settle { position, attempt }, _) => {
                if let Some(errand) = self.errand(&position, attempt) {
                    self.spawn(flight, hands.settle(errand));
                }
            }
            (Command::Act { position, attempt }, _) => {
                if let Some(mut errand) = self.errand(&position, attempt) {
                    errand.begun = begun;
                    self.spawn(flight, hands.act(errand));
                }
            }
            // The machine commands nothing while no controller holds the run.
            (Command::Register { .. } | Command::Release { .. }, None) => {}
        }
        Ok(())
    }

    /// The intent is durable before the act. Says whether it was there before: then the receipt has told that the
    /// attempt is at work, and it is attached to again.
    fn intend(&mut self, position: &Position, attempt: u32) -> Result<bool, EngineError> {
        if matches!(self.run.state(position), StepState::Running { .. }) {
            return Ok(true);
        }
        if self.run.step(position).is_none() {
            return Ok(false);
        }
        let key = attempt_key(&self.run, position, attempt)?;
        if self.probes.is_none() {
            self.start_probes();
        }
        self.record(Event::Started {
            position: position.clone(),
            attempt,
            key,
        })?;
        Ok(false)
    }

    fn ask(&mut self, position: Position) -> Result<(), EngineError> {
        let Some(errand) = self.errand(&position, 0) else {
            return Ok(());
        };
        let nonce = self.own_nonce("question")?;
        self.record(Event::Asked {
            position,
            question: errand.question(),
            nonce,
        })
    }

    /// Attempts that the journal gives up when the host's receipts went back in time.
    fn unsettled_on(&self, host: &HostName) -> Vec<Errand> {
        let unsettled = self.run.unsettled_on(host).into_iter();
        unsettled
            .filter_map(|(position, attempt)| self.errand(&position, attempt))
            .collect()
    }

    fn errand(&self, position: &Position, attempt: u32) -> Option<Errand> {
        let key = self.run.attempt_key(position).cloned();
        Errand::new(
            &self.run,
            position,
            attempt,
            key.unwrap_or(AttemptKey::new("")),
        )
    }

    fn spawn(&mut self, flight: Flight, task: impl Future<Output = Event> + Send + 'static) {
        self.flights.insert(flight.clone());
        // Some are kilobytes large, and moved from hand to hand before they stand in their place.
        let task = Box::pin(task);
        self.tasks.spawn(async move { (flight, task.await) });
    }

    /// An answer counts only when nothing happened to its subject since it was asked for.
    fn done(&mut self, flight: Flight, event: Event) -> Result<(), EngineError> {
        self.flights.remove(&flight);
        self.stirred = true;
        if self.run.version(&flight.command) == flight.version {
            self.record(event)?;
        }
        Ok(())
    }

    /// Waits for whatever comes first.
    async fn sleep(&mut self, wake: Option<Timestamp>, now: Timestamp) -> Woken {
        let until_poll = self
            .poll_at
            .as_ms()
            .saturating_sub(self.hands.clock.elapsed().as_ms());
        let until_wake = wake.map_or(INBOX_POLL_MS, |wake| Span::between(now, wake).as_ms());
        // At least a millisecond, so that no error in the arithmetic of time can make it spin.
        let span = Span::from_ms(until_poll.min(until_wake).max(1));
        let clock = Arc::clone(&self.hands.clock);
        tokio::select! {
            biased;
            wish = self.settings.control.recv(), if self.control_open => match wish {
                Some(wish) => Woken::Control(wish),
                None => {
                    self.control_open = false;
                    Woken::Time
                }
            },
            Some(done) = self.tasks.join_next() => match done {
                Ok((flight, event)) => Woken::Done(flight, event),
                Err(error) => Woken::Broken(error.to_string()),
            },
            Some(event) = self.changes.1.recv() => Woken::Probe(event),
            () = clock.sleep(span) => Woken::Time,
        }
    }

    /// What has happened by now and needs no waiting.
    fn woken_already(&mut self) -> Woken {
        match self.tasks.try_join_next() {
            Some(Ok((flight, event))) => Woken::Done(flight, event),
            Some(Err(error)) => Woken::Broken(error.to_string()),
            None => self.changes.1.try_recv().map_or(Woken::Time, Woken::Probe),
        }
    }

    /// Turns requests into events. Says whether there were any.
    async fn drain_inbox(&mut self) -> Result<bool, EngineError> {
        self.poll_at = self
            .hands
            .clock
            .elapsed()
            .plus(Span::from_ms(INBOX_POLL_MS));
        let mut any = false;
        for decision in self.inbox.pending().await? {
            let nonce = decision.nonce.clone();
            if planted::is("settled-before-decided") {
                self.inbox.settle(&nonce).await?;
            }
            if !self.seen.contains(&nonce) {
                any = true;
                self.decide(decision)?;
                self.commit().await?;
            }
            // Only now: a request that is lost from the inbox must be in the journal.
            self.inbox.settle(&nonce).await?;
        }
        Ok(any)
    }

    fn decide(&mut self, decision: Decision) -> Result<(), EngineError> {
        let nonce = decision.nonce.clone();
        let event = match self.run.judge(&decision) {
            Ok(()) => Event::Decided(decision),
            Err(why) => Event::Declined {
                nonce: nonce.clone(),
                why,
            },
        };
        self.record(event)?;
        self.seen.insert(nonce);
        Ok(())
    }

    /// The terminal's wish, as a decision of the one who sits there.
    async fn pause(&mut self) -> Result<(), EngineError> {
        let decision = Decision {
            person: self.settings.person.clone(),
            reason: "interrupted at the terminal".to_owned(),
            plan: self.run.hash().clone(),
            nonce: self.own_nonce("pause")?,
            choice: Choice::Pause,
        };
        if self.run.judge(&decision).is_ok() {
            self.decide(decision)?;
            self.commit().await?;
        }
        Ok(())
    }

    /// A word that no other controller and no other moment of this one makes.
    fn own_nonce(&self, what: &str) -> Result<Nonce, EngineError> {
        let seed = (what, self.run.generation(), self.run.seq());
        Ok(Nonce::new(Digest::of_json(&seed)?.short()))
    }

    fn start_probes(&mut self) {
        let Hands { reach, clock, .. } = &self.hands;
        let watching = probe::start(self.run.plan(), reach, clock, &self.changes.0);
        self.probes = Some(watching);
    }

    /// What the probes counted is told when they end; of a controller that is killed it is not known.
    fn end_probes(&mut self) -> Result<(), EngineError> {
        let watching = self.probes.take();
        let now = self.hands.clock.elapsed();
        let probes = watching.map(|watching| watching.tally(now));
        match probes.filter(|probes| !probes.is_empty()) {
            Some(probes) => self.record(Event::Tallied { probes }),
            None => Ok(()),
        }
    }

    fn show(&mut self, next: &Next) {
        if self.shown.as_ref() != Some(&next.standing) {
            self.watch.standing(&next.standing);
            self.shown = Some(next.standing.clone());
        }
    }

    fn stopped(&self, next: Next) -> RunEnd {
        let waits = |doing: &Doing| matches!(doing, Doing::NeedsPerson { .. });
        let mut positions = next.standing.open;
        positions.retain(|open| waits(&open.doing));
        if self.run.is_paused() && !self.run.is_aborting() {
            return RunEnd::Paused;
        }
        match next.standing.run {
            RunStanding::Limited => RunEnd::Limited,
            RunStanding::Postponed { until } => RunEnd::Postponed { until },
            _ => RunEnd::NeedsPerson { positions },
        }
    }
}

/// The request that an event answers.
fn answered(event: &Event) -> Option<&Nonce> {
    match event {
        Event::Decided(decision) => Some(&decision.nonce),
        Event::Declined { nonce, .. } => Some(nonce),
        _ => None,
    }
}
