//! The machine, the controller that works on it, and the person who looks at both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::journal::{Started, started};
use super::truth::Truth;
use crate::kill::controller::{Controller, Failure, path};
use crate::lab::LabError;
use crate::lab::guest::{Guest, Running};
use crate::say::say;

/// A machine that lost its power is back within minutes; the controller waits for it by itself.
const RECONNECT_BUDGET_S: u64 = 1_200;
/// A command on the machine takes a second under emulation.
const COMMAND_S_MAX: u64 = 120;
/// How often the journal is looked at: the machine takes longer to begin a step than this.
pub const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A person who is asked so often for one run is not helped.
const SITTINGS_MAX: u32 = 30;
/// The exit code that means: a person must decide.
const NEEDS_PERSON: i32 = 4;
/// The exit code that means: a host could not be worked with.
const HOST_TROUBLE: i32 = 6;

/// A machine that is on, and a run on it.
pub struct Site<'a> {
    /// The machine.
    pub guest: Guest,
    /// It, while it is on.
    pub running: Running,
    /// The controller.
    pub controller: Controller<'a>,
    child: Option<Child>,
    sittings: u32,
    /// How often a person let a step begin again.
    pub retried: BTreeMap<String, usize>,
    /// Steps that a person said were done.
    pub told: BTreeSet<String>,
    /// Decisions since somebody looked last.
    pub decided: Vec<String>,
}

/// What went wrong in the lab, as what went wrong in a trial.
pub fn lab(error: LabError) -> Failure {
    Failure::new(error.to_string())
}

impl<'a> Site<'a> {
    /// Switches a machine on that was just made, puts these programs of `lab/power-loss` on it, and waits for the disk to have them.
    pub fn new(guest: Guest, overhaul: &'a Path, programs: &[&str]) -> Result<Self, Failure> {
        let mut running = guest.power_on().map_err(lab)?;
        let booted = guest.wait_until_up(&mut running).map_err(lab)?;
        say(format_args!(
            "the machine is up after {} s",
            booted.as_secs()
        ));
        for program in programs {
            let file = Path::new("lab/power-loss").join(program);
            let text = std::fs::read_to_string(&file)
                .map_err(|error| Failure::new(format!("{}: {error}", path(&file))))?;
            let line = format!("install -m 755 /dev/stdin /usr/local/bin/{program}");
            guest
                .run_with_input(COMMAND_S_MAX, &line, &text)
                .map_err(lab)?;
        }
        guest
            .run(COMMAND_S_MAX, "mkdir -p /var/lib/effects && sync")
            .map_err(lab)?;
        let dir = guest.folder.clone();
        Ok(Self {
            guest,
            running,
            controller: Controller { overhaul, dir },
            child: None,
            sittings: 0,
            retried: BTreeMap::new(),
            told: BTreeSet::new(),
            decided: Vec::new(),
        })
    }

    /// Begins the run.
    pub fn begin(&mut self, definition: &Path) -> Result<(), Failure> {
        let fleet = self.controller.dir.join("fleet.yaml");
        self.start(&["run", &path(definition), "--fleet", &path(&fleet), "--yes"])
    }

    fn start(&mut self, words: &[&str]) -> Result<(), Failure> {
        self.child = Some(self.controller.start_patient(words, RECONNECT_BUDGET_S)?);
        Ok(())
    }

    /// The controller stands still.
    pub fn hold(&self) {
        self.signal(Signal::STOP);
    }

    /// It goes on.
    pub fn let_go(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            // A controller that has ended is seen by whoever waits for it.
            let _ = kill_process(Pid::from_child(child), signal);
        }
    }

    /// The controller's state folder.
    pub fn state(&self) -> PathBuf {
        self.controller.dir.join("state")
    }

    /// Attempts that the journal tells of.
    pub fn started(&self) -> Vec<Started> {
        started(&self.state())
    }

    /// Names of steps in a state.
    pub fn steps_in(&self, state: &str) -> BTreeSet<String> {
        let steps = self.controller.steps_in(state);
        steps
            .iter()
            .map(|position| Truth::step_of(position).to_owned())
            .collect()
    }

    /// What lies on the disk.
    pub fn truth(&self) -> Result<Truth, Failure> {
        let text = self.guest.run(COMMAND_S_MAX, "look").map_err(lab)?;
        Truth::parse(&text).map_err(Failure::new)
    }

    /// A command on the machine, over a connection of its own.
    pub fn on_guest(&self, line: &str) -> Result<String, Failure> {
        self.guest.run(COMMAND_S_MAX, line).map_err(lab)
    }

    /// Switches the machine on again, and says how long its boot took.
    pub fn power_on(&mut self) -> Result<Duration, Failure> {
        self.running = self.guest.power_on().map_err(lab)?;
        self.guest.wait_until_up(&mut self.running).map_err(lab)
    }

    /// Waits until something is so; where the controller ends meanwhile, `person` answers, and the run is taken up again.
    pub fn wait(
        &mut self,
        what: &str,
        bound_s: u64,
        mut is_so: impl FnMut(&mut Self) -> Result<bool, Failure>,
        mut person: impl FnMut(&mut Self, &str) -> Result<Answer, Failure>,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(bound_s) {
            if is_so(self)? {
                return Ok(());
            }
            if self.child.is_none() {
                return Err(Failure::new(format!("the run was over before {what}")));
            }
            if let Some(code) = self.ended()?
                && code != Some(0)
            {
                self.take_up(code, &mut person)?;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(Failure::new(format!(
            "{what} did not come within {bound_s} s; see {}",
            path(&self.controller.log())
        )))
    }

    /// Whether the run came to its end.
    pub fn is_over(&self) -> bool {
        self.child.is_none()
    }

    /// The report says `complete`, and `doctor` finds the run whole.
    pub fn must_be_complete(&self) -> Result<(), Failure> {
        self.controller.must_be_complete()?;
        let output = Command::new(self.controller.overhaul)
            .args(["--state", &path(&self.state()), "doctor"])
            .output()
            .map_err(|error| Failure::new(format!("overhaul doctor: {error}")))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "overhaul doctor: {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stdout)
            ))),
        }
    }

    /// The exit code of a controller that has ended; when that was the run's end there is no further one.
    fn ended(&mut self) -> Result<Option<Option<i32>>, Failure> {
        let Some(child) = &mut self.child else {
            return Ok(None);
        };
        let status = child
            .try_wait()
            .map_err(|error| Failure::new(format!("wait: {error}")))?;
        if status.is_some_and(|status| status.success()) {
            self.child = None;
        }
        Ok(status.map(|status| status.code()))
    }

    fn take_up(
        &mut self,
        code: Option<i32>,
        person: &mut impl FnMut(&mut Self, &str) -> Result<Answer, Failure>,
    ) -> Result<(), Failure> {
        self.sittings += 1;
        if self.sittings > SITTINGS_MAX
            || !code.is_some_and(|code| [NEEDS_PERSON, HOST_TROUBLE].contains(&code))
        {
            return Err(Failure::new(format!(
                "overhaul ended with {code:?} in its sitting {}; see {}",
                self.sittings,
                path(&self.controller.log())
            )));
        }
        for state in ["unknown", "failed"] {
            for position in self.controller.steps_in(state) {
                let step = Truth::step_of(&position).to_owned();
                let Answer { verb, reason } = person(self, &step)?;
                self.controller
                    .ask(&[verb, &position, "--json", "--reason", reason])?;
                self.decided
                    .push(format!("`{verb}` of {step}, which was {state}"));
                match verb {
                    "retry" => *self.retried.entry(step).or_default() += 1,
                    "done" => drop(self.told.insert(step)),
                    _ => {}
                }
            }
        }
        self.start(&["resume"])
    }
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a person decides about a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The decision.
    pub verb: &'static str,
    /// Why.
    pub reason: &'static str,
}
