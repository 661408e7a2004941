//! One trial: a fresh host, a run, a fault at its moment, resumes until the end, and the end measured.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::case::{Case, Fault};
use super::controller::{Controller, Failure, LOOK_EVERY, path, wait};
use super::host::{HOST, Lab};

/// A whole upgrade takes about two minutes here; five times that means that it hangs.
const RUN_S_MAX: u64 = 900;

/// The moment of the fault must come within this.
const MOMENT_S_MAX: u64 = 600;

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
        self.lab.fresh("one-host", self.mb)?;
        let rows = self.lab.rows()?;
        let controller = Controller {
            overhaul: self.overhaul,
            dir: self.lab.dir()?,
        };
        let fleet = controller.dir.join("fleet.yaml");
        let mut child = controller.start(&[
            "run",
            &path(self.definition),
            "--fleet",
            &path(&fleet),
            "--yes",
        ])?;
        let mut code = None;
        if self.case.fault == Fault::None {
            code = wait(&mut child, RUN_S_MAX)?;
        } else {
            self.wait_for_moment(&controller, &mut child)?;
            self.strike(&mut child)?;
            if self.case.fault == Fault::Controller {
                let _ = child.wait();
            } else {
                code = wait(&mut child, RUN_S_MAX)?;
            }
        }
        let (resumes, asked) = controller.resume_to_the_end(code, RUN_S_MAX)?;
        self.prove(&rows, &controller)?;
        Ok(Seen {
            resumes,
            asked,
            end: self.end()?,
        })
    }

    fn wait_for_moment(
        &self,
        controller: &Controller<'_>,
        child: &mut Child,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(MOMENT_S_MAX) {
            if controller
                .steps_in("running")
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
                    path(&controller.log())
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

    /// What must be so whatever happened.
    fn prove(&self, rows: &str, controller: &Controller<'_>) -> Result<(), Failure> {
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
        let stored = self
            .lab
            .on_host("head -n 1 /var/lib/overhaul/generation.json")?;
        let stored: Value = serde_json::from_str(&stored)
            .map_err(|error| Failure::new(format!("generation.json: {error}: {stored}")))?;
        if stored.get("holder") != Some(&Value::Null) {
            return Err(Failure::new(format!("the host was not released: {stored}")));
        }
        controller.must_be_complete()
    }

    fn end(&self) -> Result<String, Failure> {
        self.lab.on_host(
            "sed -n 's/^PRETTY_NAME=//p' /etc/os-release; pg_lsclusters -h | sed 's/  */ /g'; dpkg --audit; \
             systemctl list-units --failed --plain --no-legend; ls /usr/sbin/policy-rc.d 2>/dev/null; \
             systemctl is-enabled postgresql nginx; dpkg-query -W | sha256sum",
        )
    }
}
