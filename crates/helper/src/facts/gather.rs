//! Gathers all facts of the host.

use super::clusters::{self, Seen};
use super::measured::{bounded, fitting, known, when};
use super::memory::Memory;
use super::packages::Records;
use super::root::{Root, is_absent};
use super::{
    conffiles, data, indexes, kernel, local, machine, mounts, names, next_release, postgresql,
    processes, release, running, sock_diag, sockets, sources, storage, units,
};
use crate::boot;
use crate::process::{plain, run_bounded};
use crate::store::Store;
use jiff::Timestamp;
use overhaul_model::facts::{
    FactsWanted, HostFacts, KernelFacts, Known, Listener, MachineFacts, Mount, NameFacts,
    OsRelease, PackageFacts, RunningFacts, StorageFacts, Unit,
};
use std::time::Duration;

/// There while systemd is process 1.
const BOOTED_WITH_SYSTEMD: &str = "/run/systemd/system";

/// Largest table of sockets: 150 bytes each, connections included.
const SOCKETS_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Largest table of mounts.
const MOUNTS_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Longest that systemd may take to list its units.
const UNITS_S_MAX: u64 = 20;

/// Output of that list that is read.
const UNITS_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The host's release.
///
/// # Errors
/// When the file cannot be read, or says nothing.
pub fn os_release() -> Result<OsRelease, String> {
    release_of(&Root::new("/"))
}

fn release_of(root: &Root) -> Result<OsRelease, String> {
    release::parse(&root.text("/etc/os-release")?)
}

/// Gathers what every host has, and what is wanted beyond.
pub fn gather(store: &Store, wanted: &FactsWanted, controller_now: Timestamp) -> HostFacts {
    // First of all, since the rest takes its time.
    let offset = Timestamp::now()
        .as_millisecond()
        .saturating_sub(controller_now.as_millisecond());
    let mut facts = of_tree(&Root::new("/"), wanted, controller_now, &Memory::of(store));
    facts.boot = known(boot::proof().map_err(|error| error.to_string()));
    facts.install_id = known(Ok(store.install_id().clone()));
    facts.authority = known(store.authority().map_err(|error| error.to_string()));
    facts.architecture = known(architecture());
    facts.units = known(all_units().and_then(bounded));
    facts.clock_offset_ms = known(Ok(offset));
    facts.postgresql = when(wanted.postgresql, postgresql::clusters);
    let seen = Seen {
        units: &facts.units,
        listening: &facts.listening,
    };
    facts.clusters = when(!wanted.clusters.is_empty(), || {
        bounded(clusters::members(&wanted.clusters, &seen))
    });
    fitting(facts)
}

/// Everything that files tell.
fn of_tree(
    root: &Root,
    wanted: &FactsWanted,
    controller_now: Timestamp,
    memory: &Memory,
) -> HostFacts {
    let records = Records::of(root);
    let records = records.as_ref().map_err(String::as_str);
    let release = release_of(root);
    let foreign = release
        .clone()
        .and_then(|release| sources::foreign(root, &release.os))
        .and_then(bounded);
    let mounts = all_mounts(root);
    let no_mounts = Vec::new();
    let stored_on = mounts.as_ref().unwrap_or(&no_mounts).as_slice();
    HostFacts {
        machine_id: known(machine_id(root)),
        packages_broken: of(records, |records| bounded(records.broken())),
        packages_held: of(records, |records| bounded(records.held())),
        foreign_sources: known(foreign),
        packages: packages(root, records, wanted, &release, memory),
        kernel: kernels(root, records),
        names: named(root, wanted),
        storage: stored(root, wanted, stored_on),
        running: runs(root, wanted),
        machine: machine(root),
        listening: known(listening(root, wanted.upgrade || wanted.stored).and_then(bounded)),
        release: known(release),
        mounts: known(mounts),
        ..HostFacts::unknown(controller_now, "it is not in files")
    }
}

/// A fact that follows from dpkg's records.
fn of<T>(
    records: Result<&Records, &str>,
    find: impl FnOnce(&Records) -> Result<T, String>,
) -> Known<T> {
    known(records.map_err(str::to_owned).and_then(find))
}

fn packages(
    root: &Root,
    records: Result<&Records, &str>,
    wanted: &FactsWanted,
    release: &Result<OsRelease, String>,
    memory: &Memory,
) -> PackageFacts {
    let of_records = |asked: bool| {
        if asked {
            records
        } else {
            Err(overhaul_model::facts::NOT_ASKED)
        }
    };
    let next = wanted.next_release.as_ref();
    PackageFacts {
        // Not bounded by number: whoever asks for all packages means all.
        installed: of(of_records(wanted.stored || wanted.installed), |all| {
            Ok(all.told(|_| true))
        }),
        obsolete: of(of_records(wanted.upgrade), |all| {
            indexes::obsolete(root, all, memory).and_then(bounded)
        }),
        removed_not_purged: of(records, |all| bounded(all.removed_not_purged())),
        foreign_architectures: of(records, |all| all.foreign_architectures(root)),
        pins: known(local::pins(root).and_then(bounded)),
        set_aside: when(wanted.upgrade, || local::set_aside(root).and_then(bounded)),
        conffiles_changed: of(of_records(wanted.upgrade), |all| {
            conffiles::changed(root, all, memory).and_then(bounded)
        }),
        files_changed: when(wanted.verify_files, || conffiles::verify(root)),
        local_diversions: known(local::diversions(root).and_then(bounded)),
        stat_overrides: known(local::stat_overrides(root).and_then(bounded)),
        alternatives_by_hand: when(wanted.upgrade, || {
            local::alternatives(root).and_then(bounded)
        }),
        next_release: of(of_records(next.is_some()), |all| {
            let now = release.as_ref().map_err(Clone::clone)?;
            next_release::look(root, all, now, next.map_or("", String::as_str))
        }),
    }
}

fn kernels(root: &Root, records: Result<&Records, &str>) -> KernelFacts {
    KernelFacts {
        running: known(kernel::running(root)),
        installed: of(records, |all| Ok(kernel::installed(all))),
        metapackages: of(records, |all| Ok(kernel::metapackages(all))),
        reboot_wanted_by: known(kernel::reboot_wanted_by(root).and_then(bounded)),
        initramfs_tools: of(records, |all| Ok(kernel::initramfs_tools(all))),
        boot_loader: of(records, |all| kernel::boot_loader(root, all)),
        command_line: known(kernel::command_line(root)),
    }
}

fn named(root: &Root, wanted: &FactsWanted) -> NameFacts {
    NameFacts {
        interfaces: when(wanted.upgrade, || names::interfaces(root)),
        naming: when(wanted.upgrade, || {
            names::naming(root, &kernel::command_line(root)?)
        }),
        kernel_disk_names: when(wanted.upgrade, || {
            names::kernel_disk_names(root).and_then(bounded)
        }),
    }
}

fn stored(root: &Root, wanted: &FactsWanted, mounts: &[Mount]) -> StorageFacts {
    StorageFacts {
        fstab: known(storage::fstab(root).and_then(bounded)),
        encrypted: known(storage::encrypted(root).and_then(bounded)),
        swap: known(storage::swap(root).and_then(bounded)),
        shared: known(storage::shared(root).and_then(bounded)),
        usr_merged: known(storage::usr_merged(root)),
        data: when(wanted.stored || !wanted.paths.is_empty(), || {
            let mut folders = data::named(root, &wanted.paths, mounts);
            if wanted.stored {
                let others = data::folders(root, mounts)?.into_iter();
                folders.extend(others.filter(|one| !wanted.paths.contains(&one.path)));
            }
            Ok(folders)
        }),
    }
}

fn runs(root: &Root, wanted: &FactsWanted) -> RunningFacts {
    RunningFacts {
        old_code: when(wanted.upgrade, || {
            processes::old_code(root).and_then(bounded)
        }),
        guests: known(running::guests(root)),
        cron: known(running::cron(root).and_then(bounded)),
        people: known(running::people(root).and_then(bounded)),
    }
}

fn machine(root: &Root) -> MachineFacts {
    MachineFacts {
        virtualisation: known(machine::virtualisation(root)),
        model: known(machine::model(root)),
        memory_bytes: known(machine::memory_bytes(root)),
        cpus: known(machine::cpus(root)),
        time_zone: known(machine::time_zone(root)),
        locale: known(machine::locale(root)),
    }
}

fn machine_id(root: &Root) -> Result<String, String> {
    let id = root.text("/etc/machine-id")?.trim().to_owned();
    if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(id)
    } else {
        Err("/etc/machine-id holds no id".to_owned())
    }
}

fn architecture() -> Result<String, String> {
    let name = rustix::system::uname()
        .machine()
        .to_string_lossy()
        .into_owned();
    if name.is_empty() {
        Err("the kernel names none".to_owned())
    } else {
        Ok(name)
    }
}

fn all_units() -> Result<Vec<Unit>, String> {
    // As sd_booted(3) has it; systemctl would only say the same, at the price of its start.
    if !Root::new("/").exists(BOOTED_WITH_SYSTEMD) {
        return Err("this host was not booted with systemd".to_owned());
    }
    let arguments = [
        "list-units",
        "--all",
        "--type=service,timer,socket,mount",
        "--plain",
        "--no-legend",
        "--no-pager",
        "--full",
    ];
    let command = plain("systemctl", arguments);
    let done = run_bounded(command, Duration::from_secs(UNITS_S_MAX), UNITS_BYTES_MAX)
        .map_err(|gone| format!("systemctl: {gone}"))?;
    if !done.status.success() || done.cut {
        return Err(format!("systemctl: {} ({})", done.last_line(), done.status));
    }
    units::parse(&String::from_utf8_lossy(&done.out))
}

fn all_mounts(root: &Root) -> Result<Vec<Mount>, String> {
    let path = "/proc/self/mountinfo";
    let text = root.bytes(path, MOUNTS_BYTES_MAX);
    let text = text.map_err(|error| format!("{path}: {error}"))?;
    let mounts = mounts::parse(&String::from_utf8_lossy(&text));
    bounded(mounts).map(mounts::with_room)
}

fn listening(root: &Root, owners: bool) -> Result<Vec<Listener>, String> {
    let mut all = Vec::new();
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        // A kernel without that interface still has its tables.
        if let Some(Ok(found)) = sock_diag::listening(protocol) {
            all.extend(found);
            continue;
        }
        let path = format!("/proc/net/{protocol}");
        match root.bytes(&path, SOCKETS_BYTES_MAX) {
            Ok(text) => all.extend(sockets::parse(protocol, &String::from_utf8_lossy(&text))),
            // A kernel without IPv6 has no such table.
            Err(error) if is_absent(&error) && protocol.ends_with('6') => {}
            Err(error) => return Err(format!("{path}: {error}")),
        }
    }
    let mut all = if owners {
        let account = rustix::process::geteuid();
        processes::name_owners(root, all, (!account.is_root()).then(|| account.as_raw()))?
    } else {
        all.into_iter().map(|socket| socket.listener).collect()
    };
    all.sort();
    all.dedup();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that can be asked for, of a tree.
    fn of(root: &Root) -> HostFacts {
        let wanted = FactsWanted {
            upgrade: true,
            stored: true,
            next_release: Some("trixie".to_owned()),
            ..FactsWanted::default()
        };
        of_tree(root, &wanted, Timestamp::UNIX_EPOCH, &Memory::none())
    }

    #[test]
    fn a_host_without_packages_says_so_and_tells_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let etc = folder.path().join("etc");
        std::fs::create_dir(&etc).unwrap();
        std::fs::write(etc.join("os-release"), "ID=debian\nVERSION_ID=\"12\"\n").unwrap();
        let id = "0123456789abcdef".repeat(2);
        std::fs::write(etc.join("machine-id"), &id).unwrap();
        let facts = of(&Root::new(folder.path()));
        assert_eq!(facts.release.value().unwrap().version, "12");
        let reasons = [
            facts.packages_broken.gap(),
            facts.packages_held.gap(),
            facts.packages.installed.gap(),
            facts.packages.obsolete.gap(),
            facts.packages.next_release.gap(),
            facts.kernel.installed.gap(),
        ];
        for reason in reasons {
            let reason = reason.unwrap();
            assert!(reason.contains("/var/lib/dpkg/status"), "{reason}");
        }
        assert_eq!(facts.machine_id.value().unwrap(), &id);
    }

    #[test]
    fn an_empty_tree_is_unknown_and_never_good() {
        let folder = tempfile::tempdir().unwrap();
        let facts = of(&Root::new(folder.path()));
        assert!(facts.release.gap().unwrap().contains("/etc/os-release"));
        assert!(facts.machine_id.gap().unwrap().contains("/etc/machine-id"));
        assert!(facts.packages_broken.gap().is_some());
        assert!(facts.kernel.running.gap().is_some());
    }
}
