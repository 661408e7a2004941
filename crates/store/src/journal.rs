//! The journal: rows that carry the digest of the row before them, and a head that tells the last one.

use crate::worker::{Worker, storage};
use jiff::Timestamp;
use overhaul_engine::ports::{Journal, JournalError};
use overhaul_model::event::{Event, Record};
use overhaul_model::id::Digest;
use rusqlite::{Connection, TransactionBehavior};

/// The journal of a run.
pub struct SqliteJournal {
    worker: Worker,
}

impl SqliteJournal {
    pub(crate) fn new(worker: Worker) -> Self {
        Self { worker }
    }
}

impl Journal for SqliteJournal {
    async fn append(&mut self, at: Timestamp, event: Event) -> Result<Record, JournalError> {
        self.worker
            .call(move |connection| append(connection, at, event))
            .await
    }

    async fn replay(&mut self) -> Result<Vec<Record>, JournalError> {
        self.worker.call(|connection| replay(connection)).await
    }
}

fn append(
    connection: &mut Connection,
    at: Timestamp,
    event: Event,
) -> Result<Record, JournalError> {
    let written = |error| storage("written", &error);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(written)?;
    let (seq, digest) = head(&transaction)?;
    let seq = seq.saturating_add(1);
    let record = Record {
        seq,
        at,
        before: digest,
        event,
    };
    let text = serde_json::to_string(&record).map_err(|error| storage("written", &error))?;
    transaction
        .execute(
            "INSERT INTO journal (seq, record) VALUES (?1, ?2)",
            (to_sql(seq)?, &text),
        )
        .map_err(written)?;
    transaction
        .execute(
            "UPDATE head SET seq = ?1, digest = ?2",
            (to_sql(seq)?, Digest::of(&text).as_str()),
        )
        .map_err(written)?;
    transaction.commit().map_err(written)?;
    Ok(record)
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
    let mut records = Vec::new();
    let (mut last, mut before) = (0_u64, Record::genesis());
    for row in rows {
        let (found, text) = row.map_err(read)?;
        let seq = last.saturating_add(1);
        let broken = |why: String| JournalError::Chain { seq, why };
        if u64::try_from(found) != Ok(seq) {
            return Err(broken(format!(
                "row {found} stands where row {seq} should; rows are missing"
            )));
        }
        let record: Record = serde_json::from_str(&text)
            .map_err(|error| broken(format!("the row cannot be read: {error}")))?;
        if record.seq != seq || record.before != before {
            return Err(broken(
                "it does not carry the digest of the row before it; one of the two was changed"
                    .to_owned(),
            ));
        }
        before = Digest::of(&text);
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

fn head(connection: &Connection) -> Result<(u64, Digest), JournalError> {
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

fn to_sql(seq: u64) -> Result<i64, JournalError> {
    i64::try_from(seq).map_err(|error| storage("written", &error))
}
