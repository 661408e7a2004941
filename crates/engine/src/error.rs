//! Why the loop ends without an answer.

use crate::ports::JournalError;
use overhaul_machine::{Illegal, ReplayError};

/// The loop cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The journal or inbox cannot be used. Nothing new is begun; work on targets goes on.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal does not belong to the plan.
    #[error("the journal does not fit the plan: {0}")]
    Replay(#[from] ReplayError),
    /// An event of this loop does not fit the run: an error in this program.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// A step cannot be written as JSON.
    #[error("a step cannot be written as JSON: {0}")]
    Unwritable(#[from] serde_json::Error),
    /// What was asked for does not fit the run; nothing was begun.
    #[error("{0}")]
    Refused(String),
    /// A task of the loop was ended: an error in this program.
    #[error("a task of the run was ended: {0}")]
    Task(String),
}
