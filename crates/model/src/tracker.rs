//! How each host shall change: what is proposed from facts, what people decided, how far it is.

use crate::id::{HostName, Person, RoleName, RunId, ZoneName};
pub use crate::strategy::Change;
use crate::strategy::Data;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of the data on the machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataWay {
    /// There is none that must survive.
    None,
    /// It stays where it is (in place only).
    Stays,
    /// These paths are exported before and imported after.
    Carry(Vec<String>),
    /// Its volume is detached and attached again.
    Volume,
    /// The host comes back empty and its cluster replicates.
    Rejoin,
    /// The first new host receives the data once and becomes the authority.
    Transfer,
}

impl DataWay {
    /// The same without the paths.
    pub fn kind(&self) -> Data {
        match self {
            Self::None => Data::None,
            Self::Stays => Data::Stays,
            Self::Carry(_) => Data::Carry,
            Self::Volume => Data::Volume,
            Self::Rejoin => Data::Rejoin,
            Self::Transfer => Data::Transfer,
        }
    }

    /// As it is written, without the paths.
    pub fn word(&self) -> &'static str {
        self.kind().word()
    }

    /// As people read it, paths included.
    pub fn shown(&self) -> String {
        match self {
            Self::Carry(paths) => format!("carry {}", paths.join(" ")),
            other => other.word().to_owned(),
        }
    }
}

/// How many hosts of a group change at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// One after the other.
    OneByOne,
    /// Several at once, in growing batches.
    Batches,
}

impl Pace {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::OneByOne => "one-by-one",
            Self::Batches => "batches",
        }
    }
}

/// A host's place in the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Hosts of a lower rank are over before one of a higher rank begins; the first is 1.
    pub rank: u32,
    /// Hosts that share a pace: a cluster, else a role.
    pub group: String,
    /// How many of the group change at once.
    pub pace: Pace,
    /// Hosts that must be over before.
    pub after: BTreeSet<HostName>,
}

/// Why something is proposed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reason {
    /// The rule that says so, like `database`.
    pub rule: String,
    /// The reason with its evidence, as a sentence.
    pub says: String,
}

/// What is proposed for one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// How it changes; `None` when the facts do not let anybody say.
    pub change: Option<Change>,
    /// What becomes of its data; `None` together with the change.
    pub data: Option<DataWay>,
    /// When.
    pub turn: Turn,
    /// Bytes of data that were found, as far as they were measured.
    pub data_bytes: Option<u64>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What is not known and would have to be known for saying more.
    pub not_known: Vec<String>,
    /// The release that the host has, like `debian 12`.
    pub release: Option<String>,
    /// When its facts were gathered; `None` without facts.
    pub facts_of: Option<Timestamp>,
}

/// What people decided about a host. What is left out follows the proposal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// How it changes.
    pub change: Option<Change>,
    /// What becomes of its data.
    pub data: Option<DataWay>,
    /// Its rank.
    pub rank: Option<u32>,
    /// Its group.
    pub group: Option<String>,
    /// The group's pace.
    pub pace: Option<Pace>,
    /// Hosts that must be over before, beside the proposed ones.
    pub after: BTreeSet<HostName>,
    /// It waits until a day.
    pub postponed: Option<Postponed>,
    /// What a person says of its state, whatever runs tell.
    pub state: Option<State>,
    /// Anything else.
    pub note: Option<String>,
}

/// A host that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postponed {
    /// The last day that it waits.
    pub until: Date,
    /// Who decided.
    pub by: Person,
    /// Why.
    pub reason: String,
}

/// How far a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing happened yet.
    NotStarted,
    /// A run has begun with it and is not through.
    UnderWay,
    /// It is on the new release.
    Done,
    /// It waits until a day.
    Postponed,
    /// It is on the new release, and something is left to clear away.
    Leftovers,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NotStarted,
        Self::UnderWay,
        Self::Done,
        Self::Postponed,
        Self::Leftovers,
    ];

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotStarted => "not-started",
            Self::UnderWay => "under-way",
            Self::Done => "done",
            Self::Postponed => "postponed",
            Self::Leftovers => "leftovers",
        }
    }
}

/// How far a host is, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The state.
    pub state: State,
    /// The last run that took the host, if one is known.
    pub run: Option<RunId>,
    /// What that run has left behind.
    pub leftovers: Vec<String>,
    /// The day on which the inventory was first seen without it.
    pub vanished: Option<Date>,
}

/// One host of the tracker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackedHost {
    /// Its roles when it was last seen.
    pub roles: BTreeSet<RoleName>,
    /// Its zone when it was last seen.
    pub zone: Option<ZoneName>,
    /// Proposed from facts.
    pub proposed: Option<Proposal>,
    /// Decided by people.
    pub decided: Decided,
    /// How far it is.
    pub progress: Option<Progress>,
}

impl TrackedHost {
    /// The change that counts: the decided one, else the proposed one.
    pub fn change(&self) -> Option<Change> {
        let proposed = || self.proposed.as_ref().and_then(|p| p.change);
        self.decided.change.or_else(proposed)
    }

    /// The treatment of data that counts.
    pub fn data(&self) -> Option<&DataWay> {
        let proposed = || self.proposed.as_ref().and_then(|p| p.data.as_ref());
        self.decided.data.as_ref().or_else(proposed)
    }

    /// The state that counts on a day: what a person says, a postponement that is not over, else what runs tell.
    pub fn state(&self, today: Date) -> State {
        let told = self.progress.as_ref().map(|p| p.state);
        if let Some(said) = self.decided.state {
            return said;
        }
        let over = matches!(told, Some(State::Done | State::Leftovers | State::UnderWay));
        match &self.decided.postponed {
            Some(postponed) if postponed.until >= today && !over => State::Postponed,
            _ => match told {
                // It was postponed, and its day is over.
                Some(State::Postponed) | None => State::NotStarted,
                Some(told) => told,
            },
        }
    }
}

/// A fleet's tracker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracker {
    /// The fleet's name.
    pub fleet: String,
    /// Hosts by name, vanished ones included.
    pub hosts: BTreeMap<HostName, TrackedHost>,
}
