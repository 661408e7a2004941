//! The workflow `debian-major` over the lab's fleet of six, from the facts that were recorded of it (`lab/recorded/six`): its plan and the
//! proposal for its hosts, reviewed.

use crate::scene::Scene;
use jiff::Timestamp;

/// The time that stands for all times in recorded facts.
const RECORDED_AT: &str = "2026-01-01T00:00:00Z";

/// The provider that the workflow names, and a program that is on every machine: a provider must be there before there is a plan, and is not called.
const PROVIDER: [&str; 2] = ["/usr/local/lib/overhaul/machines", "/usr/bin/true"];

/// The workflow's folder, with facts that were gathered a moment ago.
fn scene() -> Scene {
    let facts = include_str!("../../../../lab/recorded/six/facts.json");
    let definition = include_str!("../../../../workflows/debian-major/upgrade.yaml");
    let scene = Scene::new(&[
        (
            "upgrade.yaml",
            &definition.replace(PROVIDER[0], PROVIDER[1]),
        ),
        (
            "inventory/hosts.ini",
            include_str!("../../../../workflows/debian-major/inventory/hosts.ini"),
        ),
        (
            "inventory/group_vars/all.yml",
            include_str!("../../../../workflows/debian-major/inventory/group_vars/all.yml"),
        ),
        (
            "inventory/group_vars/office.yml",
            include_str!("../../../../workflows/debian-major/inventory/group_vars/office.yml"),
        ),
    ]);
    let now = Timestamp::now().to_string();
    scene.write("facts.json", &facts.replace(RECORDED_AT, &now));
    scene
}

#[test]
fn the_workflow_gives_this_plan() {
    let said = scene().call(&[
        "plan",
        "upgrade.yaml",
        "--fleet",
        "inventory",
        "--facts",
        "facts.json",
    ]);
    insta::assert_snapshot!(said.with(0).all());
}

#[test]
fn each_of_its_hosts_gets_this_proposal() {
    let said = scene().call(&[
        "classify",
        "--fleet",
        "inventory",
        "--facts",
        "facts.json",
        "--dry-run",
    ]);
    insta::assert_snapshot!(said.with(0).all());
}
