//! The world around the loop: one journal, one inbox, some targets, virtual time; and the point at
//! which the controller dies.

use super::target::{REBUILT, Target};
use crate::looping::carry_out;
use crate::ports::{
    Clock, Fault, Inbox, Journal, JournalError, Order, Progress, Reach, Registration, Unbegun,
    Vantage,
};
use crate::{Control, EngineError, Ports, RunEnd, Settings, Watcher};
use jiff::Timestamp;
use overhaul_machine::{Run, Standing, StepState};
use overhaul_model::event::{
    Choice, Decision, Event, Generation, Outcome, Record, Settlement, Sitting,
};
use overhaul_model::facts::{FactsWanted, HostFacts};
use overhaul_model::id::{AttemptKey, HostName, InstallId, Nonce, Position, StepId};
use overhaul_model::machine::Machine;
use overhaul_model::plan::Plan;
use overhaul_model::primitive::{Command, Measure, Measurement};
use overhaul_model::span::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// Controllers that one run may need: more means that it does not come to its end.
const CONTROLLERS_MAX: u32 = 30;

/// Virtual time that one controller may take.
const CONTROLLER_MAX: Span = Span::from_s(24 * 3_600);

pub struct World {
    pub plan: Plan,
    began: Instant,
    inner: Mutex<Inner>,
    died: Notify,
}

pub struct Inner {
    /// Durable rows.
    pub records: Vec<Record>,
    /// Rows that wait for their commit.
    pub written: Vec<Record>,
    pub requests: Vec<Decision>,
    pub settled: BTreeSet<Nonce>,
    pub targets: BTreeMap<HostName, Target>,
    /// Points passed: places where a controller can die.
    pub points: usize,
    /// The points at which it does, in order.
    pub die_at: Vec<usize>,
    pub dead: bool,
    pub approve: bool,
    /// Aborts the run as soon as this position was started.
    pub abort_after: Option<Position>,
    /// Rows from which the journal is full.
    pub full_after: usize,
    /// Registrations that fail, and whether trying again makes sense.
    pub refuse: BTreeMap<HostName, (u32, bool)>,
    /// Acts that fail before they begin.
    pub refuse_acts: u32,
    /// Acts whose connection is lost after they began, for all of the transport's budget.
    pub lose: BTreeSet<String>,
    /// Added to the time of day.
    pub clock_jump_ms: i64,
    pub standings: Vec<Standing>,
    pub probe_questions: usize,
    /// Whether a machine that is made anew stays the old one.
    pub lying_provider: bool,
    /// Machines that the hands were told of.
    pub moved: BTreeMap<HostName, Machine>,
    /// What the next controllers may begin.
    pub sitting: Option<Sitting>,
    /// What the next controllers clean up.
    pub cleanup: Vec<StepId>,
}

impl Inner {
    /// A new machine stands under the name, unless the provider only says so.
    fn rebuild(&mut self, host: &HostName) {
        if !self.lying_provider {
            let target = Target::new(&format!("install-{host}-anew"));
            self.targets.insert(host.clone(), target);
        }
    }
}

impl World {
    pub fn new(plan: Plan) -> Arc<Self> {
        let target = |host: &HostName| (host.clone(), Target::new(&format!("install-{host}")));
        let controller = HostName::controller();
        let names = plan.hosts.keys().chain([&controller]);
        let targets = names.map(target).collect();
        Arc::new(Self {
            plan,
            began: Instant::now(),
            inner: Mutex::new(Inner {
                records: Vec::new(),
                written: Vec::new(),
                requests: Vec::new(),
                settled: BTreeSet::new(),
                targets,
                points: 0,
                die_at: Vec::new(),
                dead: false,
                approve: true,
                abort_after: None,
                full_after: usize::MAX,
                refuse: BTreeMap::new(),
                refuse_acts: 0,
                lose: BTreeSet::new(),
                clock_jump_ms: 0,
                standings: Vec::new(),
                probe_questions: 0,
                moved: BTreeMap::new(),
                lying_provider: false,
                sitting: None,
                cleanup: Vec::new(),
            }),
            died: Notify::new(),
        })
    }

    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    /// A place where the controller can die; the dead do nothing more.
    async fn point(&self) {
        let alive = {
            let mut inner = self.inner();
            if !inner.dead {
                let here = inner.points;
                inner.points += 1;
                if inner.die_at.first() == Some(&here) {
                    inner.die_at.remove(0);
                    inner.dead = true;
                    self.died.notify_one();
                }
            }
            !inner.dead
        };
        if !alive {
            pending::<()>().await;
        }
    }

    /// One controller from start to end; `None` when it died.
    pub async fn controller(
        self: &Arc<Self>,
        control: mpsc::UnboundedReceiver<Control>,
    ) -> Option<Result<RunEnd, EngineError>> {
        let (nonce, sitting, cleanup) = {
            let mut inner = self.inner();
            inner.dead = false;
            let nonce = Nonce::new(format!("controller-{}", inner.records.len()));
            (nonce, inner.sitting.clone(), inner.cleanup.clone())
        };
        let ports = Ports {
            journal: Arc::clone(self),
            inbox: Arc::clone(self),
            reach: Arc::new(Hand(Arc::clone(self))),
            clock: Arc::new(Hand(Arc::clone(self))),
        };
        let settings = Settings {
            run: "run-1".into(),
            person: "anna".into(),
            nonce,
            warned: Vec::new(),
            wait_for_people: false,
            sitting,
            cleanup,
            control,
        };
        let run = carry_out(
            Run::new(self.plan.clone()).unwrap(),
            None,
            ports,
            settings,
            Hand(Arc::clone(self)),
        );
        let end = tokio::select! {
            end = run => Some(end),
            () = self.died.notified() => None,
            () = tokio::time::sleep(CONTROLLER_MAX.as_duration()) => panic!("the loop does not come to an end"),
        };
        // Tasks of the dead are dropped by the scheduler, at its next turns.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        end
    }

    /// One controller without wishes from the terminal.
    pub async fn once(self: &Arc<Self>) -> RunEnd {
        let (_keep, control) = mpsc::unbounded_channel();
        self.controller(control).await.expect("it lives").unwrap()
    }

    /// Controllers one after the other until the run is over; a person answers with the measured truth.
    pub async fn to_the_end(self: &Arc<Self>) -> (RunEnd, u32) {
        let mut asked = 0;
        for _ in 0..CONTROLLERS_MAX {
            let (_keep, control) = mpsc::unbounded_channel();
            match self.controller(control).await {
                None => {}
                Some(Ok(RunEnd::NeedsPerson { positions })) => {
                    assert!(
                        !positions.is_empty(),
                        "it waits for people, but says not where"
                    );
                    for open in positions {
                        asked += 1;
                        self.decide_by_truth(&open.position);
                    }
                }
                Some(Ok(end)) => return (end, asked),
                Some(Err(error)) => panic!("{error}"),
            }
        }
        panic!("the run does not come to its end");
    }

    /// Looks at the target, as a person would, and decides.
    fn decide_by_truth(&self, position: &Position) {
        let effect = position
            .step
            .as_str()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned();
        let done = {
            let inner = self.inner();
            let target = position.host.as_ref().and_then(|h| inner.targets.get(h));
            target.is_some_and(|t| t.has(&effect, self.now_ms()))
        };
        let position = position.clone();
        let choice = if done {
            Choice::Done { position }
        } else {
            Choice::Retry { position }
        };
        self.request(choice, "I looked at the host");
    }

    pub fn request(&self, choice: Choice, reason: &str) -> Nonce {
        let mut inner = self.inner();
        let nonce = Nonce::new(format!("request-{}", inner.requests.len()));
        let plan = self.plan.hash().unwrap();
        inner.requests.push(Decision {
            person: "berta".into(),
            reason: reason.to_owned(),
            plan,
            nonce: nonce.clone(),
            choice,
        });
        nonce
    }

    pub fn replayed(&self) -> Run {
        Run::replay(self.plan.clone(), &self.inner().records).unwrap()
    }

    pub fn state(&self, position: &str) -> StepState {
        self.replayed().state(&position.parse().unwrap()).clone()
    }

    pub fn events(&self) -> Vec<Event> {
        self.inner()
            .records
            .iter()
            .map(|r| r.event.clone())
            .collect()
    }

    pub fn decisions_on(&self, word: &str, position: &Position) -> usize {
        let fits = |e: &&Event| matches!(e, Event::Decided(d) if d.choice.word() == word && d.choice.position() == Some(position));
        self.events().iter().filter(fits).count()
    }
}

impl Journal for Arc<World> {
    fn write(&mut self, at: Timestamp, event: Event) -> Result<Record, JournalError> {
        let mut inner = self.inner();
        let last = inner.written.last().or(inner.records.last());
        let record = Record {
            seq: last.map_or(1, |record| record.seq + 1),
            at,
            before: last.map_or(Record::genesis(), |record| record.digest().unwrap()),
            event,
        };
        inner.written.push(record.clone());
        Ok(record)
    }

    async fn commit(&mut self) -> Result<(), JournalError> {
        if self.inner().written.is_empty() {
            return Ok(());
        }
        self.point().await;
        {
            let mut inner = self.inner();
            if inner.records.len() >= inner.full_after {
                return Err(JournalError::Storage {
                    doing: "written",
                    why: "the disk is full".to_owned(),
                });
            }
            let written = std::mem::take(&mut inner.written);
            inner.records.extend(written);
        }
        self.point().await;
        Ok(())
    }

    async fn replay(&mut self) -> Result<Vec<Record>, JournalError> {
        let mut inner = self.inner();
        inner.written.clear();
        Ok(inner.records.clone())
    }
}

impl Inbox for Arc<World> {
    async fn pending(&mut self) -> Result<Vec<Decision>, JournalError> {
        let mut inner = self.inner();
        let aborts = inner.abort_after.clone().is_some_and(|after| {
            let started = |e: &Record| matches!(&e.event, Event::Started { position, .. } if *position == after);
            inner.records.iter().any(started)
        });
        let mut wanted = Vec::new();
        if aborts {
            inner.abort_after = None;
            wanted.push(Choice::Abort);
        }
        if inner.approve {
            let mut asked = None;
            for record in &inner.records {
                match &record.event {
                    Event::Asked {
                        position, nonce, ..
                    } => asked = Some((position.clone(), nonce.clone())),
                    Event::Decided(_) => asked = None,
                    _ => {}
                }
            }
            let question = asked.filter(|(_, n)| !inner.requests.iter().any(|r| r.nonce == *n));
            if let Some((position, nonce)) = question {
                wanted.push(Choice::Approve {
                    position,
                    question: Some(nonce),
                });
            }
        }
        for choice in wanted {
            let nonce = match &choice {
                Choice::Approve {
                    question: Some(q), ..
                } => q.clone(),
                _ => "abort".into(),
            };
            let plan = self.plan.hash().unwrap();
            inner.requests.push(Decision {
                person: "berta".into(),
                reason: "by the script".to_owned(),
                plan,
                nonce,
                choice,
            });
        }
        let open = |d: &&Decision| !inner.settled.contains(&d.nonce);
        Ok(inner.requests.iter().filter(open).cloned().collect())
    }

    async fn settle(&mut self, nonce: &Nonce) -> Result<(), JournalError> {
        self.point().await;
        self.inner().settled.insert(nonce.clone());
        self.point().await;
        Ok(())
    }
}

/// The world as clock, hands and watcher of a controller.
pub struct Hand(Arc<World>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        let jump = self.0.inner().clock_jump_ms;
        let start = 1_800_000_000_000_i64;
        let now = start + i64::try_from(self.0.now_ms()).unwrap() + jump;
        Timestamp::from_millisecond(now).unwrap()
    }

    fn elapsed(&self) -> Span {
        Span::from_ms(self.0.now_ms())
    }

    async fn sleep(&self, span: Span) {
        tokio::time::sleep(span.as_duration()).await;
    }
}

impl Watcher for Hand {
    fn recorded(&self, _record: &Record) {}

    fn progress(&self, _position: &Position, _bytes: &[u8]) {}

    fn standing(&self, standing: &Standing) {
        self.0.inner().standings.push(standing.clone());
    }
}

/// Cuts streamed work off when the one who listens is gone.
struct Listening {
    world: Arc<World>,
    host: HostName,
    key: AttemptKey,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let now = self.world.now_ms();
        if let Some(target) = self.world.inner().targets.get_mut(&self.host) {
            target.cut(&self.key, now);
        }
    }
}

impl Hand {
    fn target<T>(&self, host: &HostName, ask: impl FnOnce(&mut Target) -> T) -> T {
        ask(self.0.inner().targets.get_mut(host).unwrap())
    }
}

impl Reach for Hand {
    fn moved(&self, host: &HostName, machine: &Machine) {
        self.0.inner().moved.insert(host.clone(), machine.clone());
    }

    async fn register(
        &self,
        host: &HostName,
        generation: &Generation,
    ) -> Result<Registration, Fault> {
        self.0.point().await;
        if let Some((left, transient)) = self.0.inner().refuse.get_mut(host)
            && *left > 0
        {
            *left -= 1;
            return Err(Fault {
                why: "connection refused".to_owned(),
                transient: *transient,
            });
        }
        let answer = self.target(host, |target| {
            target.register(generation).map(|()| Registration {
                install_id: target.install_id.clone(),
                sequence: target.sequence,
                boot: target.boot(),
            })
        });
        self.0.point().await;
        answer.map_err(|why| Fault {
            why,
            transient: false,
        })
    }

    async fn release(&self, host: &HostName, generation: &Generation) -> Result<(), Fault> {
        self.0.point().await;
        let held = self.target(host, |target| {
            let held = target.holder.as_ref() == Some(generation);
            if held {
                target.holder = None;
            }
            held
        });
        self.0.point().await;
        if held {
            Ok(())
        } else {
            Err(Fault {
                why: "this controller has not registered".to_owned(),
                transient: false,
            })
        }
    }

    async fn facts(&self, _host: &HostName, _wanted: &FactsWanted) -> HostFacts {
        HostFacts::unknown(self.now(), "tests gather none")
    }

    async fn measure(&self, from: &Vantage, measure: &Measure, _within: Span) -> Measurement {
        let (Vantage::Host(host), Measure::Command(exec)) = (from, measure) else {
            return Measurement::Unknown {
                reason: "tests measure commands on hosts".to_owned(),
            };
        };
        let Command::Argv(argv) = &exec.command else {
            panic!("tests use argument lists");
        };
        // Probes never change what comes next; their moments would be counted without end.
        let is_probe = argv.first().is_some_and(|w| w == "up");
        if is_probe {
            self.0.inner().probe_questions += 1;
        } else {
            self.0.point().await;
        }
        let is_slow = argv.first().is_some_and(|w| w == "slow");
        let takes_ms = if is_slow { 5_000 } else { 1 };
        tokio::time::sleep(std::time::Duration::from_millis(takes_ms)).await;
        let now = self.0.now_ms();
        let answer = self.target(host, |target| target.measure(argv, now));
        if !is_probe {
            self.0.point().await;
        }
        answer
    }

    async fn act(&self, order: Order, _progress: Progress) -> Outcome {
        self.0.point().await;
        if self.0.inner().refuse_acts > 0 {
            self.0.inner().refuse_acts -= 1;
            return Outcome::Failed {
                why: "connection refused".to_owned(),
                tail: String::new(),
                end: None,
            };
        }
        if let Some(other) = order.work.other_host() {
            let holder = self.target(other, |target| target.holder.clone());
            assert_eq!(
                holder.as_ref(),
                Some(&order.generation),
                "{other} takes part in {} and has not accepted the controller",
                order.position
            );
        }
        let now = self.0.now_ms();
        let known = self.target(&order.executor(), |t| t.receipts.contains_key(&order.key));
        let receipt = match self.target(&order.executor(), |target| target.begin(&order, now)) {
            Ok(receipt) => receipt,
            Err(outcome) => return outcome,
        };
        if receipt.work.effect == REBUILT && !known {
            self.0.inner().rebuild(&order.host);
        }
        let _listening = Listening {
            world: Arc::clone(&self.0),
            host: order.executor(),
            key: order.key.clone(),
        };
        self.0.point().await;
        if self.0.inner().lose.remove(&receipt.work.effect) {
            return Outcome::Unknown {
                reason: "the connection is lost".to_owned(),
            };
        }
        let left = (receipt.begun_ms + receipt.work.takes_ms).saturating_sub(now);
        tokio::time::sleep(std::time::Duration::from_millis(left)).await;
        let outcome = self.target(&order.executor(), |target| target.outcome(&order.key));
        self.0.point().await;
        outcome
    }

    async fn settle(
        &self,
        order: Order,
        install_id: &InstallId,
        known: u64,
        unbegun: Unbegun,
    ) -> Settlement {
        self.0.point().await;
        let now = self.0.now_ms();
        let answer = self.target(&order.executor(), |target| {
            target.settle(&order, (install_id, known), unbegun, now)
        });
        self.0.point().await;
        answer
    }
}
