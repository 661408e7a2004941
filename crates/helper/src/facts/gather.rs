//! Gathers all facts of the host.

use super::clusters::{self, Seen};
use super::packages::Records;
use super::sources::{self, Source};
use super::{mounts, postgresql, release, sock_diag, sockets, units};
use crate::boot;
use crate::process::{plain, run_bounded};
use crate::store::{Store, read_capped};
use jiff::Timestamp;
use overhaul_model::facts::{
    FactsWanted, ForeignSource, HostFacts, Known, Listener, Mount, NOT_ASKED, OsRelease, Unit,
};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest of the small text files that are read.
const TEXT_BYTES_MAX: u64 = 256 * 1024;

/// Largest status file of dpkg: some hundred bytes a package, some ten thousand packages.
const STATUS_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// There while systemd is process 1.
const BOOTED_WITH_SYSTEMD: &str = "/run/systemd/system";

/// Largest table of sockets: 150 bytes each, connections included.
const SOCKETS_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Bytes read of a release file: its origin stands in its first lines.
const ORIGIN_BYTES: u64 = 16 * 1024;

/// Longest that systemd may take to list its units.
const UNITS_S_MAX: u64 = 20;

/// Output of that list that is read.
const UNITS_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Most entries of one fact: all facts together must fit a frame. A host with more is unknown there,
/// never judged by a part.
const ENTRIES_MAX: usize = 2_000;

const STATUS: &str = "/var/lib/dpkg/status";
const UPDATES: &str = "/var/lib/dpkg/updates";
const LISTS: &str = "/var/lib/apt/lists";

/// The host's release.
///
/// # Errors
/// When the file cannot be read, or says nothing.
pub fn os_release() -> Result<OsRelease, String> {
    release::parse(&text("/etc/os-release")?)
}

/// Gathers what every host has, and what is wanted beyond.
pub fn gather(store: &Store, wanted: &FactsWanted, controller_now: Timestamp) -> HostFacts {
    // First of all, since the rest takes its time.
    let offset = Timestamp::now()
        .as_millisecond()
        .saturating_sub(controller_now.as_millisecond());
    let records = records();
    let records = records.as_ref().map_err(Clone::clone);
    let units = known(all_units().and_then(bounded));
    let listening = known(listening().and_then(bounded));
    let seen = Seen {
        units: &units,
        listening: &listening,
    };
    let clusters = if wanted.clusters.is_empty() {
        Known::not_asked()
    } else {
        known(bounded(clusters::members(&wanted.clusters, &seen)))
    };
    HostFacts {
        gathered_at: controller_now,
        release: known(os_release()),
        machine_id: known(machine_id()),
        boot: known(boot::proof().map_err(|error| error.to_string())),
        install_id: known(Ok(store.install_id().clone())),
        architecture: known(architecture()),
        packages_broken: known(records.clone().and_then(|r| bounded(r.broken()))),
        packages_held: known(records.and_then(|r| bounded(r.held()))),
        foreign_sources: known(foreign_sources().and_then(bounded)),
        units,
        mounts: known(all_mounts()),
        listening,
        clock_offset_ms: known(Ok(offset)),
        postgresql: if wanted.postgresql {
            known(postgresql::clusters())
        } else {
            Known::not_asked()
        },
        clusters,
        ..HostFacts::unknown(controller_now, NOT_ASKED)
    }
}

fn known<T>(found: Result<T, String>) -> Known<T> {
    match found {
        Ok(value) => Known::Measured {
            value,
            at: Timestamp::now(),
        },
        Err(reason) => Known::Unknown { reason },
    }
}

fn bounded<T>(entries: Vec<T>) -> Result<Vec<T>, String> {
    let count = entries.len();
    if count > ENTRIES_MAX {
        return Err(format!("{count} entries, more than {ENTRIES_MAX}"));
    }
    Ok(entries)
}

fn read_text(path: &Path, bytes_max: u64) -> Result<String, (io::ErrorKind, String)> {
    read_capped(path, bytes_max)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .map_err(|error| (error.kind(), format!("{}: {error}", path.display())))
}

fn text(path: &str) -> Result<String, String> {
    read_text(Path::new(path), TEXT_BYTES_MAX).map_err(|(_, why)| why)
}

/// The files of a directory by name; none when there is no such directory.
fn files_in(dir: &str) -> Result<Vec<PathBuf>, String> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{dir}: {error}")),
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("{dir}: {error}"))?;
    paths.sort();
    bounded(paths)
}

fn machine_id() -> Result<String, String> {
    let id = text("/etc/machine-id")?.trim().to_owned();
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

fn records() -> Result<Records, String> {
    let mut records = Records::default();
    let mut add = |path: &Path| {
        let text = read_text(path, STATUS_BYTES_MAX).map_err(|(_, why)| why)?;
        records.add(&text);
        Ok::<(), String>(())
    };
    add(Path::new(STATUS))?;
    for path in files_in(UPDATES)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Others are temporary files of dpkg.
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            add(&path)?;
        }
    }
    if records.len() == 0 {
        return Err(format!("{STATUS} names no package"));
    }
    Ok(records)
}

fn foreign_sources() -> Result<Vec<ForeignSource>, String> {
    let os = os_release()?.os;
    let mut foreign = Vec::new();
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(files_in("/etc/apt/sources.list.d")?);
    for path in files {
        let parse: fn(&str) -> Vec<Source> = match path.extension().and_then(|e| e.to_str()) {
            Some("list") => sources::one_line,
            Some("sources") => sources::deb822,
            _ => continue,
        };
        let text = match read_text(&path, TEXT_BYTES_MAX) {
            Ok(text) => text,
            Err((io::ErrorKind::NotFound, _)) => continue,
            Err((_, why)) => return Err(why),
        };
        let mut found = parse(&text);
        found.sort();
        found.dedup();
        found.retain(|source| !is_own(source, &os));
        let file = path.display().to_string();
        foreign.extend(found.into_iter().map(|source| source.foreign(&file)));
    }
    Ok(foreign)
}

/// Whether apt has fetched a release file of the distribution from there. A source of which it has none
/// is nobody's, and so foreign.
fn is_own(source: &Source, os: &str) -> bool {
    let name = source.list_name();
    ["InRelease", "Release"].iter().any(|ending| {
        let path = Path::new(LISTS).join(format!("{name}{ending}"));
        read_start(&path).is_ok_and(|start| sources::is_of(&start, os))
    })
}

fn read_start(path: &Path) -> io::Result<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(ORIGIN_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn all_units() -> Result<Vec<Unit>, String> {
    // As sd_booted(3) has it; systemctl would only say the same, at the price of its start.
    if !Path::new(BOOTED_WITH_SYSTEMD).exists() {
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

fn all_mounts() -> Result<Vec<Mount>, String> {
    let text = read_text(Path::new("/proc/self/mountinfo"), STATUS_BYTES_MAX);
    let mounts = mounts::parse(&text.map_err(|(_, why)| why)?);
    bounded(mounts).map(mounts::with_room)
}

fn listening() -> Result<Vec<Listener>, String> {
    let mut all = Vec::new();
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        // A kernel without that interface still has its tables.
        if let Some(Ok(found)) = sock_diag::listening(protocol) {
            all.extend(found);
            continue;
        }
        let path = PathBuf::from(format!("/proc/net/{protocol}"));
        match read_text(&path, SOCKETS_BYTES_MAX) {
            Ok(text) => all.extend(sockets::parse(protocol, &text)),
            // A kernel without IPv6 has no such table.
            Err((io::ErrorKind::NotFound, _)) if protocol.ends_with('6') => {}
            Err((_, why)) => return Err(why),
        }
    }
    all.sort();
    all.dedup();
    Ok(all)
}
