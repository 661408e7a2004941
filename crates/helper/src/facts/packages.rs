//! What dpkg has on record, read from its own files: they can be read while dpkg is being replaced.

use overhaul_model::facts::PackageState;
use std::collections::BTreeMap;

/// Packages and their status words, by name and architecture.
#[derive(Debug, Default)]
pub(super) struct Records(BTreeMap<(String, String), String>);

impl Records {
    /// Takes a status file, or one of the files of changes that dpkg has not merged into it yet: an
    /// interrupted dpkg leaves them. Later files count more. Only three fields matter, and descriptions
    /// make up most of such a file, so that it is not parsed whole.
    pub(super) fn add(&mut self, text: &str) {
        let (mut name, mut architecture, mut status) = ("", "", "");
        for line in text.lines().chain([""]) {
            if let Some(value) = line.strip_prefix("Package:") {
                name = value.trim();
            } else if let Some(value) = line.strip_prefix("Architecture:") {
                architecture = value.trim();
            } else if let Some(value) = line.strip_prefix("Status:") {
                status = value.trim();
            } else if line.trim().is_empty() {
                if !name.is_empty() && !status.is_empty() {
                    let key = (name.to_owned(), architecture.to_owned());
                    self.0.insert(key, status.to_owned());
                }
                (name, architecture, status) = ("", "", "");
            }
        }
    }

    /// How many packages are on record.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Packages that dpkg has not finished with.
    pub(super) fn broken(&self) -> Vec<PackageState> {
        self.0
            .iter()
            .filter(|(_, status)| !is_settled(status))
            .map(|((name, _), status)| PackageState {
                name: name.clone(),
                status: status.clone(),
            })
            .collect()
    }

    /// Installed packages that are held back.
    pub(super) fn held(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .0
            .iter()
            .filter(|(_, status)| *status == "hold ok installed")
            .map(|((name, _), _)| name.clone())
            .collect();
        names.dedup();
        names
    }
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

    const STATUS: &str = "\
Package: libc6
Status: install ok installed
Architecture: amd64
Description: library
 Package: no field, since it stands in a continuation

Package: libc6
Status: install ok installed
Architecture: i386

Package: nginx
Status: hold ok installed
Architecture: amd64

Package: old
Status: deinstall ok config-files
Architecture: all

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
        format!(
            "{} broken:{} held:{}",
            records.len(),
            broken.join(","),
            records.held().join(",")
        )
    }

    #[test]
    fn a_recorded_status_file_is_read() {
        let mut records = Records::default();
        records.add(STATUS);
        let torn = "torn=install reinstreq half-installed";
        assert_eq!(words(&records), format!("5 broken:{torn} held:nginx"));
        records.add(UPDATE);
        let unpacked = "libc6=install ok unpacked";
        assert_eq!(
            words(&records),
            format!("5 broken:{unpacked},{torn} held:nginx")
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
}
