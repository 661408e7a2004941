//! `run --simulate`: the screen of a seed, faults that need people, and that nothing takes it for a run.

use crate::offline::{FLEET, KIND, UPGRADE, facts};
use crate::scene::{Scene, Shown};
use serde_json::Value;

/// When the facts of these tests were measured: a simulated run begins then.
const MEASURED: &str = "2026-01-01T08:00:00Z";

/// Within so many seeds one with four faults needs a person: about every third does.
const SEEDS_MAX: u32 = 60;

const SIMULATE: [&str; 11] = [
    "run",
    "upgrade.yaml",
    "--fleet",
    "fleet.yaml",
    "--kinds",
    "kinds",
    "--facts",
    "facts.json",
    "--simulate",
    "--seed",
    "7",
];

/// A small upgrade, and facts of its host that are always the same.
fn scene() -> Scene {
    let mut facts: Value = serde_json::from_str(&facts("12")).unwrap();
    measured_then(&mut facts);
    Scene::new(&[
        ("upgrade.yaml", UPGRADE),
        ("fleet.yaml", FLEET),
        ("kinds/tiny.yaml", KIND),
        ("facts.json", &facts.to_string()),
    ])
}

fn measured_then(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "at" | "gathered_at" if value.is_string() => *value = MEASURED.into(),
                    _ => measured_then(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(measured_then),
        _ => {}
    }
}

/// The only simulated run that is kept.
fn kept(scene: &Scene) -> String {
    let folder = scene.path("state/simulated");
    let entries = folder.read_dir().unwrap();
    let mut names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let name = names.next().unwrap();
    assert_eq!(names.next(), None);
    name
}

/// What was shown, with the run's name always the same.
fn shown(scene: &Scene, shown: &Shown) -> String {
    shown.all().replace(&kept(scene), "SIMULATED-ID")
}

/// With `N` for each number: how long work takes is thrown by dice, which fall otherwise with each change of the simulator.
fn numberless(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c.is_ascii_digit() {
            true if out.ends_with('N') => {}
            true => out.push('N'),
            false => out.push(c),
        }
    }
    out
}

fn all_marked(text: &str) {
    let not = text.lines().find(|line| !line.contains("SIMULATED"));
    assert_eq!(not, None);
}

#[test]
fn a_seed_without_faults_comes_to_its_end_and_every_line_is_marked() {
    let scene = scene();
    let said = scene.call(&SIMULATE).with(0);
    all_marked(&said.stdout);
    all_marked(&said.stderr);
    insta::assert_snapshot!(numberless(&shown(&scene, &said)));
    for file in ["SIMULATED", "journal.jsonl", "story.txt", "report.txt"] {
        let text = scene.read(&format!("state/simulated/{}/{file}", kept(&scene)));
        assert!(!text.is_empty(), "{file}");
        if file != "SIMULATED" {
            all_marked(&text);
        }
    }
    assert!(!scene.path("state/runs").exists());
    assert!(!scene.path("state/durations").exists());
}

#[test]
fn faults_that_need_a_person_are_told_with_what_the_person_did() {
    let scene = scene();
    // Which seed has such faults is another one with each new kind of fault.
    let needs = |said: &Shown| said.stdout.contains(" asks for: retry");
    let of = |seed: u32| {
        let seed = seed.to_string();
        let said = scene.call(&[&SIMULATE[..10], &[&seed, "--faults", "4"]].concat());
        said.with(0)
    };
    let said = (1..SEEDS_MAX).map(of).find(needs).unwrap();
    all_marked(&said.stdout);
    for words in [
        "4 faults: no host was reached",
        "FAULT: ",
        "FAILED   ",
        "people decided; in a run it would wait for them:",
        "SIMULATED   retry ",
        ": complete",
    ] {
        assert!(said.stdout.contains(words), "{words}: {}", said.all());
    }
}

#[test]
fn the_same_seed_gives_the_same_story() {
    let story = || {
        let scene = scene();
        let args = [&SIMULATE[..10], &["11", "--faults", "6"]].concat();
        let said = scene.call(&args).with(0);
        shown(&scene, &said)
    };
    assert_eq!(story(), story());
}

#[test]
fn programs_are_told_in_every_line_too() {
    let scene = scene();
    let said = scene.call(&[&SIMULATE[..], &["--json"]].concat()).with(0);
    for line in said.stdout.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["SIMULATED"], true, "{line}");
    }
    let failed = scene.call(&[&SIMULATE[..7], &["no.json", "--simulate", "--json"]].concat());
    assert_eq!(failed.with(2).json()["SIMULATED"], true);
}

#[test]
fn nothing_takes_it_for_a_run() {
    let scene = scene();
    scene.call(&SIMULATE).with(0);
    let name = kept(&scene);
    let calls: [&[&str]; 9] = [
        &["resume", &name],
        &["status", &name],
        &["watch", &name],
        &["report", &name],
        &["export", &name],
        &["doctor", &name],
        &["pause", &name],
        &["abort", &name, "--reason", "r"],
        &[
            "amend",
            &name,
            "upgrade.yaml",
            "--fleet",
            "fleet.yaml",
            "--reason",
            "r",
            "--yes",
        ],
    ];
    for call in calls {
        let said = scene.call(call).with(2);
        assert!(
            said.stderr.contains("is SIMULATED, and no run"),
            "{}",
            said.all()
        );
    }
    // Put among the runs, it is none either.
    let runs = scene.path("state/runs");
    let folder = scene.path("state/simulated").join(&name);
    std::fs::rename(folder, runs.join("20260101-080000-abcd")).unwrap();
    for call in [&["status"] as &[&str], &["resume"], &["report"]] {
        let said = scene.call(call).with(2);
        assert!(said.stderr.contains("there is no run"), "{}", said.all());
    }
    let said = scene.call(&["report", "20260101-080000-abcd"]).with(2);
    assert!(said.stderr.contains("SIMULATED"), "{}", said.all());
}

#[test]
fn it_is_refused_together_with_what_belongs_to_runs() {
    let scene = scene();
    let without_facts = [&SIMULATE[..6], &["--simulate"]].concat();
    let both = |flag: &'static str| [&SIMULATE[..], &[flag]].concat();
    for args in [
        without_facts,
        both("--detach"),
        both("--wait"),
        both("--yes"),
        both("--ask-sudo-password"),
    ] {
        scene.call(&args).with(2);
    }
    assert!(!scene.path("state").exists());
}
