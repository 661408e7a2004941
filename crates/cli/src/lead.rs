//! Leading a run: the loop with its ports, signals, the picture of it, and how it ended.

use crate::attention::Attention;
use crate::console::Console;
use crate::durations;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::hooks::{self, About, Call, Hooks};
use crate::live::Live;
use crate::person::person;
use crate::runs::{self, Told};
use crate::show;
use crate::show::status::Status;
use crate::text;
use crate::wiring::SystemClock;
use jiff::Timestamp;
use overhaul_check::CheckedPlan;
use overhaul_engine::ports::Journal as _;
use overhaul_engine::{Control, EngineError, Ports, RunEnd, Settings, Watcher};
use overhaul_machine::Standing;
use overhaul_machine::report::report;
use overhaul_model::event::{Event, Record, Sitting, Verdict};
use overhaul_model::id::{Position, RunId, StepId};
use overhaul_model::plan::Plan;
use overhaul_reach::SshReach;
use overhaul_source::CallFor;
use overhaul_store::{RunDir, RunLock};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// How long the loop may take to leave after it was told to; the journal is whole at any moment.
const LEAVE_S_MAX: u64 = 5;

/// Time between two drawings of the clocks.
const TICK_MS: u64 = 500;

/// What it takes to lead a run.
pub struct Lead {
    /// The plan.
    pub checked: CheckedPlan,
    /// The run's folder.
    pub dir: RunDir,
    /// Held until this process is no longer the controller.
    pub lock: RunLock,
    /// Hands on the hosts.
    pub reach: Arc<SshReach>,
    /// Findings that the run is begun in spite of.
    pub warned: Vec<String>,
    /// Whether to stay when only people can make it go on.
    pub wait: bool,
    /// What may be begun, if not everything.
    pub sitting: Option<Sitting>,
    /// Of a run that is complete: what of its stage `cleanup` was named.
    pub cleanup: Vec<StepId>,
    /// Who is called when it needs people.
    pub hooks: Vec<hooks::Ready>,
}

/// The picture and the calls, shared with the clock that draws again and looks at the time.
struct Eyes {
    live: Arc<Live>,
    attention: Mutex<Attention>,
    hooks: Hooks,
}

impl Eyes {
    fn new(live: Arc<Live>, plan: &Plan, old: u64, hooks: Vec<hooks::Ready>, run: &RunId) -> Self {
        let about = About {
            run: run.to_string(),
            upgrade: plan.upgrade.clone(),
            fleet: plan.fleet.clone(),
        };
        let screen = Arc::clone(&live);
        Self {
            attention: Mutex::new(Attention::new(plan, old)),
            hooks: Hooks::start(hooks, about, Arc::new(move |line| screen.say(line))),
            live,
        }
    }

    fn attention(&self) -> MutexGuard<'_, Attention> {
        // A panic in there loses a call at most.
        self.attention
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, calls: Vec<Call>) {
        for call in calls {
            // What stands in the journal or needs a decision is on the screen already.
            if matches!(
                call.kind,
                CallFor::Window | CallFor::Stalled | CallFor::Held
            ) {
                let word = call.kind.word();
                self.live
                    .say(&format!("{} {word:<8} {}", text::clock(call.at), call.text));
            }
            self.hooks.call(call);
        }
    }

    fn tick(&self) {
        let now = Timestamp::now();
        let (calls, clocks) = {
            let mut attention = self.attention();
            (attention.tick(now), attention.clocks(now))
        };
        self.call(calls);
        self.live.tick(clocks);
    }
}

/// What the loop tells.
struct Watch(Arc<Eyes>);

impl Watcher for Watch {
    fn recorded(&self, record: &Record) {
        self.0.live.recorded(record);
        let calls = self.0.attention().take(record);
        self.0.call(calls);
    }

    fn progress(&self, position: &Position, bytes: &[u8]) {
        self.0.live.progress(position, bytes);
        self.0.attention().output(position, Timestamp::now());
    }

    fn standing(&self, standing: &Standing) {
        self.0.live.standing(standing);
        let calls = self.0.attention().standing(standing, Timestamp::now());
        self.0.call(calls);
    }
}

/// Leads the run until it is over, needs a person, is paused, or is left.
///
/// # Errors
/// When journal or program fail; work on hosts goes on then.
pub async fn lead(lead: Lead, console: Console) -> Outcome {
    let Lead {
        checked,
        dir,
        lock,
        reach,
        warned,
        wait,
        sitting,
        cleanup,
        hooks,
    } = lead;
    let (mut journal, inbox) = dir.open()?;
    let old = journal.replay().await?;
    let is_amended = |record: &Record| matches!(record.event, Event::Amended { .. });
    let opened_with = match old.iter().any(is_amended) {
        true => Some(dir.plan()?),
        false => None,
    };
    let clock = SystemClock::after(old.last().map(|record| record.at));
    let old = old.last().map_or(0, |record| record.seq);
    let live = Arc::new(Live::new(console, checked.plan(), old));
    let eyes = Eyes::new(Arc::clone(&live), checked.plan(), old, hooks, dir.id());
    let eyes = Arc::new(eyes);
    let (sender, control) = mpsc::unbounded_channel();
    let ports = Ports {
        journal,
        inbox,
        reach,
        clock: Arc::new(clock),
    };
    let settings = Settings {
        run: dir.id().clone(),
        person: person(),
        nonce: runs::nonce(),
        warned,
        wait_for_people: wait,
        sitting,
        cleanup,
        control,
    };
    let (left, mut leaving) = mpsc::unbounded_channel();
    let signals = tokio::spawn(hear(
        signals()?,
        sender,
        left,
        Arc::clone(&live),
        dir.clone(),
    ));
    let ticks = tokio::spawn(tick(Arc::clone(&eyes)));
    let watch = Watch(Arc::clone(&eyes));
    let running = async {
        match opened_with {
            None => overhaul_engine::run(checked, ports, settings, watch).await,
            Some(plan) => overhaul_engine::run_amended(plan, checked, ports, settings, watch).await,
        }
    };
    let end = tokio::select! {
        end = running => end,
        () = left_behind(&mut leaving) => Ok(RunEnd::Left),
    };
    signals.abort();
    ticks.abort();
    eyes.hooks.end().await;
    live.end();
    drop(lock);
    conclude(end, &dir, console)
}

/// Over when the loop was told to leave and has not.
async fn left_behind(leaving: &mut mpsc::UnboundedReceiver<()>) {
    if leaving.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(Duration::from_secs(LEAVE_S_MAX)).await;
}

async fn tick(eyes: Arc<Eyes>) {
    loop {
        tokio::time::sleep(Duration::from_millis(TICK_MS)).await;
        eyes.tick();
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

fn signals() -> Result<Signals, Failure> {
    let on = |kind| signal(kind).map_err(Failure::internal);
    Ok(Signals {
        interrupt: on(SignalKind::interrupt())?,
        terminate: on(SignalKind::terminate())?,
        hang_up: on(SignalKind::hangup())?,
    })
}

/// The first Ctrl-C pauses, a second leaves; so do an ordered end and a closed terminal.
async fn hear(
    mut signals: Signals,
    control: mpsc::UnboundedSender<Control>,
    left: mpsc::UnboundedSender<()>,
    live: Arc<Live>,
    dir: RunDir,
) {
    let mut interrupts = 0_u32;
    loop {
        let interrupted = tokio::select! {
            _ = signals.interrupt.recv() => true,
            _ = signals.terminate.recv() => false,
            _ = signals.hang_up.recv() => false,
        };
        if interrupted {
            interrupts = interrupts.saturating_add(1);
        }
        // When the loop has gone, nobody listens, and nothing is left to be told.
        if interrupted && interrupts == 1 {
            live.say("Pausing: nothing new begins, what is under way is brought to its end.");
            live.say("Ctrl-C again leaves the run to itself: work on hosts goes on.");
            let _ = control.send(Control::Pause);
        } else {
            live.say(&format!(
                "Leaving. Work on hosts goes on; take the run up with: overhaul resume {}",
                dir.id()
            ));
            let _ = control.send(Control::Leave);
            let _ = left.send(());
        }
    }
}

fn conclude(end: Result<RunEnd, EngineError>, dir: &RunDir, console: Console) -> Outcome {
    let end = end.map_err(|error| worded(error, dir))?;
    let exit = match &end {
        RunEnd::Finished(Verdict::Complete) => Exit::Ok,
        RunEnd::Finished(Verdict::Aborted) => Exit::Aborted,
        RunEnd::NeedsPerson { .. } => Exit::NeedsPerson,
        RunEnd::Paused => Exit::Paused,
        RunEnd::Limited => Exit::Limited,
        RunEnd::Postponed { .. } => Exit::Postponed,
        RunEnd::Left => Exit::Left,
    };
    if exit == Exit::Left && !console.json {
        return Ok(exit);
    }
    let told = Told::of(dir.clone())?;
    keep_lengths(&told, console);
    let now = Timestamp::now();
    let status = Status::of(&told, dir.pending()?, false, now);
    if console.json {
        let line = serde_json::json!({
            "end": exit.word(), "exit": exit.code(), "run": dir.id(), "status": status,
        });
        console.out(&format!("{line}\n"));
        return Ok(exit);
    }
    match end {
        RunEnd::Finished(_) => {
            let report = report(told.run.opened_with(), &told.records);
            console.out(&format!("\n{}", show::report::summary(&report)));
            console.out(&format!("\nall of it: overhaul report {}\n", dir.id()));
        }
        RunEnd::NeedsPerson { .. } => {
            console.out(&format!("\n{}", status.text(now)));
            console.out(&format!(
                "\nafter a decision: overhaul resume {}\n",
                dir.id()
            ));
        }
        RunEnd::Paused => console.out(&format!(
            "\nrun {} is paused; nothing is under way. Go on with: overhaul resume {}\n",
            dir.id(),
            dir.id()
        )),
        RunEnd::Limited => {
            console.out(&format!("\n{}", status.text(now)));
            console.out(&format!(
                "\nwithout limits, or with others: overhaul resume {}\n",
                dir.id()
            ));
        }
        RunEnd::Postponed { until } => {
            console.out(&format!("\n{}", status.text(now)));
            console.out(&format!(
                "\nfrom {} on: overhaul resume {}\n",
                text::moment(until),
                dir.id()
            ));
        }
        RunEnd::Left => {}
    }
    Ok(exit)
}

/// The next plan of the fleet is predicted from this run too. A run does not fail because of it.
fn keep_lengths(told: &Told, console: Console) {
    // RUNS/ID stands in the state folder.
    let Some(state) = told.dir.path().parent().and_then(Path::parent) else {
        return;
    };
    if let Err(failure) = durations::record(state, told.plan(), &told.records, console) {
        console.note(&format!(
            "warning: lengths of steps are not kept: {}",
            failure.message
        ));
    }
}

fn worded(error: EngineError, dir: &RunDir) -> Failure {
    let resume = format!("overhaul resume {}", dir.id());
    match error {
        EngineError::Journal(error) => {
            Failure::from(error).hint(format!("this controller has stopped; afterwards: {resume}"))
        }
        EngineError::Replay(error) => Failure::new(
            Exit::StoreTrouble,
            format!("the journal does not fit the plan: {error}"),
        )
        .hint("nothing was changed"),
        EngineError::Refused(why) => Failure::input(why).hint("nothing was changed"),
        EngineError::Illegal(_) | EngineError::Unwritable(_) | EngineError::Task(_) => {
            Failure::internal(error).hint(format!(
                "work on hosts goes on; take the run up with: {resume}"
            ))
        }
    }
}
