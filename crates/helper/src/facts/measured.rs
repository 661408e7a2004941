//! How a measurement becomes a fact, and what bounds it.

use jiff::Timestamp;
use overhaul_model::facts::{HostFacts, Known};
use overhaul_model::wire::FRAME_BYTES_MAX;

/// Most entries of one fact. A host with more is unknown there, never judged by a part.
const ENTRIES_MAX: usize = 2_000;

/// Bytes of all facts together: they go in one frame, with some bytes around them.
const FACTS_BYTES_MAX: usize = FRAME_BYTES_MAX - 4_096;

pub(super) fn known<T>(found: Result<T, String>) -> Known<T> {
    match found {
        Ok(value) => Known::Measured {
            value,
            at: Timestamp::now(),
        },
        Err(reason) => Known::Unknown { reason },
    }
}

/// A fact that is gathered only when it was asked for.
pub(super) fn when<T>(asked: bool, find: impl FnOnce() -> Result<T, String>) -> Known<T> {
    if asked {
        known(find())
    } else {
        Known::not_asked()
    }
}

pub(super) fn bounded<T>(entries: Vec<T>) -> Result<Vec<T>, String> {
    let count = entries.len();
    if count > ENTRIES_MAX {
        return Err(format!("{count} entries, more than {ENTRIES_MAX}"));
    }
    Ok(entries)
}

/// The facts as they fit one frame: lists that grow with what is on the host are given up, the least needed
/// first, and are unknown then.
pub(super) fn fitting(mut facts: HostFacts) -> HostFacts {
    type GiveUp = fn(&mut HostFacts);
    const REASON: &str = "all facts of this host together are too many to be sent";
    let least_needed_first: [GiveUp; 9] = [
        |facts| facts.packages.installed = Known::unknown(REASON),
        |facts| facts.packages.files_changed = Known::unknown(REASON),
        |facts| facts.running.old_code = Known::unknown(REASON),
        |facts| facts.packages.set_aside = Known::unknown(REASON),
        |facts| facts.names.interfaces = Known::unknown(REASON),
        |facts| facts.packages.next_release = Known::unknown(REASON),
        |facts| facts.listening = Known::unknown(REASON),
        |facts| facts.packages.conffiles_changed = Known::unknown(REASON),
        |facts| facts.units = Known::unknown(REASON),
    ];
    let fits = |facts: &HostFacts| {
        serde_json::to_vec(facts).is_ok_and(|bytes| bytes.len() <= FACTS_BYTES_MAX)
    };
    for give_up in least_needed_first {
        if fits(&facts) {
            return facts;
        }
        give_up(&mut facts);
    }
    if fits(&facts) {
        return facts;
    }
    HostFacts::unknown(facts.gathered_at, REASON)
}

#[cfg(test)]
mod tests {
    use super::*;
    use overhaul_model::facts::Package;

    #[test]
    fn what_does_not_fit_is_unknown() {
        let mut facts = HostFacts::unknown(Timestamp::UNIX_EPOCH, "x");
        let package = |bytes: usize| Package {
            name: "a".repeat(bytes).into(),
            version: "".into(),
        };
        facts.packages.installed = known(Ok(vec![package(10)]));
        assert_eq!(fitting(facts.clone()), facts);
        facts.packages.installed = known(Ok(vec![package(FRAME_BYTES_MAX)]));
        let cut = fitting(facts.clone());
        assert!(cut.packages.installed.gap().unwrap().contains("too many"));
        assert_eq!(cut.packages.obsolete, facts.packages.obsolete);
        facts.packages.obsolete = known(Ok(vec![package(FRAME_BYTES_MAX)]));
        assert!(fitting(facts).release.gap().unwrap().contains("too many"));
    }

    #[test]
    fn no_list_is_judged_by_a_part() {
        assert_eq!(
            bounded(vec![0; ENTRIES_MAX]).map(|all| all.len()),
            Ok(ENTRIES_MAX)
        );
        assert!(bounded(vec![0; ENTRIES_MAX + 1]).is_err());
    }
}
