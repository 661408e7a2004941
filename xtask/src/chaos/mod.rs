//! Faults of every kind, thrown by a seed at an upgrade of real hosts.

mod draw;
mod fault;
mod fleet;
mod outcome;
mod person;
mod place;
pub mod rows;
mod run;
mod strike;
mod trial;

pub use run::{Args, run};
