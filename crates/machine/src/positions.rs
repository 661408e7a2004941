//! All positions of a run with their states.

use crate::run::Run;
use crate::state::{Phase, StepState, Then};
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

    /// Begun attempts whose receipts this host is still to be asked for.
    pub fn unsettled_on(&self, host: &HostName) -> Vec<(Position, u32)> {
        let unsettled = self.open_on(host).into_iter().filter_map(|key| {
            let slot = self.slots.get(&key)?;
            let settles = matches!(
                slot.state,
                StepState::Running {
                    phase: Phase::Settling,
                    ..
                }
            );
            let is_it = settles || slot.state.then() == Some(&Then::Settle);
            is_it.then_some((self.tree.position(&key)?, slot.attempts))
        });
        unsettled.collect()
    }

    /// Hosts in whose lanes something is not over.
    pub fn hosts_with_work(&self) -> BTreeSet<HostName> {
        // A position that is open tells of its host at once; of a large run that is most of them.
        let open = self.open.iter().filter_map(|key| self.tree.host(key));
        let mut found: HashSet<&HostName> = open.collect();
        if self.plan.hosts.keys().all(|host| found.contains(host)) {
            return found.into_iter().cloned().collect();
        }
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
