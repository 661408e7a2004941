//! What each slot of a strategy is made of, as data.
//!
//! One table holds for all points: each part says for which points it is. A further strategy is further rows
//! and, where it needs one, a further [`Part`]. A test checks `docs/strategies.md` against what comes of this table.

use overhaul_model::definition::{Slot, Strategy};
use overhaul_model::strategy::{Change, Data};

/// A source of steps in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The role's guards.
    Begin,
    /// The steps that the definition places in the slot.
    Written,
    /// The upgrader's steps that change nothing of the running system.
    UpgraderPrepare,
    /// The provider knows the machine that it will be asked to make anew.
    MachineKnown,
    /// The provider knows the role's volumes, and the machine has them.
    VolumesKnown,
    /// The provider knows the addresses that will move.
    AddressesKnown,
    /// A new machine is made beside the old one.
    Launch,
    /// The role's volumes leave the machine.
    VolumesLeave,
    /// The old machine is switched off: from here it serves and writes nothing any more.
    OldOff,
    /// The new machine takes the place of the old one.
    TakeOver,
    /// The role's volumes come to the new machine.
    VolumesCome,
    /// Addresses go over to the new machine.
    AddressesMove,
    /// The new machine gets the old one's name.
    Rename,
    /// The old machine is ended.
    OldEnds,
    /// Copies of the role's datasets, each read back.
    Copies,
    /// Services held down.
    Hold,
    /// Carried paths copied to the controller.
    Persist,
    /// The upgrader's scopes around its change, the definition's steps, the reboot and its settling.
    ReleaseChange,
    /// A new machine, by a provider or a person, and the proof of it.
    NewMachine,
    /// Services held down on the new machine, before its packages come: their data is not there yet.
    HoldAgain,
    /// Carried paths put back.
    Restore,
    /// Others of the cluster that can give an empty host its data.
    Rejoin,
    /// The host leaves its cluster, where the kind says how.
    Leave,
    /// The first host receives the datasets of its services, once.
    Receive,
    /// The first host is its cluster, alone.
    Bootstrap,
    /// The host joins its cluster, where the kind says how.
    Join,
    /// Services let go.
    LetGo,
    /// Health of the services.
    Health,
    /// Failed units and errors in the journal, where something of the kind is expected.
    LookOver,
    /// What was in the way of carried paths is removed.
    RemoveSetAside,
}

/// Which hosts of a role go through the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// All of them, or all but the first where the first one goes alone.
    Hosts,
    /// The one that receives the data.
    First,
}

/// The points that a part is for.
#[derive(Clone, Copy, Debug)]
enum For {
    Every,
    Of(Change),
    With(Data),
    /// Unless data is moved so.
    Without(Data),
    /// On a machine that is made anew.
    Anew(Data),
    /// The first host alone.
    First(Data),
    /// All but the first host.
    Rest(Data),
}

impl For {
    fn holds(self, point: Strategy, who: Who) -> bool {
        match self {
            Self::Every => true,
            Self::Of(change) => point.change() == change,
            Self::With(data) => point.data() == data,
            Self::Without(data) => point.data() != data,
            Self::Anew(data) => point.data() == data && point.change() != Change::InPlace,
            Self::First(data) => point.data() == data && who == Who::First,
            Self::Rest(data) => point.data() == data && who == Who::Hosts,
        }
    }
}

/// Steps of the stop slot come before services are held: they often need them; steps of the export slot come
/// before paths are copied: they often write what is copied. Steps of all other slots come after what the
/// strategy itself does there: those of `change` find the new system, those of `restore` the data.
const PARTS: [(Slot, &[(Part, For)]); 14] = [
    (
        Slot::Prepare,
        &[
            (Part::Written, For::Every),
            (Part::UpgraderPrepare, For::Of(Change::InPlace)),
            (Part::MachineKnown, For::Of(Change::Rebuild)),
            (Part::MachineKnown, For::Of(Change::Replace)),
            (Part::VolumesKnown, For::With(Data::Volume)),
            (Part::AddressesKnown, For::Of(Change::Replace)),
            (Part::Launch, For::Of(Change::Replace)),
        ],
    ),
    (
        Slot::Drain,
        &[(Part::Begin, For::Every), (Part::Written, For::Every)],
    ),
    (
        Slot::Backup,
        &[
            // Made when all other hosts are quiet.
            (Part::Copies, For::Without(Data::Transfer)),
            (Part::Written, For::Every),
        ],
    ),
    (
        Slot::Stop,
        &[
            (Part::Written, For::Every),
            (Part::Leave, For::With(Data::Rejoin)),
            (Part::Hold, For::Every),
        ],
    ),
    (
        Slot::Export,
        &[
            (Part::Written, For::Every),
            (Part::Persist, For::With(Data::Carry)),
            (Part::VolumesLeave, For::With(Data::Volume)),
            (Part::OldOff, For::Of(Change::Replace)),
        ],
    ),
    (
        Slot::Change,
        &[
            (Part::ReleaseChange, For::Of(Change::InPlace)),
            (Part::NewMachine, For::Of(Change::Rebuild)),
            (Part::TakeOver, For::Of(Change::Replace)),
            (Part::HoldAgain, For::With(Data::Carry)),
            (Part::HoldAgain, For::With(Data::Volume)),
            (Part::HoldAgain, For::Anew(Data::Rejoin)),
            (Part::HoldAgain, For::Anew(Data::Transfer)),
            (Part::Written, For::Of(Change::Rebuild)),
            (Part::Written, For::Of(Change::Replace)),
            (Part::Written, For::Of(Change::Packages)),
        ],
    ),
    (
        Slot::Restore,
        &[
            (Part::Restore, For::With(Data::Carry)),
            (Part::VolumesCome, For::With(Data::Volume)),
            (Part::Rejoin, For::With(Data::Rejoin)),
            (Part::Receive, For::First(Data::Transfer)),
            (Part::Rejoin, For::Rest(Data::Transfer)),
            (Part::AddressesMove, For::Of(Change::Replace)),
            (Part::Written, For::Every),
        ],
    ),
    (Slot::Configure, &[(Part::Written, For::Every)]),
    (Slot::Migrate, &[(Part::Written, For::Every)]),
    (
        Slot::Start,
        &[
            (Part::Bootstrap, For::First(Data::Transfer)),
            (Part::Join, For::With(Data::Rejoin)),
            (Part::Join, For::Rest(Data::Transfer)),
            (Part::LetGo, For::Every),
            (Part::Written, For::Every),
        ],
    ),
    (
        Slot::Verify,
        &[
            (Part::Health, For::Every),
            (Part::Written, For::Every),
            (Part::LookOver, For::Every),
        ],
    ),
    (Slot::Undrain, &[(Part::Written, For::Every)]),
    (
        Slot::Finish,
        &[
            (Part::Rename, For::Of(Change::Replace)),
            (Part::Written, For::Every),
            (Part::OldEnds, For::Of(Change::Replace)),
        ],
    ),
    (
        Slot::Cleanup,
        &[
            (Part::Written, For::Every),
            (Part::RemoveSetAside, For::With(Data::Carry)),
            (Part::OldEnds, For::Of(Change::Replace)),
        ],
    ),
];

/// What each slot of a point is made of, in order.
pub(crate) fn slots(point: Strategy, who: Who) -> impl Iterator<Item = (Slot, Vec<Part>)> {
    PARTS.iter().map(move |(slot, parts)| {
        let own = parts.iter().filter(|(_, of)| of.holds(point, who));
        (*slot, own.map(|(part, _)| *part).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_strategy_fills_every_slot_in_order() {
        assert_eq!(PARTS.map(|(slot, _)| slot), Slot::ALL);
    }

    #[test]
    fn steps_of_the_definition_have_one_place_in_every_slot() {
        let who = [Who::Hosts, Who::First];
        let points = Strategy::all().flat_map(|point| who.map(|who| (point, who)));
        for (point, who) in points {
            for (slot, parts) in slots(point, who) {
                let places = parts
                    .iter()
                    .filter(|part| matches!(part, Part::Written | Part::ReleaseChange));
                assert_eq!(places.count(), 1, "{point}, {}", slot.word());
            }
        }
    }
}
