//! A run: the plan, and what is true of each of its positions. Changed by events only.

use crate::fence::Fence;
use crate::near::executor;
use crate::postpone::Postponed;
use crate::slots::Slots;
use crate::state::{HostLink, HostState, Phase, Slot, StepState, Then};
use crate::stirred;
use crate::transition::{by_the_loop, ready, transition, unknown};
use crate::tree::{Key, Kind, NotRunnable, Tree};
use crate::used::Texts;
use crate::walk::{Active, Move};
use overhaul_model::event::{
    Choice, Decision, Event, Generation, Outcome, Record, Settlement, Verdict,
};
use overhaul_model::facts::BootProof;
use overhaul_model::id::{
    AttemptKey, DatasetName, Digest, HostName, InstallId, Position, RunId, ServiceName, StepId,
};
use overhaul_model::machine::Machine;
use overhaul_model::plan::Plan;
use overhaul_model::planted;
use overhaul_model::primitive::Measure;
use overhaul_model::step::Step;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// An event that does not fit what is true: the journal was not written by this program, or a
/// program has an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event {event} does not fit {}: {state}", position.as_ref().map_or_else(|| "the run".to_owned(), ToString::to_string))]
pub struct Illegal {
    /// The position that it is about, if it is about one.
    pub position: Option<Position>,
    /// What is true of it.
    pub state: String,
    /// The event.
    pub event: String,
}

/// How far the run as a whole is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// No event yet.
    New,
    /// A run, with or without a controller.
    Open,
    /// A person ends it; what is in flight comes to its end.
    Draining,
    /// A person ends it; scopes are closed.
    Closing,
    /// It is over.
    Finished(Verdict),
}

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub(crate) plan: Arc<Plan>,
    pub(crate) hash: Digest,
    /// Of an amended run: the plan that its journal was opened with.
    pub(crate) opened_with: Option<Arc<Plan>>,
    /// A plan that may come to be in force, laid out before it does.
    pub(crate) laid_out: Option<Arc<Run>>,
    pub(crate) tree: Arc<Tree>,
    pub(crate) stand: Stand,
    pub(crate) paused: bool,
    /// Whether the whole tree is over.
    pub(crate) over: bool,
    pub(crate) id: Option<RunId>,
    pub(crate) generation: Option<Generation>,
    /// Whether hosts may have done more than the journal tells.
    pub(crate) salvaged: bool,
    /// The last event's number.
    pub(crate) seq: u64,
    /// Positions whose turn came, or that were left out before it.
    pub(crate) slots: Slots,
    /// Those of them that are not over.
    pub(crate) open: BTreeSet<Key>,
    /// Blocks that were begun and are not over.
    pub(crate) active: BTreeMap<Key, Active>,
    /// The rolls among them.
    pub(crate) rolling: BTreeSet<usize>,
    /// The rolls among those in which something may begin or come to its end now: after an event only they are looked at.
    pub(crate) stirred: BTreeSet<usize>,
    pub(crate) hosts: BTreeMap<HostName, HostState>,
    /// Hosts that were let away from a service, until their turns are over.
    pub(crate) away: BTreeMap<ServiceName, BTreeSet<HostName>>,
    /// Machines that steps of this run told of.
    pub(crate) machines: BTreeMap<HostName, Machine>,
    /// Hosts whose machine steps of this run have switched off or ended.
    pub(crate) off: BTreeSet<HostName>,
    /// Machines that were launched beside those of hosts and have not taken over yet.
    pub(crate) beside: BTreeMap<HostName, Machine>,
    /// Machines whose place was taken.
    pub(crate) old: BTreeMap<HostName, Machine>,
    pub(crate) authorities: BTreeMap<DatasetName, HostName>,
    /// While a plan is amended: states of begun steps whose turn has not come yet.
    pub(crate) carried: BTreeMap<Key, Slot>,
    /// What the present controller may begin, if not everything.
    pub(crate) fence: Option<Fence>,
    pub(crate) postponed: BTreeMap<HostName, Postponed>,
    /// Turns that their roll went past because their host was postponed.
    pub(crate) left: BTreeSet<Key>,
    /// Rolls that are over, but for the turns that were left.
    pub(crate) past: BTreeSet<usize>,
    /// The turns of it that are under way, once everything else is over and the turns that were left are taken up.
    pub(crate) late: Option<BTreeSet<Key>>,
    /// Blocks of the stage `cleanup` that a person named and that were not begun; `None` before the first time.
    pub(crate) cleaning: Option<VecDeque<usize>>,
    /// Of turns that may not begin at any hour.
    pub(crate) turns: crate::shut::Turns,
    /// Outputs by host, then by node.
    pub(crate) outputs: BTreeMap<Option<HostName>, BTreeMap<usize, BTreeMap<String, Value>>>,
    /// What its steps say.
    pub(crate) texts: Arc<Texts>,
}

static WAITING: StepState = StepState::Waiting;

impl Run {
    /// A run of this plan, before its first event. What follows from the plan alone is shared by its copies.
    ///
    /// # Errors
    /// When the plan's tree cannot be run.
    pub fn new(plan: impl Into<Arc<Plan>>) -> Result<Self, NotRunnable> {
        let plan = plan.into();
        let hash = plan
            .hash()
            .map_err(|e| NotRunnable::Unwritable(e.to_string()))?;
        Self::hashed(plan, hash)
    }

    /// The same where the plan's hash is known already. With another one than the plan's no journal of it fits.
    ///
    /// # Errors
    /// As for [`Run::new`].
    pub fn hashed(plan: impl Into<Arc<Plan>>, hash: Digest) -> Result<Self, NotRunnable> {
        let plan = plan.into();
        let mut run = Self {
            tree: Arc::new(Tree::new(&plan)?),
            plan,
            hash,
            opened_with: None,
            laid_out: None,
            stand: Stand::New,
            paused: false,
            over: false,
            id: None,
            generation: None,
            salvaged: false,
            seq: 0,
            slots: Slots::default(),
            open: BTreeSet::new(),
            active: BTreeMap::new(),
            rolling: BTreeSet::new(),
            stirred: BTreeSet::new(),
            hosts: BTreeMap::new(),
            away: BTreeMap::new(),
            machines: BTreeMap::new(),
            off: BTreeSet::new(),
            beside: BTreeMap::new(),
            old: BTreeMap::new(),
            authorities: BTreeMap::new(),
            carried: BTreeMap::new(),
            fence: None,
            postponed: BTreeMap::new(),
            left: BTreeSet::new(),
            past: BTreeSet::new(),
            late: None,
            cleaning: None,
            turns: crate::shut::Turns::default(),
            outputs: BTreeMap::new(),
            texts: Arc::default(),
        };
        run.texts = Arc::new(Texts::of(&run.tree));
        run.measure_turns();
        Ok(run)
    }

    /// Takes an event into account.
    ///
    /// # Errors
    /// When it does not fit; then nothing is changed.
    pub fn apply(&mut self, record: &Record) -> Result<(), Illegal> {
        if record.seq != self.seq.saturating_add(1) {
            let state = format!("its last event has the number {}", self.seq);
            return Err(self.illegal(record, None, state));
        }
        let moves = self.take(record)?;
        self.seq = record.seq;
        if !stirred::concerns_a_place(&record.event) {
            self.stir_all();
        }
        self.walk(moves);
        Ok(())
    }

    fn take(&mut self, record: &Record) -> Result<Vec<Move>, Illegal> {
        let event = &record.event;
        let stand =
            |run: &Self| Err(run.illegal(record, None, format!("it is {}", run.stand_word())));
        match (self.stand, event) {
            (Stand::New, Event::RunOpened { run, plan, .. }) if *plan == self.hash => {
                self.stand = Stand::Open;
                self.id = Some(run.clone());
                Ok(vec![Move::Begin(Tree::root())])
            }
            (Stand::Finished(Verdict::Complete), Event::CleanupBegan { names, .. }) => self
                .begin_cleanup(names)
                .map_err(|why| self.illegal(record, None, why)),
            (Stand::Finished(_), Event::CopyRemoved { .. }) => Ok(Vec::new()),
            (Stand::New, _)
            | (Stand::Finished(_), _)
            | (
                _,
                Event::RunOpened { .. } | Event::CleanupBegan { .. } | Event::CopyRemoved { .. },
            ) => stand(self),
            (_, Event::ControllerTook { generation, .. }) => {
                let newer = |g: &Generation| g.counter < generation.counter;
                if Some(&generation.run) != self.id.as_ref()
                    || !self.generation.as_ref().is_none_or(newer)
                {
                    return stand(self);
                }
                self.generation = Some(generation.clone());
                self.taken_over(record);
                Ok(Vec::new())
            }
            (_, Event::Amended { .. } | Event::Salvaged { .. }) => self.between_controllers(record),
            (_, Event::Probed { .. } | Event::Tallied { .. } | Event::Declined { .. }) => {
                Ok(Vec::new())
            }
            // Everything else is done by a controller.
            _ if self.generation.is_none() => stand(self),
            (_, Event::Finished { verdict }) => {
                if self.ready_to_finish() != Some(*verdict) {
                    return stand(self);
                }
                self.stand = Stand::Finished(*verdict);
                Ok(Vec::new())
            }
            (
                _,
                Event::GuardMeasured { position, .. }
                | Event::Asked { position, .. }
                | Event::Checked { position, .. }
                | Event::Started { position, .. }
                | Event::Settled { position, .. }
                | Event::Ended { position, .. }
                | Event::Verified { position, .. },
            ) => self.step_event(record, position),
            (
                _,
                Event::HostRegistered { .. }
                | Event::HostRefused { .. }
                | Event::HostReleased { .. }
                | Event::Limited { .. }
                | Event::TakenUp { .. }
                | Event::Decided(_)
                | Event::RepairMeasured { .. },
            ) => self.by_the_controller(record),
        }
    }

    /// What the controller that holds the run says of hosts, of repairs, of itself, and for people.
    fn by_the_controller(&mut self, record: &Record) -> Result<Vec<Move>, Illegal> {
        match &record.event {
            Event::HostRegistered {
                host,
                install_id,
                sequence,
                boot,
            } => self.registered(record, host, (install_id, *sequence), boot),
            Event::HostRefused {
                host,
                why,
                transient,
            } => self.refused(record, host, why, *transient),
            Event::HostReleased { host } => self.released(record, host),
            Event::Limited { sitting } => match self.limit(sitting) {
                Ok(()) => Ok(Vec::new()),
                Err(why) => Err(self.illegal(record, None, why.to_string())),
            },
            Event::TakenUp { host } if self.postponed.contains_key(host) => {
                self.take_up(host);
                Ok(Vec::new())
            }
            Event::Decided(decision) => self.decided(record, decision),
            Event::RepairMeasured { position, result } => {
                self.repair_measured(record, position, result.is_so())
            }
            // Any other event is taken elsewhere, or does not fit.
            _ => Err(self.illegal(record, None, format!("it is {}", self.stand_word()))),
        }
    }

    fn step_event(&mut self, record: &Record, position: &Position) -> Result<Vec<Move>, Illegal> {
        let key = self.tree.locate(position);
        let before = key
            .as_ref()
            .and_then(|k| Some((k, self.tree.step(k.node)?, self.slots.get(k)?)));
        let Some((key, step, before)) = before else {
            return Err(self.illegal(record, Some(position), "its turn has not come".to_owned()));
        };
        let (key, step) = (key.clone(), Arc::clone(step));
        let counted = self.counted(&step, position, &record.event);
        let event = counted.as_ref().map_or(&record.event, |(event, _)| event);
        let Some(mut after) = transition(&step, before, record.at, event) else {
            return Err(self.illegal(record, Some(position), format!("{:?}", before.state)));
        };
        if let (Some((_, Some(service))), Some(host)) = (counted, &position.host)
            && !planted::is("token-forgotten")
        {
            self.away.entry(service).or_default().insert(host.clone());
        }
        after.fresh &= !self.evidence(&key, &step, before.fresh, &record.event);
        let moves = self.put(key.clone(), after, record.seq);
        self.note_prework(&key, record);
        Ok(moves)
    }

    /// Stores a slot; returns the move that follows when the position is over now.
    pub(crate) fn put(&mut self, key: Key, slot: Slot, seq: u64) -> Vec<Move> {
        let over = slot.state.is_over();
        let version = seq;
        self.slots.insert(key.clone(), Slot { version, ..slot });
        if over && self.open.remove(&key) {
            vec![Move::Over(key)]
        } else {
            Vec::new()
        }
    }

    /// Keeps outputs, and what an outcome says about the target: that its store has one receipt more,
    /// or that nobody knows whether it is still there. Says whether a receipt was counted.
    fn evidence(&mut self, key: &Key, step: &Step, fresh: bool, event: &Event) -> bool {
        let outcome = match event {
            Event::Ended { outcome, .. } => Some(outcome),
            Event::Settled {
                settlement: Settlement::Ended(outcome),
                ..
            } => Some(outcome),
            Event::Settled { .. } => None,
            _ => return false,
        };
        let host = self.tree.host(key).cloned();
        if let Some(Outcome::Succeeded { outputs, .. }) = outcome {
            self.machine_worked(step, host.as_ref(), Machine::from_outputs(outputs));
            if !outputs.is_empty() && !planted::is("outputs-forgotten") {
                let of_host = self.outputs.entry(host.clone()).or_default();
                of_host.insert(key.node, outputs.clone());
            }
        }
        let Some(host) = executor(step, host)
            .and_then(|h| self.hosts.get_mut(&h))
            .filter(|_| !by_the_loop(step))
        else {
            return false;
        };
        let began = match (event, outcome) {
            (_, Some(Outcome::Succeeded { .. } | Outcome::Failed { end: Some(_), .. })) => true,
            (Event::Settled { settlement, .. }, _) => *settlement == Settlement::Running,
            _ => false,
        };
        // After rows were lost, a receipt may be one that the host has counted already.
        if began && fresh && !self.salvaged {
            host.sequence = host.sequence.saturating_add(1);
        }
        // It may be gone, or have forgotten us: it is asked to accept us before anything else.
        let lost = matches!(
            event,
            Event::Ended {
                outcome: Outcome::Unknown { .. } | Outcome::Failed { end: None, .. },
                ..
            }
        );
        if lost && host.link == HostLink::Registered {
            host.link = HostLink::Absent;
        }
        began
    }

    fn registered(
        &mut self,
        record: &Record,
        name: &HostName,
        (install_id, sequence): (&InstallId, u64),
        boot: &BootProof,
    ) -> Result<Vec<Move>, Illegal> {
        if !self.knows(name) {
            return Err(self.illegal(record, None, format!("it has no host {name}")));
        }
        let host = self
            .hosts
            .entry(name.clone())
            .or_insert_with(HostState::new);
        if matches!(
            host.link,
            HostLink::Registered | HostLink::Released | HostLink::Doubted { .. }
        ) {
            let state = format!("{name} is {:?}", host.link);
            return Err(self.illegal(record, None, state));
        }
        let old = host.still_the_old(name, install_id, boot);
        let why = match &host.install_id {
            _ if old.is_some() => old.clone(),
            Some(_) if planted::is("install-id-ignored") => None,
            Some(known) if known != install_id => Some(format!(
                "{name} has the install id {install_id}, the journal knows {known}: it was installed anew, or its receipts were lost"
            )),
            Some(_) if sequence < host.sequence => Some(format!(
                "the receipts of {name} end at {sequence}, the journal knows of {}: its disk went back in time",
                host.sequence
            )),
            _ => None,
        };
        host.holds = true;
        let Some(why) = why else {
            host.link = HostLink::Registered;
            host.install_id = Some(install_id.clone());
            host.sequence = sequence;
            host.boot = Some(boot.clone());
            host.seen = None;
            return Ok(Vec::new());
        };
        host.link = HostLink::Doubted { why: why.clone() };
        host.seen = Some((install_id.clone(), sequence));
        if old.is_some() {
            self.not_new(name, record, &why);
        }
        self.give_up_settling(name, record, &why);
        Ok(Vec::new())
    }

    /// The receipts that could have told what became of begun attempts are not to be had, and what was
    /// about to be verified was done to a host that may be another one.
    fn give_up_settling(&mut self, host: &HostName, record: &Record, why: &str) {
        for key in self.open_on(host) {
            let (Some(step), Some(slot)) = (self.tree.step(key.node), self.slots.get_mut(&key))
            else {
                continue;
            };
            let doubtful = matches!(
                slot.state,
                StepState::Running {
                    phase: Phase::Settling | Phase::Verifying { .. },
                    ..
                } | StepState::Unknown {
                    then: Then::Settle,
                    ..
                }
            );
            if doubtful {
                *slot = Slot {
                    version: record.seq,
                    ..unknown(step, slot.clone(), record.at, why.to_owned())
                };
            }
        }
    }

    fn refused(
        &mut self,
        record: &Record,
        name: &HostName,
        why: &str,
        transient: bool,
    ) -> Result<Vec<Move>, Illegal> {
        if !self.knows(name) {
            return Err(self.illegal(record, None, format!("it has no host {name}")));
        }
        let ending = self.ending().is_some();
        let host = self
            .hosts
            .entry(name.clone())
            .or_insert_with(HostState::new);
        let count = match &host.link {
            HostLink::Refused { count, .. } => count.saturating_add(1),
            HostLink::Absent => 1,
            HostLink::Registered | HostLink::Doubted { .. } if ending => 1,
            other => {
                let state = format!("{name} is {other:?}");
                return Err(self.illegal(record, None, state));
            }
        };
        // A refusal for good came from the host itself, or from before it was reached.
        host.holds |= transient;
        let why = why.to_owned();
        let at = record.at;
        host.link = if ending && (!transient || count >= crate::RELEASE_ATTEMPTS_MAX) {
            HostLink::LeftBehind { why }
        } else {
            HostLink::Refused {
                why,
                transient,
                count,
                at,
            }
        };
        if let Some(why) = host.blocked().map(ToOwned::to_owned) {
            self.out_of_reach(name, record, &why);
        }
        Ok(Vec::new())
    }

    /// What was begun on a host that only a person can bring back is unknown until then.
    fn out_of_reach(&mut self, host: &HostName, record: &Record, why: &str) {
        for key in self.open_on(host) {
            let Some(slot) = self.slots.get_mut(&key) else {
                continue;
            };
            let then = match slot.state {
                StepState::Running {
                    phase: Phase::Settling,
                    ..
                } => Then::Settle,
                StepState::Running {
                    phase: Phase::Verifying { .. },
                    ..
                } => Then::Person,
                _ => continue,
            };
            slot.state = StepState::Unknown {
                why: why.to_owned(),
                attempt: slot.attempts,
                at: record.at,
                then,
            };
            slot.version = record.seq;
        }
    }

    fn released(&mut self, record: &Record, name: &HostName) -> Result<Vec<Move>, Illegal> {
        let ending = self.ending().is_some();
        match self.hosts.get_mut(name) {
            Some(host)
                if ending
                    && matches!(host.link, HostLink::Registered | HostLink::Doubted { .. }) =>
            {
                host.link = HostLink::Released;
                Ok(Vec::new())
            }
            _ => Err(self.illegal(record, None, format!("{name} is not to be released"))),
        }
    }

    fn decided(&mut self, record: &Record, decision: &Decision) -> Result<Vec<Move>, Illegal> {
        if let Err(why) = self.judge(decision) {
            return Err(self.illegal(record, decision.choice.position(), why));
        }
        let position = match &decision.choice {
            Choice::Approve { position, .. }
            | Choice::Retry { position }
            | Choice::Done { position }
            | Choice::Skip { position }
            | Choice::Void { position } => position,
            choice => {
                self.decided_for_all(record, decision, choice);
                return Ok(Vec::new());
            }
        };
        let Some(key) = self.tree.locate(position) else {
            return Err(self.illegal(
                record,
                Some(position),
                "the plan does not have it".to_owned(),
            ));
        };
        if matches!(decision.choice, Choice::Retry { .. }) && self.unblock(&key) {
            let again = self.slots.get(&key).and_then(|s| s.state.then()) == Some(&Then::Person);
            if !again {
                return Ok(Vec::new());
            }
        }
        if matches!(decision.choice, Choice::Approve { .. }) && self.may_be_let_go(&key) {
            self.let_go(&key);
            return Ok(Vec::new());
        }
        let Some(step) = self.tree.step(key.node) else {
            return Err(self.illegal(record, Some(position), "it is no step".to_owned()));
        };
        let before = self.slots.get(&key).cloned();
        let before = before.unwrap_or_else(|| Slot::new(StepState::Waiting));
        match transition(step, &before, record.at, &record.event) {
            Some(after) => Ok(self.put(key, after, record.seq)),
            None => Err(self.illegal(record, Some(position), format!("{:?}", before.state))),
        }
    }

    /// A decision about the whole run, or about a host.
    fn decided_for_all(&mut self, record: &Record, decision: &Decision, choice: &Choice) {
        match choice {
            Choice::Pause => self.paused = true,
            Choice::Unpause => {
                self.paused = false;
                self.begin_anew(record);
            }
            Choice::Abort => {
                self.stand = Stand::Draining;
                self.reset_refusals();
            }
            Choice::Postpone { host, until } => self.postpone(host, *until, decision),
            Choice::TakeUp { host } => self.take_up(host),
            Choice::LeaveOut { host } => self.leave_out(host, decision, record.seq),
            // Decisions about a position are carried out by the caller.
            Choice::Approve { .. }
            | Choice::Retry { .. }
            | Choice::Done { .. }
            | Choice::Skip { .. }
            | Choice::Void { .. } => {}
        }
    }

    /// After a pause, what was measured before it is too old.
    fn begin_anew(&mut self, record: &Record) {
        for key in &self.open {
            if let (Some(step), Some(slot)) = (self.tree.step(key.node), self.slots.get_mut(key))
                && matches!(slot.state, StepState::Ready { .. } | StepState::Held { .. })
            {
                *slot = Slot {
                    version: record.seq,
                    ..ready(slot, step)
                };
            }
        }
    }

    fn reset_refusals(&mut self) {
        for host in self.hosts.values_mut() {
            if let HostLink::Refused {
                transient: true, ..
            } = host.link
            {
                host.link = HostLink::Absent;
            }
        }
    }

    /// A person says that the position's host can be used again.
    fn unblock(&mut self, key: &Key) -> bool {
        let mut any = false;
        for name in self.may_need(key) {
            any |= self.hosts.get_mut(&name).is_some_and(HostState::accept);
        }
        any
    }

    /// Open positions that need this host to go on.
    pub(crate) fn open_on(&self, host: &HostName) -> Vec<Key> {
        let on = |key: &&Key| self.needs(key).as_ref() == Some(host);
        self.open.iter().filter(on).cloned().collect()
    }

    pub(crate) fn stand_word(&self) -> &'static str {
        match self.stand {
            Stand::New => "not opened",
            Stand::Open if self.generation.is_none() => "without a controller",
            Stand::Open if self.paused => "paused",
            Stand::Open => "open",
            Stand::Draining | Stand::Closing => "being aborted",
            Stand::Finished(Verdict::Complete) => "complete",
            Stand::Finished(Verdict::Aborted) => "aborted",
        }
    }

    pub(crate) fn illegal(
        &self,
        record: &Record,
        position: Option<&Position>,
        state: String,
    ) -> Illegal {
        Illegal {
            position: position.cloned(),
            state,
            event: format!("{} {:?}", record.seq, record.event),
        }
    }
}

/// What others may ask of a run.
impl Run {
    /// The plan that is in force.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The plan's hash.
    pub fn hash(&self) -> &Digest {
        &self.hash
    }

    /// The run's id, once it was opened.
    pub fn id(&self) -> Option<&RunId> {
        self.id.as_ref()
    }

    /// The controller that holds it.
    pub fn generation(&self) -> Option<&Generation> {
        self.generation.as_ref()
    }

    /// Whether nothing new begins.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether a person is ending it.
    pub fn is_aborting(&self) -> bool {
        matches!(self.stand, Stand::Draining | Stand::Closing)
    }

    /// How it ended.
    pub fn verdict(&self) -> Option<Verdict> {
        match self.stand {
            Stand::Finished(verdict) => Some(verdict),
            Stand::New | Stand::Open | Stand::Draining | Stand::Closing => None,
        }
    }

    /// The number of the last event.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The state of a position; one that the plan does not have waits for ever.
    pub fn state(&self, position: &Position) -> &StepState {
        let slot = self.tree.locate(position).and_then(|k| self.slots.get(&k));
        slot.map_or(&WAITING, |slot| &slot.state)
    }

    /// The step at a position.
    pub fn step(&self, position: &Position) -> Option<&Arc<Step>> {
        self.tree.step(self.tree.locate(position)?.node)
    }

    /// The finding that a repair waits for.
    pub fn repair(&self, position: &Position) -> Option<Arc<Measure>> {
        match &self.tree.node(self.tree.locate(position)?.node).kind {
            Kind::Repair { when, .. } => Some(Arc::clone(when)),
            _ => None,
        }
    }

    /// The key of the last attempt at a position, as the journal has it.
    pub fn attempt_key(&self, position: &Position) -> Option<&AttemptKey> {
        self.slots.get(&self.tree.locate(position)?)?.key.as_ref()
    }

    /// The word by which a provider knows the call at a position, when it is made again.
    pub fn token(&self, position: &Position) -> Option<&AttemptKey> {
        self.slots.get(&self.tree.locate(position)?)?.token.as_ref()
    }

    /// How a host stands to this controller; `None` when nothing was asked of it yet.
    pub fn link(&self, host: &HostName) -> Option<&HostLink> {
        self.hosts.get(host).map(|host| &host.link)
    }

    /// The receipt store of a host as the journal knows it: identity and least sequence number.
    pub fn receipts_of(&self, host: &HostName) -> Option<(&InstallId, u64)> {
        let host = self.hosts.get(host)?;
        Some((host.install_id.as_ref()?, host.sequence))
    }

    /// The outputs that a step at this position can refer to, those nearest to it last: of steps of
    /// its own host, and of steps of no host. A step of no host sees all.
    pub fn outputs_for(&self, position: &Position) -> Vec<(&StepId, &BTreeMap<String, Value>)> {
        let mut seen: Vec<_> = match &position.host {
            None => self.outputs.values().flatten().collect(),
            Some(_) => {
                let of_host = self.outputs.get(&position.host);
                let of_none = self.outputs.get(&None);
                of_none.into_iter().chain(of_host).flatten().collect()
            }
        };
        // Stable: of one step on several hosts, the last host in order is the nearest.
        seen.sort_by_key(|(node, _)| **node);
        seen.into_iter()
            .map(|(node, outputs)| (self.tree.id(*node), outputs))
            .collect()
    }
}
