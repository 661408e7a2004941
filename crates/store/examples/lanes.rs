//! How many events a second become durable: lanes that share commits through the shipped journal, against a bare loop
//! over SQLite that commits each row, with the same settings, the same columns and rows of the same text. For
//! `bench/journal`.
//!
//!     cargo run --release -p overhaul-store --example lanes -- DIR LANES SECONDS

use jiff::Timestamp;
use overhaul_engine::ports::Journal as _;
use overhaul_model::event::{Event, Outcome, Record};
use overhaul_model::facts::FleetFacts;
use overhaul_model::id::{AttemptKey, Digest, HostName, Position, RunId, StepId};
use overhaul_model::plan::Plan;
use overhaul_store::RunStore;
use rusqlite::Connection;
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Events whose rows become durable together at most, as in the loop of a run.
const AT_ONCE_MAX: usize = 1_000;

/// The smallest plan there is: the journal does not look at it.
const PLAN: &str = r#"{"format":2,"kind":"upgrade","parent":null,"upgrade":"u","fleet":"f",
    "from":{"os":"debian","release":"12"},"to":{"os":"debian","release":"13"},"hosts":{},"rolls":{},"services":{},
    "datasets":{},"space":[],"failure_budget":0,"one_zone_at_a_time":false,"waivers":[],
    "root":{"sequence":{"id":"","title":"u","blocks":[]}}}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, lanes, seconds] = args.as_slice() else {
        return Err("usage: lanes DIR LANES SECONDS".into());
    };
    let (dir, lanes) = (Path::new(dir), lanes.parse()?);
    let length = Duration::from_secs(seconds.parse()?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let shared = runtime.block_on(shared(dir, lanes, length))?;
    let each = each(dir, length)?;
    let mut out = std::io::stdout();
    for (name, told) in [("lanes", &shared), ("each", &each)] {
        writeln!(
            out,
            "{name} {:.0} events/s {:.1} us of processor for an event {:.1} events in a commit",
            told.rate(),
            told.cpu_us(),
            told.events / told.commits
        )?;
    }
    writeln!(out, "ratio {:.2}", shared.rate() / each.rate())?;
    Ok(())
}

struct Told {
    events: f64,
    commits: f64,
    seconds: f64,
    cpu_s: f64,
}

impl Told {
    fn rate(&self) -> f64 {
        self.events / self.seconds
    }

    fn cpu_us(&self) -> f64 {
        self.cpu_s / self.events * 1e6
    }
}

/// Processor time of all threads of this process.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let whole = u64::try_from(time.tv_sec).unwrap_or_default();
    let part = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(whole, part)
}

/// A row that waits to be durable, and whom to tell.
type Wish = (Event, oneshot::Sender<()>);

/// Each lane writes its next event when the one before is durable, as a host's lane does.
async fn shared(dir: &Path, lanes: usize, length: Duration) -> Result<Told, Box<dyn Error>> {
    let store = RunStore::open(dir)?;
    let plan: Plan = serde_json::from_str(PLAN)?;
    let run = store.create(&RunId::new("bench"), &plan, &FleetFacts::new())?;
    let (mut journal, _inbox) = run.open()?;
    let (wishes, mut queue) = mpsc::unbounded_channel::<Wish>();
    for lane in 0..lanes {
        tokio::spawn(go_on(lane, wishes.clone()));
    }
    drop(wishes);
    let (began, spent) = (Instant::now(), cpu());
    let (mut events, mut commits) = (0_u32, 0_u32);
    let mut together = Vec::new();
    while began.elapsed() < length {
        if queue.recv_many(&mut together, AT_ONCE_MAX).await == 0 {
            break;
        }
        let mut tell = Vec::with_capacity(together.len());
        for (event, told) in together.drain(..) {
            journal.write(Timestamp::now(), event)?;
            tell.push(told);
            events += 1;
        }
        journal.commit().await?;
        commits += 1;
        for told in tell {
            // A lane that has ended needs no answer.
            let _ = told.send(());
        }
    }
    Ok(told(events, commits, began, spent))
}

fn told(events: u32, commits: u32, began: Instant, spent: Duration) -> Told {
    Told {
        events: f64::from(events),
        commits: f64::from(commits),
        seconds: began.elapsed().as_secs_f64(),
        cpu_s: cpu().saturating_sub(spent).as_secs_f64(),
    }
}

async fn go_on(lane: usize, wishes: mpsc::UnboundedSender<Wish>) {
    for number in 0.. {
        let (told, durable) = oneshot::channel();
        if wishes.send((event(lane, number), told)).is_err() || durable.await.is_err() {
            return;
        }
    }
}

/// Intent and outcome in turn, as long as real ones are.
fn event(lane: usize, number: u32) -> Event {
    let step = StepId::new(format!("upgrade/database/change/step-{}", number / 2 % 30));
    let position = Position::on(step, HostName::new(format!("host{lane:03}.example.com")));
    let attempt = 1;
    if number.is_multiple_of(2) {
        let key = AttemptKey::new(Digest::of(position.to_string()).as_str());
        return Event::Started {
            position,
            attempt,
            key,
        };
    }
    Event::Ended {
        position,
        attempt,
        outcome: Outcome::Succeeded {
            changed: true,
            outputs: BTreeMap::new(),
            evidence: "it ended with 0 after 1.2 s".to_owned(),
            unsynced: None,
        },
    }
}

/// One row after the other, each in a commit of its own, without digests and numbers of ours.
fn each(dir: &Path, length: Duration) -> Result<Told, Box<dyn Error>> {
    let connection = Connection::open(dir.join("each.sqlite"))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection
        .execute_batch("CREATE TABLE journal (seq INTEGER PRIMARY KEY, record TEXT NOT NULL)")?;
    let mut insert = connection.prepare("INSERT INTO journal (seq, record) VALUES (?1, ?2)")?;
    let (began, spent) = (Instant::now(), cpu());
    let mut events = 0_u32;
    while began.elapsed() < length {
        let record = Record {
            seq: u64::from(events),
            at: Timestamp::now(),
            before: Record::genesis(),
            event: event(0, events),
        };
        insert.execute((events, serde_json::to_string(&record)?))?;
        events += 1;
    }
    Ok(told(events, events, began, spent))
}
