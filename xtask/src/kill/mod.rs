//! The kill table: upgrades of real hosts that are cut off at a named moment, continued, and measured.

mod case;
mod controller;
mod fleet;
mod host;
pub mod moment;
mod run;
mod trial;

pub use fleet::{Args as FleetArgs, run as run_fleet};
pub use run::{Args, run};
