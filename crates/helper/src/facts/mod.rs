//! Facts of the host, each with its time or the reason why there is none.
//!
//! Files are read rather than programs asked: they tell the same for less, and also while the programs are
//! being replaced. docs/facts.md names the source and the bound of each.

mod clusters;
mod conffiles;
mod data;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod gather;
mod indexes;
mod kernel;
mod lines;
mod local;
mod machine;
mod measured;
mod memory;
mod mounts;
mod names;
mod next_release;
mod packages;
mod postgresql;
mod processes;
mod release;
mod root;
mod running;
mod sock_diag;
mod sockets;
mod sources;
mod storage;
mod units;

pub(crate) use clusters::membership;
pub use gather::{gather, os_release};
pub(crate) use mounts::unescape_bytes;
