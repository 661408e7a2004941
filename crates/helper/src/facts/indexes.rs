//! apt's indexes of packages, and what they no longer have.

use super::memory::{Memory, Question};
use super::packages::Records;
use super::root::{Root, each_line};
use super::sources::{self, Source};
use crate::process::{plain, spawn};
use overhaul_model::facts::Package;
use std::collections::{BTreeSet, HashSet};
use std::io::Read as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Largest index when it is unpacked: Debian's main has 60 MB.
const INDEX_BYTES_MAX: u64 = 1 << 30;

/// Longest time for all indexes.
const INDEXES_S_MAX: u64 = 15;

/// Lines between two looks at the clock: an index has a million of them, and they are read in no time.
const LINES_PER_LOOK: u64 = 256;

/// apt's own unpacker, for indexes that are kept packed.
const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

const LISTS: &str = "/var/lib/apt/lists";

/// When reading indexes must be over.
pub(super) fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(INDEXES_S_MAX)
}

/// Installed packages that no configured source has in any version: what apt calls obsolete (`?obsolete` in
/// apt-patterns(7)), by name. Indexes are the largest files that facts are read from, and change once a day at
/// most: what was found in them is remembered.
pub(super) fn obsolete(
    root: &Root,
    records: &Records,
    memory: &Memory,
) -> Result<Vec<Package>, String> {
    let sources: Vec<Source> = sources::configured(root)?
        .into_iter()
        .map(|(_, source)| source)
        .collect();
    let starts: Vec<String> = sources.iter().map(Source::list_name).collect();
    let indexes: Vec<String> = packages_files(root, LISTS)?
        .into_iter()
        .filter(|path| {
            let name = path.rsplit('/').next().unwrap_or_default();
            starts.iter().any(|start| name.starts_with(start.as_str()))
        })
        .collect();
    if indexes.is_empty() {
        return Err("apt has fetched no index of its sources; `apt-get update` does".to_owned());
    }
    let installed: BTreeSet<&str> = records.installed().map(|(name, _)| name).collect();
    let question = Question::new("obsolete")
        .about(installed.iter().copied())
        .of_files(root, &indexes);
    let missing = match memory.answer(&question) {
        Some(names) => names,
        None => {
            let names = missing(root, &indexes, &installed)?;
            memory.keep(&question, &names);
            names
        }
    };
    Ok(records.told(|name| missing.contains(name)))
}

/// Those of the names that are in no index.
fn missing(
    root: &Root,
    indexes: &[String],
    names: &BTreeSet<&str>,
) -> Result<BTreeSet<String>, String> {
    let mut missing: HashSet<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
    let until = deadline();
    for index in indexes {
        each(root, index, until, |line| {
            if let Some(name) = line.strip_prefix(b"Package: ") {
                missing.remove(name.trim_ascii());
            }
            !missing.is_empty()
        })?;
    }
    let left = names
        .iter()
        .filter(|name| missing.contains(name.as_bytes()));
    Ok(left.map(|name| (*name).to_owned()).collect())
}

/// Indexes of packages in a folder of lists, packed or not.
pub(super) fn packages_files(root: &Root, folder: &str) -> Result<Vec<String>, String> {
    let mut files = root.files(folder, "")?;
    files.retain(|path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let plain = name.rsplit_once("_Packages");
        plain.is_some_and(|(_, ending)| ending.is_empty() || is_packed(ending))
    });
    Ok(files)
}

fn is_packed(ending: &str) -> bool {
    [".lz4", ".gz", ".xz", ".zst", ".bz2"].contains(&ending)
}

/// Hands the lines of an index to `take` until that says no more.
pub(super) fn each(
    root: &Root,
    index: &str,
    until: Instant,
    mut take: impl FnMut(&[u8]) -> bool,
) -> Result<(), String> {
    let (mut late, mut lines) = (false, 0_u64);
    let look = |line: &[u8]| {
        lines = lines.wrapping_add(1);
        if lines.is_multiple_of(LINES_PER_LOOK) {
            late = Instant::now() > until;
        }
        !late && take(line)
    };
    let wrong = |error: std::io::Error| format!("{index}: {error}");
    if index.ends_with("_Packages") {
        let file = root.open(index).map_err(wrong)?;
        each_line(file.take(INDEX_BYTES_MAX), look).map_err(wrong)?;
    } else {
        unpacked(root, index, look)?;
    }
    if late {
        return Err("reading apt's indexes took too long".to_owned());
    }
    Ok(())
}

fn unpacked(root: &Root, index: &str, mut look: impl FnMut(&[u8]) -> bool) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("{index}: {APT_HELPER}: {error}");
    let path = root.path(index).display().to_string();
    let mut command = plain(APT_HELPER, ["cat-file", &path]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = spawn(&mut command).map_err(wrong)?;
    let mut whole = true;
    let read = child.stdout.take().map(|out| {
        each_line(out.take(INDEX_BYTES_MAX), |line| {
            whole = look(line);
            whole
        })
    });
    if !whole {
        // It may have more to say than anybody wants.
        let _ = child.kill();
    }
    let status = child.wait().map_err(wrong)?;
    if let Some(Err(error)) = read {
        return Err(wrong(error));
    }
    if whole && !status.success() {
        return Err(format!("{index}: {APT_HELPER}: {status}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn packages_that_no_source_has_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let installed = |name: &str| {
            format!(
                "Package: {name}\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n"
            )
        };
        let names = ["bash", "docker-ce", "left", "vim"];
        put("var/lib/dpkg/status", &names.map(installed).concat());
        put(
            "etc/apt/sources.list",
            "deb http://deb.example/debian bookworm main\ndeb https://docker.example/linux stable x\n",
        );
        let root = Root::new(dir.path());
        let records = Records::of(&root).unwrap();
        let memory = Memory::none();
        let none = obsolete(&root, &records, &memory).unwrap_err();
        assert!(none.contains("no index"), "{none}");
        put(
            "var/lib/apt/lists/deb.example_debian_dists_bookworm_main_binary-amd64_Packages",
            "Package: bash\nVersion: 9\n\nPackage: vim\n",
        );
        put(
            "var/lib/apt/lists/docker.example_linux_dists_stable_x_binary-amd64_Packages",
            "Package: docker-ce\n",
        );
        // Of a source that is no longer configured.
        put(
            "var/lib/apt/lists/old.example_debian_dists_x_main_binary-amd64_Packages",
            "Package: left\n",
        );
        let found: Vec<String> = obsolete(&root, &records, &memory)
            .unwrap()
            .into_iter()
            .map(|package| format!("{} {}", package.name, package.version))
            .collect();
        assert_eq!(found, ["left 1"]);
    }
}
