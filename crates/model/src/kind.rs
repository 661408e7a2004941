//! Kinds: how a release upgrader works, as data plus commands behind a typed description.

use crate::action::{Limits, Retry, UpgradePart};
use crate::definition::{OutputFrom, Release};
use crate::knowledge::KnownIssue;
use crate::primitive::{Measure, Primitive};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A release upgrader, as a file of `kinds/` describes it.
///
/// Texts may use `from`, `to` (each with `os`, `release`, `codename`), `host` and `vars`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upgrader {
    /// Its name.
    pub name: String,
    /// What it does, in a sentence.
    pub describes: String,
    /// Whether it was ever run; what was not is declared, and refused by the checker.
    #[serde(default = "yes")]
    pub available: bool,
    /// Release pairs that it knows, oldest first.
    pub paths: Vec<UpgradePath>,
    /// Free space that a host needs for it, by the path whose filesystem must have it.
    pub space: Vec<SpaceNeed>,
    /// Set up around the change and taken down whatever happens, outermost first.
    pub scopes: Vec<UpgraderScope>,
    /// Before services stop: nothing of the running system changes.
    pub prepare: Vec<UpgraderStep>,
    /// While services are stopped.
    pub change: Vec<UpgraderStep>,
    /// After the reboot.
    pub settle: Vec<UpgraderStep>,
    /// What is known to go wrong on its paths; no remedy is a step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_issues: Vec<KnownIssue>,
}

fn yes() -> bool {
    true
}

/// One step from a release to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradePath {
    /// Before.
    pub from: Release,
    /// Code name before, like `bookworm`.
    pub from_codename: String,
    /// After.
    pub to: Release,
    /// Code name after, like `trixie`.
    pub to_codename: String,
}

/// Free space that must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceNeed {
    /// A path on the filesystem that needs it.
    pub path: String,
    /// Bytes.
    pub bytes: u64,
    /// Where the figure comes from.
    pub because: String,
}

/// Something that must be taken away again whatever happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpgraderScope {
    /// Its name.
    pub name: String,
    /// How it is set up.
    pub open: UpgraderStep,
    /// How it is taken away.
    pub close: UpgraderStep,
}

/// A step of an upgrader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpgraderStep {
    /// Its name: part of the step's id.
    pub name: String,
    /// A title for people.
    pub title: String,
    /// The part of the upgrade that it is.
    pub part: UpgradePart,
    /// The act.
    pub work: Primitive,
    /// Already so?
    pub check: Option<Measure>,
    /// So now?
    pub verify: Option<Measure>,
    /// May be begun again freely, because it converges.
    pub repeatable: bool,
    /// Its bounds.
    pub limits: Limits,
    /// Attempts.
    pub retry: Retry,
    /// Outputs.
    #[serde(default)]
    pub outputs: BTreeMap<String, OutputFrom>,
}
