//! What a definition may say although no program of this version carries it out.
//!
//! Such a step is planned and checked with its effects like any other, so that a definition can be written,
//! read and judged whole; the checker refuses to let it run (rule `not-available`), and so does the engine.
//! [`WORDS`] is all of it; ROADMAP.md lists the same lines.

use crate::action::{OnceScope, Repeat};
use crate::effects::Effect;
use serde::{Deserialize, Serialize};

/// Something that is declared and not carried out yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Later {
    /// `dns: {set: ...}`.
    DnsSet,
    /// `certificate: {copy: ...}`.
    CertificateCopy,
    /// `certificate: {verify: ...}`.
    CertificateVerify,
    /// `sessions: {end: ...}`.
    SessionsEnd,
    /// `migrations: {online: ...}`.
    MigrationsOnline,
    /// `mark: {set: ...}`.
    MarkSet,
    /// `mark: {clear: ...}`.
    MarkClear,
    /// `data: rejoin`.
    DataRejoin,
    /// `data: transfer`.
    DataTransfer,
    /// A release upgrader whose description says that it was never run.
    Upgrader,
}

/// A thing that is declared, with what the checker and people are told about it.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// Which one.
    pub later: Later,
    /// The key that people write.
    pub key: &'static str,
    /// The word below the key, or its value.
    pub verb: &'static str,
    /// What it will do.
    pub says: &'static str,
    /// Its line of ROADMAP.md.
    pub roadmap: &'static str,
    /// Whether services of the host stay as they are, when the step does not say what it touches.
    pub calm: bool,
}

const CLUSTERS: &str = "clusters and authority (5)";
const UPGRADERS: &str = "further release upgraders (6)";
const NAMES: &str = "names, certificates and marks (6)";

/// Everything that is declared and not carried out.
pub static WORDS: [Word; 10] = [
    word(
        Later::DnsSet,
        "dns",
        "set",
        "records get their new values",
        NAMES,
        true,
    ),
    word(
        Later::CertificateCopy,
        "certificate",
        "copy",
        "certificate and key are copied from the old machine to the new one",
        NAMES,
        true,
    ),
    word(
        Later::CertificateVerify,
        "certificate",
        "verify",
        "the certificate is for this name, trusted, and readable by who needs it",
        NAMES,
        true,
    ),
    word(
        Later::SessionsEnd,
        "sessions",
        "end",
        "whoever is logged in or at work is waited for, then ended",
        NAMES,
        false,
    ),
    word(
        Later::MigrationsOnline,
        "migrations",
        "online",
        "data is migrated while the service runs, until nothing is left to migrate",
        CLUSTERS,
        true,
    ),
    word(
        Later::MarkSet,
        "mark",
        "set",
        "a mark is set that other steps and programs read",
        NAMES,
        true,
    ),
    word(
        Later::MarkClear,
        "mark",
        "clear",
        "the mark is taken away",
        NAMES,
        true,
    ),
    word(
        Later::DataRejoin,
        "data",
        "rejoin",
        "the host comes back empty and the cluster gives it its data",
        CLUSTERS,
        false,
    ),
    word(
        Later::DataTransfer,
        "data",
        "transfer",
        "the first host receives the data once, the others rejoin",
        CLUSTERS,
        false,
    ),
    word(
        Later::Upgrader,
        "upgrader",
        "",
        "a release upgrader that was never run",
        UPGRADERS,
        false,
    ),
];

const fn word(
    later: Later,
    key: &'static str,
    verb: &'static str,
    says: &'static str,
    roadmap: &'static str,
    calm: bool,
) -> Word {
    Word {
        later,
        key,
        verb,
        says,
        roadmap,
        calm,
    }
}

impl Later {
    /// What is known of it.
    pub fn word(self) -> &'static Word {
        // Each has its word, as a test says; the first one could only stand for a missing line.
        let [first, ..] = &WORDS;
        let found = WORDS.iter().find(|word| word.later == self);
        found.unwrap_or(first)
    }

    /// The thing that stands under this key with this word.
    pub fn of(key: &str, verb: &str) -> Option<Self> {
        let mut words = WORDS.iter();
        let found = words.find(|word| word.key == key && word.verb == verb);
        found.map(|word| word.later)
    }

    /// How people write it: `volume: {detach}`, `change: replace`.
    pub fn written(self) -> String {
        let Word { key, verb, .. } = self.word();
        match self {
            Self::DataRejoin | Self::DataTransfer => {
                format!("{key}: {verb}")
            }
            Self::Upgrader => (*key).to_owned(),
            _ => format!("{key}: {{{verb}}}"),
        }
    }

    /// What it does beside disturbing services.
    pub(crate) fn effects(self) -> Vec<Effect> {
        match self {
            Self::DataRejoin => vec![Effect::MembershipChanges],
            Self::DataTransfer => vec![Effect::AuthorityMoves],
            Self::DnsSet
            | Self::CertificateCopy
            | Self::CertificateVerify
            | Self::SessionsEnd
            | Self::MigrationsOnline
            | Self::MarkSet
            | Self::MarkClear
            | Self::Upgrader => Vec::new(),
        }
    }

    /// Whether it may be begun again, when the step does not say: what ends in a state that can be seen may,
    /// what makes or moves something may not.
    pub fn repeat(self) -> Repeat {
        match self {
            Self::DnsSet
            | Self::CertificateCopy
            | Self::CertificateVerify
            | Self::MarkSet
            | Self::MarkClear => Repeat::Safe,
            // Of the first new member alone.
            Self::DataTransfer => Repeat::Once(OnceScope::Role),
            Self::SessionsEnd | Self::MigrationsOnline | Self::DataRejoin | Self::Upgrader => {
                Repeat::Person
            }
        }
    }

    /// What cannot be taken back when it was done, with what is left to do instead.
    pub fn way_back(self) -> Option<&'static str> {
        match self {
            Self::DataTransfer => Some(
                "the receiving host is the authority: what it writes from here is on no old host",
            ),
            Self::MigrationsOnline => Some("the old software cannot read the migrated data"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_thing_has_one_word_and_each_word_leads_to_its_thing() {
        let things: BTreeSet<Later> = WORDS.iter().map(|word| word.later).collect();
        assert_eq!(things.len(), WORDS.len());
        for word in &WORDS {
            assert_eq!(Later::of(word.key, word.verb), Some(word.later));
            assert_eq!(word.later.word().says, word.says);
        }
    }

    #[test]
    fn the_roadmap_lists_exactly_these() {
        let roadmap = include_str!("../../../ROADMAP.md");
        let table = roadmap
            .split("## Declared and not carried out")
            .nth(1)
            .unwrap();
        let rows: Vec<&str> = table
            .lines()
            .filter(|line| line.starts_with("| `"))
            .collect();
        let row = |word: &Word| {
            let Word { says, roadmap, .. } = word;
            format!("| `{}` | {says} | {roadmap} |", word.later.written())
        };
        assert_eq!(rows, WORDS.iter().map(row).collect::<Vec<_>>());
        for word in &WORDS {
            let (name, _) = word.roadmap.split_once(" (").unwrap();
            assert!(roadmap.matches(name).count() > 1, "{name}");
        }
    }
}
