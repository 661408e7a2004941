//! Facts of a fleet that were gathered before, kept in the state folder with their time.
//!
//! One file for each fleet, `facts/FLEET.jsonl`, that only its owner may read: a line with the format, then
//! one for each host. It is replaced whole; what it holds is a convenience, never a basis to act on.

use crate::failure::{Failure, file};
use crate::inputs::write_text;
use jiff::Timestamp;
use overhaul_model::facts::{FactsWanted, HostFacts};
use overhaul_model::id::HostName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The version of the file.
const CACHE_FORMAT: u32 = 1;

/// Largest file: 100,000 hosts with 20 KB each.
const CACHE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// What is known of one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The facts of the last time that it gave some.
    pub facts: Option<HostFacts>,
    /// What was asked for then.
    pub wanted: FactsWanted,
    /// Why it gave none when it was last asked, if so.
    pub trouble: Option<Trouble>,
}

/// Why a host gave no facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// When it was asked.
    pub at: Timestamp,
    /// The reason.
    pub why: String,
}

impl Entry {
    /// Whether these facts are as young as that, and hold what is wanted now.
    pub fn serves(&self, wanted: &FactsWanted, not_before: Timestamp) -> bool {
        self.trouble.is_none()
            && covers(&self.wanted, wanted)
            && (self.facts.as_ref()).is_some_and(|facts| facts.gathered_at >= not_before)
    }
}

/// Whether what was asked for once holds all that is wanted now.
fn covers(had: &FactsWanted, wanted: &FactsWanted) -> bool {
    let fields = |asked: &FactsWanted| serde_json::to_value(asked).unwrap_or_default();
    let (had, wanted) = (fields(had), fields(wanted));
    let Some(wanted) = wanted.as_object() else {
        return false;
    };
    wanted.iter().all(|(name, value)| {
        let nothing = match value {
            serde_json::Value::Array(kinds) => kinds.is_empty(),
            serde_json::Value::Bool(asked) => !asked,
            other => other.is_null(),
        };
        nothing || had.get(name) == Some(value)
    })
}

#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    fleet: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    host: HostName,
    #[serde(flatten)]
    entry: Entry,
}

/// The kept facts of one fleet.
#[derive(Debug)]
pub struct FactsCache {
    path: PathBuf,
    fleet: String,
    /// By host.
    pub entries: BTreeMap<HostName, Entry>,
    /// What is wrong with the file, if anything: what could be read of it counts.
    pub damage: Option<String>,
}

impl FactsCache {
    /// Reads what is kept of a fleet; nothing when there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read or a newer program wrote it.
    pub fn read(state: &Path, fleet: &str) -> Result<Self, Failure> {
        let path = state.join("facts").join(file_name(fleet));
        let mut cache = Self {
            path,
            fleet: fleet.to_owned(),
            entries: BTreeMap::new(),
            damage: None,
        };
        match std::fs::File::open(&cache.path) {
            Ok(opened) => cache.take(opened)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(file(&cache.path, "read", &error)),
        }
        Ok(cache)
    }

    fn take(&mut self, opened: std::fs::File) -> Result<(), Failure> {
        let mut lines = BufReader::new(opened.take(CACHE_BYTES_MAX)).lines();
        let Some(head) = lines.next() else {
            return Ok(());
        };
        let head = head.map_err(|error| file(&self.path, "read", &error))?;
        match serde_json::from_str::<Head>(&head) {
            Ok(Head { format, .. }) if format > CACHE_FORMAT => {
                return Err(Failure::input(format!(
                    "{}: kept facts of format {format}; this program knows formats up to {CACHE_FORMAT}",
                    self.path.display()
                ))
                .hint("use the newer overhaul that wrote them, or remove the file: it is only a convenience"));
            }
            Ok(_) => {}
            Err(error) => {
                self.damage = Some(format!("{}: {error}", self.path.display()));
                return Ok(());
            }
        }
        for (at, line) in lines.enumerate() {
            let line = line.map_err(|error| file(&self.path, "read", &error))?;
            match serde_json::from_str::<Line>(&line) {
                Ok(Line { host, entry }) => {
                    self.entries.insert(host, entry);
                }
                Err(error) => {
                    let number = at.saturating_add(2);
                    self.damage = Some(format!("{}:{number}: {error}", self.path.display()));
                }
            }
        }
        Ok(())
    }

    /// Keeps a host's answer: facts take the place of older ones, trouble stands beside them.
    pub fn note(
        &mut self,
        host: &HostName,
        wanted: &FactsWanted,
        answer: Result<HostFacts, Trouble>,
    ) {
        let entry = self.entries.entry(host.clone()).or_insert_with(|| Entry {
            facts: None,
            wanted: wanted.clone(),
            trouble: None,
        });
        match answer {
            Ok(facts) => {
                *entry = Entry {
                    facts: Some(facts),
                    wanted: wanted.clone(),
                    trouble: None,
                }
            }
            Err(trouble) => entry.trouble = Some(trouble),
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self) -> Result<(), Failure> {
        if let Some(folder) = self.path.parent() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|error| file(folder, "made", &error))?;
        }
        let head = Head {
            format: CACHE_FORMAT,
            fleet: self.fleet.clone(),
        };
        let mut text = serde_json::to_string(&head).map_err(Failure::internal)?;
        text.push('\n');
        for (host, entry) in &self.entries {
            let line = Line {
                host: host.clone(),
                entry: entry.clone(),
            };
            text.push_str(&serde_json::to_string(&line).map_err(Failure::internal)?);
            text.push('\n');
        }
        write_text(&self.path, &text)
    }
}

/// A fleet's name as the name of a file: what could lead elsewhere is written as its bytes.
fn file_name(fleet: &str) -> String {
    format!("{}.jsonl", file_stem(fleet))
}

/// A fleet's name as a part of a file's name: no two fleets give the same.
pub fn file_stem(fleet: &str) -> String {
    let mut out = String::new();
    for byte in fleet.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_is_kept_is_read_again_by_its_owner_alone() {
        let state = tempfile::tempdir().unwrap();
        let wanted = FactsWanted::default();
        let mut cache = FactsCache::read(state.path(), "../shop").unwrap();
        assert!(cache.entries.is_empty());
        let (good, bad) = (HostName::new("web1"), HostName::new("web2"));
        cache.note(&good, &wanted, Ok(HostFacts::unknown(at(1_000), "a test")));
        for host in [&good, &bad] {
            let why = "no route to host".to_owned();
            cache.note(host, &wanted, Err(Trouble { at: at(2_000), why }));
        }
        cache.write().unwrap();
        let path = state.path().join("facts/%2e%2e%2fshop.jsonl");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));

        let again = FactsCache::read(state.path(), "../shop").unwrap();
        assert_eq!(again.entries, cache.entries);
        let entry = &again.entries[&good];
        assert!(entry.facts.is_some() && entry.trouble.is_some());
        assert!(again.entries[&bad].facts.is_none());

        std::fs::write(&path, "{\"format\":1,\"fleet\":\"x\"}\n{torn\n").unwrap();
        let torn = FactsCache::read(state.path(), "../shop").unwrap();
        assert!(torn.damage.unwrap().contains(".jsonl:2: "));
        std::fs::write(&path, "{\"format\":99,\"fleet\":\"x\"}\n").unwrap();
        let newer = FactsCache::read(state.path(), "../shop").unwrap_err();
        assert!(newer.message.contains("format 99"), "{newer}");
    }

    #[test]
    fn kept_facts_serve_when_they_are_young_and_hold_what_is_wanted() {
        let wants = |upgrade, next: Option<&str>| FactsWanted {
            upgrade,
            next_release: next.map(str::to_owned),
            ..FactsWanted::default()
        };
        let entry = |wanted, trouble: Option<&str>| Entry {
            facts: Some(HostFacts::unknown(at(1_000), "a test")),
            wanted,
            trouble: trouble.map(|why| Trouble {
                at: at(2_000),
                why: why.to_owned(),
            }),
        };
        for (had, trouble, wanted, not_before, serves) in [
            (wants(true, None), None, wants(true, None), 1_000, true),
            (wants(true, None), None, wants(true, None), 1_001, false),
            (wants(true, None), None, wants(false, None), 1_000, true),
            (wants(false, None), None, wants(true, None), 1_000, false),
            (
                wants(true, Some("trixie")),
                None,
                wants(true, Some("forky")),
                1_000,
                false,
            ),
            (
                wants(true, None),
                Some("away"),
                wants(true, None),
                1_000,
                false,
            ),
        ] {
            let entry = entry(had, trouble);
            assert_eq!(
                entry.serves(&wanted, at(not_before)),
                serves,
                "{entry:?} {wanted:?}"
            );
        }
    }
}
