//! The loop that carries out a checked plan, and the ports it needs.
//!
//! The loop decides nothing: the machine says what is to be done, the ports do it, the journal keeps
//! what happened. An intent is durable before it is acted on.

mod act;
mod error;
mod launch;
mod looping;
pub mod ports;
mod probe;
mod settings;
#[cfg(test)]
mod tests;
mod time;

pub use error::EngineError;
pub use settings::{Control, Ports, RunEnd, Settings, Watcher};

use overhaul_model::span::Span;

/// Time between two looks into the inbox: people do not notice it, and it costs nothing.
pub const INBOX_POLL_MS: u64 = 250;

/// Bound of one measurement before or after a step: `dpkg --audit` on a slow disk takes many seconds.
pub const MEASURE_WITHIN: Span = Span::from_s(60);
