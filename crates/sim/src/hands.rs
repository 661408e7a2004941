//! Hands on simulated hosts: the port `Reach`, with the budgets and the certainty of the real transport.

use crate::fault::{Kind, Moment};
use crate::host::{Host, Receipt, Stands};
use crate::meaning::{Deed, said};
use crate::trace::Happened;
use crate::world::{Asked, World};
use overhaul_engine::ports::{
    Clock as _, Fault, Order, Progress, Reach, Registration, Unbegun, Vantage,
};
use overhaul_model::event::{Generation, Outcome, Settlement};
use overhaul_model::facts::{FactsWanted, HostFacts};
use overhaul_model::id::{AttemptKey, Digest, HostName, InstallId};
use overhaul_model::machine::Machine;
use overhaul_model::primitive::{MachineOp, Measure, Measurement, Primitive};
use overhaul_model::receipt::WorkEnd;
use overhaul_model::span::Span;
use overhaul_model::wire::Refusal;
use serde_json::Value;
use std::sync::Arc;

/// How long a host is tried that is not known to be at work for us.
const USUAL_MS: u64 = 3_000;
/// How long a host is tried on which an attempt is under way.
const UNDER_WAY_MS: u64 = 7_000;
/// Time of one message.
const MESSAGE_MS: u64 = 1;
/// A measure with this bound is a probe: it changes nothing, and its moments would be counted without end.
const PROBE_WITHIN: Span = Span::from_s(1);

/// The world as clock, hands and watcher of the controller of this number.
pub(crate) struct Hand(pub Arc<World>, pub u32);

/// Why a host was not reached.
enum Unreached {
    Away,
    OtherKey,
}

/// How far an attempt is for certain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sure {
    NotBegun,
    MaybeBegun,
    Begun,
}

impl Sure {
    /// How long the line may take: work that may be under way is waited for longer.
    fn patience_ms(self) -> u64 {
        match self {
            Self::NotBegun => USUAL_MS,
            Self::MaybeBegun | Self::Begun => UNDER_WAY_MS,
        }
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
        self.world.cut_stream(&self.host, &self.key);
    }
}

impl World {
    fn cut_stream(&self, name: &HostName, key: &AttemptKey) {
        let now = self.clock.now_ms();
        let mut state = self.state();
        let mut out = Vec::new();
        if let Some(host) = state.hosts.get_mut(name) {
            let streams = |r: &Receipt| r.work.meaning.deed.streams();
            if host.receipts.get(key).is_some_and(streams) {
                host.helper_dies(key, &mut out);
            }
        }
        state.tell(now, out);
    }

    fn receipt(&self, name: &HostName, key: &AttemptKey) -> Option<Receipt> {
        let state = self.state();
        state.hosts.get(name)?.receipts.get(key).cloned()
    }

    fn has_receipt(&self, name: &HostName, key: &AttemptKey) -> bool {
        let state = self.state();
        let host = state.hosts.get(name);
        host.is_some_and(|host| host.receipts.contains_key(key))
    }

    fn is_cut(&self, name: &HostName) -> bool {
        let now = self.clock.now_ms();
        let state = self.state();
        let host = state.hosts.get(name);
        host.is_none_or(|host| now < host.reachable_from() || host.other_key)
    }

    /// Connects within a budget.
    async fn connect(&self, name: &HostName, budget_ms: u64) -> Result<(), Unreached> {
        let give_up = self.clock.now_ms().saturating_add(budget_ms);
        loop {
            let now = self.clock.now_ms();
            let from = {
                let state = self.state();
                let Some(host) = state.hosts.get(name) else {
                    return Err(Unreached::Away);
                };
                if host.other_key && now >= host.reachable_from() {
                    return Err(Unreached::OtherKey);
                }
                host.reachable_from()
            };
            if now >= from {
                return Ok(());
            }
            if now >= give_up {
                return Err(Unreached::Away);
            }
            self.clock.until(from.min(give_up)).await;
        }
    }
}

fn not_begun(why: impl Into<String>) -> Outcome {
    Outcome::Failed {
        why: why.into(),
        tail: String::new(),
        end: None,
    }
}

fn unknown(reason: impl Into<String>) -> Outcome {
    Outcome::Unknown {
        reason: reason.into(),
    }
}

fn fault(unreached: &Unreached) -> Fault {
    let (why, transient) = match unreached {
        Unreached::Away => ("the host does not answer", true),
        Unreached::OtherKey => ("another host key than the known one answers", false),
    };
    Fault {
        why: why.to_owned(),
        transient,
    }
}

fn gave_up(sure: Sure, unreached: &Unreached) -> Outcome {
    let why = fault(unreached).why;
    match sure {
        Sure::NotBegun => not_begun(why),
        Sure::MaybeBegun => unknown(format!("it may have begun; then: {why}")),
        Sure::Begun => unknown(format!("it had begun; then: {why}")),
    }
}

impl Hand {
    async fn message(&self) {
        let world = &self.0;
        world.point(self.1).await;
        let late = world.state().late_until;
        let at = world.clock.now_ms().saturating_add(MESSAGE_MS).max(late);
        world.clock.until(at).await;
    }

    /// Strikes a moment; says which fault it was.
    async fn moment(&self, order: &Order, moment: Moment) -> Option<Kind> {
        let kind = self.0.strike_at(&order.position, moment)?;
        self.0.suffer(kind, &order.executor(), &order.key);
        // Who was killed goes no further.
        self.0.point(self.1).await;
        Some(kind)
    }

    /// Asks for the order's work, or for that of the earlier attempt that is still at it; an answer without either
    /// is how the order ends.
    fn ask(
        &self,
        order: &mut Order,
        sure: &mut Sure,
        fails: bool,
        streams: bool,
    ) -> Result<(), Outcome> {
        let before = *sure;
        match self.0.begin(order, fails) {
            Asked::Begun => *sure = Sure::Begun,
            Asked::Refused(Refusal::StillAtWork { key })
                if before == Sure::NotBegun && !streams =>
            {
                (order.key, *sure) = (key, Sure::Begun);
            }
            Asked::Refused(refusal) if before == Sure::NotBegun => {
                return Err(not_begun(refusal.to_string()));
            }
            Asked::Refused(refusal) => {
                return Err(unknown(format!("it may have begun, and then: {refusal}")));
            }
        }
        Ok(())
    }

    /// The right machine is asserted before it is harmed.
    fn asserted(&self, order: &Order) -> Result<(), Outcome> {
        let step = self.0.meaning.step(&order.position.step);
        let Some(Deed::Machine { op, .. }) = step.map(|step| &step.deed) else {
            return Ok(());
        };
        let begun = self.0.has_receipt(&order.executor(), &order.key);
        if begun || !op.harms() {
            return Ok(());
        }
        let state = self.0.state();
        let found = state
            .hosts
            .get(&order.host)
            .map(|host| host.machine_id.clone());
        let expected = order.machine.as_ref().and_then(|m| m.expected.clone());
        // The plan's machine ids were measured on other machines than the simulated ones: the first
        // machine of a host stands for the one that was measured.
        let is_first = found
            .as_deref()
            .is_some_and(|id| id.starts_with("machine-0 "));
        match expected {
            None => Err(not_begun("it is not known which machine is meant")),
            Some(id) if Some(&id) == found.as_ref() => Ok(()),
            Some(id) if is_first && !id.starts_with("machine-") => Ok(()),
            Some(_) => Err(not_begun("this is not the machine that is meant")),
        }
    }

    /// The machine that was launched beside the host's takes its place: nothing is asked of the old one, and nothing
    /// happens a second time.
    async fn taken_over(&self, order: &Order) -> Outcome {
        let world = &self.0;
        self.moment(order, Moment::Before).await;
        self.message().await;
        let now = world.clock.now_ms();
        let step = world.meaning.step(&order.position.step);
        let release = step.and_then(|step| match &step.deed {
            Deed::Machine { release, .. } => release.clone(),
            _ => None,
        });
        let mut out = Vec::new();
        {
            let mut state = world.state();
            if state.replaced.insert(order.position.clone()) {
                state.machine(MachineOp::Prove, release.as_ref(), &order.host, &mut out);
            }
            state.tell(now, out);
        }
        self.moment(order, Moment::Answering).await;
        self.message().await;
        self.outcome(
            order,
            &WorkEnd::Done {
                detail: String::new(),
            },
        )
    }

    /// Waits until the work is over, or nobody hears of it any more.
    async fn follow(&self, order: &Order) -> Option<Receipt> {
        let (world, name) = (&self.0, order.executor());
        loop {
            let changed = {
                let state = world.state();
                Arc::clone(&state.hosts.get(&name)?.changed)
            };
            let receipt = world.receipt(&name, &order.key)?;
            let Stands::Running { ends_ms } = receipt.stands else {
                return Some(receipt);
            };
            let reboots = receipt.work.meaning.deed == Deed::Reboot;
            if world.is_cut(&name) && !reboots {
                return None;
            }
            let now = world.clock.now_ms();
            let left = ends_ms.saturating_sub(now);
            let strikes = |moment| world.will_strike(&order.position, moment).then_some(moment);
            let (until, moment) = match strikes(Moment::Working).or(strikes(Moment::Done)) {
                Some(Moment::Working) => (now.saturating_add(left / 2), Some(Moment::Working)),
                Some(moment) => (ends_ms.saturating_sub(1), Some(moment)),
                None => (ends_ms, None),
            };
            tokio::select! {
                biased;
                () = changed.notified() => {}
                () = world.clock.until(until) => {
                    if let Some(moment) = moment {
                        self.moment(order, moment).await;
                    }
                }
            }
        }
    }

    fn outcome(&self, order: &Order, end: &WorkEnd) -> Outcome {
        let well = match end {
            WorkEnd::Done { .. } => true,
            WorkEnd::Exited { success, .. } => *success,
            _ => false,
        };
        if !well {
            return Outcome::Failed {
                why: "it failed".to_owned(),
                tail: String::new(),
                end: Some(end.clone()),
            };
        }
        let step = self.0.meaning.step(&order.position.step);
        let mut outputs = said(&order.position.step, &order.host, &order.outputs);
        outputs.extend(step.into_iter().flat_map(|step| step.told.clone()));
        match step.map(|step| &step.deed) {
            Some(Deed::Copy { file, .. }) => match self.file(file) {
                Some(sha256) => {
                    outputs.insert("sha256".to_owned(), Value::from(sha256.as_str()));
                    outputs.insert("bytes".to_owned(), Value::from(1_000));
                    outputs.insert("file".to_owned(), Value::from(file.as_str()));
                }
                None => return not_whole(end),
            },
            Some(Deed::Received) => {
                for name in ["digest", "stamps", "manifest"] {
                    let text = format!("{name} of {}", order.position.step);
                    outputs.insert(name.to_owned(), Value::from(text));
                }
            }
            Some(Deed::Machine { .. }) => {
                let state = self.0.state();
                let found = state.hosts.get(&order.host);
                let machine = Machine {
                    identity: found.map(|host| format!("i-{}", host.machines_made)),
                    machine_id: found.map(|host| host.machine_id.clone()),
                    ..Machine::default()
                };
                outputs.extend(machine.outputs());
            }
            _ => {}
        }
        Outcome::Succeeded {
            changed: true,
            outputs,
            evidence: "done".to_owned(),
            unsynced: None,
        }
    }

    fn file(&self, name: &str) -> Option<Digest> {
        let state = self.0.state();
        Digest::of_json(&(name, state.files.get(name)?)).ok()
    }

    /// The digest of the file that an order takes is that of the file that is there.
    fn fed(&self, order: &Order) -> Result<(), Outcome> {
        let Some(wanted) = &order.file_digest else {
            return Ok(());
        };
        let file = match self.0.meaning.step(&order.position.step).map(|s| &s.deed) {
            Some(Deed::PutBack { file, .. } | Deed::ReadBack { file }) => file,
            _ => return Ok(()),
        };
        match self.file(file) {
            Some(found) if found == *wanted => Ok(()),
            _ => Err(not_begun(format!("{file} is not the file that was copied"))),
        }
    }
}

fn not_whole(end: &WorkEnd) -> Outcome {
    Outcome::Failed {
        why: "its output did not all come to the controller".to_owned(),
        tail: String::new(),
        end: Some(end.clone()),
    }
}

/// A stream that was cut: harmless where what came is not taken for whole.
fn after_cut(deed: &Deed) -> Outcome {
    match deed {
        Deed::ReadBack { .. } => unknown("the controller that streamed its data is gone"),
        _ => Outcome::Failed {
            why: "the controller that streamed its data is gone".to_owned(),
            tail: String::new(),
            end: Some(WorkEnd::Killed {
                why: "cut".to_owned(),
            }),
        },
    }
}

impl Reach for Hand {
    fn moved(&self, _host: &HostName, _machine: &Machine) {}

    async fn register(
        &self,
        host: &HostName,
        generation: &Generation,
    ) -> Result<Registration, Fault> {
        self.tell(host, |found, now| {
            let answer = found.register(generation, now);
            let host = host.clone();
            let told = match &answer {
                Ok(()) => Happened::Accepted {
                    host,
                    generation: generation.clone(),
                },
                Err(refusal) => Happened::Refused {
                    host,
                    why: refusal.to_string(),
                },
            };
            let registration = Registration {
                install_id: found.install_id.clone(),
                sequence: found.sequence,
                boot: found.boot(),
            };
            (answer.map(|()| registration), Some(told))
        })
        .await
    }

    async fn release(&self, host: &HostName, generation: &Generation) -> Result<(), Fault> {
        self.tell(host, |found, now| {
            let answer = found.release(generation, now);
            let let_go = || Happened::LetGo { host: host.clone() };
            let told = answer.is_ok().then(let_go);
            (answer, told)
        })
        .await
    }

    async fn facts(&self, _host: &HostName, _wanted: &FactsWanted) -> HostFacts {
        HostFacts::unknown(self.now(), "simulated hosts have no facts")
    }

    async fn measure(&self, from: &Vantage, measure: &Measure, within: Span) -> Measurement {
        let world = &self.0;
        let is_probe = within == PROBE_WITHIN;
        let on = match from {
            Vantage::Host(host) => Some(host),
            Vantage::Controller => None,
        };
        let silent = |why: &str| Measurement::Unknown {
            reason: why.to_owned(),
        };
        if let Some(host) = on
            && world
                .connect(host, USUAL_MS.min(within.as_ms()))
                .await
                .is_err()
        {
            return silent("the host does not answer");
        }
        if is_probe {
            world.clock.after(MESSAGE_MS).await;
        } else {
            self.message().await;
        }
        let answer = {
            let now = world.clock.now_ms();
            let state = world.state();
            let is_silent = |host: &HostName| {
                state
                    .hosts
                    .get(host)
                    .is_some_and(|host| now < host.silent_until)
            };
            match on {
                Some(host) if is_silent(host) => silent("no answer within the bound"),
                _ => state.truth(on, measure, &world.meaning, now),
            }
        };
        if !is_probe {
            self.message().await;
        }
        if on.is_some_and(|host| world.is_cut(host)) {
            return silent("the connection is lost");
        }
        answer
    }

    async fn act(&self, mut order: Order, _progress: Progress) -> Outcome {
        if matches!(&order.work, Primitive::Machine(act) if act.takes_over()) {
            return self.taken_over(&order).await;
        }
        let (world, name) = (&self.0, order.executor());
        if let Err(no) = self.asserted(&order).and_then(|()| self.fed(&order)) {
            return no;
        }
        let mut sure = match order.begun {
            true => Sure::Begun,
            false => Sure::NotBegun,
        };
        let struck = self.moment(&order, Moment::Before).await;
        let mut fails = struck == Some(Kind::WorkFails);
        let mut lost = matches!(struck, Some(Kind::RequestLost | Kind::RequestLate));
        let streams = world
            .meaning
            .step(&order.position.step)
            .is_some_and(|s| s.deed.streams());
        let _listening = streams.then(|| Listening {
            world: Arc::clone(world),
            host: name.clone(),
            key: order.key.clone(),
        });
        loop {
            if let Err(unreached) = world.connect(&name, sure.patience_ms()).await {
                return gave_up(sure, &unreached);
            }
            self.message().await;
            if std::mem::take(&mut lost) {
                // It was on the line, whatever becomes of that.
                if struck == Some(Kind::RequestLate) {
                    world.begin_later(&order);
                }
                sure = sure.max(Sure::MaybeBegun);
                continue;
            }
            if sure == Sure::Begun && !world.has_receipt(&name, &order.key) {
                return unknown("the host has another receipt store than the one known");
            }
            if let Err(no) = self.ask(&mut order, &mut sure, std::mem::take(&mut fails), streams) {
                return no;
            }
            self.moment(&order, Moment::Received).await;
            self.message().await;
            let Some(receipt) = self.follow(&order).await else {
                if streams {
                    return self.cut(&order).await;
                }
                continue;
            };
            match &receipt.stands {
                Stands::Ended(end) => {
                    self.moment(&order, Moment::Answering).await;
                    self.message().await;
                    if world.is_cut(&name) {
                        continue;
                    }
                    return self.outcome(&order, end);
                }
                Stands::Lost(_) if streams => return self.cut(&order).await,
                Stands::Lost(why) => return unknown(format!("it began and was cut off: {why}")),
                Stands::Running { .. } => {}
            }
        }
    }

    async fn settle(
        &self,
        order: Order,
        install_id: &InstallId,
        known: u64,
        unbegun: Unbegun,
    ) -> Settlement {
        let (world, name) = (&self.0, order.executor());
        let doubt = |reason: &str| Settlement::Unknown {
            reason: reason.to_owned(),
        };
        if let Err(unreached) = world.connect(&name, UNDER_WAY_MS).await {
            return doubt(&fault(&unreached).why);
        }
        self.message().await;
        let found = {
            let now = world.clock.now_ms();
            let mut state = world.state();
            let Some(host) = state.hosts.get_mut(&name) else {
                return doubt("no such host");
            };
            if host.install_id != *install_id {
                return doubt("the host has another receipt store than the one known");
            }
            let ruled_out = match unbegun {
                Unbegun::Refuse => host.rule_out(&order.generation, &order.key, now),
                Unbegun::Leave => Ok(()),
            };
            if host.sequence < known {
                return doubt("the host's receipt store went back in time");
            }
            if let Err(refusal) = ruled_out {
                return doubt(&refusal.to_string());
            }
            host.receipts.get(&order.key).cloned()
        };
        self.message().await;
        if world.is_cut(&name) {
            return doubt("the host does not answer");
        }
        let Some(receipt) = found else {
            return Settlement::NeverBegan;
        };
        if receipt.step != order.step {
            return doubt("the receipt of this attempt is of another step");
        }
        let deed = &receipt.work.meaning.deed;
        let outcome = match &receipt.stands {
            Stands::Running { .. } if deed.streams() => {
                world.cut_stream(&name, &order.key);
                after_cut(deed)
            }
            Stands::Running { .. } => return Settlement::Running,
            Stands::Lost(_) if deed.streams() => after_cut(deed),
            Stands::Lost(why) => unknown(format!("it began and was cut off: {why}")),
            Stands::Ended(end) => self.outcome(&order, end),
        };
        match outcome {
            Outcome::Unknown { reason } => Settlement::Unknown { reason },
            outcome => Settlement::Ended(outcome),
        }
    }
}

impl Hand {
    /// Has a host do something at once, over the line there and back.
    async fn tell<T>(
        &self,
        host: &HostName,
        what: impl FnOnce(&mut Host, u64) -> (Result<T, Refusal>, Option<Happened>),
    ) -> Result<T, Fault> {
        let world = &self.0;
        if let Err(unreached) = world.connect(host, USUAL_MS).await {
            return Err(fault(&unreached));
        }
        self.message().await;
        let answer = {
            let now = world.clock.now_ms();
            let mut state = world.state();
            let found = state
                .hosts
                .get_mut(host)
                .ok_or_else(|| fault(&Unreached::Away))?;
            let (answer, told) = what(found, now);
            state.tell(now, told);
            answer
        };
        self.message().await;
        if world.is_cut(host) {
            return Err(fault(&Unreached::Away));
        }
        answer.map_err(|refusal| Fault {
            why: refusal.to_string(),
            transient: matches!(refusal, Refusal::Store { .. }),
        })
    }

    /// The stream was cut; whether the host can still say so decides what is certain.
    async fn cut(&self, order: &Order) -> Outcome {
        let (world, name) = (&self.0, order.executor());
        world.cut_stream(&name, &order.key);
        if let Err(unreached) = world.connect(&name, UNDER_WAY_MS).await {
            return gave_up(Sure::Begun, &unreached);
        }
        self.message().await;
        match world.receipt(&name, &order.key) {
            None => unknown("the host has another receipt store than the one known"),
            Some(receipt) => match &receipt.stands {
                Stands::Ended(end) => self.outcome(order, end),
                _ => after_cut(&receipt.work.meaning.deed),
            },
        }
    }
}
