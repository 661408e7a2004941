//! What the facts of one host say about data: what it holds, what runs, and what is not known.

use crate::catalogue::{CARRIED, Nature, PROGRAMS, of_unit};
use crate::cluster::Membership;
use overhaul_model::facts::{DataFolder, HostFacts, Known, Listener, Mount, Unit};
use std::collections::{BTreeMap, BTreeSet};

/// Evidence that one sentence lists; the others are counted.
const LISTED_MAX: usize = 6;

/// Filesystems that hold nothing that would survive, or nothing of this host's own.
const PASSING: [&str; 26] = [
    "autofs",
    "bpf",
    "binfmt_misc",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse.lxcfs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
];

/// Filesystems of other machines: their data is not on this host, but this host needs them.
const REMOTE: [&str; 8] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "ceph",
    "fuse.glusterfs",
    "fuse.sshfs",
    "9p",
];

/// Mount points that every installation has; what lies on them is looked at folder by folder.
const SYSTEM_MOUNTS: [&str; 7] = [
    "/",
    "/boot",
    "/boot/efi",
    "/usr",
    "/var",
    "/var/log",
    "/tmp",
];

/// How a store may survive a new machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Survives {
    /// Only where it is.
    HereOnly,
    /// As plain files that are taken along.
    Carried(String),
    /// By the cluster of this kind, which has it elsewhere too.
    InCluster(String),
}

/// Something on the host that must not be lost.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Store {
    /// The rule that found it.
    pub rule: &'static str,
    /// What and where, as a sentence.
    pub says: String,
    /// Its size in bytes, as far as it was measured.
    pub bytes: Option<u64>,
    /// How it may survive.
    pub survives: Survives,
}

/// What the facts say of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// What must not be lost.
    pub stores: Vec<Store>,
    /// What runs and keeps nothing, as sentences.
    pub serves: Vec<String>,
    /// What is not known and could hide data, as sentences.
    pub blind: Vec<String>,
    /// Clusters that it is in.
    pub memberships: Vec<Membership>,
}

impl Look {
    /// Of the facts of a host.
    pub fn of(facts: &HostFacts, memberships: Vec<Membership>) -> Self {
        let mut out = Self {
            memberships,
            ..Self::default()
        };
        out.programs(facts);
        out.databases(facts);
        out.folders(facts);
        out.filesystems(facts);
        out.guests(facts);
        out.people(facts);
        out.blind("which clusters it is in", &facts.clusters);
        out
    }

    /// All bytes of data that were measured; folders of one store are not counted twice.
    pub fn bytes(&self) -> Option<u64> {
        let folders: Vec<u64> = self
            .stores
            .iter()
            .filter(|store| store.rule == "stored")
            .filter_map(|store| store.bytes)
            .collect();
        let all = self.stores.iter().filter_map(|store| store.bytes);
        if folders.is_empty() {
            all.max()
        } else {
            Some(folders.iter().sum())
        }
    }

    fn blind<T>(&mut self, what: &str, fact: &Known<T>) {
        if let Known::Unknown { reason } = fact {
            self.blind.push(format!("{what}: {reason}"));
        }
    }

    /// Units and sockets: each program that is known to keep data, each that nobody knows.
    fn programs(&mut self, facts: &HostFacts) {
        self.blind("which services there are", &facts.units);
        self.blind("what listens", &facts.listening);
        let none = Vec::new();
        let units = facts.units.value().unwrap_or(&none);
        let no_sockets = Vec::new();
        let sockets = facts.listening.value().unwrap_or(&no_sockets);
        let mut strangers = Vec::new();
        let mut found: BTreeMap<&str, (Nature, Vec<&Unit>)> = BTreeMap::new();
        for unit in units.iter().filter(|unit| counts(unit)) {
            match of_unit(&unit.name) {
                Some(program) => {
                    let entry = found.entry(program.name);
                    entry.or_insert((program.nature, Vec::new())).1.push(unit);
                }
                None if at_work(unit) => strangers.push(unit.name.to_string()),
                None => {}
            }
        }
        for (name, (nature, units)) in &found {
            let sentence = program_sentence(name, units, sockets);
            match nature {
                Nature::Base => {}
                Nature::Stateless if units.iter().any(|unit| at_work(unit)) => {
                    self.serves.push(sentence);
                }
                Nature::Stateless => {}
                Nature::Stateful => self.stores.push(Store {
                    rule: "program",
                    says: sentence,
                    bytes: None,
                    survives: survives_of(name, &self.memberships),
                }),
            }
        }
        if !strangers.is_empty() {
            self.blind.push(format!(
                "whether these units keep data: {}",
                listed(&strangers)
            ));
        }
        self.sockets(sockets);
    }

    /// Sockets whose owner cannot be told, or is a unit that nobody knows.
    fn sockets(&mut self, sockets: &[Listener]) {
        let open = sockets.iter().filter(|socket| !is_local(&socket.address));
        let nobody: BTreeSet<String> = open
            .filter(|socket| socket.port != SSH_PORT)
            .filter(|socket| of_unit(&socket.unit).is_none())
            .map(|socket| {
                let owner = match (socket.unit.as_str(), socket.program.as_str()) {
                    ("", "") => "program unknown",
                    ("", program) => program,
                    (unit, _) => unit,
                };
                format!(
                    "{} port {} ({owner})",
                    socket.protocol.trim_end_matches('6'),
                    socket.port
                )
            })
            .collect();
        if !nobody.is_empty() {
            let nobody: Vec<String> = nobody.into_iter().collect();
            self.blind
                .push(format!("what is behind these sockets: {}", listed(&nobody)));
        }
    }

    /// Databases that were looked into.
    fn databases(&mut self, facts: &HostFacts) {
        for cluster in facts.postgresql.value().into_iter().flatten() {
            let bytes: u64 = cluster.databases.iter().map(|d| d.size_bytes).sum();
            let state = if cluster.online { "online" } else { "stopped" };
            let names: Vec<String> = cluster.databases.iter().map(|d| d.name.clone()).collect();
            let says = format!(
                "PostgreSQL {}/{} is {state} on port {}: {} in {} ({})",
                cluster.version,
                cluster.name,
                cluster.port,
                if cluster.online {
                    size(bytes)
                } else {
                    "unknown size".to_owned()
                },
                cluster.data_dir,
                if names.is_empty() {
                    "no databases seen".to_owned()
                } else {
                    listed(&names)
                },
            );
            self.stores.push(Store {
                rule: "database",
                says,
                bytes: cluster.online.then_some(bytes),
                survives: survives_of("PostgreSQL", &self.memberships),
            });
        }
    }

    /// Folders with data.
    fn folders(&mut self, facts: &HostFacts) {
        self.blind("where data is and how large", &facts.storage.data);
        for folder in facts.storage.data.value().into_iter().flatten() {
            if folder.entries == 0 && folder.complete {
                continue;
            }
            self.stores.push(Store {
                rule: "stored",
                says: folder_sentence(folder),
                bytes: Some(folder.size_bytes),
                survives: survives_in(folder, &self.memberships),
            });
        }
        self.blind("what is shared with other hosts", &facts.storage.shared);
        for share in facts.storage.shared.value().into_iter().flatten() {
            let name = if share.name.is_empty() {
                String::new()
            } else {
                format!(" as `{}`", share.name)
            };
            self.stores.push(Store {
                rule: "shared",
                says: format!(
                    "{} is shared with other hosts by {}{name}",
                    share.path, share.by
                ),
                bytes: None,
                // The files go with their folder; the share itself does with the configuration.
                survives: Survives::HereOnly,
            });
        }
    }

    /// Filesystems of their own.
    fn filesystems(&mut self, facts: &HostFacts) {
        self.blind("which filesystems are mounted", &facts.mounts);
        for mount in facts.mounts.value().into_iter().flatten() {
            let passing = PASSING.contains(&mount.kind.as_str()) || mount.read_only;
            let system = SYSTEM_MOUNTS.contains(&mount.path.as_str());
            if passing || system || is_lookalike(mount) {
                continue;
            }
            if REMOTE.contains(&mount.kind.as_str()) {
                self.serves.push(format!(
                    "{} is mounted from {} ({}); its data is there, not here",
                    mount.path, mount.source, mount.kind
                ));
                continue;
            }
            let used = mount.size_bytes.saturating_sub(mount.free_bytes);
            self.stores.push(Store {
                rule: "filesystem",
                says: format!(
                    "{} is a filesystem of its own ({} on {}), {} of {} in use",
                    mount.path,
                    mount.kind,
                    mount.source,
                    size(used),
                    size(mount.size_bytes)
                ),
                bytes: Some(used),
                survives: Survives::HereOnly,
            });
        }
    }

    /// Containers and virtual machines.
    fn guests(&mut self, facts: &HostFacts) {
        self.blind(
            "whether it holds containers or machines",
            &facts.running.guests,
        );
        for manager in facts.running.guests.value().into_iter().flatten() {
            if manager.known == 0 {
                continue;
            }
            self.stores.push(Store {
                rule: "guests",
                says: format!(
                    "{} knows {} ({} running); each may hold data of its own",
                    manager.manager,
                    counted(manager.known, "guest"),
                    manager.running
                ),
                bytes: None,
                survives: Survives::HereOnly,
            });
        }
    }

    /// Cron jobs, which no package put there: they may be what makes or moves data.
    fn people(&mut self, facts: &HostFacts) {
        self.blind("which cron jobs there are", &facts.running.cron);
        let own: Vec<String> = facts
            .running
            .cron
            .value()
            .into_iter()
            .flatten()
            .filter(|file| file.jobs > 0 && file.path.contains("/crontabs/"))
            .map(|file| file.path.clone())
            .collect();
        if !own.is_empty() {
            self.stores.push(Store {
                rule: "cron",
                says: format!("people keep cron jobs here: {}", listed(&own)),
                bytes: None,
                survives: Survives::HereOnly,
            });
        }
    }
}

/// sshd's usual port: whoever could gather facts came through it.
const SSH_PORT: u16 = 22;

/// Services only; what is not installed does not count, a service that stands still does.
fn counts(unit: &Unit) -> bool {
    unit.name.ends_with(".service") && unit.load != "not-found"
}

/// Whether it runs, ran, or should: what is stopped and unknown is taken for gone with its package.
fn at_work(unit: &Unit) -> bool {
    unit.active != "inactive"
}

fn is_local(address: &str) -> bool {
    address.starts_with("127.") || address == "::1" || address.starts_with("[::1")
}

/// Bind mounts of single files, as containers have them.
fn is_lookalike(mount: &Mount) -> bool {
    ["/etc/", "/dev/", "/proc/", "/sys/", "/run/"]
        .iter()
        .any(|below| mount.path.starts_with(below))
}

/// A program that belongs to a cluster that the host is in.
fn survives_of(program: &str, memberships: &[Membership]) -> Survives {
    let known = PROGRAMS.iter().find(|known| known.name == program);
    match known.and_then(|known| known.cluster) {
        Some(kind) if memberships.iter().any(|m| m.kind == kind) => {
            Survives::InCluster(kind.to_owned())
        }
        Some(_) | None => Survives::HereOnly,
    }
}

/// A folder belongs to a cluster when the member says that its data is there, else it may be one of plain files.
fn survives_in(folder: &DataFolder, memberships: &[Membership]) -> Survives {
    let mut owners = memberships.iter();
    let owner = owners.find(|m| m.data_paths.iter().any(|own| below(&folder.path, own)));
    if let Some(owner) = owner {
        return Survives::InCluster(owner.kind.clone());
    }
    if folder.complete && CARRIED.iter().any(|carried| below(&folder.path, carried)) {
        return Survives::Carried(folder.path.clone());
    }
    Survives::HereOnly
}

/// Whether a path is a folder or lies in it.
pub fn below(path: &str, folder: &str) -> bool {
    path == folder
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
}

fn program_sentence(name: &str, units: &[&Unit], sockets: &[Listener]) -> String {
    let running = units.iter().any(|unit| unit.active == "active");
    let names: BTreeSet<&str> = units.iter().map(|unit| unit.name.as_str()).collect();
    let ports: BTreeSet<u16> = sockets
        .iter()
        .filter(|socket| names.contains(socket.unit.as_str()))
        .map(|socket| socket.port)
        .collect();
    let shown: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let state = if running {
        "runs"
    } else {
        "is installed and stands still"
    };
    if ports.is_empty() {
        format!("{name} {state} ({})", listed(&shown))
    } else {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        format!(
            "{name} {state} ({}) and listens on {}",
            listed(&shown),
            listed(&ports)
        )
    }
}

fn folder_sentence(folder: &DataFolder) -> String {
    let least = if folder.complete { "" } else { "at least " };
    format!(
        "{} holds {least}{} in {}",
        folder.path,
        size(folder.size_bytes),
        counted(folder.entries, "entry")
    )
}

/// Some of many, and how many more.
pub fn listed(names: &[String]) -> String {
    let mut out = names
        .iter()
        .take(LISTED_MAX)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > LISTED_MAX {
        out.push_str(&format!(
            " and {} more",
            names.len().saturating_sub(LISTED_MAX)
        ));
    }
    out
}

/// `1 entry`, `2 entries`.
pub fn counted(number: impl Into<u64>, word: &str) -> String {
    let number = number.into();
    match (number, word.strip_suffix('y')) {
        (1, _) => format!("1 {word}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {word}s"),
    }
}

/// A size for people.
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
    ];
    for (name, unit) in UNITS {
        if bytes >= unit {
            let tenths = u128::from(bytes)
                .saturating_mul(10)
                .checked_div(u128::from(unit))
                .unwrap_or(0);
            let (whole, tenth) = (tenths.checked_div(10), tenths.checked_rem(10));
            return format!("{}.{} {name}", whole.unwrap_or(0), tenth.unwrap_or(0));
        }
    }
    format!("{bytes} B")
}
