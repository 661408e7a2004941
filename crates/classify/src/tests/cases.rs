//! Facts in, proposals with their reasons out: each scene as a whole.

use super::scene::{Is, scene};
use crate::{Agreed, classify, roles};
use Is::*;
use overhaul_model::cluster::ClusterRole::{Peer, Primary, Replica};
use overhaul_model::id::HostName;
use overhaul_model::tracker::{Change, DataWay, Decided};
use std::collections::BTreeMap;
use std::fmt::Write as _;

fn shown(hosts: &[(&str, Vec<Is>)], decisions: &BTreeMap<HostName, Decided>) -> String {
    let (fleet, facts, controller) = scene(hosts);
    let classified = classify(&fleet, &facts, decisions, &controller);
    let mut out = String::new();
    for (host, p) in &classified.proposals {
        let change = p.change.map_or("cannot say", Change::word);
        let data = p
            .data
            .as_ref()
            .map_or("cannot say".to_owned(), DataWay::shown);
        let bytes = p.data_bytes.map_or("-".to_owned(), crate::size);
        let turn = &p.turn;
        writeln!(
            out,
            "{host}: {change}, data {data} ({bytes}); rank {} {} in {}",
            turn.rank,
            turn.pace.word(),
            turn.group
        )
        .unwrap();
        for reason in &p.reasons {
            writeln!(out, "    {}: {}", reason.rule, reason.says).unwrap();
        }
        for gap in &p.not_known {
            writeln!(out, "    not known: {gap}").unwrap();
        }
    }
    for role in roles(&fleet, &classified.proposals) {
        if role.hosts.len() > 1 {
            let agreed =
                matches!(role.change, Agreed::All(_)) && matches!(role.data, Agreed::All(_));
            writeln!(out, "role {}: agreed {agreed}", role.role).unwrap();
        }
    }
    for warning in &classified.warnings {
        writeln!(out, "WARNING {}: {}", warning.host, warning.says).unwrap();
        for evidence in &warning.evidence {
            writeln!(out, "    {evidence}").unwrap();
        }
    }
    out
}

fn galera(alive: u32) -> Vec<Is> {
    vec![
        Role("galera"),
        Unit("mariadb.service", "active"),
        Listens("mariadb.service", 3306),
        Listens("mariadb.service", 4567),
        Data("/var/lib/mysql", 300 << 20),
        Member("galera", "lab", Peer, 3, alive, true),
    ]
}

fn postgres(role: overhaul_model::cluster::ClusterRole) -> Vec<Is> {
    vec![
        Role("database"),
        Unit("postgresql@15-main.service", "active"),
        Listens("postgresql@15-main.service", 5432),
        Data("/var/lib/postgresql", 200 << 20),
        Postgres(190 << 20, true),
        Member("postgresql-replicas", "7300", role, 2, 2, true),
    ]
}

type Scene = (&'static str, Vec<(&'static str, Vec<Is>)>);

fn with(mut base: Vec<Is>, more: Vec<Is>) -> Vec<Is> {
    base.extend(more);
    base
}

fn web(more: Vec<Is>) -> Vec<Is> {
    let nginx = [
        Role("web"),
        Unit("nginx.service", "active"),
        Listens("nginx.service", 80),
    ];
    with(nginx.to_vec(), more)
}

fn monitor(more: Vec<Is>) -> Vec<Is> {
    let monitor = vec![
        Unit("ceph-mon@a.service", "active"),
        Listens("ceph-mon@a.service", 3300),
        Data("/var/lib/ceph/mon", 20 << 20),
        Member("ceph-mon", "fsid", Peer, 3, 3, true),
    ];
    with(monitor, more)
}

/// What one host holds.
fn machines() -> Vec<Scene> {
    let stranger = vec![
        Data("/var/www", 5 << 20),
        Unit("shop.service", "active"),
        Listens("shop.service", 9000),
    ];
    let stopped = vec![
        Unit("postgresql@15-main.service", "inactive"),
        Postgres(0, false),
    ];
    let disks = vec![
        Mount("/data", "ext4", 5 << 30),
        Mount("/mnt/share", "nfs4", 9 << 30),
    ];
    let containers = vec![Unit("lxd.service", "active"), Guests("lxd", 2)];
    vec![
        (
            "an empty host and one without facts",
            vec![("a", vec![]), ("b", vec![NoFacts])],
        ),
        (
            "web hosts: bare, with files, with files and a stranger",
            vec![
                ("web1", web(vec![])),
                ("web2", web(vec![Data("/var/www", 5 << 20)])),
                ("web3", web(stranger)),
            ],
        ),
        (
            "a folder that was not counted to the end",
            vec![("web1", web(vec![DataAtLeast("/var/www", 5 << 30)]))],
        ),
        (
            "too much to carry",
            vec![("web1", web(vec![Data("/srv/films", 900 << 30)]))],
        ),
        ("PostgreSQL that stands still", vec![("pg1", stopped)]),
        ("containers", vec![("c1", containers)]),
        ("a disk of its own", vec![("f1", disks)]),
        ("a crontab", vec![("a", vec![Crontab])]),
        (
            "what is not known",
            vec![("a", super::scene::HIDING.map(Unknown).to_vec())],
        ),
    ]
}

/// What clusters hold together.
fn clusters() -> Vec<Scene> {
    let files = vec![
        Unit("nfs-server.service", "active"),
        Data("/srv/files", 1 << 30),
        Shared("/srv/files"),
    ];
    let lost = vec![Role("galera"), NoFacts];
    vec![
        (
            "PostgreSQL with its replica",
            vec![("pg1", postgres(Primary)), ("pg2", postgres(Replica))],
        ),
        (
            "Galera of three",
            vec![("g1", galera(3)), ("g2", galera(3)), ("g3", galera(3))],
        ),
        (
            "Galera that lacks a member",
            vec![("g1", galera(2)), ("g2", galera(2)), ("g3", lost)],
        ),
        (
            "Galera whose members do not agree",
            vec![
                ("g1", galera(3)),
                ("g2", galera(3)),
                ("g3", galera(3)),
                ("g4", galera(3)),
            ],
        ),
        (
            "monitors, one on a file server",
            vec![
                ("m1", monitor(vec![])),
                ("m2", monitor(vec![])),
                ("m3", monitor(files)),
            ],
        ),
    ]
}

/// Who needs whom.
fn surroundings() -> Vec<Scene> {
    let named = vec![
        Behind("jump1"),
        Var("db_url", "postgres://shop@10.0.0.3/shop"),
    ];
    vec![
        (
            "a jump host, the hosts behind it, and who names whom",
            vec![
                ("jump1", vec![Role("jump")]),
                ("a", named),
                ("db", vec![Behind("jump1")]),
                ("far", vec![Behind("gate.example.org")]),
            ],
        ),
        (
            "two that are reached through each other",
            vec![("a", vec![Behind("b")]), ("b", vec![Behind("a")])],
        ),
        (
            "the controller",
            vec![("a", vec![]), ("own", vec![Controller])],
        ),
    ]
}

/// The lab's fleet of hosts of all kinds (`lab/topologies/twelve.yaml`), as its hosts are set up.
fn twelve() -> Vec<Scene> {
    let web = || {
        let keepalived = vec![
            Unit("keepalived.service", "active"),
            Data("/var/www", 1 << 20),
            Member("keepalived", "51 10.77.0.200", Peer, 0, 0, true),
            Behind("jump1"),
        ];
        web(keepalived)
    };
    let behind = |host: Vec<Is>| with(host, vec![Behind("jump1")]);
    let replica = vec![
        Role("postgresql"),
        Unit("postgresql@15-main.service", "active"),
        Listens("postgresql@15-main.service", 5432),
        Data("/var/lib/postgresql", 60 << 20),
        Postgres(30 << 20, true),
        Member("postgresql-replicas", "7710", Replica, 0, 0, true),
    ];
    let mut primary = replica.clone();
    primary.pop();
    primary.push(Member("postgresql-replicas", "7710", Primary, 2, 2, true));
    let files = vec![
        Role("files"),
        Unit("nfs-server.service", "active"),
        Unit("smbd.service", "active"),
        Listens("smbd.service", 445),
        Data("/srv/share", 100 << 20),
        Shared("/srv/share"),
    ];
    let containers = vec![
        Role("containers"),
        Unit("lxc.service", "active"),
        Guests("lxc", 2),
    ];
    let cache = vec![
        Role("cache"),
        Unit("redis-server.service", "active"),
        Listens("redis-server.service", 6379),
        Data("/var/lib/redis", 4096),
        Member("redis", "a719", Primary, 0, 0, true),
    ];
    vec![(
        "the lab's fleet of all kinds",
        vec![
            ("web1", web()),
            ("web2", web()),
            ("pg1", behind(primary)),
            ("pg2", behind(replica)),
            ("gal1", behind(galera(3))),
            ("gal2", behind(galera(3))),
            ("gal3", behind(galera(3))),
            ("mon1", behind(monitor(vec![Role("ceph-mon")]))),
            (
                "files1",
                behind(monitor(with(files, vec![Role("ceph-mon")]))),
            ),
            (
                "cont1",
                behind(monitor(with(containers, vec![Role("ceph-mon")]))),
            ),
            ("cache1", behind(cache)),
            ("jump1", vec![Role("jump")]),
            ("empty1", behind(vec![Role("spare")])),
        ],
    )]
}

#[test]
fn scenes_give_proposals_with_reasons() {
    let none = BTreeMap::new();
    for (file, scenes) in [
        ("machines", machines()),
        ("clusters", clusters()),
        ("surroundings", surroundings()),
        ("twelve", twelve()),
    ] {
        let mut out = String::new();
        for (name, hosts) in &scenes {
            writeln!(out, "##### {name}\n{}", shown(hosts, &none)).unwrap();
        }
        insta::assert_snapshot!(file, out);
    }
}

#[test]
fn decisions_against_the_facts_are_warned_of() {
    let decided = |change, data| Decided {
        change,
        data,
        ..Decided::default()
    };
    let rebuild = Some(Change::Rebuild);
    let decisions = BTreeMap::from([
        ("pg1".into(), decided(rebuild, Some(DataWay::None))),
        ("pg2".into(), decided(rebuild, Some(DataWay::Rejoin))),
        ("a".into(), decided(rebuild, Some(DataWay::None))),
        ("b".into(), decided(rebuild, None)),
        (
            "c".into(),
            decided(rebuild, Some(DataWay::Carry(vec!["/srv".to_owned()]))),
        ),
        ("d".into(), decided(rebuild, Some(DataWay::None))),
        ("e".into(), decided(Some(Change::InPlace), None)),
    ]);
    let hosts = [
        ("pg1", postgres(Primary)),
        ("pg2", postgres(Replica)),
        ("a", vec![]),
        ("b", vec![Data("/var/lib/x", 3)]),
        ("c", vec![Data("/srv/a", 3), Data("/home", 5)]),
        ("d", vec![NoFacts]),
        ("e", vec![Data("/var/lib/x", 3)]),
    ];
    let all = shown(&hosts, &decisions);
    let warnings: Vec<&str> = all
        .lines()
        .skip_while(|line| !line.starts_with("WARNING"))
        .collect();
    insta::assert_snapshot!("warnings", warnings.join("\n"));
}
