//! The witness: number and digest of the last durable row, in a file beside the journal's.
//!
//! SQLite drops a write-ahead log whose checksums do not fit, from the first such frame on, and takes an empty
//! file for an empty database. What is left is then a whole journal of an earlier moment, whose chain holds.
//! The witness still knows of the later rows.

use overhaul_engine::ports::JournalError;
use overhaul_model::id::Digest;
use rusqlite::{Connection, OptionalExtension};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use crate::database::failed;

/// The file's name.
pub(crate) const NAME: &str = "journal.head";

/// Digits of the row's number: all that 64 bits can need, so that every writing fills the same bytes.
const SEQ_DIGITS: usize = 20;

/// Writes down what became durable.
#[derive(Clone, Debug)]
pub(crate) struct Witness(Arc<File>);

/// What a witness has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub seq: u64,
    pub digest: Digest,
}

impl Witness {
    /// The witness beside a journal, made when there is none.
    pub fn beside(journal: &Path) -> Result<Self, JournalError> {
        let path = journal.with_file_name(NAME);
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map(|file| Self(Arc::new(file)))
            .map_err(|error| crate::worker::storage("opened", &error))
    }

    /// Notes a row that is durable. It is not synced: a witness that is behind is no harm, and one that
    /// cannot be written makes no durable row less durable.
    pub fn saw(&self, seq: u64, digest: &Digest) {
        let _ = self.0.write_all_at(line(seq, digest).as_bytes(), 0);
    }
}

/// What the witness beside a journal has seen; `None` when there is none or nothing that was written whole.
pub(crate) fn seen(journal: &Path) -> Option<Seen> {
    let text = std::fs::read_to_string(journal.with_file_name(NAME)).ok()?;
    let mut words = text.split_ascii_whitespace();
    let seq = words.next()?.parse().ok()?;
    let digest = Digest::parse(words.next()?).ok()?;
    // Its last word vouches for the others: a torn line is none.
    (line(seq, &digest) == text).then_some(Seen { seq, digest })
}

/// No row that the witness has seen is lacking.
///
/// # Errors
/// When one is, or is another one.
pub(crate) fn hear(seen: Option<Seen>, connection: &Connection) -> Result<(), JournalError> {
    let Some(Seen { seq, digest }) = seen.filter(|seen| seen.seq > 0) else {
        return Ok(());
    };
    let row = i64::try_from(seq).unwrap_or(i64::MAX);
    let found: Option<String> = connection
        .query_row("SELECT record FROM journal WHERE seq = ?1", [row], |row| {
            row.get(0)
        })
        .optional()
        .map_err(|error| failed("read", &error))?;
    let why = match found {
        Some(text) if Digest::of(&text) == digest => return Ok(()),
        Some(_) => format!("{NAME} knows another row of this number"),
        None => {
            format!("{NAME} knows of this row and the journal ends before it: rows were lost")
        }
    };
    Err(JournalError::Chain { seq, why })
}

fn line(seq: u64, digest: &Digest) -> String {
    let words = format!("{seq:0SEQ_DIGITS$} {}", digest.as_str());
    let own = Digest::of(&words);
    format!("{words} {}\n", own.short())
}
