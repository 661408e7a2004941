//! The kill table: upgrades of real hosts that are cut off at a named moment, continued, and measured.

mod case;
pub mod controller;
mod detached;
mod fleet;
mod galera;
pub mod host;
pub mod moment;
mod run;
mod trial;

pub use detached::{Args as DetachArgs, run as run_detached};
pub use fleet::{Args as FleetArgs, run as run_fleet};
pub use galera::{Args as GaleraArgs, run as run_galera};
pub use run::{Args, run};
