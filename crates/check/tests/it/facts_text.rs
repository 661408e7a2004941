//! Facts from the same text as the plan: hosts are in good order unless a line says otherwise.
//!
//!     fact a release 11
//!     fact a machine-id shared
//!     fact a mount /var 100 noexec      MiB that are free
//!     fact a databases shop,postgres
//!     fact a mounts unknown
//!     fact a installed chef 1.2
//!     fact a unit corosync.service active
//!     fact a member corosync NAME
//!     fact a version galera 10.11
//!     fact a authority held files /srv/files b        it has it, from b
//!     fact a authority given files /srv/files b       it gave it to b
//!     fact a authority unknown
//!     nofacts a
//!     settled up/hold-db@a

use crate::plan_text::plan;
use jiff::Timestamp;
use overhaul_model::authority::{AuthorityRecord, AuthorityStand, Moved, Subject};
use overhaul_model::cluster::ClusterMember;
use overhaul_model::facts::{
    BootLoader, BootProof, ChangedFile, DataFolder, EncryptedDisk, FileState, FilesCompared,
    FleetFacts, ForeignSource, FstabEntry, GrubDevice, HostFacts, InstalledKernel, Interface,
    InterfaceNaming, KernelFacts, Known, LostPackage, Mount, NameFacts, NamedBy, NamedPlace,
    NextRelease, OsRelease, Package, PackageFacts, PackageState, Pin, PostgresCluster,
    PostgresDatabase, StorageFacts, Unit, Virtualisation,
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
    Unit::new(name, "loaded", "active", "running")
}

fn mount(path: &str, mib: u64) -> Mount {
    Mount {
        path: path.into(),
        source: "/dev/sda1".into(),
        kind: "ext4".into(),
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
        authority: known(Vec::new()),
        architecture: known("x86_64".to_owned()),
        packages_broken: known(Vec::new()),
        packages_held: known(Vec::new()),
        foreign_sources: known(Vec::new()),
        units: known(units),
        mounts: known(vec![mount("/", 10_240)]),
        listening: known(Vec::new()),
        clock_offset_ms: known(0),
        postgresql: known(Vec::new()),
        packages: good_packages(),
        kernel: good_kernel(),
        names: NameFacts {
            interfaces: known(Vec::new()),
            naming: known(InterfaceNaming {
                scheme: None,
                kernel_names: false,
                rules: Vec::new(),
            }),
            kernel_disk_names: known(Vec::new()),
        },
        storage: StorageFacts {
            fstab: known(Vec::new()),
            encrypted: known(Vec::new()),
            usr_merged: known(true),
            ..StorageFacts::unknown("not asked")
        },
        ..HostFacts::unknown(at(), "not asked")
    }
}

fn good_packages() -> PackageFacts {
    PackageFacts {
        obsolete: known(Vec::new()),
        removed_not_purged: known(Vec::new()),
        pins: known(Vec::new()),
        set_aside: known(Vec::new()),
        conffiles_changed: known(Vec::new()),
        local_diversions: known(Vec::new()),
        ..PackageFacts::unknown("not asked")
    }
}

fn good_kernel() -> KernelFacts {
    KernelFacts {
        running: known("6.1.0-41-amd64".to_owned()),
        installed: known(Vec::new()),
        metapackages: known(vec!["linux-image-amd64".to_owned()]),
        reboot_wanted_by: known(Vec::new()),
        boot_loader: known(loader(Vec::new())),
        ..KernelFacts::unknown("not asked")
    }
}

fn loader(grub_devices: Vec<GrubDevice>) -> BootLoader {
    let grub = (!grub_devices.is_empty()).then(|| "grub-pc".to_owned());
    BootLoader {
        packages: grub.into_iter().collect(),
        uefi: false,
        grub_devices,
    }
}

fn changed(path: &str) -> ChangedFile {
    ChangedFile {
        path: path.to_owned(),
        package: "p".to_owned(),
        state: FileState::Changed,
    }
}

fn add<T>(fact: &mut Known<Vec<T>>, more: T) {
    match fact {
        Known::Measured { value, .. } => value.push(more),
        Known::Unknown { .. } => *fact = known(vec![more]),
    }
}

fn next(absent: Vec<LostPackage>, removed: Vec<LostPackage>) -> Known<NextRelease> {
    known(NextRelease {
        codename: "trixie".to_owned(),
        absent,
        removed,
        upgraded: 0,
        new: 0,
    })
}

fn lost(name: &str, units: &[&str]) -> LostPackage {
    LostPackage {
        name: name.to_owned(),
        version: "1".to_owned(),
        replaced_by: Vec::new(),
        units: units.iter().map(|unit| (*unit).to_owned()).collect(),
    }
}

fn interface(name: &str, named_by: &str) -> Interface {
    Interface {
        name: name.to_owned(),
        mac: "52:54:00:12:34:56".to_owned(),
        driver: "e1000".to_owned(),
        bus_path: "0000:00:03.0".to_owned(),
        named_by: match named_by {
            "kernel" => NamedBy::Kernel,
            "place" => NamedBy::Place,
            "rule" => NamedBy::Rule,
            other => panic!("who is {other}?"),
        },
        used_in: vec![NamedPlace {
            file: "/etc/network/interfaces".to_owned(),
            line: 3,
            name: name.to_owned(),
        }],
    }
}

/// What is about clusters; nothing if the words are not.
/// `authority unknown`, `authority held|given DATASET PATH OTHER`.
fn say_of_authority(facts: &mut HostFacts, words: &[&str]) -> Option<()> {
    let ["authority", rest @ ..] = words else {
        return None;
    };
    facts.authority = match rest {
        [stand, dataset, path, other] => {
            let other = HostName::new(*other);
            known(vec![AuthorityRecord {
                about: Subject {
                    fleet: "test".to_owned(),
                    dataset: (*dataset).into(),
                    paths: vec![(*path).to_owned()],
                    units: vec!["db.service".to_owned()],
                },
                stand: match *stand {
                    "held" => AuthorityStand::Held { from: other },
                    _ => AuthorityStand::Given { to: other },
                },
                moved: Moved {
                    run: "run-1".into(),
                    position: "x@b".parse().unwrap(),
                    digest: "d".to_owned(),
                    at: at(),
                },
            }])
        }
        _ => unknown(),
    };
    Some(())
}

fn say_of_cluster(facts: &mut HostFacts, words: &[&str]) -> Option<()> {
    facts.clusters = known(vec![match words {
        ["works", kind, state] => working(kind, state),
        ["member", kind, cluster] => member(kind, cluster),
        ["version", kind, version] => ClusterMember {
            version: Some(known((*version).to_owned())),
            ..member(kind, "x")
        },
        _ => return None,
    }]);
    Some(())
}

/// What is about upgrades; nothing if the words are not.
fn say_of_upgrade(facts: &mut HostFacts, words: &[&str]) -> Option<()> {
    let text = |word: &&str| word.replace('~', " ");
    match words {
        ["obsolete", name] => add(
            &mut facts.packages.obsolete,
            Package {
                name: text(name).into(),
                version: "1".into(),
            },
        ),
        ["pin", packages, pin] => add(
            &mut facts.packages.pins,
            Pin {
                file: "/etc/apt/preferences".to_owned(),
                packages: text(packages),
                pin: text(pin),
                priority: "900".to_owned(),
            },
        ),
        ["removed", name] => add(&mut facts.packages.removed_not_purged, text(name)),
        ["set-aside", path] => add(&mut facts.packages.set_aside, text(path)),
        ["conffile", path] => add(&mut facts.packages.conffiles_changed, changed(path)),
        ["file", path] => {
            facts.packages.files_changed = known(FilesCompared {
                changed: vec![changed(path)],
                compared: 9,
                complete: true,
            });
        }
        ["device", name, by] => add(&mut facts.names.interfaces, interface(name, by)),
        ["scheme", scheme] => {
            if let Known::Measured { value, .. } = &mut facts.names.naming {
                value.scheme = Some(text(scheme));
            }
        }
        ["disk", name] => add(
            &mut facts.names.kernel_disk_names,
            NamedPlace {
                file: "/etc/fstab".to_owned(),
                line: 2,
                name: text(name),
            },
        ),
        ["absent", name, units @ ..] => {
            facts.packages.next_release = next(vec![lost(name, units)], Vec::new());
        }
        ["would-remove", name, units @ ..] => {
            facts.packages.next_release = next(Vec::new(), vec![lost(name, units)]);
        }
        _ => return say_of_boot(facts, words),
    }
    Some(())
}

fn say_of_boot(facts: &mut HostFacts, words: &[&str]) -> Option<()> {
    let kernel = &mut facts.kernel;
    match words {
        ["command-line", line] => kernel.command_line = known((*line).to_owned()),
        ["wants-reboot", name] => add(&mut kernel.reboot_wanted_by, (*name).to_owned()),
        ["runs", release] => kernel.running = known((*release).to_owned()),
        ["kernels", releases @ ..] => {
            let installed = releases.iter().map(|release| InstalledKernel {
                package: format!("linux-image-{release}"),
                release: (*release).to_owned(),
            });
            kernel.installed = known(installed.collect());
        }
        ["metapackages"] => kernel.metapackages = known(Vec::new()),
        ["grub", path, gone @ ..] => {
            kernel.boot_loader = known(loader(vec![GrubDevice {
                path: (*path).to_owned(),
                exists: gone.is_empty(),
            }]));
        }
        ["container"] => {
            facts.machine.virtualisation = known(Virtualisation::Container {
                by: "lxc".to_owned(),
            });
        }
        ["unmerged"] => facts.storage.usr_merged = known(false),
        ["fstab", path, option] => add(
            &mut facts.storage.fstab,
            FstabEntry {
                line: 7,
                source: "UUID=1".to_owned(),
                path: (*path).to_owned(),
                kind: "ext4".to_owned(),
                options: vec![(*option).to_owned()],
            },
        ),
        ["crypt", name] => add(
            &mut facts.storage.encrypted,
            EncryptedDisk {
                name: (*name).to_owned(),
                device: "UUID=2".to_owned(),
                options: Vec::new(),
            },
        ),
        ["upgrade", "unknown"] => {
            facts.packages.obsolete = unknown();
            facts.kernel.installed = unknown();
            facts.packages.next_release = unknown();
        }
        _ => return None,
    }
    Some(())
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

fn member(kind: &str, cluster: &str) -> ClusterMember {
    ClusterMember {
        kind: kind.to_owned(),
        instance: String::new(),
        cluster: known(cluster.to_owned()),
        member: unknown(),
        role: unknown(),
        state: unknown(),
        members: None,
        size_known: unknown(),
        size_alive: unknown(),
        quorate: None,
        healthy: unknown(),
        lag: None,
        data_paths: Vec::new(),
        version: None,
        evidence: Vec::new(),
    }
}

/// A member that says of its work `well`, `ill` or nothing.
fn working(kind: &str, state: &str) -> ClusterMember {
    let well = || match state {
        "well" => known(true),
        "ill" => known(false),
        _ => unknown(),
    };
    ClusterMember {
        state: known(state.to_owned()),
        quorate: Some(well()),
        healthy: well(),
        ..member(kind, "x")
    }
}

fn say(facts: &mut HostFacts, words: &[&str]) {
    let of_its_own = [say_of_upgrade, say_of_cluster, say_of_authority];
    if of_its_own.iter().any(|say| say(facts, words).is_some()) {
        return;
    }
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
        ["unit", name, active] => add(
            &mut facts.units,
            Unit::new(name, "loaded", active, "running"),
        ),
        ["installed", name, version] => add(
            &mut facts.packages.installed,
            Package {
                name: (*name).into(),
                version: (*version).into(),
            },
        ),
        ["nothing-installed"] => facts.packages.installed = known(Vec::new()),
        ["stored", folders @ ..] => {
            let folders = folders.iter().map(|path| DataFolder {
                path: (*path).to_owned(),
                size_bytes: 1 << 20,
                entries: 3,
                complete: true,
            });
            facts.storage.data = known(folders.collect());
        }
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
