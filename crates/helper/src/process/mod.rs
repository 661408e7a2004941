//! Commands of the host: how they are made, watched and ended.

mod bounded;
mod spec;
mod tree;

pub use bounded::{Finished, Gone, run_bounded};
pub use spec::{NoCommand, PATH, command, go_to_root, plain, spawn};
pub use tree::{Proc, descendants, evidence, signal_all, work_ticks};
