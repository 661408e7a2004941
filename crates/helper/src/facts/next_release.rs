//! What the next release does to what is installed: asked of the host's own apt, with the next release's
//! indexes in a folder that is removed again. Nothing that apt itself keeps is written.
//!
//! A list of removed packages that is shipped with the program would be old on the day of each point
//! release, and would know nothing of what is installed together; apt does.

use super::indexes;
use super::packages::Records;
use super::root::{Root, TEXT_BYTES_MAX, each_line};
use super::sources;
use crate::process::{plain, run_bounded};
use overhaul_model::facts::{LostPackage, NextRelease, OsRelease};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Longest time for fetching the indexes: some ten megabytes, packed.
const FETCH_S_MAX: u64 = 45;

/// Longest time for working out the upgrade: 3 s on an idle machine, 25 s and more on a busy one.
const SIMULATE_S_MAX: u64 = 60;

/// Output of apt that is read: a line for each package, thrice.
const APT_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Bytes that must be free where the indexes go: packed ones, and room for what else needs it.
const FREE_BYTES_MIN: u64 = 300 << 20;

/// Where the folder is made: apt's own place for what can be fetched again, which its own account of lower
/// rights can pass through.
const PLACE: &str = "/var/cache/apt";
const PREFIX: &str = "overhaul-next-";

/// Age after which a folder is left over from a helper that was killed.
const LEFT_OVER_S: u64 = 3_600;

/// Largest list of a package's files.
const LIST_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Looks at the next release.
pub(super) fn look(
    root: &Root,
    records: &Records,
    now: &OsRelease,
    codename: &str,
) -> Result<NextRelease, String> {
    if codename.is_empty() || !codename.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Err(format!("{codename:?} is no code name"));
    }
    if now.codename == codename {
        return Err(format!("it is on {codename} already"));
    }
    if !rustix::process::geteuid().is_root() {
        return Err("apt fetches indexes for root alone".to_owned());
    }
    let folder = Folder::make(&root.path(PLACE))?;
    let written = write_sources(root, now, codename, &folder)?;
    if written == 0 {
        return Err(format!(
            "no source of {} for {} was found to look for {codename} in",
            now.os, now.codename
        ));
    }
    let configuration = folder.configuration()?;
    let apt = |arguments: &[&str], within| {
        let mut all = vec!["-q", "-c", configuration.as_str()];
        all.extend_from_slice(arguments);
        let within = Duration::from_secs(within);
        let done = run_bounded(plain("apt-get", &all), within, APT_BYTES_MAX)
            .map_err(|gone| format!("apt-get: {gone}"))?;
        if !done.status.success() || done.cut {
            let said = String::from_utf8_lossy(&done.err);
            let why = first_error(&said).unwrap_or_else(|| done.last_line());
            return Err(format!("apt-get: {why} ({})", done.status));
        }
        Ok(String::from_utf8_lossy(&done.out).into_owned())
    };
    let strict = "APT::Update::Error-Mode=any";
    apt(&["update", "-o", strict], FETCH_S_MAX)?;
    let simulated = apt(&["-s", "dist-upgrade"], SIMULATE_S_MAX)?;
    summed(root, records, codename, &folder, &simulated)
}

/// The first error that apt names, without logins: its last one only says that there were some.
fn first_error(said: &str) -> Option<String> {
    let line = said.lines().find_map(|line| line.strip_prefix("E: "))?;
    let words: Vec<String> = line
        .split_ascii_whitespace()
        .map(sources::without_login)
        .collect();
    Some(words.join(" "))
}

/// A folder of our own that is removed in any case.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

impl Folder {
    fn make(place: &Path) -> Result<Self, String> {
        let wrong = |error: std::io::Error| format!("{}: {error}", place.display());
        remove_left_over(place);
        let room = rustix::fs::statvfs(place).map_err(|error| wrong(error.into()))?;
        if room.f_bavail.saturating_mul(room.f_frsize) < FREE_BYTES_MIN {
            let mib = FREE_BYTES_MIN >> 20;
            return Err(format!("{}: less than {mib} MiB are free", place.display()));
        }
        let nanos = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        let name = format!("{PREFIX}{}-{nanos}", std::process::id());
        let folder = Self(place.join(name));
        // To be passed through by apt's own account, and listed by nobody.
        let make = |path: &Path| DirBuilder::new().mode(0o711).create(path).map_err(wrong);
        make(&folder.0)?;
        for name in ["parts", "lists", "cache"] {
            make(&folder.0.join(name))?;
        }
        make(&folder.0.join("lists/partial"))?;
        Ok(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Addresses may hold logins.
    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.0.join(name))
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| format!("{name}: {error}"))
    }

    /// Settings read after all of the host's: what must not be touched lies elsewhere, what others hooked in
    /// is taken out, and a release that is preferred by hand is not preferred here.
    fn configuration(&self) -> Result<String, String> {
        let text = format!(
            "#clear APT::Update::Pre-Invoke;\n\
             #clear APT::Update::Post-Invoke;\n\
             #clear APT::Update::Post-Invoke-Success;\n\
             #clear APT::Periodic;\n\
             APT::Default-Release \"\";\n\
             APT::Get::Assume-No \"true\";\n\
             Acquire::Languages \"none\";\n\
             Acquire::GzipIndexes \"true\";\n\
             Acquire::Retries \"1\";\n\
             Acquire::http::Timeout \"15\";\n\
             Acquire::https::Timeout \"15\";\n\
             Dir::Etc::SourceList \"{}\";\n\
             Dir::Etc::SourceParts \"{}\";\n\
             Dir::State::Lists \"{}\";\n\
             Dir::Cache::Archives \"{}\";\n\
             Dir::Cache::pkgcache \"{}\";\n\
             Dir::Cache::srcpkgcache \"{}\";\n\
             Dir::Log::Planner \"/dev/null\";\n\
             Dir::Log::Solver \"/dev/null\";\n",
            self.path("sources.list"),
            self.path("parts"),
            self.path("lists"),
            self.path("cache"),
            self.path("pkgcache.bin"),
            self.path("srcpkgcache.bin"),
        );
        self.write("apt.conf", &text)?;
        Ok(self.path("apt.conf"))
    }
}

fn remove_left_over(place: &Path) {
    let Ok(entries) = fs::read_dir(place) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let age = entry.metadata().and_then(|about| about.modified()).ok();
        let old = age
            .and_then(|at| at.elapsed().ok())
            .is_some_and(|age| age.as_secs() > LEFT_OVER_S);
        if ours && old {
            let _left = fs::remove_dir_all(entry.path());
        }
    }
}

/// The distribution's own sources of this host, for the other release; how many there are.
fn write_sources(
    root: &Root,
    now: &OsRelease,
    codename: &str,
    folder: &Folder,
) -> Result<usize, String> {
    let mut written = 0_usize;
    folder.write("sources.list", "")?;
    for (file, number) in sources::files(root)?.into_iter().zip(0_u32..) {
        let text = root.optional(&file, TEXT_BYTES_MAX)?.unwrap_or_default();
        let is_own = |source: &sources::Source| sources::is_own(root, source, &now.os);
        let next = |suite: &str| sources::next_suite(suite, &now.codename, codename);
        let (ending, lines) = if file.ends_with(".sources") {
            ("sources", sources::rewritten_deb822(&text, is_own, next))
        } else {
            ("list", sources::rewritten_one_line(&text, is_own, next))
        };
        if !lines.is_empty() {
            written = written.saturating_add(lines.len());
            folder.write(&format!("parts/s{number}.{ending}"), &lines.join("\n"))?;
        }
    }
    Ok(written)
}

fn summed(
    root: &Root,
    records: &Records,
    codename: &str,
    folder: &Folder,
    simulated: &str,
) -> Result<NextRelease, String> {
    let steps = Steps::of(simulated);
    let versions: BTreeMap<&str, &str> = records
        .installed()
        .map(|(name, record)| (name, record.version.as_str()))
        .collect();
    let lists = Root::new(&folder.0);
    let found = in_next(&lists, &versions)?;
    let lost = |name: &str| {
        let plain = name.split(':').next().unwrap_or(name);
        LostPackage {
            name: name.to_owned(),
            version: versions.get(plain).copied().unwrap_or_default().to_owned(),
            replaced_by: found.replaced.get(plain).cloned().unwrap_or_default(),
            units: units_of(root, name),
        }
    };
    let absent = versions.keys().filter(|name| !found.names.contains(**name));
    Ok(NextRelease {
        codename: codename.to_owned(),
        absent: absent.map(|name| lost(name)).collect(),
        removed: steps.removed.iter().map(|name| lost(name)).collect(),
        upgraded: steps.upgraded,
        new: steps.new,
    })
}

/// What `apt-get -s` prints: `Inst NAME [OLD] (NEW ...)`, `Remv NAME [OLD]`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Steps {
    removed: Vec<String>,
    upgraded: u32,
    new: u32,
}

impl Steps {
    pub(super) fn of(text: &str) -> Self {
        let mut steps = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some("Remv" | "Purg"), Some(name), _) => steps.removed.push(name.to_owned()),
                (Some("Inst"), Some(_), Some(third)) if third.starts_with('[') => {
                    steps.upgraded = steps.upgraded.saturating_add(1);
                }
                (Some("Inst"), Some(_), Some(_)) => steps.new = steps.new.saturating_add(1),
                _ => {}
            }
        }
        steps.removed.sort();
        steps.removed.dedup();
        steps
    }
}

/// What the next release has of what is installed.
#[derive(Default)]
struct InNext {
    /// Names that it still has.
    names: BTreeSet<String>,
    /// Names that some of its packages say to replace, with those packages.
    replaced: BTreeMap<String, Vec<String>>,
}

fn in_next(lists: &Root, installed: &BTreeMap<&str, &str>) -> Result<InNext, String> {
    let mut found = InNext::default();
    let until: Instant = indexes::deadline();
    let indexes = indexes::packages_files(lists, "/lists")?;
    if indexes.is_empty() {
        return Err("apt fetched no index of packages".to_owned());
    }
    for index in indexes {
        let mut package = String::new();
        indexes::each(lists, &index, until, |line| {
            if let Some(name) = line.strip_prefix(b"Package: ") {
                package = String::from_utf8_lossy(name).trim().to_owned();
                if installed.contains_key(package.as_str()) {
                    found.names.insert(package.clone());
                }
            } else if let Some(list) = line.strip_prefix(b"Replaces: ") {
                for name in names_in(&String::from_utf8_lossy(list)) {
                    if installed.contains_key(name.as_str()) && name != package {
                        let by = found.replaced.entry(name).or_default();
                        if !by.contains(&package) {
                            by.push(package.clone());
                        }
                    }
                }
            }
            true
        })?;
    }
    Ok(found)
}

/// Names in a field of relations: `a (<< 1), b:any | c`.
pub(super) fn names_in(list: &str) -> Vec<String> {
    list.split([',', '|'])
        .filter_map(|part| part.split_ascii_whitespace().next())
        .map(|word| {
            let end = word.find([':', '(']).unwrap_or(word.len());
            word.get(..end).unwrap_or(word).to_owned()
        })
        .filter(|name| !name.is_empty())
        .collect()
}

/// Units of systemd among the files of a package.
fn units_of(root: &Root, package: &str) -> Vec<String> {
    let native = format!("/var/lib/dpkg/info/{package}.list");
    // One that may be installed for several architectures has its architecture in the name.
    let several = || {
        let start = format!("{package}:");
        let names = root.names("/var/lib/dpkg/info").unwrap_or_default();
        names
            .into_iter()
            .find(|name| name.starts_with(&start) && name.ends_with(".list"))
            .map(|name| format!("/var/lib/dpkg/info/{name}"))
    };
    let file = root
        .open(&native)
        .ok()
        .or_else(|| root.open(&several()?).ok());
    let Some(file) = file else {
        return Vec::new();
    };
    let mut units = Vec::new();
    let read = each_line(file.take(LIST_BYTES_MAX), |line| {
        let line = String::from_utf8_lossy(line);
        let unit = line
            .strip_prefix("/usr")
            .unwrap_or(&line)
            .strip_prefix("/lib/systemd/system/")
            .filter(|unit| unit.contains('.') && !unit.contains('/'));
        units.extend(unit.map(str::to_owned));
        true
    });
    if read.is_err() { Vec::new() } else { units }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_recorded_simulation_is_read() {
        let text = "\
NOTE: This is only a simulation!
Remv libold1 [1.0-1] [libx:amd64 ]
Inst bash [5.2-1] (5.3-2 Debian:13/stable [amd64]) []
Inst libnew2 (2.0-1 Debian:13/stable [amd64])
Conf bash (5.3-2 Debian:13/stable [amd64])
Remv libold1 [1.0-1]
";
        let expected = Steps {
            removed: vec!["libold1".to_owned()],
            upgraded: 1,
            new: 1,
        };
        assert_eq!(Steps::of(text), expected);
    }

    #[test]
    fn the_error_that_says_why_is_told_without_logins() {
        let said = "\
W: Hash mismatch
E: Failed to fetch http://ada:pw@mirror/debian/Packages.xz  File has unexpected size (720 != 1108).
   Hashes of expected file:
E: Some index files failed to download. They have been ignored, or old ones used instead.
";
        assert_eq!(
            first_error(said).as_deref(),
            Some(
                "Failed to fetch http://mirror/debian/Packages.xz File has unexpected size (720 != 1108)."
            )
        );
        assert_eq!(first_error("W: no\n"), None);
    }

    #[test]
    fn units_of_packages_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let info = dir.path().join("var/lib/dpkg/info");
        fs::create_dir_all(&info).unwrap();
        let list = "/.\n/lib/systemd/system/a.service\n/usr/lib/systemd/system/a@.service\n/usr/lib/systemd/system/x.d/y.conf\n/usr/bin/a\n";
        fs::write(info.join("a.list"), list).unwrap();
        fs::write(info.join("b:amd64.list"), "/lib/systemd/system/b.timer\n").unwrap();
        let root = Root::new(dir.path());
        assert_eq!(units_of(&root, "a"), ["a.service", "a@.service"]);
        assert_eq!(units_of(&root, "b"), ["b.timer"]);
        assert!(units_of(&root, "c").is_empty());
    }

    #[test]
    fn indexes_tell_what_is_there_and_what_replaces() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("lists")).unwrap();
        let index = "Package: bash\nReplaces: sh-old (<< 2), tool:any | other\n\nPackage: more\nReplaces: bash\n";
        fs::write(dir.path().join("lists/x_Packages"), index).unwrap();
        let installed =
            BTreeMap::from([("bash", "1"), ("sh-old", "1"), ("tool", "1"), ("gone", "1")]);
        let found = in_next(&Root::new(dir.path()), &installed).unwrap();
        assert_eq!(found.names.into_iter().collect::<Vec<_>>(), ["bash"]);
        let replaced: Vec<String> = found
            .replaced
            .into_iter()
            .map(|(name, by)| format!("{name} by {}", by.join(" ")))
            .collect();
        assert_eq!(replaced, ["bash by more", "sh-old by bash", "tool by bash"]);
    }

    proptest! {
        #[test]
        fn any_output_is_read(text in "(Inst|Remv|Conf|\\[|\\(|[a-z0-9:,|]| |\n){0,80}") {
            prop_assert!(Steps::of(&text).removed.len() <= text.lines().count());
            prop_assert!(names_in(&text).iter().all(|name| !name.is_empty()));
        }
    }
}
