//! Facts from the same text as the plan: hosts are in good order unless a line says otherwise.
//!
//!     fact a release 11
//!     fact a machine-id shared
//!     fact a mount /var 100 noexec      MiB that are free
//!     fact a databases shop,postgres
//!     fact a mounts unknown
//!     nofacts a
//!     settled up/hold-db@a

use crate::plan_text::plan;
use jiff::Timestamp;
use overhaul_model::facts::{
    BootProof, FleetFacts, ForeignSource, HostFacts, Known, Mount, OsRelease, PackageState,
    PostgresCluster, PostgresDatabase, Unit,
};
use overhaul_model::id::{HostName, Position};
use std::collections::BTreeSet;

const GATHERED: &str = "2025-06-01T10:00:00Z";

fn at() -> Timestamp {
    GATHERED.parse().unwrap()
}

fn known<T>(value: T) -> Known<T> {
    Known::Measured { value, at: at() }
}

fn unknown<T>() -> Known<T> {
    Known::Unknown {
        reason: "it did not answer".to_owned(),
    }
}

pub fn settled(text: &str) -> BTreeSet<Position> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("settled "))
        .map(|position| position.parse().unwrap())
        .collect()
}

pub fn facts(text: &str) -> FleetFacts {
    let plan = plan(text);
    let mut out: FleetFacts = plan
        .hosts
        .keys()
        .map(|host| {
            let units = plan.services.values().map(|service| unit(&service.unit));
            (host.clone(), good(host, units.collect()))
        })
        .collect();
    for line in text.lines() {
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["nofacts", host] => {
                out.remove(&HostName::new(*host));
            }
            ["fact", host, rest @ ..] => {
                let host = if *host == "-" { "" } else { host };
                // Of the controller nothing is known but what is said.
                let facts = out
                    .entry(host.into())
                    .or_insert_with(|| HostFacts::unknown(at(), "not asked"));
                say(facts, rest);
            }
            _ => {}
        }
    }
    out
}

fn unit(name: &str) -> Unit {
    Unit {
        name: name.to_owned(),
        load: "loaded".to_owned(),
        active: "active".to_owned(),
        sub: "running".to_owned(),
    }
}

fn mount(path: &str, mib: u64) -> Mount {
    Mount {
        path: path.to_owned(),
        source: "/dev/sda1".to_owned(),
        kind: "ext4".to_owned(),
        size_bytes: mib << 21,
        free_bytes: mib << 20,
        exec: true,
        read_only: false,
    }
}

fn good(host: &HostName, units: Vec<Unit>) -> HostFacts {
    HostFacts {
        gathered_at: at(),
        release: known(OsRelease {
            os: "debian".to_owned(),
            version: "12".to_owned(),
            codename: "bookworm".to_owned(),
            pretty: "Debian 12".to_owned(),
        }),
        machine_id: known(format!("id of {host}")),
        boot: known(BootProof {
            boot_id: "b".to_owned(),
            init_started_ticks: 1,
        }),
        install_id: Known::not_asked(),
        architecture: known("x86_64".to_owned()),
        packages_broken: known(Vec::new()),
        packages_held: known(Vec::new()),
        foreign_sources: known(Vec::new()),
        units: known(units),
        mounts: known(vec![mount("/", 10_240)]),
        listening: known(Vec::new()),
        clock_offset_ms: known(0),
        postgresql: known(Vec::new()),
        ..HostFacts::unknown(at(), "not asked")
    }
}

fn databases(names: &str) -> Vec<PostgresCluster> {
    vec![PostgresCluster {
        version: "15".to_owned(),
        name: "main".to_owned(),
        port: 5432,
        online: true,
        data_dir: "/var/lib/postgresql/15/main".to_owned(),
        databases: names
            .split(',')
            .map(|name| PostgresDatabase {
                name: name.to_owned(),
                size_bytes: 1 << 20,
                extensions: known(Vec::new()),
            })
            .collect(),
        replication: Known::not_asked(),
    }]
}

fn say(facts: &mut HostFacts, words: &[&str]) {
    match words {
        ["gathered", when] => facts.gathered_at = when.parse().unwrap(),
        ["release", version] => {
            if let Known::Measured { value, .. } = &mut facts.release {
                value.version = (*version).to_owned();
            }
        }
        ["machine-id", id] => facts.machine_id = known((*id).to_owned()),
        ["broken", name] => {
            facts.packages_broken = known(vec![PackageState {
                name: (*name).to_owned(),
                status: "install ok half-configured".to_owned(),
            }]);
        }
        ["held", names @ ..] => {
            facts.packages_held = known(names.iter().map(|name| (*name).to_owned()).collect());
        }
        ["foreign", uri] => {
            facts.foreign_sources = known(vec![ForeignSource {
                file: "/etc/apt/sources.list.d/x.list".to_owned(),
                uri: (*uri).to_owned(),
                suite: "stable".to_owned(),
            }]);
        }
        ["offset", ms] => facts.clock_offset_ms = known(ms.parse().unwrap()),
        ["databases", names] => facts.postgresql = known(databases(names)),
        ["no-units"] => facts.units = known(Vec::new()),
        ["mount", path, mib, options @ ..] => {
            let mut mount = mount(path, mib.parse().unwrap());
            mount.exec = !options.contains(&"noexec");
            mount.read_only = options.contains(&"read-only");
            match &mut facts.mounts {
                Known::Measured { value, .. } => {
                    value.retain(|other| other.path != mount.path);
                    value.push(mount);
                }
                Known::Unknown { .. } => facts.mounts = known(vec![mount]),
            }
        }
        ["mounts", "unknown"] => facts.mounts = unknown(),
        ["units", "unknown"] => facts.units = unknown(),
        ["postgresql", "unknown"] => facts.postgresql = unknown(),
        other => panic!("what is {other:?}?"),
    }
}
