//! Many runs with many seeds, on all processors.

use crate::cells::{self, Cells};
use crate::fault::{Fault, Kind, Moment, Script, When};
use crate::judge::Violation;
use crate::play::Played;
use crate::scene::{Scene, SimError};
use overhaul_model::definition::Slot;
use overhaul_model::event::{Sitting, Until};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Faults of one run.
const FAULTS: (usize, usize) = (3, 5);

/// How long a controller stands still beside the one that has taken its run.
const STANDS_STILL_MS: (u64, u64) = (200, 8_000);

/// Points of a cleanup, about.
const CLEANUP_POINTS: usize = 40;

/// Runs of which the journal is read again for the table of states and events: one of so many.
const READ_AGAIN_EVERY: u64 = 8;

/// Violations that are kept with their seed; more would tell nothing more.
const VIOLATIONS_MAX: usize = 50;

impl Script {
    /// The script of a seed: some faults at moments of the plan.
    pub fn of_seed(scene: &Scene, seed: u64) -> Self {
        // The world's dice begin with the same seed, and must not show the same faces.
        let mut dice = StdRng::seed_from_u64(seed.rotate_left(32) ^ 0x5eed);
        let count = dice.random_range(FAULTS.0..=FAULTS.1);
        let faults = drawn(scene, &mut dice, count);
        let points = scene.calm.points.max(1);
        let mut deaths = Vec::new();
        if dice.random_bool(0.25) {
            deaths.push(dice.random_range(0..points));
        }
        let mut stops = Vec::new();
        if dice.random_bool(0.15) {
            let ms = dice.random_range(STANDS_STILL_MS.0..=STANDS_STILL_MS.1);
            stops.push((dice.random_range(0..points), ms));
        }
        let mut already = Vec::new();
        if dice.random_bool(0.25) {
            already.extend(scene.askable.choose(&mut dice).cloned());
        }
        let mut sittings = Vec::new();
        if dice.random_bool(0.15) {
            sittings.extend(sitting(scene, &mut dice));
        }
        let cleaned = !scene.cleanup.is_empty() && dice.random_bool(0.2);
        let cleanup = cleaned.then(|| match dice.random_bool(0.5) {
            true => vec![dice.random_range(0..CLEANUP_POINTS)],
            false => Vec::new(),
        });
        let amends = scene.amended.is_some() && dice.random_bool(0.15);
        let amend = amends.then(|| dice.random_range(0..points));
        Self {
            seed,
            faults,
            deaths,
            stops,
            already,
            sittings,
            amend,
            cleanup,
        }
    }
}

/// The limits of a sitting: some hosts, or a slot at which it ends.
fn sitting(scene: &Scene, dice: &mut StdRng) -> Option<Sitting> {
    let mut sitting = Sitting {
        words: "simulated limits".to_owned(),
        hosts: None,
        until: None,
        stage: None,
    };
    match dice.random_range(0..3) {
        0 => {
            let hosts: Vec<_> = scene.plan.hosts.keys().cloned().collect();
            let some = dice.random_range(1..=hosts.len().max(1));
            sitting.hosts = Some(hosts.choose_multiple(dice, some).cloned().collect());
        }
        1 => sitting.until = Some(Until::Slot(scene.slots.choose(dice).copied()?)),
        _ => sitting.until = Some(Until::Step(scene.works.choose(dice)?.step.clone())),
    }
    Some(sitting)
}

impl Script {
    /// The script of a seed with so many faults and nothing else.
    pub fn with_faults(scene: &Scene, seed: u64, count: usize) -> Self {
        let mut dice = StdRng::seed_from_u64(seed.rotate_left(32) ^ 0x5eed);
        Self {
            seed,
            faults: drawn(scene, &mut dice, count),
            ..Self::default()
        }
    }
}

/// Faults at moments of the plan.
fn drawn(scene: &Scene, dice: &mut StdRng, count: usize) -> Vec<Fault> {
    let mut faults = Vec::new();
    while faults.len() < count {
        let Some(kind) = Kind::ALL.choose(dice).copied() else {
            break;
        };
        // Most runs are to come to the end that they were made for.
        if kind == Kind::PersonAborts && dice.random_bool(0.7) {
            continue;
        }
        let when = if kind.of_journal() {
            When::Commit(dice.random_range(0..scene.calm.commits.max(1)))
        } else {
            let moment = *Moment::ALL.choose(dice).unwrap_or(&Moment::Before);
            let at = |position: &overhaul_model::id::Position| {
                When::Step(position.clone(), fitting(kind, moment))
            };
            match scene.works.choose(dice) {
                Some(position) => at(position),
                None => When::Commit(0),
            }
        };
        faults.push(Fault { kind, when });
    }
    faults
}

/// The moment at which a fault of this kind has a meaning.
fn fitting(kind: Kind, moment: Moment) -> Moment {
    match kind {
        Kind::RequestLost | Kind::RequestLate | Kind::WorkFails => Moment::Before,
        Kind::Hang => Moment::Working,
        Kind::HelperDies if matches!(moment, Moment::Before | Moment::Answering) => Moment::Working,
        _ => moment,
    }
}

/// Runs with a range of seeds.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The first seed.
    pub first: u64,
    /// How many.
    pub runs: u64,
    /// Threads.
    pub threads: usize,
    /// Whether the first violation ends it.
    pub stop_at_first: bool,
    /// Whether every journal is read again for the table of states and events, and not one of some.
    pub count_all: bool,
    /// The deliberate fault in all of them, by its name; none when empty. Only a build with the feature `planted` has any.
    pub planted: &'static str,
}

/// What came of many runs.
#[derive(Debug, Default)]
pub struct Tally {
    /// Runs.
    pub runs: u64,
    /// Controllers in all of them.
    pub controllers: u64,
    /// Decisions of people.
    pub decided: u64,
    /// Rows of journals.
    pub rows: u64,
    /// Virtual milliseconds.
    pub ms: u64,
    /// Runs whose plan was amended on the way.
    pub amended: u64,
    /// Runs of which something was cleared away after the end.
    pub cleaned: u64,
    /// Faults that struck, by kind and slot; those of the journal have none.
    pub struck: BTreeMap<(Kind, Option<Slot>), u64>,
    /// Runs in which so many faults struck.
    pub faults: BTreeMap<usize, u64>,
    /// Events by the state that they met, in a part of the runs.
    pub pairs: Cells,
    /// Runs that broke a law: the seed, and the laws.
    pub violations: BTreeMap<u64, Vec<Violation>>,
    /// Runs that broke a law, those not kept too.
    pub broken: u64,
    /// Seeds that broke a law with the deliberate fault and without it: they tell nothing about the fault.
    pub anyway: BTreeSet<u64>,
}

impl Tally {
    fn add(&mut self, played: &Played, seed: u64) {
        self.runs += 1;
        self.controllers += u64::from(played.controllers);
        self.decided += u64::from(played.decided);
        self.rows += u64::try_from(played.records.len()).unwrap_or(u64::MAX);
        self.ms += played.ms;
        self.amended += u64::from(played.amended);
        self.cleaned += u64::from(played.upgraded.is_some());
        *self.faults.entry(played.struck.len()).or_default() += 1;
        for struck in &played.struck {
            *self.struck.entry(*struck).or_default() += 1;
        }
        if !played.violations.is_empty() {
            self.broken += 1;
            if self.violations.len() < VIOLATIONS_MAX {
                self.violations.insert(seed, played.violations.clone());
            }
        }
    }

    /// Adds those of another thread.
    pub fn merge(&mut self, other: Self) {
        self.runs += other.runs;
        self.controllers += other.controllers;
        self.decided += other.decided;
        self.rows += other.rows;
        self.ms += other.ms;
        self.broken += other.broken;
        self.amended += other.amended;
        self.cleaned += other.cleaned;
        for (key, count) in other.struck {
            *self.struck.entry(key).or_default() += count;
        }
        for (key, count) in other.faults {
            *self.faults.entry(key).or_default() += count;
        }
        for (key, count) in other.pairs {
            *self.pairs.entry(key).or_default() += count;
        }
        self.violations.extend(other.violations);
        self.anyway.extend(other.anyway);
    }
}

impl Campaign {
    /// Plays all seeds.
    ///
    /// # Errors
    /// When the operating system gives no executor.
    pub fn play(&self, scene: &Scene) -> Result<Tally, SimError> {
        let next = AtomicU64::new(0);
        let stop = AtomicU64::new(0);
        let all: Mutex<Result<Tally, SimError>> = Mutex::new(Ok(Tally::default()));
        std::thread::scope(|threads| {
            for _ in 0..self.threads.max(1) {
                threads.spawn(|| {
                    let mine = self.part(scene, &next, &stop);
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    match (&mut *all, mine) {
                        (Ok(tally), Ok(mine)) => tally.merge(mine),
                        (Ok(_), Err(error)) => *all = Err(error),
                        (Err(_), _) => {}
                    }
                });
            }
        });
        all.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn part(&self, scene: &Scene, next: &AtomicU64, stop: &AtomicU64) -> Result<Tally, SimError> {
        let mut tally = Tally::default();
        plant(self.planted);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= self.runs || stop.load(Ordering::Relaxed) > 0 {
                return Ok(tally);
            }
            let seed = self.first.wrapping_add(number);
            let script = Script::of_seed(scene, seed);
            let mut played = scene.play(&script)?;
            if !played.violations.is_empty() && self.breaks_anyway(scene, &script)? {
                tally.anyway.insert(seed);
                played.violations.clear();
            }
            tally.add(&played, seed);
            if self.count_all || number.is_multiple_of(READ_AGAIN_EVERY) {
                cells::count(scene.blank.clone(), &played.records, &mut tally.pairs);
            }
            if self.stop_at_first && !played.violations.is_empty() {
                stop.store(1, Ordering::Relaxed);
            }
        }
    }

    /// Whether a script breaks a law without the deliberate fault, too.
    fn breaks_anyway(&self, scene: &Scene, script: &Script) -> Result<bool, SimError> {
        if self.planted.is_empty() {
            return Ok(false);
        }
        plant("");
        let played = scene.play(script);
        plant(self.planted);
        Ok(!played?.violations.is_empty())
    }
}

/// Plants a deliberate fault in what runs on this thread, in a build that has any.
fn plant(name: &'static str) {
    #[cfg(feature = "planted")]
    overhaul_model::planted::choose(name);
    #[cfg(not(feature = "planted"))]
    let _ = name;
}
