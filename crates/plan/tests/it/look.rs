//! The look at a host after its change, by `/bin/sh` against programs that answer as on a real host.

use crate::support::{definition, fleet, names, role, service};
use overhaul_model::definition::{Definition, Order};
use overhaul_model::facts::FleetFacts;
use overhaul_model::knowledge::{Expected, Unusual};
use overhaul_model::primitive::{Command as Written, Primitive};
use overhaul_model::step::Step;
use overhaul_plan::compile;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

fn expected(what: Unusual, roles: &[&str], reason: &str) -> Expected {
    Expected {
        what,
        roles: roles.iter().map(|role| (*role).into()).collect(),
        until: "2027-03-31".parse().unwrap(),
        reason: reason.to_owned(),
    }
}

/// Two roles that change; `quota.service` may have failed on hosts of `files` and `quotas`, and more on all.
fn site() -> Definition {
    let mut site = definition(vec![
        role("web", Order::ONE_BY_ONE),
        role("files", Order::ONE_BY_ONE),
    ]);
    site.services
        .insert("share".into(), service("files", "nfs-server.service"));
    site.knowledge.expected = vec![
        expected(
            Unusual::FailedUnit("quota".to_owned()),
            &["files", "quotas"],
            "no disk has any",
        ),
        expected(
            Unusual::StaysDown("share".to_owned()),
            &[],
            "the new one takes over",
        ),
        expected(
            Unusual::LogLine("it's {{ odd }} [x] *".to_owned()),
            &[],
            "known to its makers",
        ),
    ];
    site.knowledge.retired.insert("old.timer".to_owned());
    site
}

fn looks(hosts: &[&str]) -> Vec<Step> {
    let plan = compile(&site(), &fleet(hosts), &FleetFacts::new()).unwrap();
    let positions = plan.positions();
    let steps = positions.iter().map(|placed| placed.step);
    let mut looks: Vec<Step> = steps
        .filter(|step| step.id.as_str().contains("look-over"))
        .cloned()
        .collect();
    looks.dedup_by(|a, b| a.id == b.id);
    looks
}

fn of_files() -> Step {
    looks(&["web1: web", "files1: files"]).pop().unwrap()
}

/// What the step's script says on a host where programs answer like this.
fn look(step: &Step, systemctl: &str, journalctl: &str) -> String {
    let Primitive::Exec(exec) = &step.work else {
        panic!("{step:?}");
    };
    let Written::Argv(argv) = &exec.command else {
        panic!("{exec:?}");
    };
    let bin = tempfile::tempdir().unwrap();
    for (name, script) in [("systemctl", systemctl), ("journalctl", journalctl)] {
        if !script.is_empty() {
            let path = bin.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    // Programs of this machine but those that are asked.
    for name in ["sed", "sort", "uniq", "timeout"] {
        let found = ["/usr/bin", "/bin"].map(|folder| format!("{folder}/{name}"));
        let found = found
            .iter()
            .find(|path| std::path::Path::new(path).exists());
        std::os::unix::fs::symlink(found.unwrap(), bin.path().join(name)).unwrap();
    }
    // As rendered: what is quoted for templates is plain by then.
    let plain = argv.iter().map(|word| match word.strip_prefix("{{ \"") {
        Some(rest) => rest.trim_end_matches("\" | raw }}").to_owned(),
        None => word.clone(),
    });
    let plain: Vec<String> = plain.collect();
    let output = Command::new(&plain[0])
        .args(&plain[1..])
        .env_clear()
        .env("PATH", bin.path())
        .output()
        .unwrap();
    format!(
        "{}{}exit code {}\n",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code().unwrap()
    )
}

const RUNNING: &str = "case $1 in is-system-running) echo degraded; exit 1;; esac";

#[test]
fn hosts_about_which_the_same_is_expected_share_a_step() {
    let looks = looks(&["web1: web", "web2: web quotas", "files1: files"]);
    let told: Vec<_> = looks
        .iter()
        .map(|step| (step.id.as_str(), step.only.clone()))
        .collect();
    assert_eq!(
        told,
        [
            ("upgrade/web/verify/look-over", Some(names(&["web1"]))),
            ("upgrade/web/verify/look-over-2", Some(names(&["web2"]))),
            ("upgrade/files/verify/look-over", None),
        ]
    );
}

#[test]
fn what_is_expected_is_told_apart() {
    let look_of = |systemctl: &str, journal: &str| {
        look(&of_files(), &format!("{RUNNING}\n{systemctl}"), journal)
    };
    let mut out = String::new();
    for (about, systemctl, journal) in [
        ("nothing to tell", "", "true"),
        (
            "all that failed is expected",
            "echo 'quota.service loaded failed failed Quotas'; echo 'nfs-server.service loaded failed failed x'; echo 'old.timer loaded failed failed y'",
            "true",
        ),
        (
            "one that nobody expects",
            "echo 'quota.service loaded failed failed Quotas'; echo 'quota2.service loaded failed failed x'",
            "true",
        ),
        (
            "errors in the journal",
            "",
            "echo 'Nov 21 17:00:01 kernel: disk on fire'
             echo 'Nov  1 17:00:02 nginx[12]: it'\\''s {{ odd }} [x] * again'
             echo 'Nov 21 17:00:03 nginx[13]: it'\\''s {{ odd }} [x] * again'
             echo",
        ),
        (
            "many of them",
            "",
            "i=10; while [ $i -lt 40 ]; do echo \"Nov 21 17:00:01 x: $i\"; i=$((i + 1)); done",
        ),
        ("no journal", "", "exit 1"),
        ("units cannot be asked", "exit 1", "true"),
    ] {
        out.push_str(&format!("# {about}\n{}", look_of(systemctl, journal)));
    }
    out.push_str(&format!("# no systemd\n{}", look(&of_files(), "", "")));
    let offline = look(&of_files(), "echo offline; exit 1", "");
    out.push_str(&format!("# systemd does not run\n{offline}"));
    insta::assert_snapshot!(out);
}
