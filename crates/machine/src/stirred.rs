//! Which rolls are looked at after an event: those that it may concern. A large run has hundreds of them under way, and
//! nearly every event is about one position.

use crate::run::Run;
use crate::tree::Key;
use crate::walk::Active;
use overhaul_model::event::Event;

/// Whether an event is about one position or one host, and changes nothing of what rolls may begin but by turns that
/// come to their end. Limits, what is left for later and what a person decides concern all of them.
pub(crate) fn concerns_a_place(event: &Event) -> bool {
    match event {
        Event::GuardMeasured { .. }
        | Event::Asked { .. }
        | Event::Checked { .. }
        | Event::Started { .. }
        | Event::Settled { .. }
        | Event::Ended { .. }
        | Event::Verified { .. }
        | Event::RepairMeasured { .. }
        | Event::HostRegistered { .. }
        | Event::HostRefused { .. }
        | Event::HostReleased { .. }
        | Event::Probed { .. }
        | Event::Tallied { .. }
        | Event::Declined { .. }
        | Event::CopyRemoved { .. } => true,
        Event::RunOpened { .. }
        | Event::ControllerTook { .. }
        | Event::Limited { .. }
        | Event::Decided(_)
        | Event::TakenUp { .. }
        | Event::Amended { .. }
        | Event::Salvaged { .. }
        | Event::CleanupBegan { .. }
        | Event::Finished { .. } => false,
    }
}

impl Run {
    /// The rolls that are to be looked at.
    pub(crate) fn stirred_rolls(&self) -> impl Iterator<Item = (Key, &Active)> {
        self.rolls(self.stirred.intersection(&self.rolling))
    }

    /// Something changed that may concern any roll.
    pub(crate) fn stir_all(&mut self) {
        self.stirred.clone_from(&self.rolling);
    }

    /// Whether no turn may begin in the rolls that are not to be looked at.
    pub(crate) fn rest_is_calm(&self) -> bool {
        let mut rest = self
            .rolls_under_way()
            .filter(|(key, _)| !self.stirred.contains(&key.node));
        rest.all(|(key, _)| self.next_turn(&key).is_none())
    }
}
