//! Requests of other processes, until the holder of the generation makes events of them.

use crate::database::failed;
use crate::worker::{Worker, storage};
use overhaul_engine::ports::{Inbox, JournalError};
use overhaul_model::event::Decision;
use overhaul_model::id::{Digest, Nonce};
use rusqlite::Connection;

/// Requests taken at once: people do not make more, and a flood must not fill the memory.
const REQUESTS_MAX: u32 = 1_000;

/// The inbox of a run.
pub struct SqliteInbox {
    worker: Worker,
}

impl SqliteInbox {
    pub(crate) fn new(worker: Worker) -> Self {
        Self { worker }
    }
}

impl Inbox for SqliteInbox {
    async fn pending(&mut self) -> Result<Vec<Decision>, JournalError> {
        self.worker.call(|connection| pending(connection)).await
    }

    async fn settle(&mut self, nonce: &Nonce) -> Result<(), JournalError> {
        let nonce = nonce.clone();
        self.worker
            .call(move |connection| settle(connection, &nonce))
            .await
    }
}

/// Requests that were not settled, oldest first. One that cannot be read, or is not as it was written, is left
/// where it is: whoever made it sees that it was not taken up.
pub(crate) fn pending(connection: &Connection) -> Result<Vec<Decision>, JournalError> {
    let read = |error| failed("read", &error);
    let mut statement = connection
        .prepare("SELECT decision, digest FROM inbox WHERE settled = 0 ORDER BY id LIMIT ?1")
        .map_err(read)?;
    let rows = statement
        .query_map([REQUESTS_MAX], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
        })
        .map_err(read)?;
    let mut out = Vec::new();
    for row in rows {
        let (text, digest) = row.map_err(read)?;
        // A request of an earlier version has no digest.
        let whole = digest.is_none_or(|digest| digest == Digest::of(&text).as_str());
        if let (true, Ok(decision)) = (whole, serde_json::from_str(&text)) {
            out.push(decision);
        }
    }
    Ok(out)
}

fn settle(connection: &Connection, nonce: &Nonce) -> Result<(), JournalError> {
    connection
        .execute(
            "UPDATE inbox SET settled = 1 WHERE nonce = ?1",
            [nonce.as_str()],
        )
        .map(drop)
        .map_err(|error| failed("written", &error))
}

/// Adds a request; the same nonce twice is one request.
pub(crate) fn submit(connection: &Connection, decision: &Decision) -> Result<(), JournalError> {
    let text = serde_json::to_string(decision).map_err(|error| storage("written", &error))?;
    connection
        .execute(
            "INSERT OR IGNORE INTO inbox (nonce, decision, digest) VALUES (?1, ?2, ?3)",
            (decision.nonce.as_str(), &text, Digest::of(&text).as_str()),
        )
        .map(drop)
        .map_err(|error| failed("written", &error))
}
