//! Fleets for tests, written as what is on each host. A host with nothing said is measured in full and empty.

use crate::relations::Controller;
use jiff::Timestamp;
use overhaul_model::cluster::{ClusterMember, ClusterRole};
use overhaul_model::facts::{
    CronFile, DataFolder, FleetFacts, GuestManager, HostFacts, Known, Listener, Mount, OsRelease,
    PostgresCluster, PostgresDatabase, SharedFolder, Unit,
};
use overhaul_model::fleet::{Connection, Fleet, Host};

/// The machine id of the host that is the controller.
pub const CONTROLLER: &str = "00controller";

/// Something about a host.
#[derive(Clone, Debug, PartialEq)]
pub enum Is {
    /// A role.
    Role(&'static str),
    /// A variable with a text.
    Var(&'static str, &'static str),
    /// It is reached through a host.
    Behind(&'static str),
    /// A unit and its state.
    Unit(&'static str, &'static str),
    /// A unit's socket, open to others.
    Listens(&'static str, u16),
    /// A folder with data, and bytes in it.
    Data(&'static str, u64),
    /// A folder that was not counted to the end.
    DataAtLeast(&'static str, u64),
    /// A filesystem: path, kind, bytes in use.
    Mount(&'static str, &'static str, u64),
    /// Guests of a manager.
    Guests(&'static str, u32),
    /// A shared folder.
    Shared(&'static str),
    /// A crontab of a person.
    Crontab,
    /// A cluster of PostgreSQL with a database, and whether it is online.
    Postgres(u64, bool),
    /// Membership: kind, cluster, role, members, alive, healthy.
    Member(&'static str, &'static str, ClusterRole, u32, u32, bool),
    /// A fact that could not be measured.
    Unknown(&'static str),
    /// There are no facts.
    NoFacts,
    /// Overhaul runs here.
    Controller,
}

/// All facts that can be unknown and could hide data.
pub const HIDING: [&str; 8] = [
    "units",
    "listening",
    "mounts",
    "data",
    "shared",
    "guests",
    "cron",
    "clusters",
];

/// A fleet and its facts.
pub fn scene(hosts: &[(&str, Vec<Is>)]) -> (Fleet, FleetFacts, Controller) {
    let mut fleet = Fleet {
        name: "test".to_owned(),
        ..Fleet::default()
    };
    let mut facts = FleetFacts::new();
    for (number, (name, about)) in hosts.iter().enumerate() {
        let mut connection = Connection::to(format!("10.0.0.{}", number + 1));
        let mut host_facts = measured(name);
        let mut there = true;
        let mut host = Host {
            name: (*name).into(),
            roles: [].into(),
            zone: None,
            connection: connection.clone(),
            vars: [].into(),
        };
        for is in about {
            match is {
                Is::Role(role) => {
                    host.roles.insert((*role).into());
                }
                Is::Var(key, value) => {
                    host.vars
                        .insert((*key).to_owned(), std::sync::Arc::new((*value).into()));
                }
                Is::Behind(jump) => connection
                    .ssh_args
                    .extend(["-J".to_owned(), format!("ada@{jump}")]),
                Is::NoFacts => there = false,
                other => put(&mut host_facts, other),
            }
        }
        host.connection = connection;
        if there {
            facts.insert(host.name.clone(), host_facts);
        }
        fleet.hosts.insert(host.name.clone(), host);
    }
    let controller = Controller {
        machine_id: Some(CONTROLLER.to_owned()),
    };
    (fleet, facts, controller)
}

fn known<T>(value: T) -> Known<T> {
    Known::Measured {
        value,
        at: Timestamp::UNIX_EPOCH,
    }
}

fn measured(name: &str) -> HostFacts {
    let mut facts = HostFacts::unknown(Timestamp::UNIX_EPOCH, "not asked");
    facts.release = known(OsRelease {
        os: "debian".to_owned(),
        version: "12".to_owned(),
        codename: "bookworm".to_owned(),
        pretty: "Debian GNU/Linux 12 (bookworm)".to_owned(),
    });
    facts.machine_id = known(format!("id-of-{name}"));
    facts.units = known(vec![
        unit("ssh.service", "active"),
        unit("cron.service", "active"),
    ]);
    facts.listening = known(vec![listener("ssh.service", 22)]);
    facts.mounts = known(vec![
        mount("/", "ext4", 1 << 30),
        mount("/run", "tmpfs", 4096),
    ]);
    facts.postgresql = known(Vec::new());
    facts.clusters = known(Vec::new());
    facts.storage.data = known(Vec::new());
    facts.storage.shared = known(Vec::new());
    facts.running.guests = known(Vec::new());
    facts.running.cron = known(Vec::new());
    facts
}

fn unit(name: &str, active: &str) -> Unit {
    Unit::new(name, "loaded", active, "running")
}

fn listener(unit: &str, port: u16) -> Listener {
    Listener {
        protocol: "tcp".to_owned(),
        address: "0.0.0.0".to_owned(),
        port,
        program: String::new(),
        unit: unit.to_owned(),
    }
}

fn mount(path: &str, kind: &str, used: u64) -> Mount {
    Mount {
        path: path.into(),
        source: "/dev/vdb".into(),
        kind: kind.into(),
        size_bytes: used * 2,
        free_bytes: used,
        exec: true,
        read_only: false,
    }
}

fn push<T: Clone>(list: &mut Known<Vec<T>>, item: T) {
    if let Known::Measured { value, .. } = list {
        value.push(item);
    }
}

fn put(facts: &mut HostFacts, is: &Is) {
    match is {
        Is::Unit(name, active) => push(&mut facts.units, unit(name, active)),
        Is::Listens(unit, port) => push(&mut facts.listening, listener(unit, *port)),
        Is::Data(path, bytes) | Is::DataAtLeast(path, bytes) => {
            let folder = DataFolder {
                path: (*path).to_owned(),
                size_bytes: *bytes,
                entries: 3,
                complete: matches!(is, Is::Data(..)),
            };
            push(&mut facts.storage.data, folder);
        }
        Is::Mount(path, kind, used) => push(&mut facts.mounts, mount(path, kind, *used)),
        Is::Guests(manager, known) => {
            let manager = GuestManager {
                manager: (*manager).to_owned(),
                known: *known,
                running: *known,
            };
            push(&mut facts.running.guests, manager);
        }
        Is::Shared(path) => {
            let share = SharedFolder {
                by: "nfs".to_owned(),
                name: String::new(),
                path: (*path).to_owned(),
            };
            push(&mut facts.storage.shared, share);
        }
        Is::Crontab => {
            let file = CronFile {
                path: "/var/spool/cron/crontabs/ada".to_owned(),
                jobs: 1,
            };
            push(&mut facts.running.cron, file);
        }
        Is::Postgres(bytes, online) => {
            let cluster = PostgresCluster {
                version: "15".to_owned(),
                name: "main".to_owned(),
                port: 5432,
                online: *online,
                data_dir: "/var/lib/postgresql/15/main".to_owned(),
                databases: vec![PostgresDatabase {
                    name: "shop".to_owned(),
                    size_bytes: *bytes,
                    extensions: Known::default(),
                }],
                replication: Known::default(),
            };
            push(&mut facts.postgresql, cluster);
        }
        Is::Member(kind, cluster, role, size, alive, healthy) => {
            let member = member(kind, cluster, *role, *size, *alive, *healthy);
            push(&mut facts.clusters, member);
        }
        Is::Unknown(what) => forget(facts, what),
        Is::Controller => facts.machine_id = known(CONTROLLER.to_owned()),
        Is::Role(_) | Is::Var(..) | Is::Behind(_) | Is::NoFacts => {}
    }
}

fn member(
    kind: &str,
    cluster: &str,
    role: ClusterRole,
    size: u32,
    alive: u32,
    healthy: bool,
) -> ClusterMember {
    let quorum = matches!(kind, "galera" | "ceph-mon");
    let told = |number: u32| match number {
        0 if !quorum => Known::unknown("this kind does not tell it"),
        number => known(number),
    };
    ClusterMember {
        kind: kind.to_owned(),
        instance: String::new(),
        cluster: known(cluster.to_owned()),
        member: known("m".to_owned()),
        role: known(role),
        state: known("Synced".to_owned()),
        members: None,
        size_known: told(size),
        size_alive: told(alive),
        quorate: quorum.then(|| known(alive * 2 > size)),
        healthy: known(healthy),
        lag: None,
        data_paths: match kind {
            "galera" => vec!["/var/lib/mysql".to_owned()],
            "ceph-mon" => vec!["/var/lib/ceph/mon".to_owned()],
            "keepalived" => Vec::new(),
            "redis" => vec!["/var/lib/redis".to_owned()],
            _ => vec!["/var/lib/postgresql".to_owned()],
        },
        version: None,
        evidence: Vec::new(),
    }
}

fn forget(facts: &mut HostFacts, what: &str) {
    let why = "permission denied";
    match what {
        "units" => facts.units = Known::unknown(why),
        "listening" => facts.listening = Known::unknown(why),
        "mounts" => facts.mounts = Known::unknown(why),
        "data" => facts.storage.data = Known::unknown(why),
        "shared" => facts.storage.shared = Known::unknown(why),
        "guests" => facts.running.guests = Known::unknown(why),
        "cron" => facts.running.cron = Known::unknown(why),
        "clusters" => facts.clusters = Known::unknown(why),
        other => panic!("no fact is called {other}"),
    }
}
