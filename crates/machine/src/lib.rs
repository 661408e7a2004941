//! The state of a run as a pure machine: apply an event, ask what comes next.
//!
//! No I/O and no clock: time is an argument. [`Run::apply`] is the one transition function, used live
//! and on replay; [`Run::next`] says what is to be done now.

mod amend;
mod cleanup;
pub mod clocks;
mod fence;
mod judge;
mod members;
mod near;
mod next;
#[cfg(test)]
mod pairs;
mod positions;
mod postpone;
mod replay;
pub mod report;
mod run;
mod shut;
mod slots;
mod state;
mod stirred;
mod takeover;
mod transition;
mod tree;
mod used;
mod walk;

pub use amend::{Amendment, Renamed};
pub use fence::NoSuchLimit;
pub use next::{Command, Doing, Next, OpenPosition, RunStanding, Standing, Work};
pub use postpone::Postponed;
pub use replay::ReplayError;
pub use run::{Illegal, Run};
pub use state::{HostLink, How, Phase, Stage, StepState, Then};
pub use tree::NotRunnable;

use overhaul_model::span::Span;

/// Time between two measurements of a guard that holds a step: short against any real condition's
/// change, long against the cost of a measurement.
pub const GUARD_EVERY: Span = Span::from_s(5);

/// First wait after a host could not be reached for registration; doubled each time.
pub const REGISTER_BACK_OFF: Span = Span::from_s(2);

/// Longest wait between two registrations: a host that comes back is noticed within it.
pub const REGISTER_BACK_OFF_MAX: Span = Span::from_s(60);

/// Registrations tried by itself before a person is asked: about eight minutes, longer than a reboot
/// of a large machine.
pub const REGISTER_ATTEMPTS_MAX: u32 = 12;

/// Releases tried of one host when the run ends: about two minutes; a host that stays away is left
/// registered, and the journal says so.
pub const RELEASE_ATTEMPTS_MAX: u32 = 6;

/// Attempts that an unknown outcome may add to those of the retry policy, because nobody can say
/// that it used one up.
pub const UNKNOWN_EXTRA: u32 = 1;
