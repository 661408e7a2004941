//! A run's state from its journal.

use crate::run::{Illegal, Run};
use crate::tree::NotRunnable;
use overhaul_model::event::Record;
use overhaul_model::plan::Plan;
use std::sync::Arc;

/// The journal does not fit the plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The plan cannot be run.
    #[error(transparent)]
    NotRunnable(#[from] NotRunnable),
    /// An event does not fit.
    #[error("row {seq} of the journal: {illegal}")]
    Illegal {
        /// Its number.
        seq: u64,
        /// Why.
        illegal: Illegal,
    },
}

impl Run {
    /// The state after all these events.
    ///
    /// # Errors
    /// When the plan cannot be run, or an event does not fit: then with its number.
    pub fn replay(plan: impl Into<Arc<Plan>>, records: &[Record]) -> Result<Self, ReplayError> {
        Self::new(plan)?.after(records)
    }

    /// The state after all these further events.
    ///
    /// # Errors
    /// When an event does not fit: with its number.
    pub fn after(mut self, records: &[Record]) -> Result<Self, ReplayError> {
        for record in records {
            let seq = record.seq;
            self.apply(record)
                .map_err(|illegal| ReplayError::Illegal { seq, illegal })?;
        }
        Ok(self)
    }
}
