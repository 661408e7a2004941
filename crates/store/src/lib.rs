//! Journal and inbox on SQLite, and the folders of runs.
//!
//! A run's folder (0700) holds `plan.json` and `facts.json` with their `SHA256SUMS`, `journal.sqlite` with its
//! witness `journal.head`, `lock` and `data/`; all files are 0600. Journal rows are durable when `commit`
//! returns: one transaction, WAL with `synchronous=FULL`.

mod database;
mod inbox;
mod inspect;
mod journal;
mod run;
mod salvage;
mod simulated;
mod sums;
mod witness;
mod worker;

pub use inbox::SqliteInbox;
pub use inspect::{FileIs, Inspection, JournalIs};
pub use journal::{Follower, SqliteJournal};
pub use run::{RunDir, RunLock, RunStore, StoreError};
pub use salvage::Salvage;
pub use simulated::{SIMULATED, SimulatedDir};
