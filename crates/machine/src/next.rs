//! What is to be done now, when to ask again, and what each lane does or waits for.

use crate::run::{Run, Stand};
use crate::state::{HostLink, HostState, Phase, Slot, Stage, StepState, Then, due};
use crate::transition::first_stage;
use crate::tree::Key;
use crate::walk::Active;
use crate::{GUARD_EVERY, REGISTER_BACK_OFF, REGISTER_BACK_OFF_MAX};
use jiff::Timestamp;
use overhaul_model::event::{Choice, Verdict};
use overhaul_model::id::{HostName, Position};
use overhaul_model::planted;
use overhaul_model::span::Span;
use overhaul_model::timing::Closed;
use serde::Serialize;
use std::collections::BTreeSet;

/// Something to be done; exactly one event tells how it went.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Command {
    /// Make a host accept the generation: `HostRegistered` or `HostRefused`.
    Register {
        /// The host.
        host: HostName,
    },
    /// Measure a guard: `GuardMeasured`.
    MeasureGuard {
        /// The step.
        position: Position,
        /// The guard's place in its list.
        guard: usize,
    },
    /// Ask people: `Asked`.
    Ask {
        /// The gate.
        position: Position,
    },
    /// Measure "already so?": `Checked`.
    Check {
        /// The step.
        position: Position,
    },
    /// Carry out: `Started`, if the position is not running yet, then `Ended`.
    Act {
        /// The step.
        position: Position,
        /// The attempt's number.
        attempt: u32,
    },
    /// Measure "so now?": `Verified`.
    Verify {
        /// The step.
        position: Position,
        /// The attempt's number.
        attempt: u32,
    },
    /// Ask for the receipt: `Settled`.
    Settle {
        /// The step.
        position: Position,
        /// The attempt's number.
        attempt: u32,
    },
    /// Measure a repair's finding: `RepairMeasured`.
    MeasureRepair {
        /// The repair.
        position: Position,
    },
    /// Free a host: `HostReleased` or `HostRefused`.
    Release {
        /// The host.
        host: HostName,
    },
    /// The day has come until which a host was postponed: `TakenUp`.
    TakeUp {
        /// The host.
        host: HostName,
    },
    /// End the run: `Finished`.
    Finish {
        /// How.
        verdict: Verdict,
    },
}

/// The answer to "what now?".
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    /// What is to be done. What is being done already is listed again.
    pub commands: Vec<Command>,
    /// When to ask again although nothing happened.
    pub wake: Option<Timestamp>,
    /// Until when all of this is so if nothing happens; for ever when `None`.
    pub holds_until: Option<Timestamp>,
    /// What is done and waited for, for people.
    pub standing: Standing,
}

impl Next {
    /// Whether it is so at a later moment too, if nothing has happened.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.holds_until.is_none_or(|until| now < until)
    }
}

/// What a run does and waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The run as a whole.
    pub run: RunStanding,
    /// Positions whose turn has come and that are not over, in the plan's order.
    pub open: Vec<OpenPosition>,
    /// Turns that could begin, but lie outside of this sitting's limits: the roll, at the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outside: Vec<Position>,
}

/// What the run as a whole does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunStanding {
    /// Something is at work.
    Working,
    /// Time or a condition is waited for.
    Waiting,
    /// Only people can make it go on.
    NeedsPerson,
    /// It is paused.
    Paused,
    /// What the limits of this sitting allow is done.
    Limited,
    /// Only hosts that were postponed are left.
    Postponed {
        /// The first of them may be taken up from then on.
        until: Timestamp,
    },
    /// It comes to its end: scopes are closed, hosts released.
    Ending(Verdict),
    /// It is over.
    Over(Verdict),
}

/// A position whose turn has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenPosition {
    /// Which.
    pub position: Position,
    /// What it does.
    pub doing: Doing,
}

/// What a position does or waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Doing {
    /// It is at work.
    Working {
        /// With what.
        work: Work,
        /// Since when, if it was begun.
        since: Option<Timestamp>,
    },
    /// It waits.
    Waiting {
        /// For what.
        on: String,
        /// At the latest until.
        until: Option<Timestamp>,
    },
    /// A person must decide.
    NeedsPerson {
        /// Why.
        why: String,
        /// What can be decided.
        choices: Vec<Choice>,
    },
    /// It would begin if the run were not paused, or being ended.
    Paused,
    /// It would begin, but lies outside of this sitting's limits.
    Limited,
}

/// What is being done with a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Its host is being registered.
    Registering,
    /// Conditions are measured before it.
    Measuring,
    /// It is carried out.
    Acting,
    /// Its receipt is asked for.
    Settling,
    /// Its result is measured.
    Verifying,
}

/// One position's part of the answer.
enum Turn {
    Do(Command, Work),
    Later(Timestamp),
    Shut(Closed),
    Person(String),
    Held,
    Outside,
}

impl Run {
    /// What is to be done now.
    pub fn next(&self, now: Timestamp) -> Next {
        let mut next = Next {
            commands: Vec::new(),
            wake: None,
            holds_until: None,
            standing: Standing {
                run: RunStanding::Working,
                open: Vec::new(),
                outside: Vec::new(),
            },
        };
        if let Stand::New | Stand::Finished(_) = self.stand {
            next.standing.run = self.standing(&next);
            return next;
        }
        let mut registering = BTreeSet::new();
        if let Some(verdict) = self.ending() {
            self.let_hosts_go(verdict, now, &mut next);
        } else if self.generation.is_some() {
            self.due(now, &mut next);
            let repairs = self.repairs(&mut next);
            for key in &self.open {
                self.visit(key, now, &repairs, &mut registering, &mut next);
            }
            next.standing.outside = self.turns_outside();
        }
        next.standing.run = self.standing(&next);
        let days = self.postponed().map(|(_, postponed)| postponed.until);
        let days = days.filter(|until| *until > now);
        next.holds_until = next.wake.into_iter().chain(days).min();
        next
    }

    /// Tells whether an answer to this command still fits: another number means that something
    /// happened since to what the command is about.
    pub fn version(&self, command: &Command) -> u64 {
        let slot = |p: &Position| {
            self.tree
                .locate(p)
                .and_then(|k| self.slots.get(&k))
                .map_or(0, |s| s.version)
        };
        match command {
            Command::MeasureGuard { position, .. }
            | Command::Ask { position }
            | Command::Check { position }
            | Command::Verify { position, .. }
            | Command::Settle { position, .. } => slot(position),
            Command::MeasureRepair { position } => {
                match self.tree.locate(position).and_then(|k| self.active.get(&k)) {
                    Some(Active::Repair { version, .. }) => *version,
                    _ => 0,
                }
            }
            // An attempt's number is never used again, and what a host answered is always true of it.
            Command::Act { .. }
            | Command::Register { .. }
            | Command::Release { .. }
            | Command::TakeUp { .. }
            | Command::Finish { .. } => 0,
        }
    }

    fn visit(
        &self,
        key: &Key,
        now: Timestamp,
        repairs: &[Key],
        registering: &mut BTreeSet<HostName>,
        next: &mut Next,
    ) {
        let (Some(slot), Some(position)) = (self.slots.get(key), self.tree.position(key)) else {
            return;
        };
        let turn = self.turn_of(key, slot, &position, now);
        let turn = match (turn, self.shut(key, slot, now)) {
            (Turn::Do(..) | Turn::Later(_), Some(closed)) => Turn::Shut(closed),
            (turn, _) => self.by_way_of_host(turn, key, slot, now),
        };
        let doing = match turn {
            Turn::Do(command, work) => {
                let wanted = match &command {
                    Command::Register { host } => registering.insert(host.clone()),
                    _ => true,
                };
                if wanted {
                    next.commands.push(command);
                }
                let since = match slot.state {
                    StepState::Running { since, .. } => Some(since),
                    _ => None,
                };
                Doing::Working { work, since }
            }
            Turn::Later(until) => {
                next.wake = Some(next.wake.map_or(until, |wake| wake.min(until)));
                let on = self.waits_for(slot, key);
                let until = self.waits_until(slot, key).unwrap_or(until);
                Doing::Waiting {
                    on,
                    until: Some(until),
                }
            }
            Turn::Shut(Closed {
                why,
                until: Some(until),
            }) => {
                next.wake = Some(next.wake.map_or(until, |wake| wake.min(until)));
                Doing::Waiting {
                    on: why,
                    until: Some(until),
                }
            }
            Turn::Shut(Closed { why, until: None }) => Doing::NeedsPerson {
                why,
                choices: self.choices(&position),
            },
            Turn::Person(why) => match repairs.iter().find(|r| self.tree.is_inside(key, r)) {
                Some(repair) => Doing::Waiting {
                    on: format!("the repair {}", self.tree.id(repair.node)),
                    until: None,
                },
                None => Doing::NeedsPerson {
                    why,
                    choices: self.choices(&position),
                },
            },
            Turn::Held => Doing::Paused,
            Turn::Outside => Doing::Limited,
        };
        next.standing.open.push(OpenPosition { position, doing });
    }

    fn turn_of(&self, key: &Key, slot: &Slot, position: &Position, now: Timestamp) -> Turn {
        let looking = matches!(
            slot.state,
            StepState::Running { .. }
                | StepState::Unknown {
                    then: Then::Settle,
                    ..
                }
        );
        let halted = match self.stand {
            Stand::Open => self.paused && !planted::is("pause-ignored"),
            Stand::Draining => true,
            Stand::Closing => !self.is_closing(key),
            Stand::New | Stand::Finished(_) => true,
        };
        let turn = match &slot.state {
            StepState::Ready { stage } => self.begin_with(*stage, slot, position),
            StepState::Held {
                guard, measured_at, ..
            } => match due(*measured_at, GUARD_EVERY, now) {
                Ok(()) => self.begin_with(Stage::Guard(*guard), slot, position),
                Err(until) => Turn::Later(until),
            },
            StepState::Asked { question, .. } => Turn::Person(question.clone()),
            StepState::Running { phase, .. } => attend(*phase, slot, position),
            StepState::Failed { then, why, at, .. } | StepState::Unknown { then, why, at, .. } => {
                self.after_failure(key, slot, position, (then, why, *at), now)
            }
            StepState::Waiting
            | StepState::Done { .. }
            | StepState::Skipped { .. }
            | StepState::Voided { .. } => Turn::Held,
        };
        match turn {
            Turn::Do(..) | Turn::Later(_) if halted && !looking => Turn::Held,
            Turn::Person(_) if self.is_aborting() && halted => Turn::Held,
            Turn::Do(..) | Turn::Later(_) if !looking && !self.allows(key) => Turn::Outside,
            turn => turn,
        }
    }

    fn after_failure(
        &self,
        key: &Key,
        slot: &Slot,
        position: &Position,
        (then, why, since): (&Then, &str, Timestamp),
        now: Timestamp,
    ) -> Turn {
        let wait = |until: &Timestamp| due(since, Span::between(since, *until), now);
        match then {
            Then::Person => Turn::Person(why.to_owned()),
            Then::Settle => attend(Phase::Settling, slot, position),
            Then::Measure { not_before } => match wait(not_before) {
                Ok(()) => self.begin_with(Stage::Check, slot, position),
                Err(until) => Turn::Later(until),
            },
            Then::Again { not_before } => match (wait(not_before), self.tree.step(key.node)) {
                (Err(until), _) => Turn::Later(until),
                (Ok(()), Some(step)) => self.begin_with(first_stage(step), slot, position),
                (Ok(()), None) => Turn::Held,
            },
        }
    }

    fn begin_with(&self, stage: Stage, slot: &Slot, position: &Position) -> Turn {
        let position = position.clone();
        match stage {
            Stage::Guard(guard) => {
                Turn::Do(Command::MeasureGuard { position, guard }, Work::Measuring)
            }
            Stage::Check => Turn::Do(Command::Check { position }, Work::Measuring),
            Stage::Ask => Turn::Do(Command::Ask { position }, Work::Measuring),
            Stage::Act => {
                let attempt = slot.attempts.saturating_add(1);
                Turn::Do(Command::Act { position, attempt }, Work::Acting)
            }
        }
    }

    /// Nothing is asked of a host before it accepted this controller.
    fn by_way_of_host(&self, turn: Turn, key: &Key, slot: &Slot, now: Timestamp) -> Turn {
        let Turn::Do(command, _) = &turn else {
            return turn;
        };
        // An attempt at work has its own connection and its own end; the host that it takes data from is asked anew.
        let acts = matches!(
            slot.state,
            StepState::Running {
                phase: Phase::Acting,
                ..
            }
        );
        let first = match acts {
            true => {
                let step = self.tree.step(key.node);
                let other = step.and_then(|step| step.work.other_host());
                other.and_then(|name| self.to_register(name, now))
            }
            false => {
                let mut asked = self.asked_by(command, key).into_iter();
                asked.find_map(|name| self.to_register(&name, now))
            }
        };
        first.unwrap_or(turn)
    }

    /// What comes before anything is asked of a host; nothing when it has accepted this controller.
    fn to_register(&self, name: &HostName, now: Timestamp) -> Option<Turn> {
        let Some(host) = self.hosts.get(name) else {
            return Some(register(name));
        };
        if let Some(why) = host.blocked() {
            return Some(Turn::Person(why.to_owned()));
        }
        match &host.link {
            HostLink::Registered => None,
            HostLink::Refused { count, at, .. } => {
                Some(match due(*at, register_wait(*count), now) {
                    Ok(()) => register(name),
                    Err(until) => Turn::Later(until),
                })
            }
            HostLink::Absent
            | HostLink::Doubted { .. }
            | HostLink::Released
            | HostLink::LeftBehind { .. } => Some(register(name)),
        }
    }

    fn waits_for(&self, slot: &Slot, key: &Key) -> String {
        let host = self.needs(key).and_then(|h| self.hosts.get(&h));
        if let Some(HostLink::Refused { why, .. }) = host.map(|h| &h.link) {
            return format!("the host: {why}");
        }
        match &slot.state {
            StepState::Held { guard, why, .. } => {
                let name = self
                    .tree
                    .step(key.node)
                    .and_then(|s| s.guards.get(*guard))
                    .map(|g| g.name.as_str());
                format!("guard `{}`: {why}", name.unwrap_or_default())
            }
            StepState::Failed { why, .. } | StepState::Unknown { why, .. } => {
                format!("its next attempt, after: {why}")
            }
            _ => "its time".to_owned(),
        }
    }

    fn waits_until(&self, slot: &Slot, key: &Key) -> Option<Timestamp> {
        let StepState::Held { guard, since, .. } = &slot.state else {
            return None;
        };
        let guard = self.tree.step(key.node)?.guards.get(*guard)?;
        Some(guard.at_most.after(*since))
    }

    /// Hosts whose day has come.
    fn due(&self, now: Timestamp, next: &mut Next) {
        if self.stand != Stand::Open || self.paused {
            return;
        }
        let due = self.postponed().filter(|(_, p)| p.until <= now);
        next.commands.extend(due.map(|(host, _)| {
            let host = host.clone();
            Command::TakeUp { host }
        }));
    }

    fn repairs(&self, next: &mut Next) -> Vec<Key> {
        if self.stand != Stand::Open {
            return Vec::new();
        }
        let repairs = self
            .active
            .iter()
            .filter(|(_, a)| matches!(a, Active::Repair { .. }));
        let due: Vec<Key> = repairs
            .filter(|(key, _)| self.allows(key) && self.to_be_repaired(key).is_some())
            .map(|(key, _)| key.clone())
            .collect();
        for key in due.iter().filter(|_| !self.paused) {
            if let Some(position) = self.tree.position(key) {
                next.commands.push(Command::MeasureRepair { position });
            }
        }
        due
    }

    fn let_hosts_go(&self, verdict: Verdict, now: Timestamp, next: &mut Next) {
        for (name, host) in self.hosts.iter().filter(|(_, host)| !host.let_go()) {
            let host_name = name.clone();
            let turn = match &host.link {
                HostLink::Registered | HostLink::Doubted { .. } => {
                    Turn::Do(Command::Release { host: host_name }, Work::Settling)
                }
                HostLink::Refused { count, at, .. } => match due(*at, register_wait(*count), now) {
                    Ok(()) => register(name),
                    Err(until) => Turn::Later(until),
                },
                HostLink::Absent | HostLink::Released | HostLink::LeftBehind { .. } => {
                    register(name)
                }
            };
            match turn {
                Turn::Do(command, _) => next.commands.push(command),
                Turn::Later(until) => next.wake = Some(next.wake.map_or(until, |w| w.min(until))),
                Turn::Person(_) | Turn::Shut(_) | Turn::Held | Turn::Outside => {}
            }
        }
        let early = planted::is("ends-before-hosts-are-free");
        if early || self.hosts.values().all(HostState::let_go) {
            next.commands.push(Command::Finish { verdict });
        }
    }

    fn standing(&self, next: &Next) -> RunStanding {
        let any = |test: fn(&Doing) -> bool| next.standing.open.iter().any(|o| test(&o.doing));
        match self.stand {
            Stand::Finished(verdict) => RunStanding::Over(verdict),
            Stand::Draining | Stand::Closing
                if !any(|d| matches!(d, Doing::NeedsPerson { .. })) =>
            {
                RunStanding::Ending(Verdict::Aborted)
            }
            Stand::Open if self.over => RunStanding::Ending(Verdict::Complete),
            _ if any(|d| matches!(d, Doing::Working { .. })) || !next.commands.is_empty() => {
                RunStanding::Working
            }
            _ if self.paused => RunStanding::Paused,
            _ if any(|d| matches!(d, Doing::Waiting { .. })) => RunStanding::Waiting,
            _ if any(|d| matches!(d, Doing::NeedsPerson { .. })) => RunStanding::NeedsPerson,
            _ if any(|d| matches!(d, Doing::Limited)) || !next.standing.outside.is_empty() => {
                RunStanding::Limited
            }
            _ => match self.only_postponed() {
                Some(until) => RunStanding::Postponed { until },
                None => RunStanding::NeedsPerson,
            },
        }
    }
}

/// What a begun attempt needs.
fn attend(phase: Phase, slot: &Slot, position: &Position) -> Turn {
    let (position, attempt) = (position.clone(), slot.attempts);
    match phase {
        Phase::Acting => Turn::Do(Command::Act { position, attempt }, Work::Acting),
        Phase::Settling => Turn::Do(Command::Settle { position, attempt }, Work::Settling),
        Phase::Verifying { .. } => Turn::Do(Command::Verify { position, attempt }, Work::Verifying),
    }
}

fn register(host: &HostName) -> Turn {
    let host = host.clone();
    Turn::Do(Command::Register { host }, Work::Registering)
}

fn register_wait(count: u32) -> Span {
    let factor = 1_u64
        .checked_shl(count.saturating_sub(1))
        .unwrap_or(u64::MAX);
    let doubled = REGISTER_BACK_OFF.as_ms().saturating_mul(factor);
    Span::from_ms(doubled.min(REGISTER_BACK_OFF_MAX.as_ms()))
}
