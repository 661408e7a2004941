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

use overhaul_check::CheckedPlan;
use overhaul_model::plan::Plan;
use overhaul_model::span::Span;
use ports::{Clock, Inbox, Journal, Reach};

/// Time between two looks into the inbox: people do not notice it, and it costs nothing.
pub const INBOX_POLL_MS: u64 = 250;

/// Bound of one measurement before or after a step: `dpkg --audit` on a slow disk takes many seconds.
pub const MEASURE_WITHIN: Span = Span::from_s(60);

/// Carries out a checked plan, or carries on with it where the journal left off, until the run is
/// over or only people can make it go on.
///
/// The caller holds the run's lock: one journal has one writer.
///
/// # Errors
/// When the journal cannot be used or does not fit the plan. Nothing new is begun then; work on
/// targets goes on, and another controller can take the run.
pub async fn run<J, I, R, C>(
    checked: CheckedPlan,
    ports: Ports<J, I, R, C>,
    settings: Settings,
    watch: impl Watcher,
) -> Result<RunEnd, EngineError>
where
    J: Journal,
    I: Inbox,
    R: Reach,
    C: Clock,
{
    looping::carry_out(checked.plan().clone(), None, ports, settings, watch).await
}

/// As [`run`], for a run whose plan was amended: `opened_with` is the plan that its journal was opened with,
/// from which a replay comes to the checked one.
///
/// # Errors
/// As for [`run`], and when the journal does not come to the checked plan.
pub async fn run_amended<J, I, R, C>(
    opened_with: Plan,
    checked: CheckedPlan,
    ports: Ports<J, I, R, C>,
    settings: Settings,
    watch: impl Watcher,
) -> Result<RunEnd, EngineError>
where
    J: Journal,
    I: Inbox,
    R: Reach,
    C: Clock,
{
    let in_force = Some(checked.plan());
    looping::carry_out(opened_with, in_force, ports, settings, watch).await
}
