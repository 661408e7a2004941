//! Every place at which a controller can be killed, one by one and in pairs.

use crate::fault::{Fault, Kind, Moment, Script, When};
use crate::judge::Violation;
use crate::scene::{Scene, SimError};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Plans with more points have their pairs sampled.
pub const PAIRS_WHOLE_MAX: usize = 200;

/// Into so many parts a plan is cut by the moments at which a person ends its run.
const ABORTS: usize = 4;

/// Deaths to be played.
#[derive(Clone, Debug, Default)]
pub struct CrashPlan {
    /// Each run's script.
    pub scripts: Vec<Script>,
}

/// Controllers that are killed at these points.
fn killed(deaths: Vec<usize>) -> Script {
    Script {
        deaths,
        ..Script::default()
    }
}

impl CrashPlan {
    /// Every point; of large plans one of `every`.
    pub fn singles(scene: &Scene, every: usize) -> Self {
        let points = (0..scene.calm.points).step_by(every.max(1));
        Self {
            scripts: points.map(|point| killed(vec![point])).collect(),
        }
    }

    /// The helper of each host dies around each write of each receipt, and its host is cut off from power there;
    /// of large plans one of `every`.
    pub fn receipts(scene: &Scene, every: usize) -> Self {
        let moments = [
            Moment::Before,
            Moment::Received,
            Moment::Done,
            Moment::Answering,
        ];
        let kinds = [Kind::HelperDies, Kind::Reboot];
        let all = scene.works.iter().flat_map(|position| {
            let at = move |moment| When::Step(position.clone(), moment);
            moments.into_iter().flat_map(move |moment| {
                kinds.map(|kind| Fault {
                    kind,
                    when: at(moment),
                })
            })
        });
        let script = |fault| Script {
            faults: vec![fault],
            ..Script::default()
        };
        Self {
            scripts: all.step_by(every.max(1)).map(script).collect(),
        }
    }

    /// The run is ended by a person, early, in its middle and late, and the controller is killed at each point of
    /// the way that this takes; of large plans at one of `every`.
    ///
    /// # Errors
    /// When the operating system gives no executor.
    pub fn aborted(scene: &Scene, every: usize) -> Result<Self, SimError> {
        let mut scripts = Vec::new();
        for part in 1..ABORTS {
            let nth = scene.works.len().saturating_mul(part) / ABORTS;
            let Some(position) = scene.works.get(nth) else {
                continue;
            };
            let faults = vec![Fault {
                kind: Kind::PersonAborts,
                when: When::Step(position.clone(), Moment::Received),
            }];
            let script = Script {
                faults,
                ..Script::default()
            };
            let played = scene.play(&script)?;
            let points = (0..played.points).step_by(every.max(1));
            scripts.extend(points.map(|point| Script {
                deaths: vec![point],
                ..script.clone()
            }));
        }
        Ok(Self { scripts })
    }

    /// Pairs of points: the second within so many points after the first. All of them for plans up to
    /// [`PAIRS_WHOLE_MAX`] points, else so many in all, evenly spread.
    pub fn pairs(scene: &Scene, at_most: usize) -> Self {
        let points = scene.calm.points;
        let all = points.saturating_mul(points.saturating_add(1)) / 2;
        let step = match points <= PAIRS_WHOLE_MAX {
            true => 1,
            false => all.div_ceil(at_most.max(1)).max(1),
        };
        let pairs = (0..points)
            .flat_map(|first| (first + 1..=points).map(move |second| vec![first, second]));
        Self {
            scripts: pairs.step_by(step).map(killed).collect(),
        }
    }
}

/// What came of them.
#[derive(Debug, Default)]
pub struct Crashes {
    /// Deaths that were played.
    pub played: usize,
    /// Those after which the run came to the same end, and kept every law.
    pub kept: usize,
    /// Controllers in all.
    pub controllers: u64,
    /// Decisions of people.
    pub decided: u64,
    /// The others.
    pub broken: Vec<(String, Vec<Violation>)>,
}

impl CrashPlan {
    /// Plays all of them.
    ///
    /// # Errors
    /// When the operating system gives no executor.
    pub fn play(&self, scene: &Scene, threads: usize) -> Result<Crashes, SimError> {
        let next = AtomicUsize::new(0);
        let all: Mutex<Result<Crashes, SimError>> = Mutex::new(Ok(Crashes::default()));
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(|| {
                    while let Some(script) = self.scripts.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        let played = scene.play(script);
                        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                        match (&mut *all, played) {
                            (Ok(crashes), Ok(played)) => {
                                crashes.played += 1;
                                crashes.controllers += u64::from(played.controllers);
                                crashes.decided += u64::from(played.decided);
                                match played.violations.is_empty() {
                                    true => crashes.kept += 1,
                                    false => {
                                        crashes.broken.push((words(script), played.violations))
                                    }
                                }
                            }
                            (Ok(_), Err(error)) => *all = Err(error),
                            (Err(_), _) => return,
                        }
                    }
                });
            }
        });
        all.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

fn words(script: &Script) -> String {
    let faults = script
        .faults
        .iter()
        .map(|f| format!("{} {}", f.kind, f.when));
    let deaths = script
        .deaths
        .iter()
        .map(|point| format!("killed at {point}"));
    faults.chain(deaths).collect::<Vec<_>>().join(", ")
}
