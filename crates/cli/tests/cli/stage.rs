//! A run over a real sshd: its files, and how it stands.

use crate::scene::{Scene, Shown, wait_for};
use crate::sshd::{Sshd, helper};
use serde_json::Value;
use std::process::Child;
use std::time::{Duration, Instant};

/// Longest wait for a state of a run.
const STATE_S_MAX: u64 = 60;

pub const KIND: &str = r#"upgrader: tiny
describes: pretends
paths:
  - {from: "OS FROM here", to: "OS TO there"}
prepare: []
change:
  - {name: change it, shell: "echo changed", repeat: safe, timeout: 1m, expected: 1s}
settle: []
"#;

/// `WORK/go` ends the long step; `WORK/good` makes the step succeed that fails without it.
pub const UPGRADE: &str = r#"upgrade: small
from: {os: OS, release: "FROM"}
to: {os: OS, release: "TO"}
roles:
  database:
    strategy: in-place
    upgrader: tiny
    prepare:
      - {name: folder, run: [mkdir, -p, "{{ work }}"], touches: []}
      - name: long
        shell: |
          echo began >> {{ work }}/long
          until test -e {{ work }}/go; do sleep 0.1; done
          printf '\033]0;title\007going on\n'
          echo 'of the long step'
        touches: []
        outputs: {leftover_note: stdout}
      - name: picky
        shell: "echo looked; test -e {{ work }}/good || { echo not good >&2; exit 3; }"
        touches: []
    drain:
      - {name: look around, gate: "Is {{ host.name }} quiet?"}
"#;

/// A fleet of one host, and an upgrade that ends before it would change anything.
pub struct Stage {
    pub scene: Scene,
    pub sshd: Sshd,
}

/// The release of this machine, since facts are real.
pub fn release() -> (String, String) {
    let text = std::fs::read_to_string("/etc/os-release").unwrap();
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key))
            .map(|value| value.trim_matches('"').to_owned())
            .unwrap_or_default()
    };
    (value("ID="), value("VERSION_ID="))
}

impl Stage {
    pub fn new() -> Self {
        Self::prepared("")
    }

    /// A host in whose world this script has run.
    pub fn prepared(script: &str) -> Self {
        let scene = Scene::new(&[]).with_helper(helper());
        let sshd = Sshd::start(&scene, script);
        let (os, from) = release();
        let fill = |text: &str| {
            text.replace("OS", &os)
                .replace("FROM", &from)
                .replace("TO", "next")
        };
        scene.write("upgrade.yaml", &fill(UPGRADE));
        scene.write("kinds/tiny.yaml", &fill(KIND));
        scene.write("fleet.yaml", &sshd.fleet(&scene));
        Self { scene, sshd }
    }

    /// The run, and nobody is asked.
    pub const RUN: [&str; 7] = [
        "run",
        "upgrade.yaml",
        "--fleet",
        "fleet.yaml",
        "--kinds",
        "kinds",
        "--yes",
    ];

    /// A call that stops before a run begins, with nothing changed; what it says.
    pub fn refused(&self, code: i32, args: &[&str]) -> Shown {
        let shown = self.scene.call(args).with(code);
        assert!(
            shown.stderr.contains("nothing was changed"),
            "{}",
            shown.all()
        );
        let runs = self.scene.path("state/runs").read_dir();
        assert_eq!(runs.map_or(0, Iterator::count), 0, "{}", shown.all());
        assert!(!self.scene.path("work").exists());
        shown
    }

    /// Opens the gate after the steps behind it are left out, and resumes to the end.
    pub fn to_the_end(&self) -> Shown {
        for row in self.status()["steps"].as_array().unwrap() {
            if row["state"] == "waiting" {
                let position = row["position"].as_str().unwrap();
                let skip = ["skip", position, "--reason", "no upgrade in this test"];
                self.scene.call(&skip).with(0);
            }
        }
        self.scene.call(&["approve", "look-around"]).with(0);
        self.scene.call(&["resume"]).with(0)
    }

    pub fn status(&self) -> Value {
        self.scene.call(&["status", "--json"]).json()
    }

    pub fn state_of(&self, step: &str) -> String {
        let status = self.status();
        let steps = status["steps"].as_array().unwrap();
        let found = steps.iter().find(|row| {
            row["position"]
                .as_str()
                .unwrap()
                .ends_with(&format!("/{step}@db1"))
        });
        found.unwrap()["state"].as_str().unwrap().to_owned()
    }

    pub fn wait_for_state(&self, step: &str, state: &str) {
        let until = Instant::now() + Duration::from_secs(STATE_S_MAX);
        while self.state_of(step) != state {
            assert!(
                Instant::now() < until,
                "{step} is {} and not {state}",
                self.state_of(step)
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A run whose long step is under way.
    pub fn in_long(&self) -> Child {
        let child = self.scene.start(&Self::RUN);
        wait_for(&self.scene.path("work/long"));
        self.wait_for_state("long", "running");
        child
    }

    pub fn go(&self) {
        self.scene.write("work/go", "");
    }
}
