//! What people know of an upgrade beyond its steps: versions it must pass, issues that versions have, what
//! is down on purpose, packages that go together.
//!
//! All of it is written for one upgrade. Rules judge plans by it, and reports mention it.

use crate::definition::{Origin, Release, Slot};
use crate::facts::HostFacts;
use crate::fleet::Host;
use crate::id::{RoleName, ServiceName};
use crate::primitive::Measure;
use crate::version;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of an upgrade beyond its steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Knowledge {
    /// Versions on the way, by the name of a package or the `ID` of an operating system.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, VersionPath>,
    /// What is known to go wrong with some versions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub known_issues: Vec<KnownIssue>,
    /// What is out of order on purpose, until a day.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<Expected>,
    /// Sets of packages that have one version wherever they are installed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub equal_versions: Vec<BTreeSet<String>>,
    /// Services and units that are stopped for good.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub retired: BTreeSet<String>,
    /// Roles of which all hosts may be in one dangerous step, each with the reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub whole_role: BTreeMap<RoleName, String>,
    /// Versions that never meet in one cluster, by the cluster's kind.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub no_mix: BTreeMap<String, NoMix>,
}

impl Knowledge {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a service stays down on hosts with these roles, for good or for this upgrade.
    pub fn stays_down(
        &self,
        service: &ServiceName,
        unit: &str,
        roles: &BTreeSet<RoleName>,
    ) -> bool {
        let named = |name: &str| name == service.as_str() || is_unit(name, unit);
        self.retired.iter().any(|name| named(name))
            || self.expected.iter().any(|expected| {
                matches!(&expected.what, Unusual::StaysDown(name) if named(name))
                    && expected.concerns(roles)
            })
    }

    /// Packages and operating systems whose versions are asked about. Borders in clusters count where
    /// versions are known, and are no reason to ask every host for all that it has.
    pub fn packages(&self) -> BTreeSet<&str> {
        let issues = self.known_issues.iter();
        let named = self.versions.keys().map(String::as_str);
        named
            .chain(issues.filter_map(|issue| Some(issue.versions.as_ref()?.of.as_str())))
            .chain(self.equal_versions.iter().flatten().map(String::as_str))
            .collect()
    }
}

/// Whether a name, with or without `.service`, is that of a unit.
pub fn is_unit(name: &str, unit: &str) -> bool {
    name == unit || unit.strip_suffix(".service") == Some(name)
}

/// Versions that an upgrade passes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionPath {
    /// Stops that none may leave out, rising.
    pub stops: Vec<Stop>,
    /// Where it leads; of an operating system that is the upgrade's own release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// A version that must be reached before any later one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// The least version that counts as this stop.
    pub version: String,
    /// The slug of the step that brings a host to it, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl VersionPath {
    /// Where it leads.
    pub fn target(&self) -> Option<&str> {
        let last = self.stops.last().map(|stop| stop.version.as_str());
        self.to.as_deref().or(last)
    }

    /// How many stops a version has reached or passed.
    pub fn reached(&self, version: &str) -> usize {
        let reached = |stop: &&Stop| version::compare(&stop.version, version) != Ordering::Greater;
        self.stops.iter().take_while(reached).count()
    }

    /// Stops that a jump between two versions leaves out; none when it goes backwards.
    pub fn left_out(&self, from: &str, to: &str) -> &[Stop] {
        let last = self.reached(to).saturating_sub(1);
        self.stops.get(self.reached(from)..last).unwrap_or_default()
    }
}

/// A range of versions of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionRange {
    /// A package, or the `ID` of an operating system.
    pub of: String,
    /// The first one; all up to the end when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The first one behind the range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// This one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<String>,
}

impl VersionRange {
    /// Whether a version lies in it.
    pub fn contains(&self, version: &str) -> bool {
        let against = |bound: &String| version::compare(version, bound);
        self.from
            .as_ref()
            .is_none_or(|from| against(from) != Ordering::Less)
            && self
                .before
                .as_ref()
                .is_none_or(|before| against(before) == Ordering::Less)
            && self
                .is
                .as_ref()
                .is_none_or(|is| against(is) == Ordering::Equal)
    }
}

/// Something that is known to go wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownIssue {
    /// What its makers call it, like `OC-11575`.
    pub id: String,
    /// What goes wrong, in a sentence.
    pub says: String,
    /// Versions that have it; all when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<VersionRange>,
    /// Roles whose hosts have it; all when empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<RoleName>,
    /// Holds where a host does not have it, or no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Measure>,
    /// What to do about it.
    pub remedy: Remedy,
    /// Where it was written.
    pub origin: Origin,
}

/// What to do about an issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// Nobody knows.
    Unknown,
    /// A person does it.
    ByPerson(String),
    /// A step of the plan does it.
    Step {
        /// The slot in which it stands.
        slot: Slot,
        /// Its slug: the last part of its id.
        slug: String,
    },
}

/// Whether an issue concerns a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concerned {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// Nobody knows, for this reason.
    Unknown(String),
}

/// What a host comes from and goes to.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// The release before.
    pub from: &'a Release,
    /// The release afterwards.
    pub to: &'a Release,
    /// Versions on the way.
    pub versions: &'a BTreeMap<String, VersionPath>,
}

impl KnownIssue {
    /// Whether a host has it on its way: now, at a stop, or where the way ends.
    pub fn concerns(&self, host: &Host, facts: Option<&HostFacts>, way: Way<'_>) -> Concerned {
        if !self.roles.is_empty() && self.roles.is_disjoint(&host.roles) {
            return Concerned::No;
        }
        let Some(range) = &self.versions else {
            return Concerned::Yes;
        };
        let now = if range.of == way.to.os {
            Ok(Some(measured_release(facts).unwrap_or(&way.from.release)))
        } else {
            installed_version(facts, &range.of)
        };
        let path = way.versions.get(&range.of);
        let end = (range.of == way.to.os).then_some(way.to.release.as_str());
        let end = end.or_else(|| path?.target());
        match now {
            Err(why) => Concerned::Unknown(why),
            Ok(None) => Concerned::No,
            Ok(Some(now)) => {
                let later = |version: &&str| version::compare(version, now) == Ordering::Greater;
                let stops = path.iter().flat_map(|path| &path.stops);
                let ahead = stops.map(|stop| stop.version.as_str()).filter(later);
                let mut passed = ahead.chain(end.filter(later)).chain([now]);
                if passed.any(|version| range.contains(version)) {
                    Concerned::Yes
                } else {
                    Concerned::No
                }
            }
        }
    }
}

/// The release that a host was measured on.
fn measured_release(facts: Option<&HostFacts>) -> Option<&str> {
    Some(facts?.release.value()?.version.as_str())
}

/// The version of a package on a host, of dpkg's own architecture before any other; none where it is not
/// installed.
///
/// # Errors
/// Why nobody knows.
pub fn installed_version<'f>(
    facts: Option<&'f HostFacts>,
    package: &str,
) -> Result<Option<&'f str>, String> {
    let Some(facts) = facts else {
        return Err("there are no facts of it".to_owned());
    };
    let installed = &facts.packages.installed;
    let Some(packages) = installed.value() else {
        let why = installed.gap().unwrap_or_default();
        return Err(format!("its installed packages were not measured: {why}"));
    };
    let foreign = |name: &str| {
        name.split_once(':')
            .is_some_and(|(name, _)| name == package)
    };
    let own = packages.iter().find(|found| found.name == package);
    let found = own.or_else(|| packages.iter().find(|found| foreign(&found.name)));
    Ok(found.map(|found| found.version.as_str()))
}

/// Something that is out of order on purpose, in this upgrade only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// What it is.
    pub what: Unusual,
    /// Roles on whose hosts; all when empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<RoleName>,
    /// The last day on which it is expected.
    pub until: Date,
    /// Why.
    pub reason: String,
}

impl Expected {
    /// Whether it is about hosts with these roles.
    pub fn concerns(&self, roles: &BTreeSet<RoleName>) -> bool {
        self.roles.is_empty() || !self.roles.is_disjoint(roles)
    }
}

/// What would be an alarm at another time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unusual {
    /// A service or unit stays down.
    StaysDown(String),
    /// A unit has failed.
    FailedUnit(String),
    /// Lines with this text stand in logs.
    LogLine(String),
}

/// Versions that never meet in one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoMix {
    /// Units of members; one `*` stands for any text.
    pub units: Vec<String>,
    /// Borders: what is before one never meets what is behind it.
    pub apart: Vec<Border>,
}

/// A border between versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Border {
    /// A package, or the `ID` of an operating system.
    pub of: String,
    /// The first version behind it.
    pub at: String,
}

impl Border {
    /// Whether a version lies behind it.
    pub fn is_passed(&self, version: &str) -> bool {
        version::compare(version, &self.at) != Ordering::Less
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(stops: &[&str], to: Option<&str>) -> VersionPath {
        let stop = |version: &&str| Stop {
            version: (*version).to_owned(),
            by: None,
        };
        VersionPath {
            stops: stops.iter().map(stop).collect(),
            to: to.map(str::to_owned),
        }
    }

    #[test]
    fn a_jump_leaves_out_the_stops_between() {
        let chef = path(&["1.2.0", "1.4.6", "11.1.0"], Some("11.1.8"));
        let debian = path(&["11", "12", "13"], None);
        for (path, from, to, left_out) in [
            (&chef, "1.2.5", "11.1.8", vec!["1.4.6"]),
            (&chef, "1.4.6", "11.1.8", vec![]),
            (&chef, "1.4.8", "11.1.8", vec![]),
            (&chef, "1.2.5", "1.4.6", vec![]),
            (&chef, "1.0", "11.1.8", vec!["1.2.0", "1.4.6"]),
            (&chef, "11.1.8", "1.2.5", vec![]),
            (&debian, "11", "13", vec!["12"]),
            (&debian, "12", "13", vec![]),
            (&debian, "13", "13", vec![]),
        ] {
            let found = path.left_out(from, to).iter();
            let found: Vec<&str> = found.map(|stop| stop.version.as_str()).collect();
            assert_eq!(found, left_out, "from {from} to {to}");
        }
        assert_eq!(chef.target(), Some("11.1.8"));
        assert_eq!(debian.target(), Some("13"));
    }

    #[test]
    fn ranges_hold_their_beginning_and_not_their_end() {
        let range = |from: &str, before: &str, is: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            VersionRange {
                of: "x".to_owned(),
                from: some(from),
                before: some(before),
                is: some(is),
            }
        };
        for (range, version, inside) in [
            (range("1.2", "1.4", ""), "1.2", true),
            (range("1.2", "1.4", ""), "1.4", false),
            (range("1.2", "1.4", ""), "1.4~rc1", true),
            (range("", "1.4", ""), "0", true),
            (range("1.2", "", ""), "9", true),
            (
                range("", "", "2.1+dfsg-2~bpo70+2"),
                "2.1+dfsg-2~bpo70+2",
                true,
            ),
            (range("", "", "2.1+dfsg-2~bpo70+2"), "2.1+dfsg-2", false),
        ] {
            assert_eq!(range.contains(version), inside, "{range:?} {version}");
        }
    }

    #[test]
    fn units_are_known_with_and_without_their_suffix() {
        assert!(is_unit("nginx", "nginx.service"));
        assert!(is_unit("nginx.service", "nginx.service"));
        assert!(is_unit("a.timer", "a.timer"));
        assert!(!is_unit("a", "a.timer"));
    }
}
