//! Plans and findings from stored facts: no host is reached.

use crate::scene::Scene;
use jiff::Timestamp;
use overhaul_model::facts::{
    BootProof, HostFacts, KernelFacts, Known, Mount, NameFacts, OsRelease, PackageFacts,
    PostgresCluster, PostgresDatabase, Unit,
};
use serde_json::json;

pub const FLEET: &str =
    "fleet: shop\nhosts:\n  db1: {address: 192.0.2.1, user: root, roles: [database]}\n";

pub const UPGRADE: &str = r#"upgrade: small
from: {os: debian, release: "12"}
to: {os: debian, release: "13"}
services:
  database:
    on: database
    unit: postgresql
    healthy: {tcp: "{{ host.address }}:5432"}
    window: {budget: 15m}
roles:
  database:
    strategy: in-place
    upgrader: tiny
    prepare:
      - {name: note, run: ["true"], touches: []}
    drain:
      - {name: look around, gate: "Is the shop quiet?"}
"#;

pub const KIND: &str = r#"upgrader: tiny
describes: pretends
paths:
  - {from: debian 12 bookworm, to: debian 13 trixie}
prepare: []
change:
  - {name: change it, run: ["true"], repeat: safe, timeout: 1m, expected: 5s}
settle: []
"#;

fn known<T>(value: T) -> Known<T> {
    Known::Measured {
        value,
        at: Timestamp::now(),
    }
}

/// A file of facts of a host on which nothing is wrong.
pub fn facts(release: &str) -> String {
    json!({"format": 1, "hosts": {"db1": healthy(release)}}).to_string()
}

/// A host on which nothing is wrong.
pub fn healthy(release: &str) -> HostFacts {
    let mount = |path: &str| Mount {
        path: path.into(),
        source: "/dev/vda1".into(),
        kind: "ext4".into(),
        size_bytes: 64 << 30,
        free_bytes: 40 << 30,
        exec: true,
        read_only: false,
    };
    let unit = |name: &str| Unit::new(name, "loaded", "active", "running");
    HostFacts {
        gathered_at: Timestamp::now(),
        release: known(OsRelease {
            os: "debian".to_owned(),
            version: release.to_owned(),
            codename: String::new(),
            pretty: format!("Debian {release}"),
        }),
        machine_id: known("0123456789abcdef0123456789abcdef".to_owned()),
        boot: known(BootProof {
            boot_id: "b".to_owned(),
            init_started_ticks: 1,
        }),
        install_id: known("i".into()),
        architecture: known("x86_64".to_owned()),
        packages_broken: known(Vec::new()),
        packages_held: known(vec!["linux-image-amd64".to_owned()]),
        foreign_sources: known(Vec::new()),
        units: known(vec![
            unit("postgresql.service"),
            unit("postgresql@15-main.service"),
        ]),
        mounts: known(vec![mount("/")]),
        listening: known(Vec::new()),
        clock_offset_ms: known(3),
        postgresql: known(vec![shop_database()]),
        packages: PackageFacts {
            obsolete: known(Vec::new()),
            pins: known(Vec::new()),
            conffiles_changed: known(Vec::new()),
            ..PackageFacts::unknown("not asked")
        },
        kernel: KernelFacts {
            installed: known(Vec::new()),
            reboot_wanted_by: known(Vec::new()),
            ..KernelFacts::unknown("not asked")
        },
        names: NameFacts {
            interfaces: known(Vec::new()),
            kernel_disk_names: known(Vec::new()),
            ..NameFacts::unknown("not asked")
        },
        ..HostFacts::unknown(Timestamp::now(), "not asked")
    }
}

fn shop_database() -> PostgresCluster {
    PostgresCluster {
        version: "15".to_owned(),
        name: "main".to_owned(),
        port: 5432,
        online: true,
        data_dir: "/var/lib/postgresql/15/main".to_owned(),
        databases: vec![PostgresDatabase {
            name: "shop".to_owned(),
            size_bytes: 200 << 20,
            extensions: Known::not_asked(),
        }],
        replication: Known::not_asked(),
    }
}

fn scene(release: &str) -> Scene {
    Scene::new(&[
        ("upgrade.yaml", UPGRADE),
        ("fleet.yaml", FLEET),
        ("kinds/tiny.yaml", KIND),
        ("facts.json", &facts(release)),
    ])
}

const INPUT: [&str; 7] = [
    "upgrade.yaml",
    "--fleet",
    "fleet.yaml",
    "--kinds",
    "kinds",
    "--facts",
    "facts.json",
];

fn call<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[command], INPUT.as_slice(), more].concat()
}

#[test]
fn a_plan_is_a_tree_with_its_findings_and_can_be_kept() {
    let scene = scene("12");
    let shown = scene.call(&call("plan", &["-o", "plan.json"])).with(0);
    insta::assert_snapshot!(shown.all());
    // The same plan from the same input.
    let again = scene.call(&call("plan", &["--json"])).with(0).json();
    let kept: serde_json::Value = serde_json::from_str(&scene.read("plan.json")).unwrap();
    assert_eq!(kept, again["plan"]);
    assert_eq!(again["can_run"], true, "{}", shown.all());
}

#[test]
fn the_check_tells_by_its_exit_code_whether_the_plan_may_run() {
    let good = scene("12").call(&call("check", &[])).with(0);
    let bad = scene("11").call(&call("check", &[])).with(3);
    insta::assert_snapshot!(format!("{}\n{}", good.all(), bad.all()));
}

#[test]
fn a_host_without_facts_is_host_trouble() {
    let unknown = HostFacts::unknown(Timestamp::UNIX_EPOCH, "no route to host");
    let facts = json!({"format": 1, "hosts": {"db1": unknown}}).to_string();
    let scene = scene("12");
    scene.write("facts.json", &facts);
    let shown = scene.call(&call("check", &[])).with(6);
    insta::assert_snapshot!(shown.stderr);
}

/// A file server that stays as it is, or is made anew with its files carried.
const SWITCHED: &str = r#"upgrade: small
from: {os: debian, release: "12"}
to: {os: debian, release: "13"}
roles:
  files:
    strategy: stateful
    change: in-place
    upgrader: tiny
    carry: [/srv/files]
    rebuild: {by: person}
"#;

#[test]
fn a_switched_change_is_planned_and_told_apart_from_the_plan_before() {
    let scene = scene("12");
    scene.write(
        "fleet.yaml",
        "fleet: shop\nhosts:\n  db1: {address: 192.0.2.1, user: root, roles: [files]}\n",
    );
    scene.write("upgrade.yaml", SWITCHED);
    let plain = |args: &[&str]| {
        let shown = scene.call(&call("plan", args));
        shown.all()
    };
    scene.call(&call("plan", &["-o", "old.json"])).with(0);
    let switched = ["--change", "files=rebuild"];
    let mut all = plain(&[&switched[..], &["--diff", "old.json"]].concat());
    all.push_str(&plain(&["--diff", "old.json"]));
    for args in [
        &["--change", "nobody=rebuild"][..],
        &["--change", "files"],
        &["--change", "files=anew"],
        &["--diff", "no-plan-and-no-run"],
        &["--diff", "facts.json"],
    ] {
        all.push_str(&plain(args));
    }
    insta::assert_snapshot!(all);
}
