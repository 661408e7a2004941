//! Writes a run that has gone a long way, for `bench/resume`: every event is one that the shipped state machine asked
//! for and accepted, every row goes through the shipped journal.
//!
//!     cargo run --release -p overhaul-cli --example large_run -- STATE PLAN RUN EVENTS

use jiff::{SignedDuration, Timestamp};
use overhaul_engine::ports::Journal as _;
use overhaul_machine::{Command, Run, StepState};
use overhaul_model::definition::Test;
use overhaul_model::event::{Event, Generation, Outcome};
use overhaul_model::facts::{BootProof, FleetFacts};
use overhaul_model::id::{AttemptKey, Digest, HostName, InstallId, Nonce, Person, Position, RunId};
use overhaul_model::plan::Plan;
use overhaul_model::primitive::Measurement;
use overhaul_store::{RunStore, SqliteJournal};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time between two events.
const PACE: SignedDuration = SignedDuration::from_millis(20);

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [state, plan, run, events] = args.as_slice() else {
        return Err("usage: large_run STATE PLAN RUN EVENTS".into());
    };
    let plan: Plan = serde_json::from_str(&std::fs::read_to_string(plan)?)?;
    let store = RunStore::open(Path::new(state))?;
    let id = RunId::new(run);
    // What the plan was made from is not read again.
    let dir = store.create(&id, &plan, &FleetFacts::new())?;
    let (journal, _inbox) = dir.open()?;
    let last: u64 = events.parse()?;
    // It ends about now, as if it had been killed.
    let length = PACE
        .checked_mul(i32::try_from(last)?)
        .ok_or("too many events")?;
    let mut writer = Writer {
        run: Run::new(plan)?,
        journal,
        at: Timestamp::now().checked_sub(length)?,
        last,
        next: Spent::default(),
        apply: Spent::default(),
        open_max: 0,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(writer.write_all(&id))?;
    let (next, apply) = (&writer.next, &writer.apply);
    writeln!(
        std::io::stdout(),
        "{} events, {:.1} us to apply one; what is to be done was asked {} times, {:.0} us each, {} hosts open at most",
        apply.times,
        apply.us(),
        next.times,
        next.us(),
        writer.open_max
    )?;
    Ok(())
}

struct Writer {
    run: Run,
    journal: SqliteJournal,
    at: Timestamp,
    /// The number of the last event.
    last: u64,
    /// What the state machine took.
    next: Spent,
    apply: Spent,
    /// Open positions at one time, at most.
    open_max: usize,
}

/// Time that calls took.
#[derive(Default)]
struct Spent {
    times: u32,
    all: Duration,
}

impl Spent {
    fn since(&mut self, began: Instant) {
        self.times += 1;
        self.all += began.elapsed();
    }

    fn us(&self) -> f64 {
        self.all.as_secs_f64() * 1e6 / f64::from(self.times)
    }
}

impl Writer {
    async fn write_all(&mut self, id: &RunId) -> Result<(), Box<dyn Error>> {
        let person = Person::new("bench");
        self.happen(Event::RunOpened {
            run: id.clone(),
            plan: self.run.hash().clone(),
            person: person.clone(),
            warned: Vec::new(),
        })?;
        self.happen(Event::ControllerTook {
            generation: Generation {
                fleet: self.run.plan().fleet.clone(),
                run: id.clone(),
                counter: 1,
                nonce: Nonce::new("bench"),
            },
            person,
        })?;
        while self.run.seq() < self.last && self.run.verdict().is_none() {
            let began = Instant::now();
            let next = self.run.next(self.at);
            self.next.since(began);
            self.open_max = self.open_max.max(next.standing.open.len());
            for command in next.commands {
                for event in self.answers(command) {
                    if self.run.seq() < self.last {
                        self.happen(event)?;
                    }
                }
            }
            self.journal.commit().await?;
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), Box<dyn Error>> {
        self.at = self.at.checked_add(PACE)?;
        let record = self.journal.write(self.at, event)?;
        let began = Instant::now();
        self.run.apply(&record)?;
        self.apply.since(began);
        Ok(())
    }

    /// What a host says on which everything goes well and nothing is so already.
    fn answers(&self, command: Command) -> Vec<Event> {
        let so = |evidence: &str| Measurement::So {
            evidence: evidence.to_owned(),
        };
        match command {
            Command::Register { host } => vec![Event::HostRegistered {
                install_id: InstallId::new(word(host.as_str()).short()),
                boot: BootProof {
                    boot_id: word(host.as_str()).as_str().to_owned(),
                    init_started_ticks: 1,
                },
                sequence: 0,
                host,
            }],
            Command::MeasureGuard { position, guard } => vec![Event::GuardMeasured {
                serving: self.serving(&position, guard),
                result: so("measured"),
                position,
                guard,
            }],
            Command::Check { position } => vec![Event::Checked {
                position,
                result: Measurement::NotSo {
                    evidence: "it ended with 1".to_owned(),
                },
            }],
            Command::Act { position, attempt } => self.act(position, attempt),
            Command::Verify { position, attempt } => vec![Event::Verified {
                position,
                attempt,
                result: so("it ended with 0"),
            }],
            Command::Release { host } => vec![Event::HostReleased { host }],
            Command::Finish { verdict } => vec![Event::Finished { verdict }],
            Command::TakeUp { host } => vec![Event::TakenUp { host }],
            // There are none in the plans of the bench.
            Command::Ask { .. } | Command::Settle { .. } | Command::MeasureRepair { .. } => {
                Vec::new()
            }
        }
    }

    fn act(&self, position: Position, attempt: u32) -> Vec<Event> {
        let ended = Event::Ended {
            position: position.clone(),
            attempt,
            outcome: Outcome::Succeeded {
                changed: true,
                outputs: BTreeMap::new(),
                evidence: "it ended with 0 after 1.2 s".to_owned(),
                unsynced: None,
            },
        };
        if matches!(self.run.state(&position), StepState::Running { .. }) {
            return vec![ended];
        }
        let key = AttemptKey::new(word(&format!("{position} {attempt}")).as_str());
        let started = Event::Started {
            position,
            attempt,
            key,
        };
        vec![started, ended]
    }

    fn serving(&self, position: &Position, guard: usize) -> BTreeSet<HostName> {
        let step = self.run.step(position);
        let guard = step.and_then(|step| step.guards.get(guard));
        match guard.map(|guard| &guard.test) {
            Some(Test::Members { service, .. }) => {
                let services = &self.run.plan().services;
                let hosts = services.get(service).map(|service| service.hosts.clone());
                hosts.into_iter().flatten().collect()
            }
            _ => BTreeSet::new(),
        }
    }
}

fn word(of: &str) -> Digest {
    Digest::of(of)
}
