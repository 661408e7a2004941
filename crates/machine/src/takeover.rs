//! What changes when another controller takes the run, and when rows of its journal were lost.

use crate::run::{Illegal, Run};
use crate::state::{HostLink, Slot};
use crate::transition::taken_over;
use crate::walk::{Active, Move};
use overhaul_model::event::{Event, Generation, Record};
use overhaul_model::id::Nonce;
use overhaul_model::planted;

impl Run {
    /// Whether rows of its journal were lost, so that hosts may have done more than it tells.
    pub fn is_salvaged(&self) -> bool {
        self.salvaged
    }

    /// What is written while no controller has the run.
    pub(crate) fn between_controllers(&mut self, record: &Record) -> Result<Vec<Move>, Illegal> {
        match &record.event {
            Event::Amended { plan, was, .. } => match self.amended(plan, was) {
                Ok((amended, _)) => *self = amended,
                Err(why) => return Err(self.illegal(record, None, why)),
            },
            Event::Salvaged { counter, .. } => self.salvaged(*counter),
            // Any other event is taken elsewhere, or does not fit.
            _ => return Err(self.illegal(record, None, format!("it is {}", self.stand_word()))),
        }
        Ok(Vec::new())
    }

    /// Rows were lost: whoever takes the run now is newer than all who wrote them.
    fn salvaged(&mut self, counter: u64) {
        self.salvaged = true;
        if let Some(run) = self.id.clone() {
            self.generation = Some(Generation {
                fleet: self.plan.fleet.clone(),
                run,
                counter: self
                    .generation
                    .as_ref()
                    .map_or(counter, |g| g.counter.max(counter)),
                nonce: Nonce::new("salvaged"),
            });
        }
    }

    pub(crate) fn taken_over(&mut self, record: &Record) {
        self.unlimit();
        for host in self.hosts.values_mut() {
            let keeps = planted::is("takeover-without-registration") || host.let_go() && host.holds;
            if !keeps {
                host.link = HostLink::Absent;
            }
        }
        for key in &self.open {
            if let (Some(step), Some(slot)) = (self.tree.step(key.node), self.slots.get_mut(key)) {
                *slot = Slot {
                    version: record.seq,
                    ..taken_over(step, slot, record.at)
                };
            }
        }
        for active in self.active.values_mut() {
            if let Active::Repair { version, .. } = active {
                *version = record.seq;
            }
        }
    }
}
