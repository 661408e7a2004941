//! The planner's scripts, run by `/bin/sh` against programs that only write down how they were called.

use crate::support::{fleet, postgres_facts, web_and_database};
use overhaul_model::primitive::{Command as Written, Exec, Measure, Primitive};
use overhaul_model::step::Step;
use overhaul_plan::compile;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

fn step(id: &str) -> Step {
    let facts = postgres_facts("shop1", &[("shop", 1), ("postgres", 1)]);
    let plan = compile(&web_and_database(), &fleet(&["shop1: server"]), &facts).unwrap();
    plan.step(&id.into()).unwrap().clone()
}

fn exec(primitive: &Primitive) -> Exec {
    match primitive {
        Primitive::Exec(exec) => exec.clone(),
        other => panic!("{other:?}"),
    }
}

fn command(measure: &Measure) -> Exec {
    match measure {
        Measure::Command(exec) => exec.clone(),
        other => panic!("{other:?}"),
    }
}

/// A host on which every program is a stub: it appends its call to `calls`, then runs its own lines.
struct Stubs {
    root: tempfile::TempDir,
}

impl Stubs {
    fn new() -> Self {
        let stubs = Self {
            root: tempfile::tempdir().unwrap(),
        };
        for dir in ["bin", "var/lib/postgresql", "etc/postgresql/15/main"] {
            fs::create_dir_all(stubs.root.path().join(dir)).unwrap();
        }
        for version in ["9.6", "15", "17"] {
            let dir = stubs
                .root
                .path()
                .join(format!("usr/lib/postgresql/{version}/bin"));
            fs::create_dir_all(&dir).unwrap();
            program(&dir.join("postgres"), "");
        }
        stubs.file("etc/postgresql/15/main/postgresql.conf", "");
        stubs.start("auto");
        stubs.clusters(&["15 main 5432 down"]);
        stubs.stub("pg_lsclusters", "cat \"$OVERHAUL_TEST_ROOT/clusters\"");
        stubs
    }

    fn file(&self, path: &str, content: &str) {
        fs::write(self.root.path().join(path), content).unwrap();
    }

    /// What `start.conf` of the old cluster says.
    fn start(&self, word: &str) {
        self.file(
            "etc/postgresql/15/main/start.conf",
            &format!("# comment\n{word}\n"),
        );
    }

    fn clusters(&self, lines: &[&str]) {
        let lines: Vec<String> = lines
            .iter()
            .map(|line| format!("{line} postgres /data /log\n"))
            .collect();
        self.file("clusters", &lines.concat());
    }

    fn stub(&self, name: &str, script: &str) {
        let path = self.root.path().join("bin").join(name);
        let call = if name == "pg_lsclusters" {
            String::new()
        } else {
            format!("echo {name} \"$@\" >>\"$OVERHAUL_TEST_ROOT/calls\"\n")
        };
        program(&path, &format!("{call}{script}"));
    }

    /// Status, and the calls that were made.
    fn run(&self, exec: &Exec) -> (i32, String) {
        let Written::Argv(argv) = &exec.command else {
            panic!("{exec:?}");
        };
        for name in [
            "pg_ctlcluster",
            "pg_dropcluster",
            "pg_upgradecluster",
            "runuser",
            "systemctl",
        ] {
            if !self.root.path().join("bin").join(name).exists() {
                self.stub(name, "");
            }
        }
        let (program, arguments) = argv.split_first().unwrap();
        let path = format!("{}:/usr/bin:/bin", self.root.path().join("bin").display());
        let output = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", path)
            .env("OVERHAUL_TEST_ROOT", self.root.path())
            .output()
            .unwrap();
        let calls = self.root.path().join("calls");
        let made = fs::read_to_string(&calls).unwrap_or_default();
        let _ = fs::remove_file(calls);
        (output.status.code().unwrap(), made)
    }
}

fn program(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

const MOVE: &str = "upgrade/server/migrate/move-the-cluster-to-the-new-major";

/// As pg_upgradecluster does when all goes well.
const MOVES: &str = "printf '15 main 5433 down postgres /d /l\\n17 main 5432 down postgres /d /l\\n' >\"$OVERHAUL_TEST_ROOT/clusters\"
    echo manual >\"$OVERHAUL_TEST_ROOT/etc/postgresql/15/main/start.conf\"";

#[test]
fn a_cluster_moves_and_starts() {
    let (step, host) = (step(MOVE), Stubs::new());
    let moved = command(step.check.as_ref().unwrap());
    host.stub("pg_upgradecluster", MOVES);
    assert_eq!(host.run(&moved).0, 1, "not before");
    insta::assert_snapshot!(host.run(&exec(&step.work)).1, @r"
    pg_upgradecluster -v 17 15 main
    pg_ctlcluster 17 main start
    ");
    assert_eq!(host.run(&moved).0, 0);
    assert!(
        !host
            .root
            .path()
            .join("var/lib/postgresql/overhaul-move-15-17-main")
            .exists()
    );
}

#[test]
fn what_counts_as_moved() {
    let moved = command(step(MOVE).check.as_ref().unwrap());
    for (start, clusters, status, why) in [
        (
            "manual",
            vec!["15 main 5433 down", "17 main 5432 down"],
            0,
            "whole; it starts later",
        ),
        (
            "manual",
            vec!["17 main 5432 online"],
            0,
            "the old one was dropped since",
        ),
        (
            "auto",
            vec!["15 main 5432 down", "17 main 5433 down"],
            1,
            "cut off while restoring",
        ),
        (
            "manual",
            vec!["15 main 5432 down", "17 main 5433 down"],
            1,
            "cut off before the ports were swapped",
        ),
        (
            "manual",
            vec!["15 main 5433 online", "17 main 5432 online"],
            1,
            "the old one runs",
        ),
        (
            "auto",
            vec!["15 main 5433 down", "17 main 5432 online"],
            1,
            "another cluster has the port",
        ),
        (
            "auto",
            vec!["15 main 5432 online"],
            1,
            "nothing happened yet",
        ),
    ] {
        let host = Stubs::new();
        host.start(start);
        host.clusters(&clusters);
        assert_eq!(host.run(&moved).0, status, "{why}");
    }
}

#[test]
fn a_cluster_in_the_way_goes_only_for_a_reason() {
    let work = exec(&step(MOVE).work);
    let both = ["15 main 5432 down", "17 main 5433 online"];
    let host = Stubs::new();
    host.clusters(&both);
    host.stub("runuser", "echo 0");
    host.stub(
        "pg_dropcluster",
        "sed -i '/^17/d' \"$OVERHAUL_TEST_ROOT/clusters\"",
    );
    host.stub("pg_upgradecluster", MOVES);
    let (status, calls) = host.run(&work);
    assert_eq!(status, 0);
    assert!(
        calls.contains("pg_dropcluster --stop 17 main\npg_upgradecluster"),
        "never used: {calls}"
    );

    let host = Stubs::new();
    host.clusters(&both);
    host.stub("runuser", "echo 3");
    let (status, calls) = host.run(&work);
    assert_eq!(status, 1);
    assert!(
        !calls.contains("dropcluster") && !calls.contains("upgradecluster"),
        "has data: {calls}"
    );

    // The rest of our own move, cut off by a power cut.
    let host = Stubs::new();
    host.stub(
        "pg_upgradecluster",
        "printf '17 main 5433 down postgres /d /l\\n' >>\"$OVERHAUL_TEST_ROOT/clusters\"; exit 1",
    );
    assert_eq!(host.run(&work).0, 1);
    host.stub(
        "pg_dropcluster",
        "sed -i '/^17/d' \"$OVERHAUL_TEST_ROOT/clusters\"",
    );
    host.stub("pg_upgradecluster", MOVES);
    let (status, calls) = host.run(&work);
    assert_eq!(status, 0);
    assert!(
        calls.starts_with("pg_dropcluster --stop 17 main\npg_upgradecluster"),
        "{calls}"
    );

    // The same, but the old one was retired already: the new one may hold everything.
    let host = Stubs::new();
    host.clusters(&both);
    host.start("manual");
    host.file("var/lib/postgresql/overhaul-move-15-17-main", "");
    host.stub("runuser", "echo 3");
    let (status, calls) = host.run(&work);
    assert_eq!((status, calls.contains("dropcluster")), (1, false));
}

#[test]
fn databases_are_compared_as_a_list() {
    let work = exec(&step("upgrade/server/backup/databases-orders").work);
    for (now, status) in [
        ("postgres\nshop", 0),
        ("postgres\nshop\nnew", 1),
        ("postgres", 1),
    ] {
        let host = Stubs::new();
        host.stub(
            "runuser",
            &format!("printf '{}\\n'", now.replace('\n', "\\n")),
        );
        assert_eq!(host.run(&work).0, status, "{now}");
    }
}

#[test]
fn a_unit_is_held_with_all_that_is_part_of_it() {
    let host = Stubs::new();
    host.stub(
        "systemctl",
        "[ \"$1\" != show ] || echo postgresql@15-main.service postgresql@15-b.service",
    );
    let hold = host
        .run(&exec(&step("upgrade/server/stop/hold-database").work))
        .1;
    let let_go = host
        .run(&exec(&step("upgrade/server/start/let-go-database").work))
        .1;
    insta::assert_snapshot!(format!("{hold}---\n{let_go}"), @r"
    systemctl mask --now -- postgresql.service
    systemctl show --property=ConsistsOf --value -- postgresql.service
    systemctl stop -- postgresql@15-main.service
    systemctl stop -- postgresql@15-b.service
    ---
    systemctl unmask -- postgresql.service
    systemctl daemon-reload
    systemctl start -- postgresql.service
    ");
}

#[test]
fn a_plain_dump_that_was_cut_off_is_not_taken_for_whole() {
    let mut facts = postgres_facts("shop1", &[]);
    facts.clear();
    let plan = compile(&web_and_database(), &fleet(&["shop1: server"]), &facts).unwrap();
    let step = plan
        .step(&"upgrade/server/backup/read-back-orders-everything".into())
        .unwrap();
    let Primitive::Feed(feed) = &step.work else {
        panic!("{:?}", step.work);
    };
    let Written::Argv(argv) = &feed.exec.command else {
        panic!("{feed:?}");
    };
    for (dump, whole) in [
        (
            "create table a;\n--\n-- PostgreSQL database cluster dump complete\n--\n\n",
            true,
        ),
        ("create table a;\n", false),
        ("", false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("dump");
        fs::write(&file, dump).unwrap();
        let status = Command::new(&argv[0])
            .args(&argv[1..])
            .stdin(fs::File::open(&file).unwrap())
            .output()
            .unwrap()
            .status;
        assert_eq!(status.success(), whole, "{dump}");
    }
}
