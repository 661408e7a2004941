//! All positions of a run with their states.

use crate::run::Run;
use crate::state::StepState;
use overhaul_model::id::{HostName, Position};
use std::collections::{BTreeSet, HashSet};

impl Run {
    /// All positions with their states, in the plan's order.
    pub fn positions(&self) -> impl Iterator<Item = (Position, &StepState)> {
        let placed = self.plan.positions().into_iter();
        placed.map(|placed| {
            let state = self.state(&placed.position);
            (placed.position, state)
        })
    }

    /// Hosts in whose lanes something is not over.
    pub fn hosts_with_work(&self) -> BTreeSet<HostName> {
        let mut found: HashSet<&HostName> = HashSet::new();
        self.plan.each_place(&mut |place| {
            if let Some(host) = place.host
                && !found.contains(host)
                && !self.state(&place.position()).is_over()
            {
                found.insert(host);
            }
        });
        found.into_iter().cloned().collect()
    }
}
