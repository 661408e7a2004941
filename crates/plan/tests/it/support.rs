//! Fleets, definitions and facts in a few words.

use overhaul_model::action::{Limits, Retry, Touches, UpgradePart};
use overhaul_model::belonging::Replace;
use overhaul_model::definition::{
    Dataset, DatasetKind, Definition, Guard, Order, Origin, Release, RoleUpgrade, Service, Share,
    Slot, StagePlan, Stages, Strategy, Test, WrittenAction, WrittenStep,
};
use overhaul_model::facts::{FleetFacts, HostFacts, Known, PostgresCluster, PostgresDatabase};
use overhaul_model::fleet::{Connection, Fleet, Host};
use overhaul_model::kind::{SpaceNeed, UpgradePath, Upgrader, UpgraderScope, UpgraderStep};
use overhaul_model::knowledge::Knowledge;
use overhaul_model::primitive::{Exec, Measure, Primitive};
use overhaul_model::span::Span;
use std::collections::{BTreeMap, BTreeSet};

pub fn release(version: &str) -> Release {
    Release {
        os: "debian".to_owned(),
        release: version.to_owned(),
    }
}

/// Each host as `name: role role; variable=value`.
pub fn fleet(lines: &[&str]) -> Fleet {
    let hosts = lines.iter().enumerate().map(|(place, line)| {
        let (name, rest) = line.split_once(':').unwrap();
        let (roles, vars) = rest.split_once(';').unwrap_or((rest, ""));
        let host = Host {
            name: name.into(),
            roles: roles.split_whitespace().map(Into::into).collect(),
            zone: None,
            connection: Connection {
                user: Some("root".to_owned()),
                ..Connection::to(format!("192.0.2.{}", place + 1))
            },
            vars: vars
                .split_whitespace()
                .map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap();
                    (key.to_owned(), std::sync::Arc::new(value.into()))
                })
                .collect(),
        };
        (host.name.clone(), host)
    });
    Fleet {
        name: "test".to_owned(),
        hosts: hosts.collect(),
    }
}

pub fn step(name: &str, action: WrittenAction) -> WrittenStep {
    WrittenStep {
        name: name.to_owned(),
        action,
        check: None,
        verify: None,
        undo: None,
        once: None,
        repeatable: false,
        timeout: None,
        stall: None,
        expected: None,
        retry: Retry::NEVER,
        touches: Touches::Anything,
        issue: None,
        when: None,
        outputs: BTreeMap::new(),
        guards: Vec::new(),
        origin: origin(20),
    }
}

pub fn run(name: &str) -> WrittenStep {
    step(name, WrittenAction::Run(Exec::argv(["true"])))
}

pub fn origin(line: u32) -> Origin {
    Origin {
        file: "upgrade.yaml".to_owned(),
        line,
    }
}

pub fn guard(name: &str) -> Guard {
    Guard {
        name: name.to_owned(),
        test: Test::Measure(Measure::Command(Exec::argv(["true"]))),
        at_most: Span::from_s(600),
    }
}

pub fn role(name: &str, order: Order) -> RoleUpgrade {
    RoleUpgrade {
        role: name.into(),
        strategy: Strategy::IN_PLACE,
        order,
        after: Vec::new(),
        upgrader: "small".to_owned(),
        carry: Vec::new(),
        volumes: Vec::new(),
        replace: Replace::default(),
        by_steps: false,
        stay_up: BTreeMap::new(),
        backup: Vec::new(),
        rebuild: None,
        guards: Vec::new(),
        slots: BTreeMap::new(),
        origin: origin(10),
    }
}

pub fn service(on: &str, unit: &str) -> Service {
    Service {
        on: on.into(),
        unit: unit.to_owned(),
        healthy: Some(Measure::Http {
            url: "http://{{ host.address }}/".to_owned(),
            status: 200,
        }),
        window: Some(Span::from_s(900)),
        keep: 0,
        cluster: None,
        after: Vec::new(),
    }
}

pub fn definition(roles: Vec<RoleUpgrade>) -> Definition {
    Definition {
        name: "bookworm-to-trixie".to_owned(),
        from: release("12"),
        to: release("13"),
        services: BTreeMap::new(),
        datasets: BTreeMap::new(),
        roles,
        together: Vec::new(),
        stages: Stages::default(),
        stage_plan: StagePlan::defaults(),
        one_zone_at_a_time: false,
        providers: BTreeMap::new(),
        ansible_playbook: None,
        failure_budget: Share::Hosts(0),
        knowledge: Knowledge::default(),
        waivers: Vec::new(),
        calendar: Default::default(),
        prework: None,
        clusters: BTreeMap::new(),
        upgraders: BTreeMap::from([("small".to_owned(), upgrader())]),
    }
}

/// nginx and PostgreSQL with a dataset on each host of `server`, the cluster moved.
pub fn web_and_database() -> Definition {
    let mut server = role("server", Order::ONE_BY_ONE);
    server.backup = vec!["orders".into()];
    server.slots.insert(
        Slot::Migrate,
        vec![
            step(
                "move the cluster to the new major",
                WrittenAction::MoveCluster {
                    dataset: "orders".into(),
                },
            )
            .into(),
        ],
    );
    let mut out = definition(vec![server]);
    out.services = BTreeMap::from([
        ("site".into(), service("server", "nginx.service")),
        ("database".into(), service("server", "postgresql.service")),
    ]);
    out.datasets.insert(
        "orders".into(),
        Dataset {
            of: "database".into(),
            kind: DatasetKind::Postgresql {
                cluster: "main".to_owned(),
            },
            authority: None,
            fresh_for: None,
        },
    );
    out
}

fn upgrader_step(name: &str, part: UpgradePart, script: &str) -> UpgraderStep {
    UpgraderStep {
        name: name.to_owned(),
        title: name.replace('-', " "),
        part,
        work: Primitive::Exec(Exec::shell(script)),
        check: None,
        verify: None,
        repeatable: true,
        limits: Limits {
            total: Span::from_s(3600),
            stall: Some(Span::from_s(600)),
            expected: Span::from_s(60),
        },
        retry: Retry::NEVER,
        outputs: BTreeMap::new(),
    }
}

/// As small as an upgrader can be and still have every part.
pub fn upgrader() -> Upgrader {
    Upgrader {
        name: "small".to_owned(),
        available: true,
        describes: "packages of the next release take the place of those of this one".to_owned(),
        paths: vec![UpgradePath {
            from: release("12"),
            from_codename: "bookworm".to_owned(),
            to: release("13"),
            to_codename: "trixie".to_owned(),
        }],
        space: vec![SpaceNeed {
            path: "/".to_owned(),
            bytes: 2 << 30,
            because: "packages of both releases".to_owned(),
        }],
        scopes: vec![UpgraderScope {
            name: "nothing starts by itself".to_owned(),
            open: upgrader_step("deny-starts", UpgradePart::TakeDown, "touch /deny"),
            close: upgrader_step("allow-starts", UpgradePart::TakeDown, "rm -f /deny"),
        }],
        prepare: vec![upgrader_step(
            "download",
            UpgradePart::Prepare,
            "fetch {{ to_codename }}",
        )],
        change: vec![upgrader_step(
            "full-upgrade",
            UpgradePart::Change,
            "upgrade {{ from_codename }} {{to_codename}}",
        )],
        settle: vec![upgrader_step("audit", UpgradePart::Settle, "dpkg --audit")],
        known_issues: Vec::new(),
    }
}

/// A PostgreSQL cluster on this host with these databases; nothing else is known.
pub fn postgres_facts(host: &str, databases: &[(&str, u64)]) -> FleetFacts {
    let at = "2025-06-01T10:00:00Z".parse().unwrap();
    let mut facts = HostFacts::unknown(at, "not asked");
    facts.postgresql = Known::Measured {
        at,
        value: vec![PostgresCluster {
            version: "15".to_owned(),
            name: "main".to_owned(),
            port: 5432,
            online: true,
            data_dir: "/var/lib/postgresql/15/main".to_owned(),
            databases: databases
                .iter()
                .map(|(name, size_bytes)| PostgresDatabase {
                    name: (*name).to_owned(),
                    size_bytes: *size_bytes,
                    extensions: Known::not_asked(),
                })
                .collect(),
            replication: Known::not_asked(),
        }],
    };
    FleetFacts::from([(host.into(), facts)])
}

pub fn names(hosts: &[&str]) -> BTreeSet<overhaul_model::id::HostName> {
    hosts.iter().map(|name| (*name).into()).collect()
}
