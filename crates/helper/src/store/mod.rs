//! The receipt store: what this host knows of attempts, durably.

mod attempt;
mod authority;
mod durable;
mod error;
mod layout;
mod lock;
mod receipt;
mod seal;
mod spool;

pub(crate) use attempt::write_end;
pub use attempt::{Attempt, Beginning, NewAttempt, WorkKind};
pub use durable::{create, read_capped, sync_dir, write_json_synced};
pub use error::StoreError;
pub use layout::Store;
pub use lock::Locked;
pub use receipt::{REBOOT_ORDER_S_MAX, Receipt};
pub(crate) use seal::opened;
pub use spool::{SPOOL_BYTES_MAX, Spool, TAIL_BYTES_MAX};
