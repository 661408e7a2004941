//! Which faults strike where, from a seed.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::fault::{FAULTS, Fault};
use super::place::Place;

/// Cuts that outlast every bound cost a run more than a minute each.
const LONG_CUTS_MAX: usize = 2;

/// A fault at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The fault.
    pub fault: Fault,
    /// The place.
    pub place: Place,
}

/// So many events at different ones of these places, the faults as evenly as it goes; the same for the same seed.
pub fn drawn(seed: u64, count: usize, only: Option<Fault>, places: &[Place]) -> Vec<Event> {
    let mut dice = Dice { seed, thrown: 0 };
    let mut faults: Vec<Fault> = match only {
        Some(fault) => vec![fault],
        None => FAULTS.to_vec(),
    };
    dice.shuffle(&mut faults);
    let mut left = places.to_vec();
    let all: BTreeSet<&str> = left.iter().map(|place| place.host).collect();
    dice.shuffle(&mut left);
    let mut events: Vec<Event> = Vec::new();
    let mut hosts = BTreeSet::new();
    let mut idle = 0;
    for fault in faults.iter().cycle() {
        if events.len() == count || idle > faults.len() {
            break;
        }
        let cuts = events.iter().filter(|e| e.fault == Fault::NetworkLong);
        let barred =
            *fault == Fault::NetworkLong && only.is_none() && cuts.count() >= LONG_CUTS_MAX;
        // A host that has had nothing yet is better than one that has.
        let fresh = |place: &&Place| fault.fits(place) && !hosts.contains(place.host);
        let found = left
            .iter()
            .find(fresh)
            .or_else(|| left.iter().find(|place| fault.fits(place)))
            .copied()
            .filter(|_| !barred);
        idle = if found.is_some() { 0 } else { idle + 1 };
        if let Some(place) = found {
            left.retain(|other| *other != place);
            hosts.insert(place.host);
            events.push(Event {
                fault: *fault,
                place,
            });
        }
        if hosts.len() == all.len() {
            hosts.clear();
        }
    }
    events
}

struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.thrown += 1;
        let digest = Sha256::digest(format!("chaos {} {}", self.seed, self.thrown));
        let bytes = digest.iter().take(4);
        let number = bytes.fold(0_usize, |number, byte| (number << 8) | usize::from(*byte));
        number % end.max(1)
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fleet::Fleet;
    use super::*;

    fn drawn(seed: u64, count: usize, only: Option<Fault>) -> Vec<Event> {
        super::drawn(seed, count, only, &Fleet::Six.places())
    }

    #[test]
    fn a_seed_gives_the_same_events_each_time() {
        assert_eq!(drawn(3, 10, None), drawn(3, 10, None));
        assert_ne!(drawn(3, 10, None), drawn(4, 10, None));
    }

    #[test]
    fn events_are_possible_and_at_different_places() {
        for seed in 0..50 {
            let events = drawn(seed, 13, None);
            assert_eq!(events.len(), 13, "{seed}");
            for (at, event) in events.iter().enumerate() {
                assert!(event.fault.fits(&event.place), "{event:?}");
                let others = events.iter().skip(at + 1);
                assert!(others.into_iter().all(|other| other.place != event.place));
            }
        }
    }

    #[test]
    fn one_fault_alone_can_be_asked_for() {
        let events = drawn(1, 5, Some(Fault::DpkgKilled));
        assert_eq!(events.len(), 5);
        assert!(events.iter().all(|e| e.fault == Fault::DpkgKilled));
        // There are eight steps in which packages are unpacked.
        assert_eq!(drawn(1, 50, Some(Fault::DpkgKilled)).len(), 8);
        assert!(drawn(1, 0, None).is_empty());
    }
}
