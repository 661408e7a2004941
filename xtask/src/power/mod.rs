//! A machine with a kernel of its own loses its power while a run writes receipts on it, or has its clock set, and the run goes on.

mod clock;
mod job;
mod journal;
mod judge;
mod moment;
mod run;
mod site;
mod trial;
mod truth;

pub use run::{Args, run};
