//! A plan with everything about it that does not change from one simulated run to the next.

use crate::evidence::{EndState, Evidence};
use crate::fault::Script;
use crate::ground::{Basis, Ground};
use crate::host::Body;
use crate::judge::{self, Known};
use crate::meaning::Meaning;
use crate::play::{Played, play};
use crate::world::bodies;
use overhaul_check::CheckedPlan;
use overhaul_engine::{EngineError, Prepared};
use overhaul_machine::Run;
use overhaul_model::definition::Slot;
use overhaul_model::id::{Digest, HostName, Position, StepId};
use overhaul_model::plan::Plan;
use overhaul_model::primitive::Measure;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A world could not be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The plan cannot be written as JSON.
    #[error("the plan cannot be written: {0}")]
    Plan(#[from] serde_json::Error),
    /// The plan cannot be carried out.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The operating system gave no executor.
    #[error("no executor: {0}")]
    Executor(#[from] std::io::Error),
    /// Nothing went wrong in the world, and the run did not come to its end or broke a law.
    #[error("the undisturbed run of {scene} does not keep the laws: {why}")]
    NotCalm {
        /// The scene.
        scene: String,
        /// What is wrong.
        why: String,
    },
}

/// A plan that is simulated.
pub struct Scene {
    /// What people call it.
    pub name: String,
    pub(crate) prepared: Prepared,
    checked: CheckedPlan,
    /// The run before its first event.
    pub(crate) blank: Run,
    pub(crate) plan: Arc<Plan>,
    pub(crate) hash: Digest,
    pub(crate) meaning: Arc<Meaning>,
    pub(crate) ground: Ground,
    pub(crate) known: Known,
    /// Every host as it is in the beginning.
    pub(crate) fresh: Arc<BTreeMap<HostName, Body>>,
    /// The positions at which a host or the controller does something.
    pub(crate) works: Vec<Position>,
    /// The slots of those.
    pub(crate) slots: Vec<Slot>,
    /// Those that are asked first whether they are done already, and do nothing that others would miss.
    pub(crate) askable: Vec<Position>,
    /// The plan that a person may put in the place of this one.
    pub(crate) amended: Option<Box<Self>>,
    /// What can be named to be cleared away once a run is complete.
    pub(crate) cleanup: Vec<StepId>,
    /// The run in which nothing goes wrong.
    pub calm: Calm,
}

/// The run in which nothing goes wrong.
#[derive(Clone, Debug)]
pub struct Calm {
    /// Places at which a controller can be killed.
    pub points: usize,
    /// Commits of the journal.
    pub commits: usize,
    /// Virtual milliseconds.
    pub ms: u64,
    /// Rows of the journal.
    pub rows: usize,
    pub(crate) end: Arc<EndState>,
}

impl Scene {
    /// Plays the plan once, undisturbed.
    ///
    /// # Errors
    /// When that run does not come to its end, or breaks a law.
    pub fn new(name: &str, checked: CheckedPlan) -> Result<Self, SimError> {
        let meaning = Meaning::of(checked.plan());
        Self::on(name, checked, meaning, Ground::default())
    }

    /// The same for a fleet that is there: its hosts begin as their facts have them, and steps take about as long as
    /// the plan expects.
    ///
    /// # Errors
    /// As for [`Scene::new`].
    pub fn of_fleet(name: &str, checked: CheckedPlan, basis: &Basis<'_>) -> Result<Self, SimError> {
        let meaning = Meaning::of(checked.plan()).at_pace(checked.plan());
        let ground = Ground::of(checked.plan(), basis);
        Self::on(name, checked, meaning, ground)
    }

    /// With a plan that people may put in the place of this one in the midst of a run: its parent is this one.
    ///
    /// # Errors
    /// As for [`Scene::new`].
    pub fn with_amendment(mut self, checked: CheckedPlan) -> Result<Self, SimError> {
        let mut amended = Self::new(&format!("{}, amended", self.name), checked)?;
        amended.prepared = Prepared::amended(Arc::clone(&self.plan), &amended.checked)?;
        self.blank = self.blank.expecting(amended.blank.clone());
        self.amended = Some(Box::new(amended));
        Ok(self)
    }

    fn on(
        name: &str,
        checked: CheckedPlan,
        meaning: Meaning,
        ground: Ground,
    ) -> Result<Self, SimError> {
        let plan = checked.share();
        let placed = plan.positions();
        let by_hand = placed
            .into_iter()
            .filter(|place| judge::is_work(place.step));
        let meaning = Arc::new(meaning);
        let (mut works, mut slots, mut askable) = (Vec::new(), BTreeSet::new(), Vec::new());
        for place in by_hand {
            slots.insert(place.step.slot);
            let asked = matches!(place.step.check, Some(Measure::Command(_)));
            let asked = asked && place.step.outputs.is_empty();
            if asked && place.position.host.is_some() && meaning.is_plain(&place.step.id) {
                askable.push(place.position.clone());
            }
            works.push(place.position);
        }
        let mut fresh = bodies(&plan, &meaning);
        ground.settle(&mut fresh);
        let blank =
            Run::new(Arc::clone(&plan)).map_err(|error| EngineError::Replay(error.into()))?;
        let mut scene = Self {
            name: name.to_owned(),
            cleanup: outermost(blank.cleanups()),
            blank,
            known: Known::of(&plan),
            fresh: Arc::new(fresh),
            hash: plan.hash()?,
            meaning,
            ground,
            prepared: Prepared::new(&checked)?,
            checked,
            amended: None,
            works,
            slots: slots.into_iter().collect(),
            askable,
            plan,
            calm: Calm {
                points: 0,
                commits: 0,
                ms: 0,
                rows: 0,
                end: Arc::new(EndState::default()),
            },
        };
        let played = play(&scene, &Script::default())?;
        scene.calm = Calm {
            points: played.points,
            commits: played.commits,
            ms: played.ms,
            rows: played.records.len(),
            end: Arc::new(played.end.clone()),
        };
        let found = scene.violations(&played);
        match found.first() {
            None => Ok(scene),
            Some(_) => Err(SimError::NotCalm {
                scene: scene.name,
                why: found
                    .iter()
                    .map(|v| format!("{}: {}", v.law, v.what))
                    .collect::<Vec<_>>()
                    .join("; "),
            }),
        }
    }

    /// Plays a script.
    ///
    /// # Errors
    /// When the operating system gives no executor.
    pub fn play(&self, script: &Script) -> Result<Played, SimError> {
        let mut played = play(self, script)?;
        played.violations = self.violations(&played);
        Ok(played)
    }

    fn violations(&self, played: &Played) -> Vec<judge::Violation> {
        // What stays of the plan before it is in the amended one too.
        let in_force = match (self.amended.as_deref(), played.amended) {
            (Some(amended), true) => amended,
            _ => self,
        };
        judge::all(&Evidence {
            plan: &in_force.plan,
            known: &in_force.known,
            trace: &played.trace,
            records: &played.records,
            how: &played.how,
            end: &played.end,
            upgraded: played.upgraded.as_ref(),
            calm: &in_force.calm.end,
        })
    }

    /// The slots in which something is done.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// Those blocks that stand in no other one.
fn outermost(names: Vec<&StepId>) -> Vec<StepId> {
    let inside = |name: &StepId, other: &StepId| {
        let below = name.as_str().strip_prefix(other.as_str());
        below.is_some_and(|rest| rest.starts_with('/'))
    };
    let alone = |name: &&StepId| !names.iter().any(|other| inside(name, other));
    names.iter().copied().filter(alone).cloned().collect()
}
