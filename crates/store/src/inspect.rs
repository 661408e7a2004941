//! What a look at a run's folder finds, without changing anything in it.

use crate::run::{FACTS, JOURNAL, PLAN, RunDir, StoreError};
use crate::{database, journal, sums, witness};
use overhaul_engine::ports::JournalError;
use overhaul_model::event::{JOURNAL_FORMAT, Record};
use overhaul_model::id::RunId;
use overhaul_model::plan::Plan;
use rusqlite::Connection;
use serde::Serialize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Complaints of SQLite about one file that are told.
const COMPLAINTS_MAX: u32 = 5;

/// Files that are looked at for their permissions: more than any run has but for its copies' chunks.
const FILES_MAX: usize = 100_000;

/// Permission bits that no file of a run may have: it is its owner's alone.
const OTHERS: u32 = 0o077;

/// How a file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileIs {
    /// As it was written.
    Whole,
    /// Readable; nothing beside it says whether it is as it was written. So are files of earlier versions.
    Unverified,
    /// Not as it was written, or not to be read.
    Damaged {
        /// What was found.
        why: String,
    },
}

/// How a journal is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct JournalIs {
    /// Its format, if that can be read.
    pub format: Option<u32>,
    /// The format that this program writes.
    pub known_format: u32,
    /// Rows from the first on that are certainly as they were written.
    pub rows: u64,
    /// When the last of them was written.
    pub last: Option<jiff::Timestamp>,
    /// The last row that there certainly was.
    pub known_rows: u64,
    /// Why there are no more whole rows than that; `None` when all are whole.
    pub broken: Option<String>,
    /// What SQLite complains of in the file.
    pub complaints: Vec<String>,
    /// Requests that wait.
    pub requests: Option<usize>,
}

impl JournalIs {
    /// Whether all of it is as it was written.
    pub fn is_whole(&self) -> bool {
        self.broken.is_none() && self.complaints.is_empty()
    }
}

/// What was found in a run's folder.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Inspection {
    /// The run.
    pub run: RunId,
    /// Its folder.
    pub folder: PathBuf,
    /// The process that has it now: its id, or `unknown`.
    pub held_by: Option<String>,
    /// The plan's file.
    pub plan: FileIs,
    /// The file of facts.
    pub facts: FileIs,
    /// The journal.
    pub journal: JournalIs,
    /// Files and folders that others than their owner could read or write.
    pub open_to_others: Vec<PathBuf>,
    /// The plan, if it can be read.
    #[serde(skip)]
    pub the_plan: Option<Plan>,
    /// The whole rows.
    #[serde(skip)]
    pub records: Vec<Record>,
    /// Their texts, byte for byte.
    #[serde(skip)]
    pub(crate) texts: Vec<String>,
}

impl Inspection {
    /// Whether everything that can be verified is as it was written.
    pub fn is_whole(&self) -> bool {
        let damaged = |file: &FileIs| matches!(file, FileIs::Damaged { .. });
        self.journal.is_whole() && !damaged(&self.plan) && !damaged(&self.facts)
    }
}

impl RunDir {
    /// Looks at everything in the folder. A journal that no controller has is looked at in a copy, so that
    /// nothing is folded or made in its place.
    ///
    /// # Errors
    /// When no copy of the journal can be made.
    pub fn inspect(&self) -> Result<Inspection, StoreError> {
        let held_by = self.holder();
        let path = self.path().join(JOURNAL);
        let (journal, rows) = match held_by {
            Some(_) => look(&path),
            None => self.with_copy(look)?,
        };
        let (texts, records): (Vec<String>, Vec<Record>) = rows.into_iter().unzip();
        let (plan, the_plan) = self.look_at_plan();
        Ok(Inspection {
            run: self.id().clone(),
            folder: self.path().to_owned(),
            held_by,
            plan,
            facts: match self.facts() {
                Ok(_) => self.verified(FACTS),
                Err(error) => damaged(&error),
            },
            journal,
            open_to_others: open_to_others(self.path()),
            the_plan,
            records,
            texts,
        })
    }

    fn look_at_plan(&self) -> (FileIs, Option<Plan>) {
        match self.plan() {
            Ok(plan) => (self.verified(PLAN), Some(plan)),
            Err(error) => (damaged(&error), None),
        }
    }

    fn verified(&self, name: &str) -> FileIs {
        match sums::of_folder(self.path()) {
            Ok(Some(sums)) if sums.names(name) => FileIs::Whole,
            _ => FileIs::Unverified,
        }
    }
}

fn damaged(error: &dyn std::fmt::Display) -> FileIs {
    FileIs::Damaged {
        why: error.to_string(),
    }
}

/// Looks at a journal's file; what it holds that is whole comes with it.
fn look(path: &Path) -> (JournalIs, Vec<(String, Record)>) {
    let seen = witness::seen(path);
    let known = seen.as_ref().map_or(0, |seen| seen.seq);
    let mut is = JournalIs {
        format: None,
        known_format: JOURNAL_FORMAT,
        rows: 0,
        last: None,
        known_rows: known,
        broken: None,
        complaints: Vec::new(),
        requests: None,
    };
    let connection = match database::look(path) {
        Ok(connection) => connection,
        Err(error) => {
            is.broken = Some(error.to_string());
            return (is, Vec::new());
        }
    };
    is.format = number(&connection, "SELECT version FROM format")
        .and_then(|format| u32::try_from(format).ok());
    is.complaints = complaints(&connection);
    for count in ["SELECT seq FROM head", "SELECT max(seq) FROM journal"] {
        is.known_rows = is.known_rows.max(number(&connection, count).unwrap_or(0));
    }
    is.requests = number(&connection, "SELECT count(*) FROM inbox WHERE settled = 0")
        .and_then(|count| usize::try_from(count).ok());
    // Rows of another format mean what is not known here.
    if let Err(error @ JournalError::Newer { .. }) = database::check(&connection) {
        is.broken = Some(error.to_string());
        return (is, Vec::new());
    }
    let prefix = journal::prefix(&connection, seen.as_ref());
    is.rows = prefix.rows.last().map_or(0, |(_, record)| record.seq);
    is.last = prefix.rows.last().map(|(_, record)| record.at);
    is.known_rows = is.known_rows.max(is.rows);
    let tables = database::check(&connection).err();
    is.broken = prefix.broken.or(tables).map(|error| error.to_string());
    (is, prefix.rows)
}

fn number(connection: &Connection, query: &str) -> Option<u64> {
    let found: Option<i64> = connection.query_row(query, [], |row| row.get(0)).ok()?;
    u64::try_from(found?).ok()
}

fn complaints(connection: &Connection) -> Vec<String> {
    let asked = connection
        .prepare(&format!("PRAGMA integrity_check({COMPLAINTS_MAX})"))
        .and_then(|mut statement| {
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            rows.collect::<rusqlite::Result<Vec<String>>>()
        });
    match asked {
        Ok(lines) => lines.into_iter().filter(|line| line != "ok").collect(),
        Err(error) => vec![error.to_string()],
    }
}

/// What others could read or write, below a folder and itself.
fn open_to_others(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut looked = 0_usize;
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        looked = looked.saturating_add(1);
        let Ok(meta) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        if meta.is_symlink() || looked > FILES_MAX {
            continue;
        }
        if meta.mode() & OTHERS != 0 {
            out.push(path.clone());
        }
        if meta.is_dir()
            && let Ok(entries) = std::fs::read_dir(&path)
        {
            waiting.extend(entries.flatten().map(|entry| entry.path()));
        }
    }
    out.sort();
    out
}
