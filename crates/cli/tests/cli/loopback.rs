//! Whole runs over a real sshd: started, killed, decided about, resumed, reported. What needs a real
//! upgrade or a reboot is left out by decision.

use crate::input::is_root;
use crate::scene::{kill, wait_for};
use crate::stage::{Stage, release};
use serde_json::Value;
use std::time::Duration;

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
    let ended = stage.to_the_end();
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
    let mut stage = Stage::new();
    let refused = |stage: &Stage, what: &str| {
        let shown = stage.refused(6, &Stage::RUN);
        let said = shown.stderr.to_lowercase();
        assert!(said.contains(what), "{what}: {}", shown.all());
    };
    stage.sshd.known_by(&stage.scene, "other_key");
    refused(&stage, "key");
    stage.sshd.known_by(&stage.scene, "host_key");
    stage.sshd.revoked_by(&stage.scene);
    refused(&stage, "revoked");
    stage.scene.write("sshd/known_hosts", "");
    refused(&stage, "key");
    stage.sshd.known_by(&stage.scene, "host_key");
    stage.scene.write("sshd/authorized_keys", "");
    refused(&stage, "db1");
    stage.sshd.stop();
    refused(&stage, "refused");
}

#[test]
fn a_host_whose_journal_is_lost_is_freed_by_name_and_reason() {
    let stage = Stage::new();
    let scene = &stage.scene;
    stage.go();
    let begun = scene.call(&Stage::RUN).with(4);
    std::fs::remove_dir_all(scene.path("state")).unwrap();
    std::fs::remove_dir_all(scene.path("work")).unwrap();
    let held = stage.refused(8, &Stage::RUN);
    let run = run_id(&begun.stderr);
    for part in [
        "1 of 1 host belong to another run; nothing was changed".to_owned(),
        format!("  db1: run {run} of fleet shop"),
        format!(
            "hint: if the journal of {run} is lost: overhaul abort --lost --host db1 --fleet fleet.yaml --reason TEXT"
        ),
    ] {
        assert!(held.stderr.contains(&part), "{part}: {}", held.all());
    }
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
    let asked = scene.call(&free).with(2);
    assert!(
        asked
            .stderr
            .contains(&format!("db1 belongs to run {run} of fleet shop")),
        "{}",
        asked.all()
    );
    assert!(asked.stderr.contains("then give --yes"), "{}", asked.all());
    let freed = scene.call(&[free.as_slice(), &["--yes"]].concat()).with(0);
    assert!(freed.stdout.contains("db1 is free"), "{}", freed.all());
    stage.go();
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
    let target = format!("root@127.0.0.1:{}", stage.sshd.port);
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

#[test]
fn no_step_of_these_tests_can_act_on_this_machine() {
    let stage = Stage::new();
    // Nothing here orders a reboot: were the cage open, this test would be the one to do it.
    let script = "cat /usr/bin/systemctl /sbin/reboot /sbin/shutdown; ls -A /run/systemd/private /run/dbus; \
                  touch /etc/left /usr/left /var/left /root/left /home/left; readlink /proc/self/ns/pid";
    let done = stage.sshd.shell(&stage.scene, script);
    let said = String::from_utf8(done.stdout).unwrap();
    let wrong = String::from_utf8(done.stderr).unwrap();
    assert_eq!(
        said.matches("is refused: this is a test").count(),
        3,
        "{said}{wrong}"
    );
    assert_eq!(wrong.matches("No such file").count(), 2, "{wrong}");
    let ours = std::fs::read_link("/proc/self/ns/pid").unwrap();
    let theirs = said.lines().last().unwrap();
    assert!(theirs.starts_with("pid:["), "{said}");
    assert_ne!(theirs, ours.to_str().unwrap());
    for folder in ["etc", "usr", "var", "root", "home"] {
        assert!(!std::path::Path::new("/").join(folder).join("left").exists());
    }
}

/// The run that a call has begun, by its own words.
fn run_id(said: &str) -> String {
    let line = said.lines().find_map(|line| line.strip_prefix("run "));
    line.and_then(|rest| rest.split(',').next())
        .unwrap()
        .to_owned()
}
