//! The journal: rows that carry the digest of the row before them, and a head that tells the last one.

use crate::database::failed;
use crate::witness::{self, Seen, Witness};
use crate::worker::{Worker, storage};
use jiff::Timestamp;
use overhaul_engine::ports::{Journal, JournalError};
use overhaul_model::event::{Event, Record};
use overhaul_model::id::Digest;
use overhaul_model::planted;
use rusqlite::{Connection, Rows, TransactionBehavior};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::mpsc::{channel, sync_channel};
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
    witness: Witness,
    /// Number and digest of the last durable row.
    head: (u64, Digest),
    /// Rows that are not durable yet.
    written: Vec<Row>,
}

impl SqliteJournal {
    pub(crate) fn new(worker: Worker, witness: Witness, head: (u64, Digest)) -> Self {
        Self {
            worker,
            witness,
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
        if planted::is("acknowledged-before-written") && self.written.len() == 1 {
            return Ok(());
        }
        let (before, after) = (self.head.0, (last.seq, last.digest.clone()));
        let rows = std::mem::take(&mut self.written);
        let witness = self.witness.clone();
        self.worker
            .call(move |connection| {
                insert(connection, before, &rows)?;
                if let Some(last) = rows.last() {
                    witness.saw(last.seq, &last.digest);
                }
                Ok(())
            })
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

/// Puts texts of rows into a journal that is still empty.
pub(crate) fn restore(connection: &mut Connection, texts: &[String]) -> Result<(), JournalError> {
    let rows: Vec<Row> = (1..)
        .zip(texts)
        .map(|(seq, text)| Row {
            seq,
            text: text.clone(),
            digest: Digest::of(text),
        })
        .collect();
    insert(connection, 0, &rows)
}

/// Behind the row that the others were made to follow, and nowhere else.
const MOVE_HEAD: &str = "UPDATE head SET seq = ?1, digest = ?2 WHERE seq = ?3";
const ADD_ROW: &str = "INSERT INTO journal (seq, record) VALUES (?1, ?2)";

/// All rows in one transaction, behind the row that they were made to follow.
fn insert(connection: &mut Connection, before: u64, rows: &[Row]) -> Result<(), JournalError> {
    let written = |error| failed("written", &error);
    let Some(last) = rows.last() else {
        return Ok(());
    };
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(written)?;
    let (head, row) = match planted::is("followed-writer-goes-on") {
        false => (MOVE_HEAD, ADD_ROW),
        true => (
            "UPDATE head SET seq = ?1, digest = ?2 WHERE seq >= ?3",
            "INSERT OR REPLACE INTO journal (seq, record) VALUES (?1, ?2)",
        ),
    };
    let moved = transaction
        .prepare_cached(head)
        .and_then(|mut head| head.execute((sql(last.seq), last.digest.as_str(), sql(before))))
        .map_err(written)?;
    if moved != 1 {
        return Err(JournalError::Chain {
            seq: before,
            why: "somebody else has written behind this row".to_owned(),
        });
    }
    let transaction = if planted::is("head-apart") {
        transaction.commit().map_err(written)?;
        connection.transaction().map_err(written)?
    } else {
        transaction
    };
    let mut insert = transaction.prepare_cached(row).map_err(written)?;
    let first = usize::from(planted::is("row-lost") && rows.len() > 1);
    for row in rows.iter().skip(first) {
        insert.execute((sql(row.seq), &row.text)).map_err(written)?;
    }
    drop(insert);
    transaction.commit().map_err(written)
}

/// All rows; gaps, changed rows and a cut-off tail are found.
pub(crate) fn replay(connection: &Connection) -> Result<Vec<Record>, JournalError> {
    let mut records = Vec::new();
    replay_in_parts(connection, &mut |part| records.extend(part))?;
    Ok(records)
}

/// The same, handed over in their order while later rows are still read. What was handed over counts only when all of
/// it was: a journal that is broken at its end is broken.
pub(crate) fn replay_in_parts(
    connection: &Connection,
    take: &mut dyn FnMut(Vec<Record>),
) -> Result<(), JournalError> {
    let read = |error| failed("read", &error);
    // One transaction: a reader beside the controller must see rows and head of one moment.
    let connection = &connection.unchecked_transaction().map_err(read)?;
    let mut statement = connection
        .prepare("SELECT seq, record FROM journal ORDER BY seq")
        .map_err(read)?;
    let mut rows = statement.query([]).map_err(read)?;
    let mut after = Start::default();
    parsed_in_parts(&mut rows, |part| {
        let linked = part.into_iter().map(|row| after.link(row));
        let records: Result<Vec<Record>, JournalError> = linked.collect();
        take(records?);
        Ok(())
    })?;
    after.is_the_head(connection)
}

/// The row behind which reading goes on.
#[derive(Clone, Debug)]
struct Start {
    seq: u64,
    digest: Digest,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            seq: 0,
            digest: Record::genesis(),
        }
    }
}

impl Start {
    /// The next row, if it follows this one.
    fn link(&mut self, row: Parsed) -> Result<Record, JournalError> {
        let seq = self.seq.saturating_add(1);
        let broken = |why: String| JournalError::Chain { seq, why };
        if u64::try_from(row.seq) != Ok(seq) {
            let found = row.seq;
            return Err(broken(format!(
                "row {found} stands where row {seq} should; rows are missing"
            )));
        }
        let record = row
            .record
            .map_err(|error| broken(format!("the row cannot be read: {error}")))?;
        if record.seq != seq || record.before != self.digest {
            return Err(broken(
                "it does not carry the digest of the row before it; one of the two was changed"
                    .to_owned(),
            ));
        }
        self.seq = seq;
        self.digest = row.digest;
        Ok(record)
    }

    /// There is no row behind this one.
    fn is_the_head(&self, connection: &Connection) -> Result<(), JournalError> {
        let (seq, digest) = head(connection)?;
        if seq == self.seq && digest == self.digest {
            return Ok(());
        }
        let last = self.seq;
        Err(JournalError::Chain {
            seq: last,
            why: format!(
                "the journal's head names row {seq} with another digest than the last row, {last}"
            ),
        })
    }
}

/// Reads rows as they come, beside the controller that writes them.
pub struct Follower {
    connection: Connection,
    after: Start,
}

impl Follower {
    pub(crate) fn new(connection: Connection, last: Option<&Record>) -> Result<Self, JournalError> {
        let after = match last {
            None => Start::default(),
            Some(record) => Start {
                seq: record.seq,
                digest: record.digest().map_err(|error| storage("read", &error))?,
            },
        };
        Ok(Self { connection, after })
    }

    /// Rows that came since the last time; the chain goes on over them.
    ///
    /// # Errors
    /// When they cannot be read or the chain does not hold.
    pub fn news(&mut self) -> Result<Vec<Record>, JournalError> {
        let mut records: Vec<Record> = Vec::new();
        let mut last = None;
        {
            let read = |error| failed("read", &error);
            let moment = self.connection.unchecked_transaction().map_err(read)?;
            walk(&moment, self.after.clone(), |text, record| {
                last = Some(Start {
                    seq: record.seq,
                    digest: Digest::of(text),
                });
                records.push(record);
            })?;
        }
        if let Some(last) = last {
            self.after = last;
        }
        Ok(records)
    }
}

/// The rows of a damaged journal that are whole, with their texts, and why there are no more.
#[derive(Debug)]
pub(crate) struct Prefix {
    pub rows: Vec<(String, Record)>,
    pub broken: Option<JournalError>,
}

/// The rows from the first on for which the next row, the head or the witness vouches: what nothing vouches
/// for may have been changed.
pub(crate) fn prefix(connection: &Connection, seen: Option<&Seen>) -> Prefix {
    let mut rows = Vec::new();
    let walked = walk(connection, Start::default(), |text, record| {
        rows.push((text.to_owned(), record));
    });
    let vouched = |(text, record): &(String, Record)| {
        seen.is_some_and(|seen| seen.seq == record.seq && seen.digest == Digest::of(text))
    };
    let broken = walked.err();
    if broken.is_some() && !rows.last().is_some_and(vouched) {
        rows.pop();
    }
    let lost = witness::hear(seen.cloned(), connection).err();
    Prefix {
        rows,
        broken: broken.or(lost),
    }
}

/// Goes through all rows behind one, and through the head at last.
fn walk(
    connection: &Connection,
    mut after: Start,
    mut each: impl FnMut(&str, Record),
) -> Result<(), JournalError> {
    let read = |error| failed("read", &error);
    let mut statement = connection
        .prepare("SELECT seq, record FROM journal WHERE seq > ?1 ORDER BY seq")
        .map_err(read)?;
    let rows = statement
        .query_map([sql(after.seq)], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(read)?;
    for row in rows {
        let (seq, text): (i64, String) = row.map_err(read)?;
        let record = after.link(Parsed::of(seq, &text))?;
        each(&text, record);
    }
    after.is_the_head(connection)
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
    fn of(seq: i64, text: &str) -> Self {
        Self {
            seq,
            record: serde_json::from_str(text),
            digest: Digest::of(text),
        }
    }
}

/// Rows that are parsed at a time, their texts in one piece.
#[derive(Default)]
struct Part {
    texts: String,
    /// The rows' numbers, and where their texts end.
    rows: Vec<(i64, usize)>,
}

impl Part {
    /// The next rows; none when there are no more.
    fn read(rows: &mut Rows<'_>) -> rusqlite::Result<Self> {
        let mut part = Self::default();
        while part.rows.len() < ROWS_AT_ONCE
            && let Some(row) = rows.next()?
        {
            part.texts.push_str(row.get_ref(1)?.as_str()?);
            part.rows.push((row.get(0)?, part.texts.len()));
        }
        Ok(part)
    }

    fn parsed(&self) -> Vec<Parsed> {
        let mut from = 0;
        let rows = self.rows.iter().map(|(seq, end)| {
            // The ends are those of whole texts, in their order.
            let text = self.texts.get(from..*end).unwrap_or_default();
            from = *end;
            Parsed::of(*seq, text)
        });
        rows.collect()
    }
}

/// Reads rows while other threads parse and digest those that were read before, and hands them over in their order.
fn parsed_in_parts(
    rows: &mut Rows<'_>,
    mut take: impl FnMut(Vec<Parsed>) -> Result<(), JournalError>,
) -> Result<(), JournalError> {
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let (parts, queue) = sync_channel::<(usize, Part)>(workers.saturating_mul(2));
    let (done, parsed) = channel();
    let queue = Mutex::new(queue);
    let work = || {
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let done = done.clone();
        while let Ok((number, part)) = next() {
            // The reader listens until the last part came back, or something was wrong.
            let _ = done.send((number, part.parsed()));
        }
    };
    std::thread::scope(|scope| {
        // Workers end when nothing more can come, also where reading breaks off.
        let parts = parts;
        for _ in 0..workers {
            scope.spawn(work);
        }
        let mut order = InOrder::default();
        let mut number = 0_usize;
        loop {
            let part = Part::read(rows).map_err(|error| failed("read", &error))?;
            if part.rows.is_empty() {
                break;
            }
            // Workers stay until the last part was handed over.
            let _ = parts.send((number, part));
            number = number.saturating_add(1);
            while let Ok(part) = parsed.try_recv() {
                order.add(part, &mut take)?;
            }
        }
        drop(parts);
        while order.next < number
            // A worker has nothing that could panic; rows that it had would be missing, which the head tells.
            && let Ok(part) = parsed.recv()
        {
            order.add(part, &mut take)?;
        }
        Ok(())
    })
}

/// Parts in the order in which they were read.
#[derive(Default)]
struct InOrder {
    next: usize,
    early: BTreeMap<usize, Vec<Parsed>>,
}

impl InOrder {
    fn add(
        &mut self,
        (number, part): (usize, Vec<Parsed>),
        take: &mut impl FnMut(Vec<Parsed>) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        self.early.insert(number, part);
        while let Some(part) = self.early.remove(&self.next) {
            self.next = self.next.saturating_add(1);
            take(part)?;
        }
        Ok(())
    }
}

pub(crate) fn head(connection: &Connection) -> Result<(u64, Digest), JournalError> {
    let (seq, digest): (i64, String) = connection
        .query_row("SELECT seq, digest FROM head", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(|error| failed("read", &error))?;
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
