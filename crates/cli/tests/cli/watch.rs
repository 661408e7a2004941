//! Following a run from another terminal, and runs without one.

use crate::scene::wait_for;
use crate::stage::Stage;
use crate::stored::Stored;

#[test]
fn a_run_is_followed_to_its_end_with_its_exit_code() {
    let stage = Stage::new();
    let scene = &stage.scene;
    let run = scene.start(&Stage::RUN);
    wait_for(&scene.path("work/long"));
    let watch = scene.start(&["watch", "--all"]);
    let json = scene.start(&["watch", "--json"]);
    scene.write("work/go", "");
    let shown = scene.end(watch, &["watch", "--all"]).with(4);
    let rows = scene.end(json, &["watch", "--json"]).with(4).stdout;
    scene.end(run, &Stage::RUN).with(4);
    for line in ["begun by", "db1: registered", "FAILED", "overhaul retry"] {
        assert!(shown.all().contains(line), "{line}: {}", shown.all());
    }
    assert!(!shown.all().contains('\u{1b}'), "{}", shown.all());
    let rows: Vec<serde_json::Value> = rows
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (last, rows) = rows.split_last().unwrap();
    assert_eq!(last["end"], "needs-person");
    let numbers: Vec<u64> = rows
        .iter()
        .map(|row| row["seq"].as_u64().unwrap())
        .collect();
    assert!(
        numbers.windows(2).all(|two| two[1] == two[0] + 1),
        "{numbers:?}"
    );
    // A run that nobody has is told as it stands.
    scene.call(&["watch"]).with(4);
}

#[test]
fn without_systemd_no_run_is_detached_and_nothing_is_changed() {
    let stage = Stage::new();
    let script = "mount -t tmpfs none /run; exec $OVERHAUL run upgrade.yaml --fleet fleet.yaml --kinds kinds --yes --detach";
    let shown = stage.scene.on_small_disk("16m", script).with(2);
    for words in ["systemd", "nothing was changed", "overhaul resume"] {
        assert!(shown.stderr.contains(words), "{}", shown.all());
    }
    assert!(!stage.scene.path("work").exists());
}

#[test]
fn where_no_systemd_runs_the_machine_nothing_is_detached() {
    let stored = Stored::new();
    for command in ["run plan.json --yes --detach", "resume --detach"] {
        let script = format!("mount -t tmpfs none /run\nexec \"$OVERHAUL\" {command}");
        let said = stored.scene.on_small_disk("1m", &script).with(2);
        for words in [
            "a service of systemd, which does not run this machine; nothing was changed",
            "overhaul resume",
            "tmux",
        ] {
            assert!(said.stderr.contains(words), "{}", said.all());
        }
    }
}
