//! Files of packages against what was shipped.

use super::local::all_diversions;
use super::memory::{Memory, Question};
use super::packages::{Records, is_md5};
use super::root::{Root, TEXT_BYTES_MAX, each_line, is_absent};
use md5::{Digest as _, Md5};
use overhaul_model::facts::{ChangedFile, FileState, FilesCompared};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::time::{Duration, Instant};

/// Longest time for the configuration files: some thousand small ones.
const CONFFILES_MS_MAX: u64 = 5_000;

/// Longest time for all other files: most of `/usr`, some gigabytes.
const FILES_S_MAX: u64 = 30;

/// Largest file that is compared.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Most files that differ and are listed.
const CHANGED_MAX: usize = 1_000;

/// Largest list of digests of a package, and largest list of paths that are not installed.
const LIST_BYTES_MAX: u64 = 32 * 1024 * 1024;

const INFO: &str = "/var/lib/dpkg/info";

/// Configuration files that differ from what dpkg or ucf has on record: those that an upgrade asks about
/// when it brings others. They are read once: how they differed is remembered while they are the same.
pub(super) fn changed(
    root: &Root,
    records: &Records,
    memory: &Memory,
) -> Result<Vec<ChangedFile>, String> {
    let of_dpkg = records.installed().flat_map(|(package, record)| {
        record
            .conffiles
            .iter()
            .map(move |file| (file.path.clone(), package.to_owned(), file.md5.clone()))
    });
    let shipped: Vec<Shipped> = of_dpkg.chain(of_ucf(root)?).collect();
    let question = question(root, &shipped);
    if let Some(known) = memory.answer(&question).as_ref().and_then(from_texts) {
        return Ok(known);
    }
    let found = compared(root, &shipped)?;
    // One that came or went while the others were read would be remembered as it was before.
    if self::question(root, &shipped).is(&question) {
        let texts = found
            .iter()
            .filter_map(|file| serde_json::to_string(file).ok());
        memory.keep(&question, &texts.collect());
    }
    Ok(found)
}

/// Path, package and digest of a file as it was shipped.
type Shipped = (String, String, String);

fn question(root: &Root, shipped: &[Shipped]) -> Question {
    let parts = shipped
        .iter()
        .flat_map(|(path, package, md5)| [path, package, md5]);
    let paths: Vec<String> = shipped.iter().map(|(path, ..)| path.clone()).collect();
    Question::new("conffiles")
        .about(parts.map(String::as_str))
        .of_files(root, &paths)
}

/// What was remembered, if all of it is understood.
fn from_texts(texts: &BTreeSet<String>) -> Option<Vec<ChangedFile>> {
    let files = texts.iter().map(|text| serde_json::from_str(text).ok());
    let mut files: Vec<ChangedFile> = files.collect::<Option<_>>()?;
    files.sort();
    Some(files)
}

fn compared(root: &Root, shipped: &[Shipped]) -> Result<Vec<ChangedFile>, String> {
    let until = Instant::now() + Duration::from_millis(CONFFILES_MS_MAX);
    let mut out = Vec::new();
    for (path, package, md5) in shipped {
        if Instant::now() > until {
            return Err("comparing configuration files took too long".to_owned());
        }
        if let Some(state) = differs(root, path, md5) {
            out.push(ChangedFile {
                path: path.clone(),
                package: package.clone(),
                state,
            });
        }
    }
    out.sort();
    out.dedup();
    Ok(out)
}

/// Files of ucf(1) with package and digest. A file without an owner in its registry has an empty one.
fn of_ucf(root: &Root) -> Result<Vec<(String, String, String)>, String> {
    let read = |name: &str| {
        let text = root.optional(&format!("/var/lib/ucf/{name}"), 4 * TEXT_BYTES_MAX)?;
        Ok::<String, String>(text.unwrap_or_default())
    };
    let registry = read("registry")?;
    let owners: BTreeMap<&str, &str> = registry
        .lines()
        .filter_map(|line| {
            let (package, path) = line.split_once(char::is_whitespace)?;
            Some((path.trim(), package))
        })
        .collect();
    Ok(read("hashfile")?
        .lines()
        .filter_map(|line| {
            let (md5, path) = line.split_once(char::is_whitespace)?;
            let path = path.trim();
            let package = owners.get(path).copied().unwrap_or_default();
            is_md5(md5).then(|| (path.to_owned(), package.to_owned(), md5.to_owned()))
        })
        .collect())
}

/// How a file differs from its digest, if it does.
fn differs(root: &Root, path: &str, md5: &str) -> Option<FileState> {
    let digest = match root.open(path) {
        Ok(file) => digest(file),
        Err(error) if is_absent(&error) => return Some(FileState::Missing),
        Err(_) => None,
    };
    match digest {
        None => Some(FileState::Unreadable),
        Some(digest) if digest.eq_ignore_ascii_case(md5) => None,
        Some(_) => Some(FileState::Changed),
    }
}

fn digest(file: impl Read) -> Option<String> {
    let mut file = file.take(FILE_BYTES_MAX.saturating_add(1));
    let mut hasher = Md5::new();
    let mut buffer = vec![0_u8; 1 << 16];
    let mut total = 0_u64;
    loop {
        let read = file.read(&mut buffer).ok()?;
        if read == 0 {
            break;
        }
        total = total.saturating_add(u64::try_from(read).ok()?);
        hasher.update(buffer.get(..read)?);
    }
    (total <= FILE_BYTES_MAX).then(|| {
        hasher
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    })
}

/// All other files of packages, by dpkg's own lists of digests (`dpkg --verify` reads the same).
pub(super) fn verify(root: &Root) -> Result<FilesCompared, String> {
    verify_within(root, Duration::from_secs(FILES_S_MAX))
}

fn verify_within(root: &Root, within: Duration) -> Result<FilesCompared, String> {
    let until = Instant::now() + within;
    let diverted = root.optional("/var/lib/dpkg/diversions", 4 * TEXT_BYTES_MAX)?;
    let diverted: BTreeMap<String, (String, String)> =
        all_diversions(&diverted.unwrap_or_default())
            .into_iter()
            .map(|(diversion, package)| (diversion.path, (diversion.to, package)))
            .collect();
    let filters = filters(root)?;
    let mut done = FilesCompared {
        changed: Vec::new(),
        compared: 0,
        complete: true,
    };
    for list in root.files(INFO, ".md5sums")? {
        let name = list.rsplit('/').next().unwrap_or_default();
        let package = name.trim_end_matches(".md5sums");
        let plain = package.split(':').next().unwrap_or(package);
        let file = root.open(&list).map_err(|e| format!("{list}: {e}"))?;
        let mut look = |line: &[u8]| {
            if Instant::now() > until || done.changed.len() >= CHANGED_MAX {
                done.complete = false;
                return false;
            }
            let Some((md5, path)) = listed(&String::from_utf8_lossy(line)) else {
                return true;
            };
            let there = match diverted.get(&path) {
                Some((to, owner)) if owner != plain => to,
                _ => &path,
            };
            done.compared = done.compared.saturating_add(1);
            let state = differs(root, there, &md5);
            // What dpkg was told not to install is missing on purpose.
            if let Some(state) =
                state.filter(|s| *s != FileState::Missing || !is_left_out(&filters, &path))
            {
                let package = package.to_owned();
                done.changed.push(ChangedFile {
                    path,
                    package,
                    state,
                });
            }
            true
        };
        each_line(file.take(LIST_BYTES_MAX), &mut look).map_err(|e| format!("{list}: {e}"))?;
        if !done.complete {
            break;
        }
    }
    Ok(done)
}

/// `DIGEST  usr/bin/x`.
fn listed(line: &str) -> Option<(String, String)> {
    let (md5, path) = line.split_once("  ")?;
    is_md5(md5).then(|| (md5.to_owned(), format!("/{}", path.trim_start_matches('/'))))
}

/// `path-exclude` and `path-include` of dpkg.cfg(5), in their order; `true` leaves out.
fn filters(root: &Root) -> Result<Vec<(bool, String)>, String> {
    let mut files = root.files("/etc/dpkg/dpkg.cfg.d", "")?;
    files.push("/etc/dpkg/dpkg.cfg".to_owned());
    let mut out = Vec::new();
    for file in files {
        let text = root.optional(&file, TEXT_BYTES_MAX)?.unwrap_or_default();
        out.extend(filters_in(&text));
    }
    Ok(out)
}

pub(super) fn filters_in(text: &str) -> impl Iterator<Item = (bool, String)> {
    text.lines().filter_map(|line| {
        let (key, pattern) = line.trim().split_once(['=', ' '])?;
        let out = match key.trim() {
            "path-exclude" => true,
            "path-include" => false,
            _ => return None,
        };
        Some((out, pattern.trim().to_owned()))
    })
}

pub(super) fn is_left_out(filters: &[(bool, String)], path: &str) -> bool {
    filters
        .iter()
        .rfind(|(_, pattern)| matches(pattern.as_bytes(), path.as_bytes()))
        .is_some_and(|(out, _)| *out)
}

/// A shell pattern of `*` and `?`, with `*` also over slashes, as dpkg takes it.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    // Where to go on after the last star, if what follows does not fit.
    let (mut p, mut t) = (pattern, path);
    let mut back: Option<(&[u8], &[u8])> = None;
    loop {
        match (p.split_first(), t.split_first()) {
            (Some((b'*', after)), _) => {
                back = Some((after, t));
                p = after;
            }
            (None, None) => return true,
            (Some((want, after)), Some((have, rest))) if want == have || *want == b'?' => {
                (p, t) = (after, rest);
            }
            _ => match back.and_then(|(after, from)| Some((after, from.split_first()?.1))) {
                Some((after, from)) => {
                    (p, t) = (after, from);
                    back = Some((after, from));
                }
                None => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    fn put(root: &std::path::Path, path: &str, text: &str) {
        let path = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn changed_files_are_told_from_shipped_ones() {
        let dir = tempfile::tempdir().unwrap();
        // Digests of "one\n" and "two\n".
        let (one, two) = (
            "5bbf5a52328e7439ae6e719dfe712200",
            "c193497a1a06b2c72230e6146ff47080",
        );
        let put = |path: &str, text: &str| put(dir.path(), path, text);
        put("/etc/same", "one\n");
        put("/etc/other", "mine\n");
        put("/etc/default/grub", "mine\n");
        put("/usr/bin/a", "one\n");
        put("/usr/bin/b.real", "two\n");
        put("/usr/bin/c", "mine\n");
        put(
            "/var/lib/dpkg/status",
            &format!(
                "Package: p\nStatus: install ok installed\nConffiles:\n /etc/same {one}\n /etc/other {one}\n /etc/gone {one}\n"
            ),
        );
        put(
            "/var/lib/ucf/hashfile",
            &format!("{one}  /etc/default/grub\nrubbish\n"),
        );
        put("/var/lib/ucf/registry", "grub-pc\t/etc/default/grub\n");
        put(
            "/var/lib/dpkg/diversions",
            "/usr/bin/b\n/usr/bin/b.real\n:\n",
        );
        put(
            "/var/lib/dpkg/info/p:amd64.md5sums",
            &format!(
                "{one}  usr/bin/a\n{two}  usr/bin/b\n{two}  usr/bin/c\n{two}  usr/bin/d\n{two}  usr/share/doc/p/x\nno\n"
            ),
        );
        put("/etc/dpkg/dpkg.cfg.d/x", "path-exclude=/usr/share/doc/*\n");
        let root = Root::new(dir.path());
        let words = |files: Vec<ChangedFile>| -> Vec<String> {
            files
                .into_iter()
                .map(|f| format!("{} {} {:?}", f.path, f.package, f.state))
                .collect()
        };
        let records = Records::of(&root).unwrap();
        let expected = [
            "/etc/default/grub grub-pc Changed",
            "/etc/gone p Missing",
            "/etc/other p Changed",
        ];
        let found = changed(&root, &records, &Memory::none()).unwrap();
        let texts = found
            .iter()
            .map(|file| serde_json::to_string(file).unwrap());
        assert_eq!(from_texts(&texts.collect()), Some(found.clone()));
        assert_eq!(words(found), expected);
        let all = verify(&root).unwrap();
        assert_eq!((all.compared, all.complete), (5, true));
        assert_eq!(
            words(all.changed),
            ["/usr/bin/c p:amd64 Changed", "/usr/bin/d p:amd64 Missing"]
        );
        let cut = verify_within(&root, Duration::ZERO).unwrap();
        assert_eq!((cut.compared, cut.complete), (0, false));
    }

    #[test]
    fn patterns_match_as_the_shell_does() {
        for (pattern, path, expected) in [
            ("/usr/share/doc/*", "/usr/share/doc/a/b", true),
            ("/usr/share/doc/*", "/usr/share/man/a", false),
            ("/usr/*/copyright", "/usr/share/doc/a/copyright", true),
            ("/a?c", "/abc", true),
            ("/a*b*c", "/a-b-b-c", true),
            ("*", "", true),
            ("", "/", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), path.as_bytes()),
                expected,
                "{pattern} {path}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_pattern_made_of_a_path_matches_it(path in "[a-z/]{0,20}", at in 0_usize..20) {
            let at = at.min(path.len());
            let pattern = format!("{}*{}", &path[..at], &path[at..]);
            prop_assert!(matches(pattern.as_bytes(), path.as_bytes()));
        }

        #[test]
        fn the_last_filter_that_fits_counts(
            folders in prop::collection::vec(("[a-c]", any::<bool>()), 1..6), noise in "[# a-z=]{0,12}"
        ) {
            let line = |(folder, out): &(String, bool)| {
                let key = if *out { "path-exclude" } else { "path-include" };
                format!("{noise}\n  {key}=/{folder}/*")
            };
            let text: Vec<String> = folders.iter().map(line).collect();
            let filters: Vec<(bool, String)> = filters_in(&text.join("\n")).collect();
            prop_assert_eq!(filters.len(), folders.len());
            for name in ["a", "b", "c"] {
                let last = folders.iter().rfind(|(folder, _)| folder == name);
                let expected = last.is_some_and(|(_, out)| *out);
                prop_assert_eq!(is_left_out(&filters, &format!("/{name}/x")), expected);
            }
        }

        #[test]
        fn any_line_is_read(line in "\\PC{0,60}") {
            if let Some((md5, path)) = listed(&line) {
                prop_assert!(is_md5(&md5) && path.starts_with('/'));
            }
        }
    }
}
