//! Which hosts a lab instance has: a small YAML file in `lab/topologies/`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::{Named, Result, malformed};

/// Host addresses begin here, and end before 255.
pub const FIRST_HOST_OCTET: u8 = 11;
/// More hosts than this do not fit between `FIRST_HOST_OCTET` and the end of a /24.
const HOSTS_MAX: usize = 240;
/// The machine name `ID-HOST` must stay a valid host name; eight of its 63 characters are the instance's.
const HOST_NAME_CHARS_MAX: usize = 32;

/// The format of a host's package sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourcesFormat {
    /// `/etc/apt/sources.list`.
    OneLine,
    /// `/etc/apt/sources.list.d/debian.sources`.
    Deb822,
}

/// What a machine is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    /// The Debian release.
    pub release: String,
    /// Image layers, the base first.
    pub layers: Vec<String>,
}

/// One host as written in a topology.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostSpec {
    /// The Debian release that the host begins with.
    pub release: String,
    /// Image layers, the base first.
    pub layers: Vec<String>,
    /// Roles in the fleet file.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The format of its package sources.
    #[serde(default = "one_line")]
    pub sources: SourcesFormat,
    /// Scripts of `lab/setup/` that make it what it is, once all hosts are up.
    #[serde(default)]
    pub setup: Vec<String>,
    /// Whether it runs containers of its own, and may do what that needs.
    #[serde(default)]
    pub containers: bool,
    /// The host that ssh goes through on its way.
    #[serde(default)]
    pub behind: Option<String>,
    /// Its zone in the inventory.
    #[serde(default)]
    pub zone: Option<String>,
}

fn one_line() -> SourcesFormat {
    SourcesFormat::OneLine
}

/// All hosts of an instance, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// The hosts.
    pub hosts: BTreeMap<String, HostSpec>,
    /// Addresses that move between hosts, by name: the last octet of each. Hosts find them in `/etc/hosts`, an inventory has `NAME_address`.
    #[serde(default)]
    pub addresses: BTreeMap<String, u8>,
    /// Images from which hosts can be made anew, by name.
    #[serde(default)]
    pub images: BTreeMap<String, ImageSpec>,
}

impl Topology {
    /// Reads `NAME.yaml` from the folder of topologies.
    pub fn named(folder: &Path, name: &str) -> Result<Self> {
        if !is_name(name) {
            return Err(malformed(
                name,
                "a topology's name has letters, digits and hyphens only",
            ));
        }
        let path = folder.join(format!("{name}.yaml"));
        let text = fs::read_to_string(&path).named(&path)?;
        Self::parse(&text).map_err(|reason| malformed(path.display().to_string(), reason))
    }

    /// Reads and checks a topology.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let topology: Self = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        if topology.hosts.is_empty() || topology.hosts.len() > HOSTS_MAX {
            return Err(format!("1 to {HOSTS_MAX} hosts are possible"));
        }
        for (name, host) in &topology.hosts {
            if !is_name(name) || name.len() > HOST_NAME_CHARS_MAX {
                return Err(format!(
                    "host name {name:?}: lower-case letters, digits and hyphens, at most {HOST_NAME_CHARS_MAX}"
                ));
            }
            if host.layers.first().map(String::as_str) != Some("base") {
                return Err(format!("host {name}: the first layer must be base"));
            }
            if let Some(bad) = host
                .layers
                .iter()
                .chain([&host.release])
                .chain(&host.setup)
                .find(|word| !is_name(word))
            {
                return Err(format!("host {name}: {bad:?} is not a name"));
            }
            let direct =
                |jump: &String| topology.hosts.get(jump).is_some_and(|j| j.behind.is_none());
            if let Some(bad) = host.behind.as_ref().filter(|jump| !direct(jump)) {
                return Err(format!(
                    "host {name}: {bad:?} is no host that is reached directly"
                ));
            }
        }
        for (name, image) in &topology.images {
            let words = image.layers.iter().chain([&image.release, name]);
            let first = image.layers.first().map(String::as_str);
            if first != Some("base") || words.into_iter().any(|word| !is_name(word)) {
                return Err(format!(
                    "image {name}: names only, and the first layer is base"
                ));
            }
        }
        topology.check_addresses()?;
        Ok(topology)
    }
}

impl Topology {
    fn check_addresses(&self) -> std::result::Result<(), String> {
        let beyond_hosts = usize::from(FIRST_HOST_OCTET) + self.hosts.len();
        for (name, octet) in &self.addresses {
            if !is_name(name) || self.hosts.contains_key(name) {
                return Err(format!(
                    "address {name:?}: a name in lower case that no host has"
                ));
            }
            if usize::from(*octet) < beyond_hosts || *octet == u8::MAX {
                return Err(format!(
                    "address {name}: {octet} is not between the last host's and 255"
                ));
            }
        }
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_topologies_are_valid() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/topologies");
        let mut count = 0;
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            Topology::named(&folder, path.file_stem().unwrap().to_str().unwrap()).unwrap();
            count += 1;
        }
        assert!(count >= 3);
    }

    #[test]
    fn wrong_topologies_are_refused_with_a_reason() {
        let cases = [
            ("hosts: {}", "hosts are possible"),
            (
                "hosts: {Db: {release: bookworm, layers: [base]}}",
                "host name",
            ),
            (
                "hosts: {db: {release: bookworm, layers: [db]}}",
                "must be base",
            ),
            (
                "hosts: {db: {release: ../x, layers: [base]}}",
                "is not a name",
            ),
            (
                "hosts: {db: {release: bookworm, layers: [base], size: 3}}",
                "size",
            ),
            (
                "hosts: {db: {release: bookworm, layers: [base], sources: rpm}}",
                "rpm",
            ),
            (
                "hosts: {db: {release: bookworm, layers: [base], behind: db}}",
                "reached directly",
            ),
            (
                "{addresses: {site: 11}, hosts: {db: {release: bookworm, layers: [base]}}}",
                "not between",
            ),
            (
                "{addresses: {db: 200}, hosts: {db: {release: bookworm, layers: [base]}}}",
                "no host has",
            ),
            (
                "{images: {new: {release: trixie, layers: [cache]}}, hosts: {db: {release: bookworm, layers: [base]}}}",
                "image new",
            ),
        ];
        for (text, reason) in cases {
            let error = Topology::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn sources_are_one_line_unless_said() {
        let topology = Topology::parse("hosts: {db: {release: bookworm, layers: [base]}}").unwrap();
        assert_eq!(topology.hosts["db"].sources, SourcesFormat::OneLine);
    }
}
