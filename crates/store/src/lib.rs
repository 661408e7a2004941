//! Journal and inbox on SQLite, and the folders of runs.
//!
//! A run's folder (0700) holds `plan.json`, `facts.json`, `journal.sqlite`, `lock` and `data/`; all
//! files are 0600. Journal rows are durable when `commit` returns: one transaction, WAL with `synchronous=FULL`.

mod database;
mod inbox;
mod journal;
mod run;
mod worker;

pub use inbox::SqliteInbox;
pub use journal::SqliteJournal;
pub use run::{RunDir, RunLock, RunStore, StoreError};
