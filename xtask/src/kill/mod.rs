//! The kill table: upgrades of real hosts that are cut off at a named moment, continued, and measured.

mod case;
mod host;
mod run;
mod trial;

pub use run::{Args, run};
