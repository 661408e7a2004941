//! What each slot of a strategy is made of, as data.
//!
//! A further strategy is a further table here and, where it needs one, a further [`Part`].

use overhaul_model::definition::{Slot, Strategy};
use overhaul_model::strategy::{Change, Data};

/// What each slot of a point is made of, in order; `None` while this version cannot carry it out.
pub(crate) fn slots(point: Strategy) -> Option<&'static [(Slot, &'static [Part])]> {
    match (point.change(), point.data()) {
        (Change::InPlace, Data::Stays | Data::None) => Some(&IN_PLACE_STAYS),
        _ => None,
    }
}

/// A source of steps in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The role's guards.
    Begin,
    /// The steps that the definition places in the slot.
    Written,
    /// The upgrader's steps that change nothing of the running system.
    UpgraderPrepare,
    /// Copies of the role's datasets, each read back.
    Copies,
    /// Services held down.
    Hold,
    /// The upgrader's scopes around its change, the definition's steps, the reboot and its settling.
    ReleaseChange,
    /// Services let go.
    LetGo,
    /// Health of the services.
    Health,
}

/// Steps of the stop slot come before services are held: they often need them. Steps of the start and
/// verify slots come after what the strategy itself does there.
const IN_PLACE_STAYS: [(Slot, &[Part]); 14] = [
    (Slot::Prepare, &[Part::Written, Part::UpgraderPrepare]),
    (Slot::Drain, &[Part::Begin, Part::Written]),
    (Slot::Backup, &[Part::Copies, Part::Written]),
    (Slot::Stop, &[Part::Written, Part::Hold]),
    (Slot::Export, &[Part::Written]),
    (Slot::Change, &[Part::ReleaseChange]),
    (Slot::Restore, &[Part::Written]),
    (Slot::Configure, &[Part::Written]),
    (Slot::Migrate, &[Part::Written]),
    (Slot::Start, &[Part::LetGo, Part::Written]),
    (Slot::Verify, &[Part::Health, Part::Written]),
    (Slot::Undrain, &[Part::Written]),
    (Slot::Finish, &[Part::Written]),
    (Slot::Cleanup, &[Part::Written]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_strategy_fills_every_slot_in_order() {
        let slots: Vec<Slot> = IN_PLACE_STAYS.iter().map(|(slot, _)| *slot).collect();
        assert_eq!(slots, Slot::ALL);
    }
}
