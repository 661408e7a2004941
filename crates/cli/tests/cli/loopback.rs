//! Whole runs over a real sshd, as a plain account would make them: started, killed, decided about,
//! resumed, reported. What needs a real upgrade or a reboot is left out by decision.

use crate::input::is_root;
use crate::scene::{Scene, kill, wait_for};
use crate::sshd::{Sshd, helper};
use serde_json::Value;
use std::process::Child;
use std::time::{Duration, Instant};

/// Longest wait for a state of a run.
const STATE_S_MAX: u64 = 60;

const KIND: &str = r#"upgrader: tiny
describes: pretends
paths:
  - {from: "OS FROM here", to: "OS TO there"}
prepare: []
change:
  - {name: change it, shell: "echo changed", repeat: safe, timeout: 1m, expected: 1s}
settle: []
"#;

/// `WORK/go` ends the long step; `WORK/good` makes the step succeed that fails without it.
const UPGRADE: &str = r#"upgrade: small
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

struct Stage {
    scene: Scene,
    sshd: Sshd,
}

/// The release of this machine, since facts are real.
fn release() -> (String, String) {
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
    fn new() -> Self {
        let scene = Scene::new(&[]).with_helper(helper());
        let sshd = Sshd::start(&scene);
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

    const RUN: [&str; 7] = [
        "run",
        "upgrade.yaml",
        "--fleet",
        "fleet.yaml",
        "--kinds",
        "kinds",
        "--yes",
    ];

    fn status(&self) -> Value {
        self.scene.call(&["status", "--json"]).json()
    }

    fn state_of(&self, step: &str) -> String {
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

    fn wait_for_state(&self, step: &str, state: &str) {
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
    fn in_long(&self) -> Child {
        let child = self.scene.start(&Self::RUN);
        wait_for(&self.scene.path("work/long"));
        self.wait_for_state("long", "running");
        child
    }

    fn go(&self) {
        self.scene.write("work/go", "");
    }
}

#[test]
fn a_killed_run_is_resumed_decided_about_and_reported() {
    let stage = Stage::new();
    let scene = &stage.scene;
    let child = stage.in_long();
    // A second controller is refused, and so is another run on the fleet.
    let second = scene.call(&["resume"]).with(8);
    assert!(
        second.stderr.contains("in the hands of another controller"),
        "{}",
        second.all()
    );
    scene.call(&Stage::RUN).with(8);
    kill(child.id(), "KILL");
    scene.end(child, &Stage::RUN);
    let status = scene.call(&["status"]).with(0);
    assert!(
        status.stdout.contains("no process of this machine has it"),
        "{}",
        status.all()
    );

    // The step that was under way is found again, ends, and was begun once.
    stage.go();
    let shown = scene.call(&["resume"]).with(4);
    assert_eq!(scene.read("work/long"), "began\n", "{}", shown.all());
    assert_eq!(stage.state_of("long"), "done");
    assert_eq!(stage.state_of("picky"), "failed");
    assert!(shown.stdout.contains("| not good"), "{}", shown.all());
    assert!(
        shown
            .stdout
            .contains("overhaul retry prepare/database/prepare/picky@db1"),
        "{}",
        shown.all()
    );

    // Retried after it was mended, it goes on to the gate.
    scene.write("work/good", "");
    let decided = scene
        .call(&["retry", "picky", "--reason", "made good"])
        .with(0);
    assert!(
        decided.stdout.contains("will take effect at"),
        "{}",
        decided.all()
    );
    scene.call(&["resume"]).with(4);
    assert_eq!(stage.state_of("look-around"), "asked");

    // What needs a real upgrade is left out; the gate is opened.
    let status = stage.status();
    for row in status["steps"].as_array().unwrap() {
        let position = row["position"].as_str().unwrap();
        if row["state"] == "waiting" {
            scene
                .call(&["skip", position, "--reason", "no upgrade in this test"])
                .with(0);
        }
    }
    scene.call(&["approve", "look-around"]).with(0);
    let ended = scene.call(&["resume"]).with(0);
    assert!(ended.stdout.contains(": complete"), "{}", ended.all());

    let report = scene.call(&["report", "--json"]).with(0).json();
    assert_eq!(report["verdict"], "complete");
    assert_eq!(report["controllers"].as_array().unwrap().len(), 4);
    assert_eq!(report["hosts"][0]["released"], true);
    let text = scene.call(&["report"]).with(0);
    for line in ["db1: note: going on\n", "db1: note: of the long step\n"] {
        assert!(text.stdout.contains(line), "{}", text.all());
    }
    assert!(!text.all().contains('\u{1b}'), "{}", text.all());
    assert!(text.stdout.contains("not observed"), "{}", text.all());
    scene.call(&["status"]).with(0);
    scene.call(&["resume"]).with(2);
}

#[test]
fn a_gate_is_opened_while_the_run_waits_for_people() {
    let stage = Stage::new();
    let scene = &stage.scene;
    stage.go();
    scene.write("work/good", "");
    let args = [Stage::RUN.as_slice(), &["--wait", "--json"]].concat();
    let child = scene.start(&args);
    wait_for(&scene.path("state/runs"));
    wait_for(&scene.path("work/long"));
    stage.wait_for_state("look-around", "asked");
    let decided = scene.call(&["abort", "--reason", "another day"]).with(0);
    assert!(decided.stdout.contains("takes it up"), "{}", decided.all());
    let shown = scene.end(child, &args).with(9);
    let lines: Vec<Value> = shown
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last = lines.last().unwrap();
    assert_eq!(last["end"], "aborted", "{}", shown.all());
    assert!(lines.iter().rev().skip(1).all(|line| line["seq"].is_u64()));
    // The hosts are free again: another run begins.
    let again = scene.call(&Stage::RUN).with(4);
    assert!(again.stdout.contains("Is db1 quiet?"), "{}", again.all());
}

#[test]
fn the_first_interrupt_pauses_and_the_second_leaves() {
    let stage = Stage::new();
    let scene = &stage.scene;
    let child = stage.in_long();
    kill(child.id(), "INT");
    std::thread::sleep(Duration::from_millis(500));
    stage.go();
    let shown = scene.end(child, &Stage::RUN).with(5);
    assert!(shown.stderr.contains("Ctrl-C again"), "{}", shown.all());
    assert_eq!(stage.state_of("long"), "done");
    assert_eq!(stage.state_of("picky"), "ready");

    // Resumed, it does not stay paused.
    std::fs::remove_file(scene.path("work/go")).unwrap();
    scene.call(&["resume"]).with(4);
    assert_eq!(stage.state_of("picky"), "failed");

    let other = Stage::new();
    let child = other.in_long();
    kill(child.id(), "INT");
    std::thread::sleep(Duration::from_millis(300));
    kill(child.id(), "INT");
    let shown = other.scene.end(child, &Stage::RUN).with(130);
    assert!(shown.stderr.contains("overhaul resume"), "{}", shown.all());
    // The work goes on without us and is found done.
    other.go();
    other.scene.call(&["resume"]).with(4);
    assert_eq!(other.state_of("long"), "done");
    assert_eq!(other.scene.read("work/long"), "began\n");
}

#[test]
fn a_host_made_anew_between_kill_and_resume_is_not_taken_for_the_old_one() {
    let stage = Stage::new();
    let scene = &stage.scene;
    let child = stage.in_long();
    kill(child.id(), "KILL");
    scene.end(child, &Stage::RUN);
    // Work and receipts of the old host are gone.
    stage.go();
    std::thread::sleep(Duration::from_secs(1));
    std::fs::remove_dir_all(scene.path("host")).unwrap();
    let shown = scene.call(&["resume"]).with(4);
    assert_eq!(stage.state_of("long"), "unknown", "{}", shown.all());
    assert_eq!(
        scene.read("work/long"),
        "began\n",
        "nothing is begun again by itself"
    );
    for part in [
        "it was installed anew",
        "overhaul done prepare/database/prepare/long@db1 --reason 'TEXT'",
    ] {
        assert!(shown.stdout.contains(part), "{part}: {}", shown.all());
    }
}

#[test]
fn a_disk_that_fills_in_mid_run_stops_the_controller_and_not_the_work() {
    if !is_root() {
        // Only root can mount a disk to be filled.
        return;
    }
    let stage = Stage::new();
    let scene = &stage.scene;
    scene.write("work/good", "");
    let script = format!(
        "code=0
        $OVERHAUL {} >out 2>&1 & run=$!
        until test -e work/long; do sleep 0.1; done
        cat /dev/zero >state/fill 2>/dev/null || :
        touch work/go
        wait $run || code=$?
        echo run $code
        rm state/fill
        code=0
        $OVERHAUL resume >again 2>&1 || code=$?
        echo resume $code",
        Stage::RUN.join(" ")
    );
    let shown = scene.on_small_disk("20m", &script).with(0);
    let said = scene.read("out") + &scene.read("again");
    assert_eq!(shown.stdout, "run 7\nresume 4\n", "{}{said}", shown.all());
    assert!(said.contains("the journal cannot be written"), "{said}");
    assert_eq!(scene.read("work/long"), "began\n");
}

#[test]
fn hosts_that_cannot_be_trusted_or_reached_stop_a_run_before_it_begins() {
    let stage = Stage::new();
    let scene = &stage.scene;
    let refused = |what: &str| {
        let shown = scene.call(&Stage::RUN).with(6);
        assert!(
            shown.stderr.contains("nothing was changed"),
            "{}",
            shown.all()
        );
        assert!(
            shown.stderr.to_lowercase().contains(what),
            "{what}: {}",
            shown.all()
        );
        let runs = scene.path("state/runs");
        assert_eq!(runs.read_dir().unwrap().count(), 0);
    };
    stage.sshd.known_by(scene, "other_key");
    refused("key");
    stage.sshd.known_by(scene, "host_key");
    stage.sshd.revoked_by(scene);
    refused("revoked");
    scene.write("sshd/known_hosts", "");
    refused("key");
    stage.sshd.known_by(scene, "host_key");
    scene.write("sshd/authorized_keys", "");
    refused("db1");
    drop(stage.sshd);
    refused("refused");
}

#[test]
fn a_host_whose_journal_is_lost_is_freed_by_name_and_reason() {
    let stage = Stage::new();
    let scene = &stage.scene;
    stage.go();
    scene.call(&Stage::RUN).with(4);
    std::fs::remove_dir_all(scene.path("state")).unwrap();
    let held = scene.call(&Stage::RUN).with(8);
    assert!(
        held.stderr.contains("belong to another run"),
        "{}",
        held.all()
    );
    let free = [
        "abort",
        "--lost",
        "--host",
        "db1",
        "--fleet",
        "fleet.yaml",
        "--reason",
        "disk lost",
    ];
    scene.call(&free).with(2);
    let freed = scene.call(&[free.as_slice(), &["--yes"]].concat()).with(0);
    assert!(freed.stdout.contains("db1 is free"), "{}", freed.all());
    scene.call(&Stage::RUN).with(4);
}

#[test]
fn a_look_at_one_host_changes_nothing_but_the_helpers_folder() {
    let stage = Stage::new();
    let scene = &stage.scene;
    let (os, _) = release();
    if os != "debian" {
        return;
    }
    let user = String::from_utf8(
        std::process::Command::new("id")
            .arg("-un")
            .output()
            .unwrap()
            .stdout,
    );
    let target = format!("{}@127.0.0.1:{}", user.unwrap().trim(), stage.sshd.port);
    let args = [
        "try",
        &target,
        "--to",
        "trixie",
        "--identity",
        "sshd/client",
        "--known-hosts",
        "sshd/known_hosts",
    ];
    let shown = scene.call(&args);
    assert!([0, 3].contains(&shown.code), "{}", shown.all());
    assert!(
        shown.stdout.contains("release          Debian"),
        "{}",
        shown.all()
    );
    assert!(!scene.path("state/runs").exists());
}
