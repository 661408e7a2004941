//! Strategies as data: a point of change x data, and what each of its slots is made of.
//!
//! A further strategy is a further table here and, where it needs one, a further [`Part`].

use overhaul_model::definition::{Slot, Strategy};

/// How the system of a host changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Packages change on the machine; it reboots.
    InPlace,
}

/// What happens to a host's data meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// It stays where it is.
    Stays,
}

/// A point of change x data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// How the system changes.
    pub change: Change,
    /// What happens to the data.
    pub data: Data,
}

impl Point {
    /// The point that a strategy's name stands for.
    pub fn of(strategy: Strategy) -> Self {
        match strategy {
            Strategy::InPlace => Self {
                change: Change::InPlace,
                data: Data::Stays,
            },
        }
    }

    /// What each slot is made of, in order.
    pub(crate) fn slots(self) -> &'static [(Slot, &'static [Part])] {
        match (self.change, self.data) {
            (Change::InPlace, Data::Stays) => &IN_PLACE_STAYS,
        }
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
