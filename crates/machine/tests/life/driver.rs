//! A driver that answers the machine's commands: wildly, then kindly.

use crate::laws;
use jiff::Timestamp;
use overhaul_machine::{Command, Run, RunStanding, StepState};
use overhaul_model::definition::Slot;
use overhaul_model::event::{
    Choice, Decision, Event, Generation, Outcome, Record, Settlement, Sitting, Until,
};
use overhaul_model::facts::BootProof;
use overhaul_model::id::{HostName, Position};
use overhaul_model::plan::Plan;
use overhaul_model::primitive::{Measurement, Primitive};
use overhaul_model::receipt::WorkEnd;
use overhaul_model::span::Span;
use std::collections::{BTreeMap, BTreeSet};

/// Events after which a kind world must have brought any of these plans to its end.
const KIND_EVENTS_MAX: usize = 6_000;

pub struct Life {
    /// The plan that the journal was opened with.
    pub opened_with: Plan,
    pub run: Run,
    /// The same events through the journal's text.
    again: Run,
    pub records: Vec<Record>,
    now: Timestamp,
    /// How often each host was installed anew.
    installs: BTreeMap<HostName, u32>,
}

/// A life that breaks a law tells its story when it is compiled with `LIFE_STORY=1`.
impl Drop for Life {
    fn drop(&mut self) {
        if !std::thread::panicking() || option_env!("LIFE_STORY").is_none() {
            return;
        }
        let mut story = String::from("\n== life\n");
        crate::plans::outline(&self.opened_with.root, 0, &mut story);
        for (roll, turns) in &self.opened_with.rolls {
            story.push_str(&format!("{roll}: {turns:?}\n"));
        }
        for record in &self.records {
            let event = match &record.event {
                Event::Amended { plan, .. } => {
                    story.push_str("amended:\n");
                    crate::plans::outline(&plan.root, 0, &mut story);
                    continue;
                }
                event => serde_json::to_string(event).unwrap_or_default(),
            };
            story.push_str(&format!("{} {} {event}\n", record.seq, record.at));
        }
        eprintln!("{story}");
    }
}

impl Life {
    pub fn new(plan: Plan) -> Self {
        let mut life = Self {
            opened_with: plan.clone(),
            run: Run::new(plan.clone()).unwrap(),
            again: Run::new(plan).unwrap(),
            records: Vec::new(),
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            installs: BTreeMap::new(),
        };
        let plan = life.run.hash().clone();
        life.put(Event::RunOpened {
            run: "r".into(),
            plan,
            person: "p".into(),
            warned: Vec::new(),
        });
        life.take();
        life
    }

    /// Another controller, with limits that mean something in the plan.
    pub fn take_limited(&mut self, pick: usize) {
        let steps: Vec<_> = self.run.positions().map(|(p, _)| p.step).collect();
        let bits = pick % 16;
        let some = |n: usize| bits >> n & 1 == 1;
        let hosts = (0..4).filter(|n| some(*n));
        let hosts: BTreeSet<HostName> = hosts.map(|n| crate::plans::HOSTS[n].into()).collect();
        let sitting = Sitting {
            words: "limits".to_owned(),
            hosts: (bits > 0).then_some(hosts),
            until: match pick / 16 % 5 {
                0 => Some(Until::Slot(Slot::Change)),
                1 => Some(Until::Stage("upgrade".into())),
                2 => steps
                    .get(pick / 80 % steps.len().max(1))
                    .map(|step| Until::Step(step.clone())),
                _ => None,
            },
            stage: (pick / 80).is_multiple_of(4).then(|| "upgrade".into()),
        };
        if self.run.permits_sitting(&sitting).is_ok() {
            self.take();
            self.put(Event::Limited { sitting });
        }
    }

    pub fn take(&mut self) {
        let counter = self.run.generation().map_or(0, |g| g.counter) + 1;
        self.put(Event::ControllerTook {
            generation: Generation {
                fleet: "random".to_owned(),
                run: "r".into(),
                counter,
                nonce: "n".into(),
            },
            person: "p".into(),
        });
    }

    /// Every event goes into the run and, through its text, into the second one.
    fn put(&mut self, event: Event) {
        let record = Record {
            seq: self.records.len() as u64 + 1,
            at: self.now,
            before: Record::genesis(),
            event,
        };
        laws::before(self, &record);
        let under_way = laws::under_way(&self.run);
        self.run.apply(&record).unwrap();
        laws::budget(&self.run, &under_way);
        let text = serde_json::to_string(&record).unwrap();
        self.again
            .apply(&serde_json::from_str(&text).unwrap())
            .unwrap();
        assert!(self.run == self.again, "a replay differs after {record:?}");
        let is_amended = matches!(record.event, Event::Amended { .. });
        self.records.push(record);
        if is_amended || self.records.len().is_power_of_two() {
            self.is_replayed_from_scratch();
        }
        laws::at_every_moment(self);
    }

    /// The journal so far leads to the run as it is, for whoever has nothing but its text.
    pub fn is_replayed_from_scratch(&self) {
        let line = |record: &Record| serde_json::to_string(record).unwrap();
        let text: Vec<String> = self.records.iter().map(line).collect();
        let read = |line: &String| serde_json::from_str(line).unwrap();
        let records: Vec<Record> = text.iter().map(read).collect();
        let replayed = Run::replay(self.opened_with.clone(), &records).unwrap();
        assert!(
            replayed == self.run,
            "a replay of {} rows differs",
            text.len()
        );
    }

    fn later(&mut self, span: Span) {
        self.now = span.after(self.now);
    }

    pub fn live(&mut self, choices: &[u32]) {
        for choice in choices {
            if self.run.verdict().is_some() {
                return;
            }
            let (what, pick) = (choice % 16, (choice / 16) as usize);
            match what {
                0 => self.later(Span::from_s(u64::from(choice / 16 % 90))),
                1 if pick % 4 == 0 => self.take(),
                1 if pick % 4 == 1 => self.take_limited(pick / 4),
                2 => self.decide_wildly(pick),
                3 if pick % 8 == 0 => {
                    let host = HostName::new(crate::plans::HOSTS[pick / 8 % 4]);
                    *self.installs.entry(host).or_default() += 1;
                }
                _ => {
                    let mut commands = self.run.next(self.now).commands;
                    if commands.is_empty() {
                        self.later(Span::from_s(10));
                    } else {
                        let command = commands.swap_remove(pick % commands.len());
                        self.answer(command, pick / 64);
                    }
                }
            }
        }
    }

    fn decide_wildly(&mut self, pick: usize) {
        let positions: Vec<Position> = self.run.positions().map(|(p, _)| p).collect();
        let Some(position) = positions.get(pick / 8 % positions.len().max(1)).cloned() else {
            return;
        };
        let host: HostName = crate::plans::HOSTS[pick / 64 % 4].into();
        let choice = match pick % 11 {
            0 => Choice::Approve {
                position,
                question: None,
            },
            1 | 2 => Choice::Retry { position },
            3 => Choice::Done { position },
            4 => Choice::Skip { position },
            5 => Choice::Void { position },
            6 if pick.is_multiple_of(2) => Choice::Pause,
            6 => Choice::Unpause,
            7 => {
                let until = Span::from_s(pick as u64 % 900).after(self.now);
                Choice::Postpone { host, until }
            }
            8 if pick.is_multiple_of(2) => Choice::TakeUp { host },
            8 => Choice::LeaveOut { host },
            9 if pick % 8 == 1 => Choice::Abort,
            _ => Choice::Unpause,
        };
        self.decide(choice);
    }

    /// Postpones a host for some minutes, if that is possible now.
    pub fn postpone(&mut self, pick: usize) {
        let until = Span::from_s(pick as u64 % 900).after(self.now);
        let host = crate::plans::HOSTS[pick % 4].into();
        self.decide(Choice::Postpone { host, until });
    }

    fn decide(&mut self, choice: Choice) {
        let decision = Decision {
            person: "p".into(),
            reason: "because".to_owned(),
            plan: self.run.hash().clone(),
            nonce: format!("n{}", self.records.len()).as_str().into(),
            choice,
        };
        if self.run.judge(&decision).is_ok() {
            self.put(Event::Decided(decision));
        }
    }

    /// Another plan, if it can take the place of this one: the same again, with a step that is different, with
    /// one step less, or with something to do at the end.
    pub fn amend(&mut self, pick: usize) {
        let mut plan = self.run.plan().clone();
        plan.parent = Some(self.run.hash().clone());
        let same = pick.is_multiple_of(4);
        crate::plans::vary(&mut plan, pick);
        // What failed before any attempt is measured again where its turn comes later.
        let begun = |state: &StepState| match state {
            StepState::Failed { attempt, .. } | StepState::Unknown { attempt, .. } => *attempt > 0,
            state => state.is_over() || state.word() == "running",
        };
        let before: BTreeMap<Position, StepState> = self
            .run
            .positions()
            .filter(|(_, state)| begun(state))
            .map(|(position, state)| (position, state.clone()))
            .collect();
        match self.run.amended(&plan, &BTreeMap::new()) {
            Ok((_, amendment)) => {
                self.put(Event::Amended {
                    person: "p".into(),
                    reason: "because".to_owned(),
                    plan: Box::new(plan),
                    was: BTreeMap::new(),
                    warned: Vec::new(),
                });
                let after: Vec<_> = before
                    .keys()
                    .map(|position| self.run.state(position).clone())
                    .collect();
                // The limits were those of the sitting before.
                self.take();
                let changed = amendment.anew.into_iter().chain(amendment.dropped);
                let changed: BTreeSet<Position> = changed.collect();
                for ((position, state), after) in before.into_iter().zip(after) {
                    if !changed.contains(&position) {
                        assert_eq!(after, state, "{position}");
                    }
                }
            }
            Err(why) => {
                let open = self.run.verdict().is_none() && !self.run.is_aborting();
                let over = why.contains("is over");
                let plain = !crate::plans::has_repair(&self.run.plan().root)
                    && !laws::was_postponed(&self.records);
                assert!(
                    !(same && open && plain && !over),
                    "the same plan is refused: {why}"
                );
            }
        }
    }

    pub fn abort(&mut self) {
        self.decide(Choice::Abort);
    }

    fn measured(luck: usize) -> Measurement {
        let seen = || "seen".to_owned();
        match luck % 6 {
            0..=3 => Measurement::So { evidence: seen() },
            4 => Measurement::NotSo { evidence: seen() },
            _ => Measurement::Unknown { reason: seen() },
        }
    }

    fn outcome(luck: usize) -> Outcome {
        let failed = |end| Outcome::Failed {
            why: "bad luck".to_owned(),
            tail: String::new(),
            end,
        };
        match luck % 8 {
            0..=3 => Outcome::Succeeded {
                changed: true,
                outputs: [("out".to_owned(), serde_json::json!(luck))].into(),
                evidence: "done".to_owned(),
                unsynced: None,
            },
            4 | 5 => failed(Some(WorkEnd::Signaled { signal: 9 })),
            6 => failed(None),
            _ => Outcome::Unknown {
                reason: "who knows".to_owned(),
            },
        }
    }

    fn settlement(luck: usize) -> Settlement {
        match luck % 5 {
            0 => Settlement::NeverBegan,
            1 => Settlement::Running,
            2 => Settlement::Unknown {
                reason: "cut".to_owned(),
            },
            _ => Settlement::Ended(Self::outcome(luck / 5)),
        }
    }

    /// One of the events that can complete a command; 0 is good luck.
    fn answer(&mut self, command: Command, luck: usize) {
        let refused = |host| Event::HostRefused {
            host,
            why: "not today".to_owned(),
            transient: luck.is_multiple_of(2),
        };
        let event = match command {
            Command::Register { host } if luck % 5 == 4 => refused(host),
            Command::Register { host } => {
                let installs = self.installs.get(&host).copied().unwrap_or(0);
                Event::HostRegistered {
                    install_id: format!("{host}-{installs}").as_str().into(),
                    host,
                    // Never lower than what the journal can know.
                    sequence: self.records.len() as u64,
                    boot: BootProof {
                        boot_id: "b".to_owned(),
                        init_started_ticks: 1,
                    },
                }
            }
            Command::Release { host } if luck % 5 == 4 => refused(host),
            Command::Release { host } => Event::HostReleased { host },
            Command::MeasureGuard { position, guard } => Event::GuardMeasured {
                position,
                guard,
                result: Self::measured(luck),
                serving: BTreeSet::new(),
            },
            Command::Ask { position } => Event::Asked {
                position,
                question: "go on?".to_owned(),
                nonce: format!("q{}", self.records.len()).as_str().into(),
            },
            Command::Check { position } => Event::Checked {
                position,
                result: Self::measured(luck),
            },
            Command::Verify { position, attempt } => Event::Verified {
                position,
                attempt,
                result: Self::measured(luck),
            },
            Command::MeasureRepair { position } => Event::RepairMeasured {
                position,
                result: Self::measured(luck),
            },
            Command::Settle { position, attempt } => Event::Settled {
                position,
                attempt,
                settlement: Self::settlement(luck),
            },
            Command::Act { position, attempt } => {
                if matches!(self.run.state(&position), StepState::Running { .. }) {
                    self.ended(position, attempt, luck)
                } else {
                    Event::Started {
                        position,
                        attempt,
                        key: format!("k{}", self.records.len()).as_str().into(),
                    }
                }
            }
            Command::TakeUp { host } => Event::TakenUp { host },
            Command::Finish { verdict } => Event::Finished { verdict },
        };
        self.put(event);
    }

    fn ended(&self, position: Position, attempt: u32, luck: usize) -> Event {
        let by_the_loop = self
            .run
            .step(&position)
            .is_some_and(|s| matches!(s.work, Primitive::Announce(_)));
        Event::Ended {
            position,
            attempt,
            outcome: Self::outcome(if by_the_loop { 0 } else { luck }),
        }
    }

    /// Everything goes well from now on, people answer, and nothing is limited.
    pub fn come_to_the_end(&mut self) {
        if self.run.verdict().is_none() {
            self.take();
        }
        self.kindly(true);
        self.is_replayed_from_scratch();
        assert!(
            self.run.verdict().is_some(),
            "it does not come to its end: {:#?}",
            self.run.next(self.now)
        );
    }

    /// Everything goes well until the sitting is over.
    pub fn sit_kindly(&mut self) {
        self.kindly(false);
    }

    fn kindly(&mut self, to_the_end: bool) {
        self.decide(Choice::Unpause);
        for _ in 0..KIND_EVENTS_MAX {
            if self.run.verdict().is_some() {
                return;
            }
            let next = self.run.next(self.now);
            if let Some(command) = next.commands.into_iter().next() {
                self.answer(command, 0);
            } else if let Some(wake) = next.wake {
                assert!(wake > self.now, "it would spin");
                self.now = wake;
            } else {
                let open = next.standing.open.into_iter();
                let choices: Vec<Choice> =
                    open.flat_map(|o| self.run.choices(&o.position)).collect();
                match next.standing.run {
                    RunStanding::Limited if !to_the_end => return,
                    RunStanding::Postponed { until } if to_the_end => self.now = until,
                    RunStanding::Postponed { .. } => return,
                    _ if !choices.is_empty() => {}
                    _ => panic!(
                        "nothing can make it go on: {:#?}",
                        self.run.next(self.now).standing
                    ),
                }
                let wanted = |choice: &Choice| {
                    to_the_end || !matches!(choice, Choice::Skip { .. } | Choice::Void { .. })
                };
                for choice in choices.into_iter().filter(wanted) {
                    self.decide(choice);
                }
            }
        }
    }
}
