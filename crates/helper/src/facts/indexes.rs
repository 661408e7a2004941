//! apt's indexes of packages, and what they no longer have.

use super::memory::{Memory, Question};
use super::packages::Records;
use super::root::{Root, each_line, each_line_with};
use super::sources::{self, Source};
use crate::process::{plain, spawn};
use lz4_flex::frame::FrameDecoder;
use overhaul_model::facts::Package;
use std::collections::{BTreeSet, HashSet};
use std::io::{self, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Largest index when it is unpacked: Debian's main has 60 MB.
const INDEX_BYTES_MAX: u64 = 1 << 30;

/// Longest time for all indexes.
const INDEXES_S_MAX: u64 = 15;

/// The field by which the stanza of a package begins.
const PACKAGE: &[u8] = b"Package: ";

/// apt's own unpacker, for indexes that are packed in other ways than apt packs them itself.
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
        open(root, index, until, |source| {
            each_line_with(source, PACKAGE, |line| {
                let name = line.strip_prefix(PACKAGE).unwrap_or_default();
                missing.remove(name.trim_ascii());
                !missing.is_empty()
            })
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
    take: impl FnMut(&[u8]) -> bool,
) -> Result<(), String> {
    open(root, index, until, |source| each_line(source, take))
}

/// Has an index read, unpacked. LZ4 is what apt keeps indexes in when it is told to keep them packed
/// (`Acquire::GzipIndexes`), and it is read here: apt's own unpacker takes five times as long, most of it for the pipe.
fn open(
    root: &Root,
    index: &str,
    until: Instant,
    read: impl FnOnce(&mut dyn Read) -> io::Result<()>,
) -> Result<(), String> {
    let wrong = |error: io::Error| format!("{index}: {error}");
    let file = || root.open(index).map_err(wrong);
    if index.ends_with("_Packages") {
        read(&mut Until::new(file()?, until)).map_err(wrong)
    } else if index.ends_with(".lz4") {
        read(&mut Until::new(Unpacked::new(file()?), until)).map_err(wrong)
    } else {
        by_apt(root, index, until, read)
    }
}

/// A file that says when it was read beyond its end.
struct Ends<R> {
    file: R,
    over: bool,
}

impl<R: Read> Read for Ends<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.over |= count == 0;
        Ok(count)
    }
}

/// What was packed as LZ4. The decoder takes a file that is cut between two blocks for a whole one; here it is refused,
/// since names that are lacking in an index count as obsolete.
struct Unpacked<R: Read>(FrameDecoder<Ends<R>>);

impl<R: Read> Unpacked<R> {
    fn new(file: R) -> Self {
        Self(FrameDecoder::new(Ends { file, over: false }))
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        if count == 0 && self.0.get_ref().over {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is torn"));
        }
        Ok(count)
    }
}

/// A source that is read until a moment, and no further than an index may be long.
struct Until<R> {
    source: io::Take<R>,
    until: Instant,
    ended: bool,
}

impl<R: Read> Until<R> {
    fn new(source: R, until: Instant) -> Self {
        Self {
            source: source.take(INDEX_BYTES_MAX),
            until,
            ended: false,
        }
    }
}

impl<R: Read> Read for Until<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() > self.until {
            let why = "reading apt's indexes took too long";
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        let count = self.source.read(buffer)?;
        self.ended |= count == 0;
        Ok(count)
    }
}

fn by_apt(
    root: &Root,
    index: &str,
    until: Instant,
    read: impl FnOnce(&mut dyn Read) -> io::Result<()>,
) -> Result<(), String> {
    let wrong = |error: io::Error| format!("{index}: {APT_HELPER}: {error}");
    let path = root.path(index).display().to_string();
    let mut command = plain(APT_HELPER, ["cat-file", &path]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = spawn(&mut command).map_err(wrong)?;
    let mut whole = true;
    let done = child.stdout.take().map_or(Ok(()), |out| {
        let mut out = Until::new(out, until);
        let done = read(&mut out);
        whole = out.ended;
        done
    });
    if !whole {
        // It may have more to say than anybody wants.
        let _ = child.kill();
    }
    let status = child.wait().map_err(wrong)?;
    done.map_err(wrong)?;
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

    /// Made by liblz4, as apt does it: blocks of 64 KiB that refer to each other, no checksums.
    const PACKED: &[u8] = include_bytes!("../../tests/data/packages.lz4");

    fn names(packed: &[u8], until: Instant) -> Result<Vec<String>, String> {
        let dir = tempfile::tempdir().unwrap();
        let index = "/x_Packages.lz4";
        fs::write(dir.path().join(&index[1..]), packed).unwrap();
        let mut names = Vec::new();
        each(&Root::new(dir.path()), index, until, |line| {
            if let Some(name) = line.strip_prefix(PACKAGE) {
                names.push(String::from_utf8(name.to_vec()).unwrap());
            }
            true
        })?;
        Ok(names)
    }

    #[test]
    fn an_index_that_apt_packed_is_read_here_and_a_torn_one_is_refused() {
        let all: Vec<String> = (0..3_000).map(|n| format!("package-{n}")).collect();
        assert_eq!(names(PACKED, deadline()).unwrap(), all);
        for cut in [PACKED.len() - 1, PACKED.len() - 4, PACKED.len() / 2, 9] {
            let torn = PACKED.get(..cut).unwrap();
            let refused = names(torn, deadline());
            assert!(refused.is_err(), "{cut}: {:?}", refused.map(|n| n.len()));
        }
        let mut junk = PACKED.to_vec();
        junk[0] ^= 1;
        assert!(names(&junk, deadline()).is_err());
        let late = names(PACKED, Instant::now()).unwrap_err();
        assert!(late.ends_with("took too long"), "{late}");
    }

    #[test]
    fn apt_unpacks_to_the_same() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/packages.lz4");
        let read = |source: &mut dyn Read, text: &mut Vec<u8>| source.read_to_end(text).map(drop);
        let (mut here, mut by) = (Vec::new(), Vec::new());
        let root = Root::new("/");
        open(&root, path, deadline(), |source| read(source, &mut here)).unwrap();
        by_apt(&root, path, deadline(), |source| read(source, &mut by)).unwrap();
        assert!(
            here == by && here.len() > 300_000,
            "{} {}",
            here.len(),
            by.len()
        );
    }
}
