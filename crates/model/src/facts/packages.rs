//! What dpkg and apt know, and what people changed about it.

use super::group::fact_group;
use crate::word::Word;
use serde::{Deserialize, Serialize};

fact_group! {
    /// Packages beyond their states: where they come from, and what people changed of them.
    PackageFacts {
        /// Every installed package, when asked for.
        installed: Vec<Package>,
        /// Installed packages that no configured source has, as apt's `?obsolete` means it.
        obsolete: Vec<Package>,
        /// Removed packages whose configuration files are still there.
        removed_not_purged: Vec<String>,
        /// Architectures that dpkg accepts besides its own.
        foreign_architectures: Vec<String>,
        /// Pins of apt's preferences, and `APT::Default-Release` as the pin that it is.
        pins: Vec<Pin>,
        /// Files below `/etc` that dpkg, ucf or a person set aside: `*.dpkg-old`, `*.ucf-dist`, ...
        set_aside: Vec<String>,
        /// Configuration files of packages that are not as they were shipped.
        conffiles_changed: Vec<ChangedFile>,
        /// Other files of packages that are not as they were shipped, when asked for.
        files_changed: FilesCompared,
        /// Files of packages that are put elsewhere, but those that packages divert themselves.
        local_diversions: Vec<Diversion>,
        /// Owners and modes that are not those of the package.
        stat_overrides: Vec<StatOverride>,
        /// Alternatives that a person chose.
        alternatives_by_hand: Vec<Alternative>,
        /// What the next release does to what is installed, when asked for.
        next_release: NextRelease,
    }
}

/// A package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its name; `name:arch` for an architecture other than dpkg's own.
    pub name: Word,
    /// Its version.
    pub version: Word,
}

/// A preference of apt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pin {
    /// The file that says so.
    pub file: String,
    /// The packages, as written: names, globs, `*`.
    pub packages: String,
    /// What is pinned, like `release n=bookworm`.
    pub pin: String,
    /// `Pin-Priority`, as written.
    pub priority: String,
}

/// A file of a package that is not as it was shipped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChangedFile {
    /// The file.
    pub path: String,
    /// Its package.
    pub package: String,
    /// How it differs.
    pub state: FileState,
}

/// How a file differs from what was shipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileState {
    /// Its content is another.
    Changed,
    /// It is not there.
    Missing,
    /// It cannot be read: whether it was changed is not known.
    Unreadable,
}

/// The outcome of a comparison of packaged files with what was shipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesCompared {
    /// Those that differ.
    pub changed: Vec<ChangedFile>,
    /// So many files were compared.
    pub compared: u64,
    /// Whether these are all; otherwise time or room was up.
    pub complete: bool,
}

/// A file of packages that is put elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Diversion {
    /// Where packages want it.
    pub path: String,
    /// Where it goes.
    pub to: String,
}

/// An owner and a mode that are not those of the package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StatOverride {
    /// The file.
    pub path: String,
    /// Owner, name or number.
    pub user: String,
    /// Group, name or number.
    pub group: String,
    /// Mode in octal digits.
    pub mode: String,
}

/// An alternative that a person chose; no upgrade changes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alternative {
    /// Its name, like `editor`.
    pub name: String,
    /// What it leads to.
    pub path: String,
}

/// What the next release does to what is installed, as apt on the host itself computes it from the
/// next release's indexes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextRelease {
    /// Its code name.
    pub codename: String,
    /// Installed packages that the next release does not have.
    pub absent: Vec<LostPackage>,
    /// Packages that a full upgrade would remove; some of `absent` stay as they are instead.
    pub removed: Vec<LostPackage>,
    /// So many packages would be upgraded.
    pub upgraded: u32,
    /// So many packages would be new.
    pub new: u32,
}

/// A package that the next release takes away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LostPackage {
    /// Its name.
    pub name: String,
    /// The installed version.
    pub version: String,
    /// Packages of the next release that say that they replace it.
    pub replaced_by: Vec<String>,
    /// Units of systemd that it brought.
    pub units: Vec<String>,
}
