//! Proposals, the tracker and the draft from stored facts: no host is reached.

use crate::offline::facts;
use crate::scene::Scene;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;

const FLEET: &str = "fleet: shop\nhosts:\n  db1: {address: 192.0.2.1, user: root, roles: [database]}\n  spare1: {address: 192.0.2.2, user: root, roles: [spare], zone: a}\n  away: {address: 192.0.2.3, user: root, roles: [spare], zone: b}\n";

/// Facts of a database host and of an empty one on which everything was looked for; none of `away`.
fn stored() -> String {
    let mut all: Value = serde_json::from_str(&facts("12")).unwrap();
    let at = all["hosts"]["db1"]["release"]["measured"]["at"].clone();
    let known = |value: Value| json!({"measured": {"value": value, "at": at}});
    let mut spare = all["hosts"]["db1"].clone();
    spare["units"] = known(
        json!([{"name": "ssh.service", "load": "loaded", "active": "active", "sub": "running"}]),
    );
    for fact in ["postgresql", "clusters"] {
        spare[fact] = known(json!([]));
    }
    spare["storage"]["data"] = known(json!([]));
    spare["storage"]["shared"] = known(json!([]));
    spare["running"]["guests"] = known(json!([]));
    spare["running"]["cron"] = known(json!([]));
    all["hosts"]["spare1"] = spare;
    let fixed = all.to_string();
    // Times differ from run to run.
    let at = at.as_str().unwrap().to_owned();
    let day = at.split('T').next().unwrap();
    fixed
        .split('"')
        .map(|part| {
            if part.starts_with(day) {
                "2026-01-01T00:00:00Z"
            } else {
                part
            }
        })
        .collect::<Vec<_>>()
        .join("\"")
}

fn scene() -> Scene {
    Scene::new(&[("fleet.yaml", FLEET), ("facts.json", &stored())])
}

const CLASSIFY: [&str; 5] = ["classify", "--fleet", "fleet.yaml", "--facts", "facts.json"];

#[test]
fn proposals_are_shown_and_kept_and_decisions_stay() {
    let scene = scene();
    let mut dry = CLASSIFY.to_vec();
    dry.push("--dry-run");
    let mut all = scene.call(&dry).with(0).all();
    assert_eq!(scene.read("tracker.yaml"), "");
    scene.call(&CLASSIFY).with(0);
    let first = scene.read("tracker.yaml");
    all.push_str(&format!("##### tracker.yaml\n{first}"));

    // A person decides, with a remark, and keeps the file to the group.
    let decided =
        "    # Anna: it is a copy\n    decided: {change: rebuild, data: none}   # sure?\n";
    let edited = first.replacen("  db1:\n", &format!("  db1:\n{decided}"), 1)
        + "  gone1:\n    decided: {note: it was here once}\n";
    scene.write("tracker.yaml", &edited);
    let path = scene.path("tracker.yaml");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let again = scene.call(&CLASSIFY).with(0);
    all.push_str("##### again\n");
    all.push_str(
        again
            .all()
            .split("\nwhat changed")
            .nth(1)
            .unwrap_or(&again.all()),
    );
    let kept = scene.read("tracker.yaml");
    assert!(kept.contains(decided), "{kept}");
    assert!(
        kept.contains("    decided: {note: it was here once}\n"),
        "{kept}"
    );
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o640
    );
    assert!(
        again
            .stdout
            .contains("warning: db1: `rebuild` with `none` is decided"),
        "{}",
        again.all()
    );
    let quiet = scene.call(&CLASSIFY).with(0);
    assert!(quiet.stderr.contains("nothing changed"), "{}", quiet.all());

    let shown = |args: &[&str]| scene.call(args).with(0);
    all.push_str(&shown(&["fleet", "--fleet", "fleet.yaml"]).all());
    all.push_str(
        &shown(&[
            "fleet",
            "--fleet",
            "fleet.yaml",
            "--facts",
            "facts.json",
            "db1",
        ])
        .all(),
    );
    let today = jiff::Zoned::now()
        .with_time_zone(jiff::tz::TimeZone::UTC)
        .date()
        .to_string();
    insta::assert_snapshot!(all.replace(&today, "TODAY"));
    let json = shown(&["--json", "fleet", "--fleet", "fleet.yaml"]).json();
    assert_eq!(json["hosts"]["db1"]["decided"]["change"], "rebuild");
    assert_eq!(json["totals"]["not-started"], 4);
}

#[test]
fn a_fleet_without_tracker_is_shown_and_a_wrong_one_is_refused() {
    let scene = scene();
    let mut all = scene
        .call(&["fleet", "--fleet", "fleet.yaml"])
        .with(0)
        .all();
    all.push_str(
        &scene
            .call(&["fleet", "--fleet", "fleet.yaml", "nobody"])
            .with(2)
            .all(),
    );
    scene.write("tracker.yaml", "tracker: other\nhosts:\n");
    all.push_str(&scene.call(&CLASSIFY).with(2).all());
    scene.write(
        "tracker.yaml",
        "tracker: shop\nhosts:\n  db1:\n    decided: {change: rebuild, data: stays, rnk: 1}\n",
    );
    all.push_str(&scene.call(&CLASSIFY).with(2).all());
    insta::assert_snapshot!(all);
}

#[test]
fn a_draft_is_a_definition_and_overwrites_nothing() {
    let scene = scene();
    let init = [
        "init",
        "--from-inventory",
        "fleet.yaml",
        "--facts",
        "facts.json",
    ];
    let mut all = scene.call(&init).with(0).all();
    let draft = scene.read("upgrade.yaml");
    all.push_str(&format!("##### upgrade.yaml\n{draft}"));
    all.push_str(&scene.call(&init).with(2).all());
    let check = [
        "check",
        "upgrade.yaml",
        "--fleet",
        "fleet.yaml",
        "--facts",
        "facts.json",
    ];
    let checked = scene.call(&check);
    assert!(checked.code == 0 || checked.code == 3, "{}", checked.all());
    insta::assert_snapshot!(all);
    assert_eq!(scene.read("upgrade.yaml"), draft);
}
