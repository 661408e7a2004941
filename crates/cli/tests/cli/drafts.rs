//! The definitions of the five documents: they are planned and checked from recorded facts, and nothing stands
//! against them but what this version only declares.

use crate::scene::Scene;
use jiff::Timestamp;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Each workflow with its ids, from 1 to the last.
const WORKFLOWS: [(&str, &str, usize); 5] = [
    ("copr-aws", "COPR", 17),
    ("synnefo", "SYN", 12),
    ("tripleo-os", "TRI", 21),
    ("chef-server-ha", "CHEF", 13),
    ("lxd-homelab", "LXD", 12),
];

/// All that it says is carried out; it was not run on real hosts.
const NO_DRAFT: &str = "chef-server-ha";

/// The programs of providers that the workflows name, and one that is on every machine: it must be there before there is
/// a plan, and is not called.
const PROVIDERS: [&str; 2] = ["/usr/local/lib/overhaul/aws", "/usr/local/lib/overhaul/lxd"];

/// A definition that is longer is not read any more at 3 a.m.
const LINES_MAX: usize = 200;

/// When the files say that their facts were gathered.
const RECORDED: &str = "2026-01-01T00:00:00Z";

fn folder(workflow: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../workflows")
        .join(workflow)
}

fn text(workflow: &str, file: &str) -> String {
    let path = folder(workflow).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A workflow's folder, with facts that were gathered just now.
fn scene(workflow: &str, change: fn(String) -> String) -> Scene {
    let scene = Scene::new(&[]);
    let vars = folder(workflow).join("inventory/group_vars");
    for entry in std::fs::read_dir(vars).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = format!("inventory/group_vars/{name}");
        scene.write(&name, &text(workflow, &name));
    }
    let hosts = "inventory/hosts.ini";
    scene.write(hosts, &text(workflow, hosts));
    for entry in std::fs::read_dir(folder(workflow)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".yml") {
            scene.write(&name, &text(workflow, &name));
        }
    }
    // Playbooks are planned only where there is something to run them.
    let program = "bin/ansible-playbook";
    scene.write(program, "#!/bin/sh\nexit 1\n");
    std::fs::set_permissions(scene.path(program), Permissions::from_mode(0o755)).unwrap();
    let facts = text(workflow, "facts.json");
    assert!(facts.contains(RECORDED), "{workflow}");
    scene.write(
        "facts.json",
        &facts.replace(RECORDED, &Timestamp::now().to_string()),
    );
    let mut definition = change(text(workflow, "upgrade.yaml"));
    for provider in PROVIDERS {
        definition = definition.replace(provider, "/usr/bin/true");
    }
    scene.write("upgrade.yaml", &definition);
    scene
}

fn call(command: &'static str, more: &[&'static str]) -> Vec<&'static str> {
    let mut args = vec![
        command,
        "upgrade.yaml",
        "--fleet",
        "inventory",
        "--facts",
        "facts.json",
    ];
    args.extend(more);
    args
}

/// The errors of a check, each as rule, subject and sentence.
fn errors(scene: &Scene) -> Vec<String> {
    let shown = scene.call(&call("check", &["--json"]));
    assert!(matches!(shown.code, 0 | 3), "{}", shown.all());
    let findings = shown.json()["findings"].as_array().unwrap().clone();
    let errors = findings.iter().filter(|f| f["severity"] == "error");
    errors
        .map(|f| {
            let part = |key: &str| f[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}: {}", part("rule"), part("subject"), part("sentence"))
        })
        .collect()
}

#[test]
fn nothing_stands_against_the_five_definitions_but_what_is_only_declared() {
    let mut seen = String::new();
    for (workflow, ..) in WORKFLOWS {
        let scene = scene(workflow, |text| text);
        let errors = errors(&scene);
        let others = errors.iter().filter(|e| !e.starts_with("not-available "));
        assert_eq!(
            others.collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "{workflow}"
        );
        let is_draft = workflow != NO_DRAFT;
        assert_eq!(!errors.is_empty(), is_draft, "{workflow}");
        seen += &format!("# {workflow}\n{}\n\n", errors.join("\n"));
    }
    insta::assert_snapshot!(seen);
}

#[test]
fn the_plans_of_the_five_definitions_are_these() {
    for (workflow, ..) in WORKFLOWS {
        let shown = scene(workflow, |text| text)
            .call(&call("plan", &[]))
            .with(0);
        insta::assert_snapshot!(workflow, shown.stdout);
    }
}

#[test]
fn the_five_definitions_are_short_and_every_demand_has_its_place() {
    for (workflow, prefix, last) in WORKFLOWS {
        let definition = text(workflow, "upgrade.yaml");
        let lines = definition.lines().count();
        assert!(lines < LINES_MAX, "{workflow} has {lines} lines");
        let readme = text(workflow, "README.md");
        for number in 1..=last {
            let row = format!("| {prefix}-{number} |");
            assert!(readme.contains(&row), "{workflow}: no row {row}");
        }
    }
}

/// The document stops the Ganeti event daemon and never starts it (SYN-11).
#[test]
fn the_event_daemon_that_nobody_starts_is_found() {
    const START: &str = "      - {name: event daemon up, service: {let_go: snf-ganeti-eventd}}\n";
    let as_the_document_says = scene("synnefo", |text| {
        assert_eq!(text.matches(START).count(), 1);
        text.replace("    start:\n      # The document", "      # The document")
            .replace(START, "")
    });
    let found = errors(&as_the_document_says);
    let found = found.iter().filter(|e| e.starts_with("stopped-started "));
    insta::assert_snapshot!(found.cloned().collect::<Vec<_>>().join("\n"));
}
