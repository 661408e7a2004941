//! Wrong command lines and wrong files: a clear error, exit code 2, nothing changed.

use crate::scene::Scene;

const FLEET: &str =
    "fleet: shop\nhosts:\n  db1: {address: 192.0.2.1, user: root, roles: [database]}\n";

const UPGRADE: &str = r#"upgrade: bookworm-to-trixie
from: {os: debian, release: "12"}
to: {os: debian, release: "13"}
roles:
  database: {strategy: in-place}
"#;

/// What it is called, the files, the call.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

const CASES: [Case; 19] = [
    ("no command", &[], &[]),
    ("unknown command", &[], &["upgrade"]),
    ("unknown option", &[], &["status", "--verbose"]),
    (
        "no fleet",
        &[("upgrade.yaml", UPGRADE)],
        &["run", "upgrade.yaml", "--yes"],
    ),
    (
        "a file that is not there",
        &[("fleet.yaml", FLEET)],
        &["check", "upgrade.yaml", "--fleet", "fleet.yaml"],
    ),
    (
        "broken YAML",
        &[
            ("upgrade.yaml", "upgrade: [x\nfrom: {os: debian\n"),
            ("fleet.yaml", FLEET),
        ],
        &["check", "upgrade.yaml", "--fleet", "fleet.yaml"],
    ),
    (
        "unknown keys in both files",
        &[
            (
                "upgrade.yaml",
                "upgrade: x\nfrom: {os: debian, release: \"12\"}\nto: {os: debian, relase: \"13\"}\nroles:\n  database: {stratgy: in-place}\n",
            ),
            (
                "fleet.yaml",
                "fleet: shop\nhosts:\n  db1: {adress: 192.0.2.1, roles: [database]}\n",
            ),
        ],
        &["check", "upgrade.yaml", "--fleet", "fleet.yaml"],
    ),
    (
        "wrong types",
        &[
            (
                "upgrade.yaml",
                "upgrade: x\nfrom: {os: debian, release: \"12\"}\nto: 13\nroles:\n  database: {strategy: in-place, order: {all: {at_once: many}}}\n",
            ),
            ("fleet.yaml", FLEET),
        ],
        &["check", "upgrade.yaml", "--fleet", "fleet.yaml"],
    ),
    (
        "undefined variable",
        &[
            (
                "upgrade.yaml",
                "upgrade: x\nfrom: {os: debian, release: \"12\"}\nto: {os: debian, release: \"13\"}\nroles:\n  database:\n    strategy: in-place\n    prepare:\n      - {name: say, run: [echo, \"{{ vhost }}\"]}\n",
            ),
            ("fleet.yaml", FLEET),
        ],
        &["check", "upgrade.yaml", "--fleet", "fleet.yaml"],
    ),
    (
        "no helper",
        &[("upgrade.yaml", UPGRADE), ("fleet.yaml", FLEET)],
        &[
            "run",
            "upgrade.yaml",
            "--fleet",
            "fleet.yaml",
            "--yes",
            "--helper",
            "no-helper",
        ],
    ),
    (
        "nobody to ask",
        &[("upgrade.yaml", UPGRADE), ("fleet.yaml", FLEET)],
        &["run", "upgrade.yaml", "--fleet", "fleet.yaml"],
    ),
    (
        "no release leads there",
        &[],
        &["try", "root@192.0.2.1", "--to", "sarge"],
    ),
    ("not a host", &[], &["try", "root@", "--to", "trixie"]),
    (
        "not a plan",
        &[("plan.json", "{\"format\": 1}")],
        &["run", "plan.json", "--yes"],
    ),
    (
        "a plan of a newer program",
        &[("plan.json", "{\"format\": 99}")],
        &["run", "plan.json", "--yes"],
    ),
    (
        "facts of a newer program",
        &[
            ("upgrade.yaml", UPGRADE),
            ("fleet.yaml", FLEET),
            ("facts.json", "{\"format\": 99, \"hosts\": {}}"),
        ],
        &[
            "plan",
            "upgrade.yaml",
            "--fleet",
            "fleet.yaml",
            "--facts",
            "facts.json",
        ],
    ),
    (
        "kinds that are not there",
        &[("upgrade.yaml", UPGRADE), ("fleet.yaml", FLEET)],
        &[
            "plan",
            "upgrade.yaml",
            "--fleet",
            "fleet.yaml",
            "--kinds",
            "kinds",
        ],
    ),
    (
        "a decision without a reason",
        &[],
        &["retry", "upgrade/x@db1"],
    ),
    (
        "a host to free without a fleet",
        &[],
        &["abort", "--lost", "--host", "db1", "--reason", "lost"],
    ),
];

#[test]
fn wrong_input_is_named_with_its_place_and_changes_nothing() {
    let mut all = String::new();
    for (name, files, args) in CASES {
        let scene = Scene::new(files);
        let shown = scene.call(args).with(2);
        assert!(
            !scene.path("state/runs").exists()
                || scene
                    .path("state/runs")
                    .read_dir()
                    .unwrap()
                    .next()
                    .is_none(),
            "{name}: a run was made"
        );
        all.push_str(&format!("## {name}\n{}\n", shown.all()));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_full_disk_is_found_before_a_run_begins() {
    if !is_root() {
        // Only root can mount a disk to be filled.
        return;
    }
    let scene = Scene::new(&[("upgrade.yaml", UPGRADE), ("fleet.yaml", FLEET)]);
    let script =
        "$OVERHAUL run upgrade.yaml --fleet fleet.yaml --yes || echo exit code $?\nls state/runs";
    let shown = scene.on_small_disk("1m", script);
    insta::assert_snapshot!(shown.all());
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    let output = std::process::Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}

#[test]
fn a_failure_is_one_json_value_when_json_is_wanted() {
    let scene = Scene::new(&[]);
    let shown = scene.call(&["--json", "status"]).with(2);
    insta::assert_snapshot!(shown.all());
}

#[test]
fn a_password_file_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let helper = Scene::new(&[]);
    let helper = helper.path("helper");
    let scene = Scene::new(&[
        ("upgrade.yaml", UPGRADE),
        ("fleet.yaml", FLEET),
        ("password", "not shown\n"),
    ]);
    // Any program of this machine will do: none is started.
    std::fs::create_dir_all(helper.parent().unwrap()).unwrap();
    std::fs::copy("/bin/true", scene.path("helper")).unwrap();
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(scene.path("password"), mode).unwrap();
    let shown = scene.call(&[
        "check",
        "upgrade.yaml",
        "--fleet",
        "fleet.yaml",
        "--helper",
        "helper",
        "--sudo-password-file",
        "password",
    ]);
    assert!(!shown.all().contains("not shown"));
    insta::assert_snapshot!(shown.with(2).all());
}

#[test]
fn the_help_is_the_reference() {
    let scene = Scene::new(&[]);
    let mut all = scene.call(&["--help"]).with(0).all();
    for command in [
        "try", "classify", "fleet", "init", "plan", "check", "run", "resume", "status", "approve",
        "retry", "done", "skip", "void", "pause", "abort", "report",
    ] {
        all.push('\n');
        all.push_str(&scene.call(&[command, "--help"]).with(0).all());
    }
    insta::assert_snapshot!(all);
}
