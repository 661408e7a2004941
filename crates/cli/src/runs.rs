//! Which run is meant, what it stands at, and requests to it.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::gather;
use crate::person::person;
use crate::text;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use overhaul_engine::ports::JournalError;
use overhaul_machine::{NotRunnable, ReplayError, Run, RunStanding};
use overhaul_model::event::{Choice, Decision, Record};
use overhaul_model::id::{Nonce, Position, RunId};
use overhaul_model::plan::Plan;
use overhaul_store::{RunDir, RunStore, StoreError};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// Free space without which no run is begun or taken up: the journal of a thousand hosts takes about so
/// much, and a full disk in mid run stops the controller.
const FREE_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Parts of a journal, of a thousand rows each, that are read ahead of those that are followed: what comes in the time in
/// which a large plan is read, some 60 MB.
const PARTS_AHEAD_MAX: usize = 128;

/// Candidates that an error lists.
const CANDIDATES_MAX: usize = 10;

/// The state folder.
///
/// # Errors
/// When none is named and the environment tells no home.
pub fn state_dir(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let from = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let absolute = |path: &PathBuf| path.is_absolute();
    from("XDG_STATE_HOME")
        .filter(absolute)
        .or_else(|| Some(from("HOME").filter(absolute)?.join(".local/state")))
        .map(|state| state.join("overhaul"))
        .ok_or_else(|| {
            Failure::input("no state folder: neither XDG_STATE_HOME nor HOME is set")
                .hint("name one: --state DIR")
        })
}

/// The store of runs.
///
/// # Errors
/// When its folder cannot be made.
pub fn open_store(named: Option<&Path>) -> Result<RunStore, Failure> {
    Ok(RunStore::open(&state_dir(named)?)?)
}

/// There is room for a run's journal in its folder.
///
/// # Errors
/// When there is not.
pub fn room(state: &Path) -> Result<(), Failure> {
    let facts = gather::controller(state);
    let mount = facts.mounts.value().and_then(|mounts| mounts.first());
    match mount {
        Some(mount) if mount.free_bytes < FREE_BYTES_MIN => Err(Failure::new(
            Exit::StoreTrouble,
            format!(
                "{} has {} of free space, and a journal needs {}; nothing was changed",
                mount.path,
                text::size(mount.free_bytes),
                text::size(FREE_BYTES_MIN)
            ),
        )
        .hint("make room there, or name another folder: --state DIR")),
        Some(_) | None => Ok(()),
    }
}

/// A run as its journal tells it.
#[derive(Debug)]
pub struct Told<R = Vec<Record>> {
    /// Its folder.
    pub dir: RunDir,
    /// Its journal.
    pub records: R,
    /// What follows from plan and journal.
    pub run: Run,
}

/// Rows that were followed and not kept: those of a large run take more memory than all else.
#[derive(Debug)]
pub struct NotKept;

impl Told {
    /// Reads plan and journal of a run.
    ///
    /// # Errors
    /// When they cannot be read, or do not fit each other.
    pub fn of(dir: RunDir) -> Result<Self, Failure> {
        let (run, records) = followed(&dir, Following::default())?;
        Ok(Self { dir, records, run })
    }
}

impl Told<NotKept> {
    /// Reads plan and journal of a run, of which only where it stands is wanted.
    ///
    /// # Errors
    /// As for [`Told::of`].
    pub fn standing(dir: RunDir) -> Result<Self, Failure> {
        let following = Following {
            not_kept: true,
            ..Following::default()
        };
        let (run, _) = followed(&dir, following)?;
        let records = NotKept;
        Ok(Self { dir, records, run })
    }

    /// The same with what was written since: until the lock of a run was taken, its journal may have grown.
    ///
    /// # Errors
    /// As for [`Told::of`].
    pub fn up_to_date(self) -> Result<Self, Failure> {
        match self.dir.last_row()? == self.run.seq() {
            true => Ok(self),
            false => Self::standing(self.dir),
        }
    }
}

impl<R> Told<R> {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        self.run.plan()
    }
}

/// The state of a run, and its rows if they are kept.
fn followed(dir: &RunDir, mut following: Following) -> Result<(Run, Vec<Record>), Failure> {
    // Both are large in a large run: the plan is read beside the journal, and rows are followed here while later ones are
    // still read and parsed.
    let (plan, journal) = std::thread::scope(|scope| {
        let (parts, read) = mpsc::sync_channel(PARTS_AHEAD_MAX);
        let plan = scope.spawn(|| {
            dir.hashed_plan()
                .map(|(plan, hash)| Run::hashed(plan, hash))
        });
        let journal = scope.spawn(move || {
            dir.each_part(&mut |part| {
                // Who follows listens to the last part.
                let _ = parts.send(part);
            })
        });
        let plan = of_thread(plan).map(|run| following.begin(run));
        for part in read {
            following.take(part);
        }
        (plan, of_thread(journal))
    });
    let unreadable = |error| {
        let mut failure = Failure::from(error);
        failure.message = format!("run {}: {}", dir.id(), failure.message);
        failure
    };
    plan.map_err(unreadable)?;
    journal.map_err(unreadable)?;
    let Following { records, run, .. } = following;
    let run = run.ok_or_else(|| Failure::internal("the plan was not read"))?;
    let run = run.map_err(|error| unfit(&error, dir.id()))?;
    Ok((run, records))
}

/// The state of a run from its plan and its journal.
///
/// # Errors
/// When they do not fit each other.
pub fn replayed(plan: Plan, records: &[Record], id: &RunId) -> Result<Run, Failure> {
    Run::replay(plan, records).map_err(|error| unfit(&error, id))
}

fn unfit(error: &ReplayError, id: &RunId) -> Failure {
    Failure::new(
        Exit::StoreTrouble,
        format!("run {id}: plan and journal do not fit each other: {error}"),
    )
    .hint("nothing was changed; if a newer overhaul wrote them, use that one")
}

/// What a thread gives; when it panicked, we do.
fn of_thread<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    let ended = thread.join();
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A run that is followed while its journal is still read.
#[derive(Default)]
struct Following {
    records: Vec<Record>,
    /// Whether rows are let go once they were applied.
    not_kept: bool,
    /// The state after the rows so far; nothing where the plan cannot be read.
    run: Option<Result<Run, ReplayError>>,
}

impl Following {
    fn begin(&mut self, run: Result<Run, NotRunnable>) {
        self.run = Some(run.map_err(ReplayError::from));
    }

    fn take(&mut self, part: Vec<Record>) {
        for record in &part {
            let Some(Ok(run)) = &mut self.run else {
                break;
            };
            if let Err(illegal) = run.apply(record) {
                let seq = record.seq;
                self.run = Some(Err(ReplayError::Illegal { seq, illegal }));
            }
        }
        if !self.not_kept {
            self.records.extend(part);
        }
    }
}

/// The run that was named, else the only one that is not over.
///
/// # Errors
/// When there is none, or more than one.
pub fn unfinished(store: &RunStore, named: Option<&str>) -> Result<Told, Failure> {
    not_over(store, named, Told::of)
}

/// The same without its rows, to take it up.
///
/// # Errors
/// As for [`unfinished`].
pub fn to_take_up(store: &RunStore, named: Option<&str>) -> Result<Told<NotKept>, Failure> {
    not_over(store, named, Told::standing)
}

fn not_over<R>(
    store: &RunStore,
    named: Option<&str>,
    read: impl Fn(RunDir) -> Result<Told<R>, Failure>,
) -> Result<Told<R>, Failure> {
    if let Some(named) = named {
        return read(store.run(&RunId::new(named))?);
    }
    let mut open = Vec::new();
    for dir in store.list()? {
        let told = read(dir).map_err(|f| f.hint("if another run is meant, name it"))?;
        if told.run.verdict().is_none() {
            open.push(told);
        }
    }
    let count = open.len();
    match (open.pop(), count) {
        (Some(told), 1) => Ok(told),
        (Some(last), _) => {
            open.push(last);
            let names = open.iter().take(CANDIDATES_MAX);
            let names: Vec<&str> = names.map(|told| told.dir.id().as_str()).collect();
            Err(
                Failure::input(format!("{count} runs are not over: {}", names.join(", ")))
                    .hint("name the one that is meant"),
            )
        }
        (None, _) => Err(Failure::input("there is no run that is not over")
            .hint("overhaul run begins one; overhaul report RUN tells of one that is over")),
    }
}

/// The run that was named, else the only one that is not over, else the latest.
///
/// # Errors
/// When there is none.
pub fn any(store: &RunStore, named: Option<&str>) -> Result<Told, Failure> {
    if let Some(named) = named {
        return Told::of(store.run(&RunId::new(named))?);
    }
    match store.list()?.pop() {
        Some(last) => unfinished(store, None).or_else(|_| Told::of(last)),
        None => Err(Failure::input("there is no run").hint("overhaul run begins one")),
    }
}

/// A name for a run that begins now: its time, and a random end.
pub fn new_id(now: Timestamp) -> RunId {
    let time = now.to_zoned(TimeZone::UTC).strftime("%Y%m%d-%H%M%S");
    RunId::new(format!("{time}-{:04x}", rand::random::<u16>()))
}

/// A word that tells two requests apart.
pub fn nonce() -> Nonce {
    Nonce::new(format!("{:032x}", rand::random::<u128>()))
}

/// The position that a person means: its whole name, or the step alone where only one host has it, or
/// the end of a name where only one fits.
///
/// # Errors
/// When none fits, or more than one.
pub fn position(run: &Run, written: &str) -> Result<Position, Failure> {
    let all: Vec<Position> = run.positions().map(|(position, _)| position).collect();
    if let Some(exact) = all.iter().find(|p| p.to_string() == written) {
        return Ok(exact.clone());
    }
    let ending = |text: &str| text == written || text.ends_with(&format!("/{written}"));
    let fits = |p: &&Position| ending(&p.to_string()) || ending(p.step.as_str());
    let found: Vec<&Position> = all.iter().filter(fits).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Failure::input(format!("the plan has no step `{written}`"))
            .hint("overhaul status names the steps that wait for a decision")),
        many => {
            let names = many.iter().take(CANDIDATES_MAX).map(ToString::to_string);
            let names: Vec<String> = names.collect();
            Err(Failure::input(format!(
                "`{written}` could be {} steps: {}",
                many.len(),
                names.join(", ")
            ))
            .hint("name one of them whole"))
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// A controller has the run and takes it up.
    Now,
    /// No controller has the run.
    AtResume,
}

/// Puts a request into a run's inbox.
///
/// # Errors
/// When the run is over, or its storage fails.
pub fn submit<R>(told: &Told<R>, choice: Choice, reason: &str) -> Result<Submitted, Failure> {
    if told.run.verdict().is_some() {
        return Err(Failure::input(format!(
            "run {} is over; nothing can be decided about it",
            told.dir.id()
        )));
    }
    told.dir.submit(&decision(&told.run, choice, reason))?;
    if told.dir.is_held()? {
        Ok(Submitted::Now)
    } else {
        Ok(Submitted::AtResume)
    }
}

/// A request as the inbox takes it: by whom the operating system says, for the plan that was seen.
pub fn decision(run: &Run, choice: Choice, reason: &str) -> Decision {
    Decision {
        person: person(),
        reason: reason.to_owned(),
        plan: run.hash().clone(),
        nonce: nonce(),
        choice,
    }
}

/// The exit code for how a run stands.
pub fn exit_of(standing: RunStanding) -> Exit {
    use overhaul_model::event::Verdict;
    match standing {
        RunStanding::Over(Verdict::Complete) => Exit::Ok,
        RunStanding::Over(Verdict::Aborted) | RunStanding::Ending(Verdict::Aborted) => {
            Exit::Aborted
        }
        RunStanding::Working | RunStanding::Waiting | RunStanding::Ending(Verdict::Complete) => {
            Exit::Ok
        }
        RunStanding::NeedsPerson => Exit::NeedsPerson,
        RunStanding::Paused => Exit::Paused,
        RunStanding::Limited => Exit::Limited,
        RunStanding::Postponed { .. } => Exit::Postponed,
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::NoRun { .. } | StoreError::BadName { .. } => {
                Self::input(message).hint("overhaul status shows the run that is not over")
            }
            StoreError::Simulated { .. } => Self::input(message)
                .hint("what is kept of it are texts, in the folder `simulated` of the state folder"),
            StoreError::Exists { .. } => Self::new(Exit::Internal, message),
            StoreError::Held { .. } => Self::new(Exit::Held, message)
                .hint("overhaul status shows it; its own terminal, or overhaul pause, ends it"),
            StoreError::PlanFormat { .. } => Self::new(Exit::StoreTrouble, message)
                .hint("end the run with the version of overhaul that began it"),
            StoreError::File { .. } => Self::new(Exit::StoreTrouble, message),
            StoreError::Altered { .. } => Self::new(Exit::StoreTrouble, message)
                .hint("nothing was changed; put a whole copy of the file back; overhaul doctor tells what else is whole"),
            StoreError::Journal(error) => error.into(),
        }
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        let failure = Self::new(Exit::StoreTrouble, &error);
        match error {
            JournalError::Newer { .. } => failure
                .hint("nothing was changed; use the version of overhaul that wrote it, or a newer one"),
            JournalError::Chain { .. } | JournalError::Damaged { .. } => failure
                .hint("nothing was changed; the journal was altered or damaged: overhaul doctor tells what of it is whole")
                .hint("put a whole copy of the run's folder back, or go on from the whole part: overhaul doctor RUN --salvage DIR"),
            JournalError::Storage { .. } => failure
                .hint("work on hosts goes on; make the storage good, then overhaul resume"),
        }
    }
}
