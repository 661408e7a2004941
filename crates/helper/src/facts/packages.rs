//! What dpkg has on record, read from its own files: they can be read while dpkg is being replaced.

use super::root::{Root, TEXT_BYTES_MAX, each_line};
use overhaul_model::facts::{Package, PackageState};
use std::collections::BTreeMap;
use std::io::Read;

/// Largest status file of dpkg: some hundred bytes a package, some ten thousand packages.
const STATUS_BYTES_MAX: u64 = 64 * 1024 * 1024;

const STATUS: &str = "/var/lib/dpkg/status";
const UPDATES: &str = "/var/lib/dpkg/updates";

/// Packages by name and architecture.
#[derive(Debug, Default)]
pub(super) struct Records(BTreeMap<(String, String), Record>);

/// What is on record of one package.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) status: String,
    pub(super) version: String,
    /// Its configuration files with the digests that were shipped.
    pub(super) conffiles: Vec<Conffile>,
}

/// A configuration file of a package.
#[derive(Debug)]
pub(super) struct Conffile {
    pub(super) path: String,
    pub(super) md5: String,
}

impl Record {
    pub(super) fn is_installed(&self) -> bool {
        self.status.ends_with(" ok installed")
    }
}

impl Records {
    /// The records of this tree.
    pub(super) fn of(root: &Root) -> Result<Self, String> {
        let mut records = Self::default();
        let mut add = |path: &str| {
            let file = root
                .open(path)
                .map_err(|error| format!("{path}: {error}"))?;
            records
                .add(file.take(STATUS_BYTES_MAX))
                .map_err(|error| format!("{path}: {error}"))
        };
        add(STATUS)?;
        for name in root.names(UPDATES)? {
            // Others are temporary files of dpkg.
            if name.bytes().all(|byte| byte.is_ascii_digit()) {
                add(&format!("{UPDATES}/{name}"))?;
            }
        }
        if records.0.is_empty() {
            return Err(format!("{STATUS} names no package"));
        }
        Ok(records)
    }

    /// Takes a status file, or one of the files of changes that dpkg has not merged into it yet: an
    /// interrupted dpkg leaves them. Later files count more. Few fields matter, and descriptions make up
    /// most of such a file, so that it is not parsed whole.
    fn add(&mut self, source: impl Read) -> std::io::Result<()> {
        let mut stanza = Stanza::default();
        each_line(source, |line| {
            if line.iter().all(u8::is_ascii_whitespace) {
                self.take(std::mem::take(&mut stanza));
            } else {
                stanza.line(line);
            }
            true
        })?;
        self.take(stanza);
        Ok(())
    }

    fn take(&mut self, stanza: Stanza) {
        if !stanza.name.is_empty() && !stanza.record.status.is_empty() {
            let key = (stanza.name, stanza.architecture);
            self.0.insert(key, stanza.record);
        }
    }

    /// dpkg's own architecture: that of its own package.
    fn native(&self) -> &str {
        self.0
            .iter()
            .find(|((name, _), record)| name == "dpkg" && record.is_installed())
            .map_or("", |((_, architecture), _)| architecture)
    }

    /// A name as dpkg shows it: with its architecture where that is a foreign one.
    fn shown(&self, name: &str, architecture: &str) -> String {
        if architecture == "all" || architecture == self.native() || architecture.is_empty() {
            name.to_owned()
        } else {
            format!("{name}:{architecture}")
        }
    }

    /// How many packages are on record.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Installed packages with their plain names and records.
    pub(super) fn installed(&self) -> impl Iterator<Item = (&str, &Record)> {
        self.0
            .iter()
            .filter(|(_, record)| record.is_installed())
            .map(|((name, _), record)| (name.as_str(), record))
    }

    /// Installed packages as they are told, those that are `wanted` by plain name.
    pub(super) fn told(&self, wanted: impl Fn(&str) -> bool) -> Vec<Package> {
        self.0
            .iter()
            .filter(|((name, _), record)| record.is_installed() && wanted(name))
            .map(|((name, architecture), record)| Package {
                name: self.shown(name, architecture).into(),
                version: record.version.as_str().into(),
            })
            .collect()
    }

    /// Packages that dpkg has not finished with.
    pub(super) fn broken(&self) -> Vec<PackageState> {
        self.0
            .iter()
            .filter(|(_, record)| !is_settled(&record.status))
            .map(|((name, _), record)| PackageState {
                name: name.clone(),
                status: record.status.clone(),
            })
            .collect()
    }

    /// Installed packages that are held back.
    pub(super) fn held(&self) -> Vec<String> {
        self.names_with("hold ok installed")
    }

    /// Removed packages whose configuration files are still there.
    pub(super) fn removed_not_purged(&self) -> Vec<String> {
        self.names_with("deinstall ok config-files")
    }

    /// Architectures that dpkg accepts besides its own.
    pub(super) fn foreign_architectures(&self, root: &Root) -> Result<Vec<String>, String> {
        let text = root.optional("/var/lib/dpkg/arch", TEXT_BYTES_MAX)?;
        Ok(text
            .unwrap_or_default()
            .lines()
            .map(str::trim)
            .filter(|name| !name.is_empty() && *name != self.native())
            .map(str::to_owned)
            .collect())
    }

    fn names_with(&self, status: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .0
            .iter()
            .filter(|(_, record)| record.status == status)
            .map(|((name, _), _)| name.clone())
            .collect();
        names.dedup();
        names
    }
}

/// A stanza while it is read.
#[derive(Default)]
struct Stanza {
    name: String,
    architecture: String,
    record: Record,
    in_conffiles: bool,
}

impl Stanza {
    fn line(&mut self, line: &[u8]) {
        if line.starts_with(b" ") {
            if self.in_conffiles {
                self.record
                    .conffiles
                    .extend(conffile(&String::from_utf8_lossy(line)));
            }
            return;
        }
        self.in_conffiles = line.starts_with(b"Conffiles:");
        let value = |key: &str| {
            let value = line.strip_prefix(key.as_bytes())?;
            Some(String::from_utf8_lossy(value).trim().to_owned())
        };
        if let Some(name) = value("Package:") {
            self.name = name;
        } else if let Some(architecture) = value("Architecture:") {
            self.architecture = architecture;
        } else if let Some(status) = value("Status:") {
            self.record.status = status;
        } else if let Some(version) = value("Version:") {
            self.record.version = version;
        }
    }
}

/// ` PATH DIGEST [obsolete]`: the path may hold blanks. One that the package no longer ships is nothing
/// that an upgrade asks about, nor is one of which no digest is known yet (`newconffile`).
fn conffile(line: &str) -> Option<Conffile> {
    let line = line.trim();
    let (path, md5) = line.rsplit_once(' ')?;
    is_md5(md5).then(|| Conffile {
        path: path.to_owned(),
        md5: md5.to_owned(),
    })
}

pub(super) fn is_md5(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_settled(status: &str) -> bool {
    let words: Vec<&str> = status.split_ascii_whitespace().collect();
    matches!(
        words.as_slice(),
        [_, "ok", "installed" | "config-files" | "not-installed"]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STATUS: &str = "\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9
Description: library
 Package: no field, since it stands in a continuation

Package: libc6
Status: install ok installed
Architecture: i386
Version: 2.36-9

Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1.21.22

Package: nginx
Status: hold ok installed
Architecture: amd64
Version: 1.22.1-9
Conffiles:
 /etc/nginx/nginx.conf 0123456789abcdef0123456789abcdef
 /etc/nginx/my file 0123456789abcdef0123456789abcdee
 /etc/nginx/old 0123456789abcdef0123456789abcdef obsolete
 /etc/nginx/new newconffile
Maintainer: somebody
 /etc/no 0123456789abcdef0123456789abcdef

Package: old
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: torn
Status: install reinstreq half-installed
Architecture: amd64
";

    const UPDATE: &str = "Package: libc6\nStatus: install ok unpacked\nArchitecture: amd64\n";

    fn words(records: &Records) -> String {
        let broken: Vec<String> = records
            .broken()
            .into_iter()
            .map(|package| format!("{}={}", package.name, package.status))
            .collect();
        let told: Vec<String> = records
            .told(|_| true)
            .into_iter()
            .map(|package| format!("{}={}", package.name, package.version))
            .collect();
        format!(
            "{} broken:{} held:{} removed:{} told:{}",
            records.len(),
            broken.join(","),
            records.held().join(","),
            records.removed_not_purged().join(","),
            told.join(","),
        )
    }

    #[test]
    fn a_recorded_status_file_is_read() {
        let mut records = Records::default();
        records.add(STATUS.as_bytes()).unwrap();
        assert_eq!(
            words(&records),
            "6 broken:torn=install reinstreq half-installed held:nginx removed:old \
             told:dpkg=1.21.22,libc6=2.36-9,libc6:i386=2.36-9,nginx=1.22.1-9"
        );
        let conffiles: Vec<&str> = records
            .installed()
            .flat_map(|(_, record)| &record.conffiles)
            .map(|conffile| conffile.path.as_str())
            .collect();
        assert_eq!(conffiles, ["/etc/nginx/nginx.conf", "/etc/nginx/my file"]);
        records.add(UPDATE.as_bytes()).unwrap();
        assert_eq!(
            words(&records),
            "6 broken:libc6=install ok unpacked,torn=install reinstreq half-installed held:nginx \
             removed:old told:dpkg=1.21.22,libc6:i386=2.36-9,nginx=1.22.1-9"
        );
    }

    #[test]
    fn only_three_states_need_nothing() {
        for (status, settled) in [
            ("install ok installed", true),
            ("hold ok installed", true),
            ("unknown ok not-installed", true),
            ("install ok half-configured", false),
            ("install ok triggers-awaited", false),
            ("install ok triggers-pending", false),
            ("purge reinstreq installed", false),
            ("installed", false),
            ("", false),
        ] {
            assert_eq!(is_settled(status), settled, "{status}");
        }
    }

    proptest! {
        /// Whatever the bytes: no panic, and no package without name and status.
        #[test]
        fn any_bytes_are_read(bytes in "(Package:|Status:|Conffiles:|Version:|[ a-z0-9\n]|\u{0}|é){0,60}") {
            let mut records = Records::default();
            records.add(bytes.as_bytes()).unwrap();
            for ((name, _), record) in &records.0 {
                prop_assert!(!name.is_empty() && !record.status.is_empty());
            }
        }
    }
}
