//! The SQLite file: its pragmas, its tables, its format.

use crate::witness;
use crate::worker::storage;
use overhaul_engine::ports::JournalError;
use overhaul_model::event::{JOURNAL_FORMAT, Record};
use overhaul_model::planted;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};
use std::collections::BTreeSet;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// Another process may hold the file for the time of one small write; a second is a thousand of those.
const BUSY_MS_MAX: u64 = 10_000;

const TABLES: &str = "
    CREATE TABLE format (version INTEGER NOT NULL);
    CREATE TABLE journal (seq INTEGER PRIMARY KEY, record TEXT NOT NULL);
    CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, digest TEXT NOT NULL);
    CREATE TABLE inbox (
        id INTEGER PRIMARY KEY, nonce TEXT NOT NULL UNIQUE, decision TEXT NOT NULL, settled INTEGER NOT NULL DEFAULT 0,
        digest TEXT
    );
";

/// The tables that a journal has.
const NAMES: [&str; 4] = ["format", "journal", "head", "inbox"];

/// A failure of SQLite: of the storage, or because the file does not hold what was written into it.
pub(crate) fn failed(doing: &'static str, error: &Error) -> JournalError {
    let damaged = match error {
        Error::SqliteFailure(failure, _) => matches!(
            failure.code,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TypeMismatch
        ),
        Error::Utf8Error(..)
        | Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::InvalidColumnName(_)
        | Error::QueryReturnedNoRows => true,
        _ => false,
    };
    let failure = error.sqlite_error_code();
    match damaged {
        true => JournalError::Damaged {
            why: error.to_string(),
        },
        // On a full disk SQLite says so only where it writes rows.
        false if failure == Some(ErrorCode::SystemIoFailure) => {
            storage(doing, &format!("{error}: the disk is full or broken"))
        }
        false => storage(doing, error),
    }
}

/// Makes the file of a new run.
pub(crate) fn create(path: &Path) -> Result<(), JournalError> {
    std::fs::OpenOptions::new()
        .create_new(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| storage("made", &error))?;
    let mut connection = connect(path)?;
    make_durable(&connection)?;
    fill(&mut connection).map_err(|error| failed("made", &error))
}

fn fill(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    transaction.execute("INSERT INTO format (version) VALUES (?1)", [JOURNAL_FORMAT])?;
    transaction.execute(
        "INSERT INTO head (one, seq, digest) VALUES (1, 0, ?1)",
        [Record::genesis().as_str()],
    )?;
    transaction.commit()
}

/// Opens the file of a run. A newer format is refused, as is a file without its tables or with fewer rows than
/// there were: nothing is made anew in their place.
pub(crate) fn open(path: &Path) -> Result<Connection, JournalError> {
    // Before the rows are looked at: a controller beside us may write on.
    let seen = witness::seen(path);
    let connection = connect(path)?;
    // Before anything is set that could be written into the file.
    check(&connection)?;
    make_durable(&connection)?;
    if !has_digests(&connection)? {
        // As earlier versions made it; they can go on with it as it is now.
        let added = connection.execute_batch("ALTER TABLE inbox ADD COLUMN digest TEXT");
        added.map_err(|error| failed("prepared", &error))?;
    }
    witness::hear(seen, &connection)?;
    Ok(connection)
}

/// Opens the file of a run that may be damaged, to read what can be read.
pub(crate) fn look(path: &Path) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| failed("opened", &error))?;
    connection
        .busy_timeout(Duration::from_millis(BUSY_MS_MAX))
        .map_err(|error| failed("opened", &error))?;
    Ok(connection)
}

fn connect(path: &Path) -> Result<Connection, JournalError> {
    let wrong = |error| failed("opened", &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(wrong)?;
    connection
        .busy_timeout(Duration::from_millis(BUSY_MS_MAX))
        .map_err(wrong)?;
    Ok(connection)
}

fn make_durable(connection: &Connection) -> Result<(), JournalError> {
    for (pragma, value) in [
        ("journal_mode", "WAL"),
        (
            "synchronous",
            if planted::is("sync-left-out") {
                "NORMAL"
            } else {
                "FULL"
            },
        ),
        // What a page says of its cells is compared with the page when it is read, not when it is used.
        ("cell_size_check", "ON"),
    ] {
        connection
            .pragma_update(None, pragma, value)
            .map_err(|error| failed("opened", &error))?;
    }
    Ok(())
}

/// The file has its tables, and its format is one that is known here.
pub(crate) fn check(connection: &Connection) -> Result<(), JournalError> {
    let tables = tables(connection)?;
    if let Some(lacking) = NAMES.iter().find(|name| !tables.contains(**name)) {
        return Err(JournalError::Damaged {
            why: format!("the file has no table `{lacking}`"),
        });
    }
    check_format(connection)
}

fn tables(connection: &Connection) -> Result<BTreeSet<String>, JournalError> {
    connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .map_err(|error| failed("read", &error))
}

fn has_digests(connection: &Connection) -> Result<bool, JournalError> {
    connection
        .prepare("SELECT 1 FROM pragma_table_info('inbox') WHERE name = 'digest'")
        .and_then(|mut statement| statement.exists([]))
        .map_err(|error| failed("read", &error))
}

/// Nothing is written to a file of a newer format: what it means is not known here.
fn check_format(connection: &Connection) -> Result<(), JournalError> {
    if !tables(connection)?.contains("format") {
        return Ok(());
    }
    let found: u32 = connection
        .query_row("SELECT version FROM format", [], |row| row.get(0))
        .map_err(|error| failed("read", &error))?;
    match found {
        0 => Err(JournalError::Damaged {
            why: "its format is 0, which there never was".to_owned(),
        }),
        found if found > JOURNAL_FORMAT => Err(JournalError::Newer {
            found,
            known: JOURNAL_FORMAT,
        }),
        _ => Ok(()),
    }
}
