//! All that can become of a small plan, whatever is written next: breadth first, with what leads to the same
//! state taken once.

use super::cells::{HostCell, Kind, RunCell, StepCell, Word};
use super::events::{self, Sample};
use super::plans::HOST;
use crate::Run;
use crate::state::{Stage, StepState};
use crate::walk::Active;
use jiff::Timestamp;
use overhaul_model::event::Record;
use overhaul_model::id::Position;
use overhaul_model::plan::Plan;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

/// What events made of states: a state that they led to, or `None` where they were refused.
pub(super) struct Table<C>(pub BTreeMap<C, Row<C>>);

/// What each event made of one state.
pub(super) type Row<C> = BTreeMap<(Kind, String), BTreeSet<Option<C>>>;

impl<C: Word> Table<C> {
    fn note(&mut self, from: C, kind: Kind, which: &str, to: Option<C>) {
        let row = self.0.entry(from).or_default();
        row.entry((kind, which.to_owned())).or_default().insert(to);
    }
}

/// All that was found, over all plans.
pub(super) struct Found {
    pub steps: Table<StepCell>,
    pub hosts: Table<HostCell>,
    pub runs: Table<RunCell>,
    /// States of whole runs.
    pub states: usize,
    /// Events that were tried in them, and those that fitted.
    pub tried: usize,
    pub fitted: usize,
    pub kinds_tried: BTreeSet<Kind>,
    pub kinds_fitted: BTreeSet<Kind>,
}

impl Found {
    pub fn new() -> Self {
        Self {
            steps: Table(BTreeMap::new()),
            hosts: Table(BTreeMap::new()),
            runs: Table(BTreeMap::new()),
            states: 0,
            tried: 0,
            fitted: 0,
            kinds_tried: BTreeSet::new(),
            kinds_fitted: BTreeSet::new(),
        }
    }
}

/// Attempts that count for the retry policy are told apart up to here: no step of these plans may be begun more
/// often, also where one more is allowed because an outcome was unknown.
const USED_MAX: u32 = 4;

/// A run, and the journal that led there.
struct World {
    run: Run,
    journal: Vec<Record>,
}

impl World {
    /// The journal alone, through its text, leads to the same run.
    fn is_replayed(&self) {
        let line = |record: &Record| serde_json::to_string(record).unwrap();
        let text: Vec<String> = self.journal.iter().map(line).collect();
        let read = |line: &String| serde_json::from_str(line).unwrap();
        let records: Vec<Record> = text.iter().map(read).collect();
        let replayed = Run::replay(self.run.opened_with().clone(), &records).unwrap();
        assert!(replayed == self.run, "a replay differs: {text:#?}");
    }

    fn record(&self, sample: &Sample) -> Record {
        let start = Timestamp::from_second(1_800_000_000).unwrap();
        let last = self.journal.last().map_or(start, |record| record.at);
        Record {
            seq: self.run.seq() + 1,
            at: sample.after.after(last),
            before: Record::genesis(),
            event: sample.event.clone(),
        }
    }
}

fn cells(run: &Run) -> BTreeMap<Position, StepCell> {
    run.positions()
        .map(|(position, state)| (position, StepCell::of(state)))
        .collect()
}

/// What tells two runs apart here: all of a run that decides what can follow, but for numbers that only grow, times,
/// words for people, the limits of a sitting, and whether rows were lost: what those change shows in the next event.
/// Nor, in plans of several steps, how a step came to its end: that leads nowhere else.
fn essence(run: &Run) -> String {
    let mut out = format!(
        "{:?} {} {} {}",
        run.stand,
        run.paused,
        run.over,
        run.generation.is_some()
    );
    let alone = run.slots.keys().count() == 1;
    for (key, slot) in run.slots.iter() {
        let guard = match &slot.state {
            StepState::Ready {
                stage: Stage::Guard(guard),
            }
            | StepState::Held { guard, .. } => *guard,
            _ => 0,
        };
        if slot.state.is_over() {
            let _ = match alone {
                true => write!(out, " {:?}", StepCell::of(&slot.state)),
                false => write!(out, " {} over", key.node),
            };
            continue;
        }
        let cell = StepCell::of(&slot.state);
        let counts = (slot.attempts, slot.used.min(USED_MAX), slot.unknowns);
        let _ = write!(out, " {} {cell:?} {guard} {counts:?}", key.node);
    }
    for (key, active) in &run.active {
        let _ = match active {
            Active::Repair {
                rounds,
                remedy,
                body_over,
                measured,
                ..
            } => write!(
                out,
                " {key:?} {rounds} {remedy} {body_over} {}",
                measured.len()
            ),
            other => write!(out, " {} {other:?}", key.node),
        };
    }
    for host in run.hosts.values() {
        let link = HostCell::of(Some(&host.link));
        let _ = write!(out, " {link:?} {} {}", host.holds, host.seen.is_some());
    }
    let late = (&run.left, &run.past, &run.late, &run.cleaning);
    let _ = write!(out, " {late:?} {}", run.postponed.len());
    out
}

/// Which events are followed; all of them are tried in every state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Followed {
    /// What happens to a step and its host, in a run that goes on.
    OfSteps,
    /// Also what people decide of the run as a whole.
    All,
}

impl Followed {
    /// Attempts of a step after which its life is not followed further; one more counts for its retry policy.
    fn attempts_max(self) -> u32 {
        match self {
            Self::OfSteps => 2,
            Self::All => 1,
        }
    }

    fn goes_on(self, run: &Run) -> bool {
        let most = self.attempts_max();
        let mut slots = run.slots.iter();
        slots.all(|(_, slot)| slot.attempts <= most && slot.used <= most.saturating_add(1))
    }

    fn follows(self, kind: Kind) -> bool {
        match kind {
            Kind::Pause
            | Kind::Unpause
            | Kind::Abort
            | Kind::Postpone
            | Kind::TakeUp
            | Kind::LeaveOut
            | Kind::TakenUp
            | Kind::Amended
            | Kind::Salvaged
            | Kind::Limited
            | Kind::CleanupBegan => self == Self::All,
            _ => true,
        }
    }
}

pub(super) fn explore(plan: Plan, followed: Followed, found: &mut Found) {
    let run = Run::new(plan).unwrap();
    let mut seen = BTreeSet::from([essence(&run)]);
    let first = World {
        run,
        journal: Vec::new(),
    };
    let mut queue = VecDeque::from([first]);
    while let Some(world) = queue.pop_front() {
        found.states += 1;
        world.is_replayed();
        let before = cells(&world.run);
        let mut scratch = world.run.clone();
        for sample in events::all(&world.run) {
            let record = world.record(&sample);
            match scratch.apply(&record) {
                Err(illegal) => {
                    assert!(!illegal.state.is_empty(), "{illegal}");
                    note(&world.run, &before, &sample, None, found);
                }
                Ok(()) => {
                    note(&world.run, &before, &sample, Some(&scratch), found);
                    let run = std::mem::replace(&mut scratch, world.run.clone());
                    let follows = followed.follows(sample.kind) && followed.goes_on(&run);
                    if follows && seen.insert(essence(&run)) {
                        let journal = world.journal.iter().cloned().chain([record]).collect();
                        queue.push_back(World { run, journal });
                    }
                }
            }
        }
        // What was refused has changed nothing.
        assert!(scratch == world.run, "{:#?}", world.journal);
    }
}

/// What the event did to the run, to its host and to each of its steps.
fn note(
    run: &Run,
    steps: &BTreeMap<Position, StepCell>,
    sample: &Sample,
    after: Option<&Run>,
    found: &mut Found,
) {
    let Sample { kind, which, .. } = sample;
    found.tried += 1;
    found.kinds_tried.insert(*kind);
    if after.is_some() {
        found.fitted += 1;
        found.kinds_fitted.insert(*kind);
    }
    let about = sample.position();
    // What is measured of a step makes no difference to its host and to the run.
    let which_for_all = if about.is_some() { "" } else { which.as_str() };
    let host = |run: &Run| HostCell::of(run.link(&HOST.into()));
    found.runs.note(
        RunCell::of(run),
        *kind,
        which_for_all,
        after.map(RunCell::of),
    );
    found
        .hosts
        .note(host(run), *kind, which_for_all, after.map(host));
    let then = after.map(cells);
    for (position, from) in steps {
        let to = then.as_ref().and_then(|cells| cells.get(position)).copied();
        if about.is_none_or(|about| about == position) {
            found.steps.note(*from, *kind, which, to);
        } else if let Some(to) = to.filter(|to| to != from) {
            found
                .steps
                .note(*from, *kind, "at another position", Some(to));
        }
    }
}
