//! Facts of the host, each with its time or the reason why there is none.

mod gather;
mod release;

pub use gather::{gather, os_release};
