//! Clusters that hosts are members of, as their own facts tell.

use crate::look::counted;
use overhaul_model::cluster::{ClusterMember, ClusterRole};
use overhaul_model::facts::{FleetFacts, HostFacts, Known};
use overhaul_model::id::HostName;
use std::collections::{BTreeMap, BTreeSet};

/// Other healthy members that must hold the data while one is empty: with one alone, its disk is all there is.
pub const HOLDERS_MIN: u32 = 2;

/// Kinds whose members receive everything from the others when they come back empty, also on a newer release:
/// measured with Galera 10.11 to 11.8 and with monitors of Ceph. PostgreSQL replicates within one major only.
const REFILLING: [&str; 3] = ["galera", "ceph-mon", "etcd"];

/// A host's membership in a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The kind, like `galera`.
    pub kind: String,
    /// What tells one cluster from all others; `None` when the member does not know.
    pub cluster: Option<String>,
    /// Where its data lies.
    pub data_paths: Vec<String>,
    /// Whether a member may be away and the cluster still serves, all others being healthy.
    pub spares_one: bool,
    /// Whether it is a cluster of one: it has its outage, and nobody else is concerned.
    pub alone: bool,
    /// Whether members of this kind are filled by the others when they come back empty, also on a newer release.
    pub refilling: bool,
    /// Whether this member may come back empty: the kind fills it, and enough healthy others hold the data.
    pub refills_one: bool,
    /// Whether it follows another member.
    pub replica: bool,
    /// The hosts of the fleet that are in it.
    pub hosts: BTreeSet<HostName>,
    /// What was measured, as a sentence.
    pub says: String,
    /// What speaks against taking a member away, or hides whether something does.
    pub against: Vec<String>,
    /// What else could not be measured.
    pub unsure: Vec<String>,
}

impl Membership {
    /// How people call the cluster.
    pub fn name(&self) -> String {
        match &self.cluster {
            Some(cluster) => format!("{} `{cluster}`", self.kind),
            None => format!("{} (cluster unknown)", self.kind),
        }
    }

    /// A name for its group in the order.
    pub fn group(&self) -> String {
        match &self.cluster {
            Some(cluster) => format!("{}:{cluster}", self.kind),
            None => self.kind.clone(),
        }
    }
}

/// A cluster: its kind and what tells it from others of the kind.
type Key = (String, String);

/// The memberships of every host.
pub fn memberships(facts: &FleetFacts) -> BTreeMap<HostName, Vec<Membership>> {
    let mut clusters: BTreeMap<Key, Vec<(&HostName, &ClusterMember)>> = BTreeMap::new();
    for (host, member) in all(facts) {
        if let Some(cluster) = member.cluster.value() {
            let key = (member.kind.clone(), cluster.clone());
            clusters.entry(key).or_default().push((host, member));
        }
    }
    let mut out: BTreeMap<HostName, Vec<Membership>> = BTreeMap::new();
    for (host, member) in all(facts) {
        let key = member
            .cluster
            .value()
            .map(|c| (member.kind.clone(), c.clone()));
        let seen = key.and_then(|key| clusters.get(&key));
        let membership = membership(host, member, seen.map_or(&[][..], Vec::as_slice));
        out.entry(host.clone()).or_default().push(membership);
    }
    out
}

fn all(facts: &FleetFacts) -> impl Iterator<Item = (&HostName, &ClusterMember)> {
    let members = |facts: &'_ HostFacts| facts.clusters.value().map_or(0, Vec::len);
    facts
        .iter()
        .filter(move |(_, facts)| members(facts) > 0)
        .flat_map(|(host, facts)| {
            let list = facts.clusters.value().into_iter().flatten();
            list.map(move |member| (host, member))
        })
}

fn membership(
    host: &HostName,
    member: &ClusterMember,
    seen: &[(&HostName, &ClusterMember)],
) -> Membership {
    let mut found = against(member, seen);
    let here = seen.iter().filter(|(other, _)| *other == host).count();
    if here > 1 {
        found
            .against
            .push(format!("{here} of its members are on this host"));
    }
    let quorum = seen.iter().any(|(_, m)| m.quorate.is_some());
    let sizes = seen
        .iter()
        .filter_map(|(_, m)| m.size_known.value().copied());
    let size = sizes.max();
    let holders = size.unwrap_or(0).saturating_sub(1);
    let majority = !quorum || size.is_some_and(|size| holders > size / 2);
    let alone = seen.len() == 1 && size == Some(1);
    let spares_one = found.against.is_empty() && !alone && majority;
    let refilling = REFILLING.contains(&member.kind.as_str());
    Membership {
        kind: member.kind.clone(),
        cluster: member.cluster.value().cloned(),
        data_paths: member.data_paths.clone(),
        spares_one,
        alone,
        refilling,
        refills_one: refilling && spares_one && found.unsure.is_empty() && holders >= HOLDERS_MIN,
        replica: member.role.value() == Some(&ClusterRole::Replica),
        hosts: seen.iter().map(|(host, _)| (*host).clone()).collect(),
        says: sentence(member, seen.len()),
        against: found.against,
        unsure: found.unsure,
    }
}

/// What speaks against taking this member away, or hides whether something does. Each member is heard: one that
/// says otherwise may be the one that is right.
fn against(member: &ClusterMember, seen: &[(&HostName, &ClusterMember)]) -> Found {
    let mut found = Found::default();
    let out = &mut found.against;
    if let Known::Unknown { reason } = &member.cluster {
        out.push(format!("which {} cluster it is in: {reason}", member.kind));
        return found;
    }
    let sizes: BTreeSet<u32> = seen
        .iter()
        .filter_map(|(_, m)| m.size_known.value().copied())
        .collect();
    if sizes.len() > 1 {
        let sizes: Vec<String> = sizes.iter().map(u32::to_string).collect();
        out.push(format!(
            "its members do not agree on how many they are: {}",
            sizes.join(", ")
        ));
    }
    if let Some(most) = sizes.last() {
        let seen = u32::try_from(seen.len()).unwrap_or(u32::MAX);
        if seen < *most {
            out.push(format!(
                "facts are known of {seen} of {} only",
                counted(*most, "member")
            ));
        } else if seen > *most {
            out.push(format!(
                "{seen} say that they are in it, and it knows {most}"
            ));
        }
    }
    for (host, other) in seen {
        of_member(host, other, !sizes.is_empty(), &mut found);
    }
    found
}

/// What speaks against taking a member away, and what only keeps it from coming back empty.
#[derive(Default)]
struct Found {
    against: Vec<String>,
    unsure: Vec<String>,
}

fn of_member(host: &HostName, member: &ClusterMember, size_is_known: bool, found: &mut Found) {
    let unknown = match (&member.size_known, &member.size_alive) {
        // A follower may not know how many follow; another member does.
        (Known::Unknown { .. }, _) if size_is_known => None,
        (Known::Unknown { reason }, _) => {
            Some(format!("how many members there are, by {host}: {reason}"))
        }
        (_, Known::Unknown { reason }) => Some(format!("how many take part, by {host}: {reason}")),
        (Known::Measured { value: known, .. }, Known::Measured { value: alive, .. }) => {
            if alive < known {
                let members = counted(*known, "member");
                found
                    .against
                    .push(format!("only {alive} of {members} take part, by {host}"));
            }
            None
        }
    };
    // Without a quorum nobody else stops when one goes away.
    match (&member.quorate, unknown) {
        (_, None) => {}
        (Some(_), Some(unknown)) => found.against.push(unknown),
        (None, Some(unknown)) => found.unsure.push(unknown),
    }
    let out = &mut found.against;
    match &member.quorate {
        Some(Known::Unknown { reason }) => out.push(format!("whether {host} has quorum: {reason}")),
        Some(Known::Measured { value: false, .. }) => out.push(format!("{host} has no quorum")),
        Some(Known::Measured { value: true, .. }) | None => {}
    }
    match &member.healthy {
        Known::Unknown { reason } => out.push(format!("whether {host} is healthy: {reason}")),
        Known::Measured { value: false, .. } => out.push(format!("{host} is not healthy")),
        Known::Measured { value: true, .. } => {}
    }
}

fn sentence(member: &ClusterMember, seen: usize) -> String {
    let number = |known: &Known<u32>| known.value().map_or("?".to_owned(), u32::to_string);
    let role = match member.role.value() {
        Some(ClusterRole::Primary) => "the primary",
        Some(ClusterRole::Replica) => "a replica",
        Some(ClusterRole::Peer) => "a peer",
        Some(ClusterRole::Out) => "a member that takes no part",
        None => "a member of unknown role",
    };
    let name = member.cluster.value().map_or("unknown", String::as_str);
    let state = member.state.value().map(|state| format!(" ({state})"));
    let quorum = match member.quorate.as_ref().and_then(Known::value) {
        Some(true) => ", with quorum",
        Some(false) => ", without quorum",
        None => "",
    };
    format!(
        "it is {}{} of the {} cluster `{name}`: {} of {} members take part{quorum}; {} in this fleet",
        role,
        state.unwrap_or_default(),
        member.kind,
        number(&member.size_alive),
        number(&member.size_known),
        counted(u64::try_from(seen).unwrap_or(u64::MAX), "host"),
    )
}
