//! The cells of the tables over many runs: which there can be, and why some are never hit on this scene.
//!
//! What may meet is written here by hand, and not asked of the state machine: an event that meets a state which this
//! table does not know fails a campaign as much as a cell that is never hit and has no reason.

use overhaul_model::definition::Slot;
use overhaul_sim::{Kind, Tally};
use std::collections::BTreeSet;

/// Runs whose journals were counted from which on a cell without a hit and without a reason is a failure.
pub const ENOUGH: u64 = 100_000;

/// Events, and the states that each of them fits.
const FITS: [(&[&str], &[&str]); 13] = [
    (
        &["guard holds", "guard does not hold", "guard not measured"],
        &["ready: guard", "held", "failed: again", "unknown: again"],
    ),
    (&["asked"], &["ready: ask"]),
    (
        &["checked so", "checked not so", "check not measured"],
        &[
            "ready: check",
            "failed: measure",
            "failed: again",
            "unknown: measure",
            "unknown: again",
        ],
    ),
    (
        &["started"],
        &["ready: act", "failed: again", "unknown: again"],
    ),
    (
        &[
            "settled: never began",
            "settled: running",
            "settled: ended",
            "settled: unknown",
        ],
        &["running: settling", "unknown: settle"],
    ),
    (
        &["succeeded", "failed", "did not begin", "unknown"],
        &["running: acting"],
    ),
    (
        &["verified", "not verified", "verify not measured"],
        &["running: verifying"],
    ),
    (
        &[
            "finding is there",
            "finding is not there",
            "finding not measured",
        ],
        &["waiting"],
    ),
    (&["approve"], &["asked"]),
    (&["retry"], RETRIED),
    (&["done", "void"], BAD),
    (&["skip"], BAD),
    (
        &["skip"],
        &[
            "waiting",
            "ready: guard",
            "ready: check",
            "ready: ask",
            "ready: act",
            "held",
            "asked",
        ],
    ),
];

/// What failed, or nobody knows.
const BAD: &[&str] = &[
    "failed: measure",
    "failed: again",
    "failed: person",
    "unknown: settle",
    "unknown: measure",
    "unknown: again",
    "unknown: person",
];

/// Where a person may say `retry`: of what is bad, and wherever the host is that only a person can bring back.
const RETRIED: &[&str] = &[
    "ready: guard",
    "ready: check",
    "ready: ask",
    "ready: act",
    "held",
    "asked",
    "running: acting",
    "running: settling",
    "running: verifying",
    "failed: measure",
    "failed: again",
    "failed: person",
    "unknown: settle",
    "unknown: measure",
    "unknown: again",
    "unknown: person",
];

/// Why some cells are never hit: states and events (all where the list is empty), and the reason.
type Rule = (
    &'static [&'static str],
    &'static [&'static str],
    &'static str,
);

const NEVER_MET: [Rule; 9] = [
    (
        &[],
        &["skip", "void"],
        "simulated people leave no step out and declare none void: the fleet would come to another end",
    ),
    (
        &[],
        &["guard does not hold"],
        "the scene's guard is a command, and holds on every host; members are counted by the state machine, whose row \
         tells of the count alone",
    ),
    (
        &["held"],
        &["guard not measured"],
        "a guard is measured again after 5 s; faults begin at attempts, and the attempt before a host's guards is of \
         the stage before",
    ),
    (
        &["failed: again"],
        &[
            "guard holds",
            "guard not measured",
            "checked so",
            "checked not so",
            "check not measured",
        ],
        "what is tried again after it has failed (copies, and a look at the front page) has neither guard nor check",
    ),
    (
        &["unknown: again"],
        &["guard holds", "guard not measured"],
        "steps behind a guard are measured, and not tried again, where nobody knows how they ended",
    ),
    (
        &["failed: measure", "unknown: measure"],
        &["checked so"],
        "what failed or was cut off is not done on a simulated host, and a person who sees that it is done says so",
    ),
    (
        &["failed: measure", "unknown: measure"],
        &["check not measured"],
        "the host has told of the failure, or accepted the controller, the moment before: in 85,000 runs a fault came between \
         three times",
    ),
    (
        &["asked"],
        &["retry"],
        "people answer a question, and do not have it asked again",
    ),
    (
        &[
            "held",
            "running: acting",
            "running: settling",
            "running: verifying",
            "failed: measure",
            "failed: again",
        ],
        &["retry", "done"],
        "people are asked where only they can make the run go on: not where it is at work, waits, measures or tries \
         again by itself",
    ),
];

/// Why a fault never strikes in some slots (in any where the list is empty).
type FaultRule = (&'static [Kind], &'static [Slot], &'static str);

const NEVER_STRUCK: [FaultRule; 0] = [];

/// What the table says about a campaign.
#[derive(Default)]
pub struct Looked {
    /// Cells without a hit: what, and the reason that the table has.
    pub unhit: Vec<(String, Option<&'static str>)>,
    /// Hits that the table does not know.
    pub unknown: Vec<String>,
    /// Cells that there are.
    pub cells: usize,
}

impl Looked {
    /// Whether everything has a hit or a reason.
    pub fn is_explained(&self) -> bool {
        self.unknown.is_empty() && self.unhit.iter().all(|(_, why)| why.is_some())
    }
}

/// States and events.
pub fn pairs(tally: &Tally) -> Looked {
    let mut out = Looked::default();
    let mut known = BTreeSet::new();
    for (events, states) in FITS {
        for cell in states
            .iter()
            .flat_map(|s| events.iter().map(move |e| (*s, *e)))
        {
            known.insert(cell);
            if !tally.pairs.contains_key(&cell) {
                let says = |rule: &&Rule| has(rule.0, cell.0) && has(rule.1, cell.1);
                let why = NEVER_MET.iter().find(says).map(|rule| rule.2);
                out.unhit.push((format!("{} + {}", cell.0, cell.1), why));
            }
        }
    }
    let met = tally.pairs.keys().filter(|cell| !known.contains(*cell));
    out.unknown = met
        .map(|(state, event)| format!("{state} + {event}"))
        .collect();
    out.cells = known.len();
    out
}

/// Faults and slots.
pub fn strikes(tally: &Tally, slots: &[Slot]) -> Looked {
    let mut out = Looked::default();
    for kind in Kind::ALL {
        let places = match kind.of_journal() {
            true => vec![None],
            false => slots.iter().copied().map(Some).collect(),
        };
        for slot in places {
            out.cells += 1;
            if tally.struck.contains_key(&(kind, slot)) {
                continue;
            }
            let says =
                |rule: &&FaultRule| has(rule.0, kind) && slot.is_some_and(|s| has(rule.1, s));
            let why = NEVER_STRUCK.iter().find(says).map(|rule| rule.2);
            let what = slot.map_or_else(String::new, |slot| format!(" at {slot:?}"));
            out.unhit.push((format!("{kind}{what}"), why));
        }
    }
    out
}

fn has<T: PartialEq>(list: &[T], one: T) -> bool {
    list.is_empty() || list.contains(&one)
}
