//! The keys of a tracker.

use crate::shape::{Key, Kind, Shape, may, must};

const fn shape(id: &'static str, what: &'static str, keys: &'static [&'static [Key]]) -> Shape {
    Shape {
        id,
        what,
        keys,
        later: &[],
        one_of: &[],
    }
}

const TEXTS: Kind = Kind::List(&Kind::Text);

/// Ranks that make sense: more than any chain of hosts that wait for each other.
pub(super) const RANK_MAX: i64 = 100_000;

const RANK: Kind = Kind::Int(1, RANK_MAX);

/// The words of a change that people may decide.
pub(super) const CHANGES: [&str; 3] = ["in-place", "rebuild", "replace"];

/// What is proposed when the facts do not let anybody say.
pub(super) const CANNOT_SAY: &str = "cannot-say";

/// The words of a treatment of data; `carry` needs its paths.
pub(super) const DATA: [&str; 5] = ["none", "stays", "volume", "rejoin", "transfer"];

/// The words of a pace.
pub(super) const PACES: [&str; 2] = ["one-by-one", "batches"];

/// The words of a state.
pub(super) const STATES: [&str; 5] = ["not-started", "under-way", "done", "postponed", "leftovers"];

/// States that people may say; the others follow from runs and from `postponed`.
pub(super) const STATES_SAID: [&str; 2] = ["not-started", "done"];

/// Paths that are carried.
pub(super) static CARRY: Shape = shape(
    "carry",
    "`data`",
    &[&[must(
        "carry",
        TEXTS,
        "absolute paths that are exported before and imported after",
    )]],
);

const DATA_DECIDED: Kind = Kind::Either(&[Kind::Words(&DATA), Kind::Object(&CARRY)]);

const DATA_PROPOSED: Kind = Kind::Either(&[
    Kind::Words(&[
        "none",
        "stays",
        "volume",
        "rejoin",
        "transfer",
        "cannot-say",
    ]),
    Kind::Object(&CARRY),
]);

/// What Overhaul proposes.
pub(super) static PROPOSED: Shape = shape(
    "proposed",
    "`proposed`",
    &[&[
        must(
            "change",
            Kind::Words(&["in-place", "rebuild", "replace", "cannot-say"]),
            "how the host changes",
        ),
        must("data", DATA_PROPOSED, "what becomes of its data"),
        must("rank", RANK, "hosts of lower ranks come before; from 1"),
        must("group", Kind::Text, "hosts that share a pace"),
        must(
            "pace",
            Kind::Words(&PACES),
            "how many of the group change at once",
        ),
        may("after", TEXTS, "hosts that must be over before"),
        may("roles", TEXTS, "its roles when it was last seen"),
        may("zone", Kind::Text, "its zone when it was last seen"),
        may("release", Kind::Text, "the release that it has"),
        may(
            "data_bytes",
            Kind::Int(0, i64::MAX),
            "bytes of data that were found",
        ),
        may("facts_of", Kind::Text, "when its facts were gathered"),
        may("why", TEXTS, "the reasons, each with its rule"),
        may("not_known", TEXTS, "what is not known"),
    ]],
);

/// What people decide.
pub(super) static DECIDED: Shape = shape(
    "decided",
    "`decided`",
    &[&[
        may("change", Kind::Words(&CHANGES), "how the host changes"),
        may("data", DATA_DECIDED, "what becomes of its data"),
        may("rank", RANK, "hosts of lower ranks come before; from 1"),
        may("group", Kind::Text, "hosts that share a pace"),
        may(
            "pace",
            Kind::Words(&PACES),
            "how many of the group change at once",
        ),
        may(
            "after",
            TEXTS,
            "hosts that must be over before, beside the proposed ones",
        ),
        may("postponed", Kind::Object(&POSTPONED), "the host waits"),
        may(
            "state",
            Kind::Words(&STATES_SAID),
            "its state, whatever runs tell",
        ),
        may("note", Kind::Text, "anything else"),
    ]],
);

/// A host that waits.
pub(super) static POSTPONED: Shape = shape(
    "postponed",
    "`postponed`",
    &[&[
        must("until", Kind::Date, "the last day that it waits"),
        must("by", Kind::Text, "who decided"),
        must("reason", Kind::Text, "why"),
    ]],
);

/// How far a host is.
pub(super) static PROGRESS: Shape = shape(
    "progress",
    "`progress`",
    &[&[
        must("state", Kind::Words(&STATES), "how far the host is"),
        may("run", Kind::Text, "the last run that took it"),
        may("leftovers", TEXTS, "what that run has left behind"),
        may(
            "vanished",
            Kind::Date,
            "the day on which the inventory was first seen without it",
        ),
    ]],
);

/// A host.
pub(super) static HOST: Shape = shape(
    "tracked-host",
    "a host of a tracker",
    &[&[
        may(
            "proposed",
            Kind::Object(&PROPOSED),
            "Overhaul's; rewritten at each run",
        ),
        may("decided", Kind::Object(&DECIDED), "yours; never touched"),
        may(
            "progress",
            Kind::Object(&PROGRESS),
            "Overhaul's; rewritten at each run",
        ),
    ]],
);

/// A tracker.
pub(crate) static TRACKER: Shape = shape(
    "tracker",
    "a tracker",
    &[&[
        must("tracker", Kind::Text, "the fleet's name"),
        must(
            "hosts",
            Kind::Map(&Kind::Either(&[Kind::Object(&HOST), Kind::Nothing])),
            "hosts by name",
        ),
    ]],
);
