//! The keys of what is known of an upgrade beyond its steps.

use super::shapes::{MEASURE, STEP};
use crate::shape::{Key, Kind, Shape, may, must};

const TEXTS: Kind = Kind::List(&Kind::Text);
const NAMES: Kind = Kind::Either(&[TEXTS, Kind::Text]);

const fn shape(id: &'static str, what: &'static str, keys: &'static [&'static [Key]]) -> Shape {
    Shape {
        id,
        what,
        keys,
        later: &[],
        one_of: &[],
    }
}

/// A version that none may leave out.
pub(super) static STOP: Shape = shape(
    "version_stop",
    "a stop",
    &[&[
        must(
            "version",
            Kind::Text,
            "the least version that counts as this stop",
        ),
        may(
            "by",
            Kind::Text,
            "the name of the step that brings hosts to it",
        ),
    ]],
);

/// Versions on the way.
pub(super) static VERSION_PATH: Shape = shape(
    "version_path",
    "a way of versions",
    &[&[
        must(
            "path",
            Kind::List(&Kind::Either(&[Kind::Text, Kind::Object(&STOP)])),
            "versions that none may leave out, rising",
        ),
        may(
            "to",
            Kind::Text,
            "where it leads; the last one of `path` if left out",
        ),
    ]],
);

/// A range of versions.
pub(super) static VERSION_RANGE: Shape = shape(
    "version_range",
    "`versions` of an issue",
    &[&[
        must(
            "of",
            Kind::Text,
            "a package, or the ID of an operating system",
        ),
        may("from", Kind::Text, "the first version that has the issue"),
        may("before", Kind::Text, "the first version without it"),
        may("is", Kind::Text, "the only version that has it"),
    ]],
);

/// A remedy that is a step.
pub(super) static REMEDY: Shape = shape(
    "remedy",
    "a remedy",
    &[&[
        must(
            "slot",
            Kind::Words(&[
                "prepare",
                "drain",
                "backup",
                "stop",
                "export",
                "change",
                "restore",
                "configure",
                "migrate",
                "start",
                "verify",
                "undrain",
                "finish",
                "cleanup",
            ]),
            "where the step stands, before all others of the slot",
        ),
        must("step", Kind::Object(&STEP), "the step"),
    ]],
);

const ISSUE_KEYS: &[Key] = &[
    must("id", Kind::Text, "what its makers call it"),
    must("says", Kind::Text, "what goes wrong, in a sentence"),
    may(
        "versions",
        Kind::Object(&VERSION_RANGE),
        "versions that have it; all if left out",
    ),
    may(
        "check",
        Kind::Object(&MEASURE),
        "holds where a host does not have it, or no longer",
    ),
];

/// A known issue.
pub(super) static ISSUE: Shape = shape(
    "known_issue",
    "a known issue",
    &[
        ISSUE_KEYS,
        &[
            may("roles", NAMES, "roles whose hosts have it; all if left out"),
            may(
                "remedy",
                Kind::Either(&[Kind::Text, Kind::Object(&REMEDY)]),
                "what a person does about it, or a step that does it; unknown if left out",
            ),
        ],
    ],
);

/// A known issue of an upgrader.
pub(crate) static KIND_ISSUE: Shape = Shape {
    id: "kind_issue",
    what: "a known issue",
    keys: &[
        ISSUE_KEYS,
        &[may(
            "remedy",
            Kind::Text,
            "what a person does about it; unknown if left out",
        )],
    ],
    later: &[("roles", "an upgrader does not know roles")],
    one_of: &[],
};

/// Something out of order on purpose.
pub(super) static EXPECTED: Shape = Shape {
    id: "expected",
    what: "an entry of `expected`",
    keys: &[&[
        may("roles", NAMES, "roles on whose hosts; all if left out"),
        must("until", Kind::Date, "the last day on which it is expected"),
        must("reason", Kind::Text, "why"),
    ]],
    later: &[],
    one_of: &[
        may(
            "stays_down",
            NAMES,
            "services or units that are down afterwards",
        ),
        may("failed_unit", NAMES, "units that have failed"),
        may("log_line", NAMES, "texts that lines of logs hold"),
    ],
};

/// A border between versions.
pub(crate) static BORDER: Shape = shape(
    "version_border",
    "an entry of `no_mix`",
    &[&[
        must(
            "of",
            Kind::Text,
            "a package, or the ID of an operating system",
        ),
        must(
            "at",
            Kind::Text,
            "the first version that never meets an older one in a cluster",
        ),
    ]],
);

/// Keys of a definition.
pub(super) static KNOWLEDGE: [Key; 6] = [
    may(
        "versions",
        Kind::Map(&Kind::Object(&VERSION_PATH)),
        "versions that none may leave out, by package or operating system",
    ),
    may(
        "known_issues",
        Kind::List(&Kind::Object(&ISSUE)),
        "what is known to go wrong, with its remedy",
    ),
    may(
        "expected",
        Kind::List(&Kind::Object(&EXPECTED)),
        "what is out of order on purpose, in this upgrade and until a day",
    ),
    may(
        "equal_versions",
        Kind::List(&TEXTS),
        "sets of packages that have one version wherever they are installed",
    ),
    may(
        "retired",
        TEXTS,
        "services and units that are stopped for good",
    ),
    may(
        "whole_role",
        Kind::Map(&Kind::Text),
        "roles of which all hosts may be in one dangerous step, each with the reason",
    ),
];
