//! The journal: rows that carry the digest of the row before them, and a head that tells the last one.

use crate::worker::{Worker, storage};
use jiff::Timestamp;
use overhaul_engine::ports::{Journal, JournalError};
use overhaul_model::event::{Event, Record};
use overhaul_model::id::Digest;
use rusqlite::{Connection, TransactionBehavior};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};

/// A row as it is stored.
struct Row {
    seq: u64,
    text: String,
    digest: Digest,
}

/// The journal of a run.
pub struct SqliteJournal {
    worker: Worker,
    /// Number and digest of the last durable row.
    head: (u64, Digest),
    /// Rows that are not durable yet.
    written: Vec<Row>,
}

impl SqliteJournal {
    pub(crate) fn new(worker: Worker, head: (u64, Digest)) -> Self {
        Self {
            worker,
            head,
            written: Vec::new(),
        }
    }
}

impl Journal for SqliteJournal {
    fn write(&mut self, at: Timestamp, event: Event) -> Result<Record, JournalError> {
        let (seq, before) = match self.written.last() {
            Some(row) => (row.seq, row.digest.clone()),
            None => self.head.clone(),
        };
        let record = Record {
            seq: seq.saturating_add(1),
            at,
            before,
            event,
        };
        let text = serde_json::to_string(&record).map_err(|error| storage("written", &error))?;
        self.written.push(Row {
            seq: record.seq,
            digest: Digest::of(&text),
            text,
        });
        Ok(record)
    }

    async fn commit(&mut self) -> Result<(), JournalError> {
        let Some(last) = self.written.last() else {
            return Ok(());
        };
        let (before, after) = (self.head.0, (last.seq, last.digest.clone()));
        let rows = std::mem::take(&mut self.written);
        self.worker
            .call(move |connection| insert(connection, before, &rows))
            .await?;
        self.head = after;
        Ok(())
    }

    async fn replay(&mut self) -> Result<Vec<Record>, JournalError> {
        self.written.clear();
        let (head, records) = self
            .worker
            .call(|connection| Ok((head(connection)?, replay(connection)?)))
            .await?;
        self.head = head;
        Ok(records)
    }
}

/// All rows in one transaction, behind the row that they were made to follow.
fn insert(connection: &mut Connection, before: u64, rows: &[Row]) -> Result<(), JournalError> {
    let written = |error| storage("written", &error);
    let Some(last) = rows.last() else {
        return Ok(());
    };
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(written)?;
    let moved = transaction
        .prepare_cached("UPDATE head SET seq = ?1, digest = ?2 WHERE seq = ?3")
        .and_then(|mut head| head.execute((sql(last.seq), last.digest.as_str(), sql(before))))
        .map_err(written)?;
    if moved != 1 {
        return Err(JournalError::Chain {
            seq: before,
            why: "somebody else has written behind this row".to_owned(),
        });
    }
    let mut insert = transaction
        .prepare_cached("INSERT INTO journal (seq, record) VALUES (?1, ?2)")
        .map_err(written)?;
    for row in rows {
        insert.execute((sql(row.seq), &row.text)).map_err(written)?;
    }
    drop(insert);
    transaction.commit().map_err(written)
}

/// All rows; gaps, changed rows and a cut-off tail are found.
pub(crate) fn replay(connection: &Connection) -> Result<Vec<Record>, JournalError> {
    let read = |error| storage("read", &error);
    // One transaction: a reader beside the controller must see rows and head of one moment.
    let connection = &connection.unchecked_transaction().map_err(read)?;
    let mut statement = connection
        .prepare("SELECT seq, record FROM journal ORDER BY seq")
        .map_err(read)?;
    let rows = statement
        .query_map([], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })
        .map_err(read)?;
    let parsed = parsed_in_parts(rows).map_err(read)?;
    let mut records = Vec::with_capacity(parsed.len());
    let (mut last, mut before) = (0_u64, Record::genesis());
    for Parsed {
        seq: found,
        record,
        digest,
    } in parsed
    {
        let seq = last.saturating_add(1);
        let broken = |why: String| JournalError::Chain { seq, why };
        if u64::try_from(found) != Ok(seq) {
            return Err(broken(format!(
                "row {found} stands where row {seq} should; rows are missing"
            )));
        }
        let record = record.map_err(|error| broken(format!("the row cannot be read: {error}")))?;
        if record.seq != seq || record.before != before {
            return Err(broken(
                "it does not carry the digest of the row before it; one of the two was changed"
                    .to_owned(),
            ));
        }
        before = digest;
        last = seq;
        records.push(record);
    }
    let (seq, digest) = head(connection)?;
    if seq != last || digest != before {
        let why = format!(
            "the journal's head names row {seq} with another digest than the last row, {last}"
        );
        return Err(JournalError::Chain { seq: last, why });
    }
    Ok(records)
}

/// Rows that are parsed at a time: enough that handing them over costs nothing beside it.
const ROWS_AT_ONCE: usize = 1_000;

/// A row as it stands alone.
struct Parsed {
    seq: i64,
    record: Result<Record, serde_json::Error>,
    digest: Digest,
}

impl Parsed {
    fn of((seq, text): (i64, String)) -> Self {
        Self {
            seq,
            record: serde_json::from_str(&text),
            digest: Digest::of(&text),
        }
    }
}

/// Reads rows while other threads parse and digest those that were read before.
fn parsed_in_parts(
    rows: impl Iterator<Item = rusqlite::Result<(i64, String)>>,
) -> rusqlite::Result<Vec<Parsed>> {
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let (parts, queue) = sync_channel::<(usize, Vec<(i64, String)>)>(workers.saturating_mul(2));
    let queue = Mutex::new(queue);
    let work = || {
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let mut done = Vec::new();
        while let Ok((number, rows)) = next() {
            done.push((number, rows.into_iter().map(Parsed::of).collect::<Vec<_>>()));
        }
        done
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut rows = rows.peekable();
        let mut number = 0_usize;
        while rows.peek().is_some() {
            let part: rusqlite::Result<Vec<_>> = rows.by_ref().take(ROWS_AT_ONCE).collect();
            // Workers stay until the last part was handed over.
            let _ = parts.send((number, part?));
            number = number.saturating_add(1);
        }
        drop(parts);
        let mut done = BTreeMap::new();
        for worker in workers {
            // A worker has nothing that could panic; rows that it had would be missing, which is found.
            done.extend(worker.join().unwrap_or_default());
        }
        Ok(done.into_values().flatten().collect())
    })
}

pub(crate) fn head(connection: &Connection) -> Result<(u64, Digest), JournalError> {
    let (seq, digest): (i64, String) = connection
        .query_row("SELECT seq, digest FROM head", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(|error| storage("read", &error))?;
    let broken = |why: &str| JournalError::Chain {
        seq: 0,
        why: why.to_owned(),
    };
    let seq = u64::try_from(seq).map_err(|_| broken("the head's number is negative"))?;
    let digest = Digest::parse(&digest).map_err(|_| broken("the head's digest is none"))?;
    Ok((seq, digest))
}

/// SQLite counts with a sign; no journal comes near the end of that.
fn sql(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
