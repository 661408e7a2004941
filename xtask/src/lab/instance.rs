//! One lab instance: its id, its piece of the address space, its hosts. Two instances on one machine share nothing but the image cache.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::cgroup::Group;
use super::error::{LabError, Named, Result, malformed};
use super::paths;
use super::topology::{FIRST_HOST_OCTET, HostSpec, ImageSpec, Topology};

/// The format of `instance.json`; another one is refused.
const FORMAT: u32 = 1;
/// Longer ids would make names longer than what host names allow.
const ID_CHARS_MAX: usize = 8;
/// All instances take their addresses from 10.77.0.0/16, one /24 each.
const NETWORK: [u8; 2] = [10, 77];

/// A checked instance id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

impl Id {
    /// Checks an id.
    pub fn new(text: &str) -> Result<Self> {
        let fits = (1..=ID_CHARS_MAX).contains(&text.len())
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(malformed(
                format!("id {text:?}"),
                format!("1 to {ID_CHARS_MAX} lower-case letters and digits"),
            ))
        }
    }

    /// The id of a checkout that names none.
    pub fn of_checkout(path: &Path) -> Self {
        let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
        Self(
            digest
                .iter()
                .take(2)
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Id {
    type Error = LabError;
    fn try_from(text: String) -> Result<Self> {
        Self::new(&text)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

/// The third octet of an instance's addresses: the one its id points to, or the next that is free.
pub fn choose_octet(id: &Id, is_used: impl Fn(u8) -> bool) -> Option<u8> {
    let first = Sha256::digest(id.as_str())
        .iter()
        .next()
        .copied()
        .unwrap_or_default();
    (0..=u8::MAX)
        .map(|step| first.wrapping_add(step))
        .filter(|octet| (1..=254).contains(octet))
        .find(|octet| !is_used(*octet))
}

/// Whether an address with its prefix length has a part of the /24 of `octet`.
pub fn overlaps(octet: u8, address: Ipv4Addr, prefix_length: u8) -> bool {
    let ours = u32::from(Ipv4Addr::new(NETWORK[0], NETWORK[1], octet, 0));
    let bits = u32::from(prefix_length.min(24));
    let mask = if bits == 0 {
        0
    } else {
        u32::MAX << (32 - bits)
    };
    ours & mask == u32::from(address) & mask
}

/// One host of an instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostRecord {
    /// What the topology says.
    pub spec: HostSpec,
    /// The last octet of its address.
    pub octet: u8,
    /// The image trees under its disk, the topmost first; fixed when the host is made, so that a newer image never slips under an old disk.
    pub lowers: Vec<PathBuf>,
}

/// What an instance remembers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Instance {
    format: u32,
    /// Its id.
    pub id: Id,
    /// The third octet of its addresses.
    pub octet: u8,
    /// The name of its topology.
    pub topology: String,
    /// Its hosts.
    pub hosts: BTreeMap<String, HostRecord>,
    /// Addresses that move between them: the last octet of each, by name.
    #[serde(default)]
    pub addresses: BTreeMap<String, u8>,
    /// Images from which hosts can be made anew, by name.
    #[serde(default)]
    pub images: BTreeMap<String, ImageSpec>,
    #[serde(skip)]
    folder: PathBuf,
}

impl Instance {
    /// A new instance, not yet saved.
    pub fn new(
        id: Id,
        folder: PathBuf,
        octet: u8,
        topology_name: &str,
        topology: Topology,
    ) -> Self {
        let octets = FIRST_HOST_OCTET..=u8::MAX;
        let hosts = topology
            .hosts
            .into_iter()
            .zip(octets)
            .map(|((name, spec), octet)| {
                let record = HostRecord {
                    spec,
                    octet,
                    lowers: Vec::new(),
                };
                (name, record)
            })
            .collect();
        Self {
            format: FORMAT,
            id,
            octet,
            topology: topology_name.to_owned(),
            hosts,
            addresses: topology.addresses,
            images: topology.images,
            folder,
        }
    }

    /// Reads an instance from its folder; none if it was never saved.
    pub fn load(id: &Id, folder: &Path) -> Result<Option<Self>> {
        let path = folder.join("instance.json");
        let text = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.named(&path)?,
        };
        let name = path.display().to_string();
        let mut instance: Self =
            serde_json::from_slice(&text).map_err(|error| malformed(&name, error))?;
        if instance.format != FORMAT {
            return Err(malformed(
                &name,
                format!("format {} is not known", instance.format),
            ));
        }
        if instance.id != *id {
            return Err(malformed(
                &name,
                format!("belongs to instance {}", instance.id.as_str()),
            ));
        }
        instance.folder = folder.to_path_buf();
        Ok(Some(instance))
    }

    /// Writes the instance down.
    pub fn save(&self) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| malformed("instance", error))?;
        paths::write_private(&self.folder.join("instance.json"), &text)
    }

    /// The instance's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file in the instance's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder of one host.
    pub fn host_folder(&self, host: &str) -> PathBuf {
        self.folder.join("hosts").join(host)
    }

    /// A host by name.
    pub fn host(&self, name: &str) -> Result<&HostRecord> {
        self.hosts.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.hosts.keys().map(String::as_str).collect();
            LabError::State(format!(
                "no host {name} in this lab; there are: {}",
                known.join(", ")
            ))
        })
    }

    /// The bridge that all hosts hang on.
    pub fn bridge(&self) -> String {
        format!("ovl{}", self.octet)
    }

    /// This machine's own address on the bridge.
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::new(NETWORK[0], NETWORK[1], self.octet, 1)
    }

    /// The addresses that move between hosts, by name.
    pub fn moving_addresses(&self) -> impl Iterator<Item = (&str, Ipv4Addr)> {
        let of = |octet| Ipv4Addr::new(NETWORK[0], NETWORK[1], self.octet, octet);
        let all = self.addresses.iter();
        all.map(move |(name, octet)| (name.as_str(), of(*octet)))
    }

    /// A host's address.
    pub fn address(&self, host: &HostRecord) -> Ipv4Addr {
        Ipv4Addr::new(NETWORK[0], NETWORK[1], self.octet, host.octet)
    }

    /// The name that the container of a host has on this machine; the octet makes it unique here.
    pub fn machine_name(&self, host: &str) -> String {
        format!("lab{}-{host}", self.octet)
    }

    /// The group over all processes of the instance.
    pub fn group(&self) -> Result<Group> {
        Group::named(&self.group_name())
    }

    /// The group of one member: a host or `mirror`, which is no name that a host may have beside a topology's.
    pub fn member_group(&self, member: &str) -> Result<Group> {
        Group::named(&format!("{}/{member}", self.group_name()))
    }

    fn group_name(&self) -> String {
        format!("overhaul-lab-{}-{}", self.id.as_str(), self.octet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_plain() {
        for good in ["a", "dev", "0f3a", "abcdefgh"] {
            assert_eq!(Id::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "Dev", "a-b", "../x", "abcdefghi", "é"] {
            assert!(Id::new(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Id::of_checkout(Path::new("/a")),
            Id::of_checkout(Path::new("/a"))
        );
        assert_ne!(
            Id::of_checkout(Path::new("/a")),
            Id::of_checkout(Path::new("/b"))
        );
        assert!(Id::new(Id::of_checkout(Path::new("/a")).as_str()).is_ok());
    }

    #[test]
    fn an_octet_follows_from_the_id_and_avoids_used_ones() {
        let id = Id::new("dev").unwrap();
        let first = choose_octet(&id, |_| false).unwrap();
        assert_eq!(choose_octet(&id, |_| false), Some(first));
        let second = choose_octet(&id, |octet| octet == first).unwrap();
        assert_ne!(second, first);
        assert!((1..=254).contains(&first) && (1..=254).contains(&second));
        assert_eq!(choose_octet(&id, |octet| octet != 200), Some(200));
        assert_eq!(choose_octet(&id, |_| true), None);
    }

    #[test]
    fn overlaps_count_wider_and_narrower_networks() {
        let cases = [
            ([10, 77, 5, 1], 24, true),
            ([10, 77, 6, 1], 24, false),
            ([10, 77, 200, 1], 16, true),
            ([10, 1, 2, 3], 8, true),
            ([10, 77, 5, 129], 28, true),
            ([192, 0, 2, 1], 24, false),
            ([192, 0, 2, 1], 0, true),
        ];
        for (address, length, expected) in cases {
            assert_eq!(
                overlaps(5, Ipv4Addr::from(address), length),
                expected,
                "{address:?}/{length}"
            );
        }
    }

    #[test]
    fn an_instance_is_read_back_only_by_its_own_id() {
        let folder = tempfile::tempdir().unwrap();
        let topology = Topology::parse("hosts: {b: {release: bookworm, layers: [base]}, a: {release: bookworm, layers: [base]}}").unwrap();
        let id = Id::new("t1").unwrap();
        assert!(Instance::load(&id, folder.path()).unwrap().is_none());
        let made = Instance::new(id.clone(), folder.path().into(), 9, "two", topology);
        made.save().unwrap();
        let read = Instance::load(&id, folder.path()).unwrap().unwrap();
        assert_eq!(
            read.address(read.host("b").unwrap()),
            Ipv4Addr::new(10, 77, 9, 12)
        );
        assert_eq!(read.folder(), folder.path());
        assert!(read.host("c").unwrap_err().to_string().contains("a, b"));
        assert!(Instance::load(&Id::new("t2").unwrap(), folder.path()).is_err());
    }
}
