//! The program under test: started, killed, asked, and answered as a person would.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::case::RECONNECT_BUDGET_S;

/// How often a run is looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The exit code of `overhaul` that means: a person must decide.
const NEEDS_PERSON: i32 = 4;

/// A cut-off run may need a few resumes (a host may still be starting), never many.
const RESUMES_MAX: u32 = 4;

/// Why a trial failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

impl Failure {
    /// In these words.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

/// A controller and its folder.
#[derive(Debug)]
pub struct Controller<'a> {
    /// The program.
    pub overhaul: &'a Path,
    /// The folder of the lab instance; state and log are in it.
    pub dir: PathBuf,
}

impl Controller<'_> {
    /// What it said.
    pub fn log(&self) -> PathBuf {
        self.dir.join("overhaul.log")
    }

    /// Starts it with these arguments; what it says goes to the log.
    pub fn start(&self, arguments: &[&str]) -> Result<Child, Failure> {
        self.start_patient(arguments, RECONNECT_BUDGET_S)
    }

    /// As `start`, with another bound on how long a lost connection is made again.
    pub fn start_patient(&self, arguments: &[&str], budget_s: u64) -> Result<Child, Failure> {
        let wrong = |error| Failure::new(format!("{}: {error}", path(&self.log())));
        let out = File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .map_err(wrong)?;
        let err = out.try_clone().map_err(wrong)?;
        Command::new(self.overhaul)
            .args(["--state", &path(&self.dir.join("state"))])
            .args(arguments)
            .env("OVERHAUL_RECONNECT_BUDGET", format!("{budget_s}s"))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|error| Failure::new(format!("{}: {error}", path(self.overhaul))))
    }

    /// What it answers to these arguments, as JSON.
    pub fn ask(&self, arguments: &[&str]) -> Result<Value, Failure> {
        let output = Command::new(self.overhaul)
            .args(["--state", &path(&self.dir.join("state"))])
            .args(arguments)
            .output()
            .map_err(|error| Failure::new(format!("{}: {error}", path(self.overhaul))))?;
        serde_json::from_slice(&output.stdout).map_err(|error| {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            Failure::new(format!("overhaul {}: {error}: {said}", arguments.join(" ")))
        })
    }

    /// Steps in a state, from `overhaul status --json`.
    pub fn steps_in(&self, state: &str) -> Vec<String> {
        let Ok(status) = self.ask(&["status", "--json"]) else {
            return Vec::new();
        };
        let steps = status
            .get("steps")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        steps
            .iter()
            .filter(|step| step.get("state").and_then(Value::as_str) == Some(state))
            .filter_map(|step| step.get("position").and_then(Value::as_str))
            .map(str::to_owned)
            .collect()
    }

    /// Resumes until the end, decides what is asked, and says how often it was resumed and what was asked. `code` is how the last controller ended.
    pub fn resume_to_the_end(
        &self,
        mut code: Option<i32>,
        bound_s: u64,
    ) -> Result<(u32, Vec<String>), Failure> {
        let (mut resumes, mut asked) = (0, Vec::new());
        while code != Some(0) {
            if code == Some(NEEDS_PERSON) {
                asked.extend(self.decide()?);
            }
            if resumes == RESUMES_MAX {
                return Err(Failure::new(format!(
                    "not at the end after {RESUMES_MAX} resumes; see {}",
                    path(&self.log())
                )));
            }
            resumes += 1;
            let mut child = self.start(&["resume"])?;
            code = wait(&mut child, bound_s)?;
        }
        Ok((resumes, asked))
    }

    /// The verdict of the report must be `complete`.
    pub fn must_be_complete(&self) -> Result<(), Failure> {
        let report = self.ask(&["report", "--json"])?;
        match report.get("verdict").and_then(Value::as_str) {
            Some("complete") => Ok(()),
            other => Err(Failure::new(format!("the report's verdict is {other:?}"))),
        }
    }

    /// Answers honestly, from what a person would see on the host, what the run asks.
    pub fn decide(&self) -> Result<Vec<String>, Failure> {
        let mut said = Vec::new();
        for state in ["unknown", "failed"] {
            for step in self.steps_in(state) {
                self.ask(&[
                    "retry",
                    &step,
                    "--json",
                    "--reason",
                    "the host was looked at: the step may begin again",
                ])?;
                said.push(format!("retry {step} ({state})"));
            }
        }
        Ok(said)
    }
}

/// The exit code; `None` when a signal ended it.
pub fn wait(child: &mut Child, bound_s: u64) -> Result<Option<i32>, Failure> {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(bound_s) {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.code()),
            Ok(None) => std::thread::sleep(LOOK_EVERY),
            Err(error) => return Err(Failure::new(format!("wait: {error}"))),
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(Failure::new(format!(
        "overhaul did not end within {bound_s} s"
    )))
}

/// A path as text.
pub fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
