//! Facts of clusters: what a host says of itself as a member of one.

use crate::facts::Known;
use serde::{Deserialize, Serialize};

/// A host's membership in a cluster, as a kind of `kinds/` reads it.
///
/// It is what this member says alone: whether others agree is for whoever sees them all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterMember {
    /// The kind's name, like `galera`.
    pub kind: String,
    /// Which of several on this host, as the kind lists them; empty where there is one.
    pub instance: String,
    /// What tells this cluster from others of its kind; equal at all members.
    pub cluster: Known<String>,
    /// The member's own name in its cluster.
    pub member: Known<String>,
    /// What it does there.
    pub role: Known<ClusterRole>,
    /// The same in the kind's own word, like `peon` or `Donor/Desynced`.
    pub state: Known<String>,
    /// Names or addresses of members as this one knows them; none where the kind tells none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Known<Vec<String>>>,
    /// How many members the cluster has, running or not.
    pub size_known: Known<u32>,
    /// How many of them take part now, this one included if it does.
    pub size_alive: Known<u32>,
    /// Whether this member belongs to a majority that may decide; none where the kind has no quorum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorate: Option<Known<bool>>,
    /// Whether the member does its work, judged by what it says and not by whether a process is there.
    pub healthy: Known<bool>,
    /// The version of the program that it runs, or would; none where the kind does not ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Known<String>>,
    /// How far it is behind; none where nothing can be behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<Known<Lag>>,
    /// Where its data lies.
    pub data_paths: Vec<String>,
    /// What the commands printed, the beginning of each.
    pub evidence: Vec<Evidence>,
}

/// What a member does in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterRole {
    /// It alone takes writes, leads, or holds the address.
    Primary,
    /// It follows a primary and can take over.
    Replica,
    /// It is like all the others: each one takes writes.
    Peer,
    /// It belongs to the cluster and takes no part now.
    Out,
}

impl ClusterRole {
    /// All of them with their words.
    pub const ALL: [(&str, Self); 4] = [
        ("primary", Self::Primary),
        ("replica", Self::Replica),
        ("peer", Self::Peer),
        ("out", Self::Out),
    ];
}

/// How far a member is behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// So many.
    pub amount: u64,
    /// Of what, like `bytes` or `writesets`.
    pub unit: String,
}

/// What a command of a kind printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The command's name in its kind.
    pub ask: String,
    /// Why its answer counts for nothing; none when it does count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Its standard output.
    pub output: String,
}
