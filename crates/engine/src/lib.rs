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
use overhaul_machine::{ReplayError, Run};
use overhaul_model::plan::Plan;
use overhaul_model::span::Span;
use ports::{Clock, Inbox, Journal, Reach};
use std::sync::Arc;

/// Time between two looks into the inbox: people do not notice it, and it costs nothing.
pub const INBOX_POLL_MS: u64 = 250;

/// Bound of one measurement before or after a step: `dpkg --audit` on a slow disk takes many seconds.
pub const MEASURE_WITHIN: Span = Span::from_s(60);

/// A checked plan, laid out to be carried out: once, however many controllers carry it out one after the other.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The run before its first event.
    new: Run,
    /// Of a run whose plan was amended: the plan that was checked.
    in_force: Option<Arc<Plan>>,
}

impl Prepared {
    /// Lays a checked plan out.
    ///
    /// # Errors
    /// When its tree cannot be run.
    pub fn new(checked: &CheckedPlan) -> Result<Self, EngineError> {
        Ok(Self {
            new: Run::new(checked.share()).map_err(ReplayError::from)?,
            in_force: None,
        })
    }

    /// The same for a run whose plan was amended, with the plan that its journal was opened with.
    ///
    /// # Errors
    /// When the tree of that cannot be run.
    pub fn amended(
        opened_with: impl Into<Arc<Plan>>,
        checked: &CheckedPlan,
    ) -> Result<Self, EngineError> {
        let laid_out = Run::new(checked.share()).map_err(ReplayError::from)?;
        let new = Run::new(opened_with).map_err(ReplayError::from)?;
        Ok(Self {
            new: new.expecting(laid_out),
            in_force: Some(checked.share()),
        })
    }
}

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
    run_prepared(Prepared::new(&checked)?, ports, settings, watch).await
}

/// As [`run`], with a plan that was laid out before.
///
/// # Errors
/// As for [`run`].
pub async fn run_prepared<J, I, R, C>(
    prepared: Prepared,
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
    let Prepared { new, in_force } = prepared;
    looping::carry_out(new, in_force.as_deref(), ports, settings, watch).await
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
    let prepared = Prepared::amended(opened_with, &checked)?;
    run_prepared(prepared, ports, settings, watch).await
}
