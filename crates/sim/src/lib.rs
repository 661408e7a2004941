//! The shipped loop against a fleet that is not there: simulated hosts with receipts, virtual time, faults and people
//! from one seed, and checkers of the outcome that share no code with those who decide.
//!
//! A [`Scene`] is a checked plan; a [`Script`] says what goes wrong; [`Scene::play`] gives what happened and which laws
//! were broken.

mod amend;
mod books;
mod campaign;
mod cells;
mod clock;
mod crash;
mod evidence;
mod executor;
mod fault;
mod ground;
mod hands;
mod host;
mod judge;
mod meaning;
mod people;
mod planted;
mod play;
mod scene;
mod suffer;
mod trace;
mod world;

pub use campaign::{Campaign, Tally};
pub use cells::Cells;
pub use crash::{CrashPlan, Crashes, PAIRS_WHOLE_MAX};
pub use fault::{Fault, Kind, Moment, Script, When};
pub use ground::Basis;
pub use judge::{Violation, laws};
pub use planted::{PLANTED, Planted};
pub use play::{How, Played};
pub use scene::{Calm, Scene, SimError};
pub use trace::{Happened, Line, Why};
