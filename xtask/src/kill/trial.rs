//! One trial: a fresh host, a run, a fault at its moment, resumes until the end, and the end measured.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::case::{Case, Fault, RECONNECT_BUDGET_S};
use super::host::{HOST, Lab};

/// A whole upgrade takes about two minutes here; five times that means that it hangs.
const RUN_S_MAX: u64 = 900;

/// The moment of the fault must come within this.
const MOMENT_S_MAX: u64 = 600;

/// A cut-off run may need a few resumes (the host may still be starting), never many.
const RESUMES_MAX: u32 = 4;

/// How often the run's state is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The exit code of `overhaul` that means: a person must decide.
const NEEDS_PERSON: i32 = 4;

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

/// What a trial saw.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// Times that `overhaul resume` was needed.
    pub resumes: u32,
    /// Decisions that were asked for, as sentences.
    pub asked: Vec<String>,
    /// The end of the host, comparable between trials.
    pub end: String,
}

/// A trial of one case.
pub struct Trial<'a> {
    /// The case.
    pub case: &'a Case,
    /// The lab.
    pub lab: &'a Lab,
    /// The program under test.
    pub overhaul: &'a Path,
    /// The definition.
    pub definition: &'a Path,
    /// Megabytes of rows.
    pub mb: u32,
}

impl Trial<'_> {
    /// Carries it out.
    pub fn carry_out(&self) -> Result<Seen, Failure> {
        self.lab.fresh(self.mb)?;
        let rows = self.lab.rows()?;
        let dir = self.lab.dir()?;
        let fleet = dir.join("fleet.yaml");
        let mut child = self.start(
            &dir,
            &[
                "run",
                &path(self.definition),
                "--fleet",
                &path(&fleet),
                "--yes",
            ],
        )?;
        let mut code = None;
        if self.case.fault == Fault::None {
            code = wait(&mut child, RUN_S_MAX)?;
        } else {
            self.wait_for_moment(&dir, &mut child)?;
            self.strike(&mut child)?;
            if self.case.fault == Fault::Controller {
                let _ = child.wait();
            } else {
                code = wait(&mut child, RUN_S_MAX)?;
            }
        }
        let mut seen = Seen {
            resumes: 0,
            asked: Vec::new(),
            end: String::new(),
        };
        while code != Some(0) {
            if code == Some(NEEDS_PERSON) {
                seen.asked.extend(self.decide(&dir)?);
            }
            if seen.resumes == RESUMES_MAX {
                return Err(Failure::new(format!(
                    "not at the end after {RESUMES_MAX} resumes; see {}",
                    path(&log(&dir))
                )));
            }
            seen.resumes += 1;
            let mut child = self.start(&dir, &["resume"])?;
            code = wait(&mut child, RUN_S_MAX)?;
        }
        self.prove(&rows, &dir)?;
        seen.end = self.end()?;
        Ok(seen)
    }

    fn start(&self, dir: &Path, arguments: &[&str]) -> Result<Child, Failure> {
        let wrong = |error| Failure::new(format!("{}: {error}", path(&log(dir))));
        let out = File::options()
            .create(true)
            .append(true)
            .open(log(dir))
            .map_err(wrong)?;
        let err = out.try_clone().map_err(wrong)?;
        Command::new(self.overhaul)
            .args(["--state", &path(&dir.join("state"))])
            .args(arguments)
            .env(
                "OVERHAUL_RECONNECT_BUDGET",
                format!("{RECONNECT_BUDGET_S}s"),
            )
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|error| Failure::new(format!("{}: {error}", path(self.overhaul))))
    }

    fn ask(&self, dir: &Path, arguments: &[&str]) -> Result<Value, Failure> {
        let output = Command::new(self.overhaul)
            .args(["--state", &path(&dir.join("state"))])
            .args(arguments)
            .output()
            .map_err(|error| Failure::new(format!("{}: {error}", path(self.overhaul))))?;
        serde_json::from_slice(&output.stdout).map_err(|error| {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            Failure::new(format!("overhaul {}: {error}: {said}", arguments.join(" ")))
        })
    }

    /// Steps in a state, from `overhaul status --json`.
    fn steps_in(&self, dir: &Path, state: &str) -> Vec<String> {
        let Ok(status) = self.ask(dir, &["status", "--json"]) else {
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

    fn wait_for_moment(&self, dir: &Path, child: &mut Child) -> Result<(), Failure> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(MOMENT_S_MAX) {
            if self
                .steps_in(dir, "running")
                .iter()
                .any(|step| step.contains(self.case.step))
            {
                self.wait_for_dpkg()?;
                std::thread::sleep(self.case.delay);
                return Ok(());
            }
            if let Ok(Some(status)) = child.try_wait() {
                return Err(Failure::new(format!(
                    "the run ended ({status}) before {} began; see {}",
                    self.case.step,
                    path(&log(dir))
                )));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let _ = child.kill();
        Err(Failure::new(format!(
            "{} did not begin within {MOMENT_S_MAX} s",
            self.case.step
        )))
    }

    /// Waits on the host itself, since a moment of dpkg lasts for less than a connection takes.
    fn wait_for_dpkg(&self) -> Result<(), Failure> {
        let Some(line) = self.case.dpkg else {
            return Ok(());
        };
        let loop_ = format!(
            "from=$(wc -l </var/log/dpkg.log); \
             timeout {MOMENT_S_MAX} sh -c 'until tail -n +'$from' /var/log/dpkg.log | grep -q \"{line}\"; do sleep 0.05; done'"
        );
        self.lab.on_host(&loop_).map(drop)
    }

    fn strike(&self, child: &mut Child) -> Result<(), Failure> {
        match self.case.fault {
            Fault::None => Ok(()),
            Fault::Controller => child
                .kill()
                .map_err(|error| Failure::new(format!("kill: {error}"))),
            Fault::Sshd => {
                // The command ends its own connection: that it fails is what is wanted.
                let _ = self.lab.on_host("pkill -KILL -x sshd");
                Ok(())
            }
            Fault::Power => self.lab.lab(&["power-cut", HOST, "--restart"]).map(drop),
            Fault::Network(span) => self
                .lab
                .lab(&["cut-network", HOST, "--for", &span.as_secs().to_string()])
                .map(drop),
        }
    }

    /// Answers honestly, from what a person would see on the host, what the run asks.
    fn decide(&self, dir: &Path) -> Result<Vec<String>, Failure> {
        let mut said = Vec::new();
        for state in ["unknown", "failed"] {
            for step in self.steps_in(dir, state) {
                self.ask(
                    dir,
                    &[
                        "retry",
                        &step,
                        "--json",
                        "--reason",
                        "the host was looked at: the step may begin again",
                    ],
                )?;
                said.push(format!("retry {step} ({state})"));
            }
        }
        Ok(said)
    }

    /// What must be so whatever happened.
    fn prove(&self, rows: &str, dir: &Path) -> Result<(), Failure> {
        let now = self.lab.rows()?;
        if now != rows {
            return Err(Failure::new(format!(
                "the rows differ: {rows} before, {now} now"
            )));
        }
        let moved = self.lab.on_host(
            "grep -l 'migrate/' /var/lib/overhaul/receipts/*/begin.json 2>/dev/null | wc -l",
        )?;
        if moved.trim() != "1" {
            return Err(Failure::new(format!(
                "the once-only move has {} receipts, not 1",
                moved.trim()
            )));
        }
        let stored = self.lab.on_host("cat /var/lib/overhaul/generation.json")?;
        let stored: Value = serde_json::from_str(&stored)
            .map_err(|error| Failure::new(format!("generation.json: {error}: {stored}")))?;
        if stored.get("holder") != Some(&Value::Null) {
            return Err(Failure::new(format!("the host was not released: {stored}")));
        }
        let report = self.ask(dir, &["report", "--json"])?;
        match report.get("verdict").and_then(Value::as_str) {
            Some("complete") => Ok(()),
            other => Err(Failure::new(format!("the report's verdict is {other:?}"))),
        }
    }

    fn end(&self) -> Result<String, Failure> {
        self.lab.on_host(
            "sed -n 's/^PRETTY_NAME=//p' /etc/os-release; pg_lsclusters -h | sed 's/  */ /g'; dpkg --audit; \
             systemctl list-units --failed --plain --no-legend; ls /usr/sbin/policy-rc.d 2>/dev/null; \
             systemctl is-enabled postgresql nginx; dpkg-query -W | sha256sum",
        )
    }
}

/// The exit code; `None` when a signal ended it.
fn wait(child: &mut Child, bound_s: u64) -> Result<Option<i32>, Failure> {
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

fn log(dir: &Path) -> PathBuf {
    dir.join("overhaul.log")
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
