//! The SQLite file: its pragmas, its tables, its format.

use crate::worker::storage;
use overhaul_engine::ports::JournalError;
use overhaul_model::event::{JOURNAL_FORMAT, Record};
use rusqlite::{Connection, OptionalExtension};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// Another process may hold the file for the time of one small write; a second is a thousand of those.
const BUSY_MS_MAX: u64 = 10_000;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS format (version INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS journal (seq INTEGER PRIMARY KEY, record TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, digest TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS inbox (
        id INTEGER PRIMARY KEY, nonce TEXT NOT NULL UNIQUE, decision TEXT NOT NULL, settled INTEGER NOT NULL DEFAULT 0
    );
";

/// Opens the file, makes it if it is not there, and refuses a newer format.
pub fn open(path: &Path) -> Result<Connection, JournalError> {
    let wrong = |error| storage("opened", &error);
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| storage("opened", &error))?;
    let mut connection = Connection::open(path).map_err(wrong)?;
    connection
        .busy_timeout(Duration::from_millis(BUSY_MS_MAX))
        .map_err(wrong)?;
    check_format(&connection)?;
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .map_err(wrong)?;
    connection
        .pragma_update(None, "synchronous", "FULL")
        .map_err(wrong)?;
    prepare(&mut connection).map_err(|error| storage("prepared", &error))?;
    check_format(&connection)?;
    Ok(connection)
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    transaction.execute(
        "INSERT INTO format (version) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM format)",
        [JOURNAL_FORMAT],
    )?;
    transaction.execute(
        "INSERT OR IGNORE INTO head (one, seq, digest) VALUES (1, 0, ?1)",
        [Record::genesis().as_str()],
    )?;
    transaction.commit()
}

/// Nothing is written to a file of a newer format: what it means is not known here.
fn check_format(connection: &Connection) -> Result<(), JournalError> {
    let wrong = |error| storage("read", &error);
    let has_table: Option<i64> = connection
        .query_row(
            "SELECT 1 FROM sqlite_master WHERE name = 'format'",
            [],
            |row| row.get(0),
        )
        .optional()
        .map_err(wrong)?;
    if has_table.is_none() {
        return Ok(());
    }
    let found: Option<u32> = connection
        .query_row("SELECT version FROM format", [], |row| row.get(0))
        .optional()
        .map_err(wrong)?;
    match found {
        Some(found) if found > JOURNAL_FORMAT => Err(JournalError::Newer {
            found,
            known: JOURNAL_FORMAT,
        }),
        Some(_) | None => Ok(()),
    }
}
