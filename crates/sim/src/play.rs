//! One simulated run: controllers one after the other, until the run is over.

use crate::books::Books;
use crate::evidence::EndState;
use crate::executor::{Ended, drive};
use crate::fault::{Kind, Script};
use crate::hands::Hand;
use crate::judge::Violation;
use crate::scene::{Scene, SimError};
use crate::trace::{Happened, Line};
use crate::world::World;
use overhaul_engine::{EngineError, Ports, RunEnd, Settings, run_prepared};
use overhaul_model::definition::Slot;
use overhaul_model::event::{Event, Record, Verdict};
use overhaul_model::id::{Nonce, StepId};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Controllers that one run may need: more means that it does not come to its end.
const CONTROLLERS_MAX: u32 = 40;

/// From the end of a controller to the next one.
const RESUMED_AFTER_MS: u64 = 500;

/// After this nothing is under way in a world that is left alone: longer than any fault lasts.
const SETTLED_AFTER_MS: u64 = 60_000;

/// How a simulated run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// By itself.
    Over(Verdict),
    /// Not at all: why.
    Not(String),
}

/// A simulated run.
#[derive(Debug)]
pub struct Played {
    /// How it ended.
    pub how: How,
    /// The laws that it broke.
    pub violations: Vec<Violation>,
    /// What truly happened.
    pub trace: Vec<Line>,
    /// The journal.
    pub records: Vec<Record>,
    /// Faults that struck, with the slot of the step.
    pub struck: Vec<(Kind, Option<Slot>)>,
    /// Places passed at which a controller can be killed.
    pub points: usize,
    /// Commits of the journal.
    pub commits: usize,
    /// Virtual milliseconds.
    pub ms: u64,
    /// Controllers that it needed.
    pub controllers: u32,
    /// Decisions of people.
    pub decided: u32,
    /// Whether a person has put another plan in the place of the first one.
    pub amended: bool,
    pub(crate) end: EndState,
    /// Before the cleanup, if there was one.
    pub(crate) upgraded: Option<EndState>,
}

/// Plays a script on a scene.
pub(crate) fn play(scene: &Scene, script: &Script) -> Result<Played, SimError> {
    let world = World::new(scene, script);
    let mut controllers = 0;
    let mut upgraded = None;
    let how = loop {
        if controllers >= CONTROLLERS_MAX {
            break How::Not(format!("{CONTROLLERS_MAX} controllers were not enough"));
        }
        let names = world.to_clean(scene, script);
        if !names.is_empty() && upgraded.is_none() {
            // Somebody comes back to it on another day.
            upgraded = Some(world.end());
            world.cleanup_comes(script);
        }
        match controller(scene, &world, &mut controllers, script, names)? {
            Some(How::Over(_)) if !world.to_clean(scene, script).is_empty() => {}
            Some(how) => break how,
            None => world.clock.pass(RESUMED_AFTER_MS),
        }
    };
    let ms = world.clock.now_ms();
    let end = world.end();
    let mut state = world.state();
    Ok(Played {
        how,
        violations: Vec::new(),
        trace: std::mem::take(&mut state.trace),
        records: std::mem::take(&mut state.records),
        struck: std::mem::take(&mut state.struck),
        points: state.points,
        commits: state.commits,
        ms,
        controllers,
        decided: state.people.decided,
        amended: state.amended,
        end,
        upgraded,
    })
}

impl World {
    /// How it all is when what is still under way somewhere has come to its end.
    fn end(&self) -> EndState {
        self.clock.pass(SETTLED_AFTER_MS);
        let state = self.state();
        let hosts = state.hosts.iter();
        EndState {
            bodies: hosts
                .clone()
                .map(|(n, h)| (n.clone(), h.body.clone()))
                .collect(),
            holders: hosts.map(|(n, h)| (n.clone(), h.holder.clone())).collect(),
            files: state.files.clone(),
            settled: state.settled.clone(),
        }
    }

    /// What a person names to be cleared away now: the run is complete, and its cleanup has not begun.
    fn to_clean(&self, scene: &Scene, script: &Script) -> Vec<StepId> {
        if script.cleanup.is_none() {
            return Vec::new();
        }
        let state = self.state();
        let mut rows = state.records.iter().rev();
        let complete = Event::Finished {
            verdict: Verdict::Complete,
        };
        let is_complete = rows.any(|row| row.event == complete);
        let began = |row: &Record| matches!(row.event, Event::CleanupBegan { .. });
        match is_complete && !state.records.iter().any(began) {
            true => scene.cleanup.clone(),
            false => Vec::new(),
        }
    }
}

/// One controller, and those that take its run while it stands still; how the run ended, if it did.
fn controller(
    scene: &Scene,
    world: &Arc<World>,
    number: &mut u32,
    script: &Script,
    cleanup: Vec<StepId>,
) -> Result<Option<How>, SimError> {
    let amended = scene.amended.as_deref().filter(|_| world.state().amended);
    let prepared = &amended.unwrap_or(scene).prepared;
    // Limits are of the upgrade: what is to be cleared away is named.
    let sittings: &[_] = match world.state().cleaning {
        true => &[],
        false => script.sittings.as_slice(),
    };
    // Nobody sits at a terminal: its channel stays open as long as the controller.
    let mut terminals = Vec::new();
    let next = || {
        *number += 1;
        world.tell(Happened::Controller(*number));
        let (terminal, control) = mpsc::unbounded_channel();
        terminals.push(terminal);
        let ports = Ports {
            journal: Books::new(world, *number),
            inbox: Books::new(world, *number),
            reach: Arc::new(Hand(Arc::clone(world), *number)),
            clock: Arc::new(Hand(Arc::clone(world), *number)),
        };
        let sitting = usize::try_from(*number - 1).unwrap_or(usize::MAX);
        let settings = Settings {
            run: scene.ground.run.clone(),
            person: "simulated".into(),
            nonce: Nonce::new(format!("controller-{number}")),
            warned: Vec::new(),
            // Every other seed has a controller that stays while people think; nobody amends a plan beside it.
            wait_for_people: script.seed % 2 == 1 && script.amend.is_none(),
            sitting: sittings.get(sitting).cloned(),
            cleanup: cleanup.clone(),
            control,
        };
        let watcher = Hand(Arc::clone(world), *number);
        run_prepared(prepared.clone(), ports, settings, watcher)
    };
    let until = world
        .clock
        .now_ms()
        .saturating_add(scene.ground.controller_ms_max);
    let ended = drive(&world.clock, &world.death, until, next)?;
    world.amend(scene, script);
    Ok(match ended {
        Ended::Killed => None,
        Ended::Stuck => Some(How::Not("the loop waits for nothing".to_owned())),
        Ended::Endless => Some(How::Not("the loop does not come to an end".to_owned())),
        Ended::Itself(end) => {
            let words = match &end {
                Ok(end) => short(end),
                Err(error) => error.to_string(),
            };
            world.tell(Happened::Ended(words));
            after(world, end)
        }
    })
}

fn short(end: &RunEnd) -> String {
    match end {
        RunEnd::Finished(Verdict::Complete) => "the run is complete".to_owned(),
        RunEnd::Finished(Verdict::Aborted) => "the run was aborted".to_owned(),
        RunEnd::NeedsPerson { positions } => {
            let names: Vec<_> = positions.iter().map(|p| p.position.to_string()).collect();
            format!("people must decide about {}", names.join(", "))
        }
        other => format!("{other:?}"),
    }
}

/// What follows the end of a controller that was not killed.
fn after(world: &World, end: Result<RunEnd, EngineError>) -> Option<How> {
    match end {
        Ok(RunEnd::Finished(verdict)) => return Some(How::Over(verdict)),
        Ok(RunEnd::NeedsPerson { positions }) => {
            if positions.is_empty() {
                return Some(How::Not(
                    "it waits for people, and says not where".to_owned(),
                ));
            }
            world.seen(&positions);
            // Who is away leaves the next controller without an answer, too.
            if world.state().people.comes_back() {
                return None;
            }
        }
        Ok(RunEnd::Paused) => {
            world.state().people.comes_back();
        }
        // The next sitting has no such limits, or it is another day.
        Ok(RunEnd::Limited) => return None,
        Ok(RunEnd::Postponed { until }) => {
            let wait = until.as_millisecond() - world.clock.time_of_day().as_millisecond();
            world.clock.pass(u64::try_from(wait).unwrap_or(0));
            return None;
        }
        Ok(end) => return Some(How::Not(format!("it stopped: {end:?}"))),
        Err(EngineError::Journal(_)) => return None,
        Err(error) => return Some(How::Not(format!("the loop broke: {error}"))),
    }
    // People take their time, and the run is resumed when they have spoken.
    loop {
        let next = world.state().people.next_ms();
        let Some(at_ms) = next else {
            return Some(How::Not("nobody knows what to decide".to_owned()));
        };
        let now = world.clock.now_ms();
        world.clock.pass(at_ms.saturating_sub(now));
        let before = world.state().requests.len();
        world.people_act();
        if world.state().requests.len() > before {
            return None;
        }
    }
}
