//! Facts of the host, each with its time or the reason why there is none.

mod clusters;
mod gather;
mod lines;
mod mounts;
mod packages;
mod postgresql;
mod release;
mod sock_diag;
mod sockets;
mod sources;
mod units;

pub use gather::{gather, os_release};
