//! The keys of a role: its strategy, its order, and what stands in its slots.

use super::shapes::{GUARD, MEASURE, STEP, TEXTS, shape};
use super::strategy::{CHANGES, DATA, STRATEGIES};
use super::{belonging_shapes, near_shapes};
use crate::shape::{Kind, Shape, may, must};

/// The limit of an order.
pub(super) static AT_ONCE: Shape = shape(
    "at_once",
    "`all`",
    &[&[must(
        "at_once",
        Kind::Int(1, 10_000),
        "hosts under way at once at most",
    )]],
);

/// Batches with a limit.
pub(super) static BATCHES: Shape = shape(
    "batches",
    "`batches`",
    &[&[
        must(
            "sizes",
            TEXTS,
            "hosts of each batch, like 1 or 10%; the last size is repeated until no host is left",
        ),
        may(
            "at_once",
            Kind::Int(1, 10_000),
            "hosts of one batch under way at once at most; 50 if left out",
        ),
    ]],
);

/// An order with its limit.
pub(super) static ORDER: Shape = Shape {
    id: "order",
    what: "`order`",
    keys: &[],
    later: &[],
    one_of: &[
        may("all", Kind::Object(&AT_ONCE), "all hosts, with a limit"),
        may(
            "batches",
            Kind::Either(&[TEXTS, Kind::Object(&BATCHES)]),
            "one batch after the other",
        ),
        may(
            "zone-by-zone",
            Kind::Either(&ORDERS),
            "one zone after the other, in each of them in this order",
        ),
    ],
};

/// An order in either form. Static, because orders hold orders.
static ORDERS: [Kind; 2] = [
    Kind::Words(&["all", "one-by-one", "zone-by-zone"]),
    Kind::Object(&ORDER),
];

/// What stands in a slot. Static, because blocks hold blocks.
static BLOCKS: [Kind; 3] = [
    Kind::Object(&STEP),
    Kind::Object(&SCOPE),
    Kind::Object(&REPAIR),
];

static BLOCK: Kind = Kind::Either(&BLOCKS);

const STEPS: Kind = Kind::List(&BLOCK);

/// Something opened and closed, whatever happens in between.
pub(super) static SCOPE: Shape = shape(
    "scope",
    "a scope",
    &[&[
        must("scope", Kind::Text, "what holds meanwhile"),
        must("open", Kind::Object(&STEP), "the step that sets up"),
        must("body", Kind::List(&BLOCK), "what needs it"),
        must(
            "close",
            Kind::Object(&STEP),
            "the step that takes away, whatever happened",
        ),
    ]],
);

/// A remedy for what may fail in a known way.
pub(super) static REPAIR: Shape = shape(
    "repair",
    "a repair",
    &[&[
        must("repair", Kind::Text, "what is repaired"),
        must("body", Kind::List(&BLOCK), "what may fail"),
        must(
            "when",
            Kind::Object(&MEASURE),
            "the finding that the remedy is for",
        ),
        must(
            "remedy",
            Kind::List(&BLOCK),
            "what is done then, before the body goes on",
        ),
        may(
            "attempts",
            Kind::Int(1, 20),
            "how often at most; once if left out",
        ),
    ]],
);

/// A role.
pub(super) static ROLE: Shape = Shape {
    id: "role",
    what: "a role",
    keys: &[&[
        may(
            "strategy",
            Kind::Words(STRATEGIES),
            "how the role's hosts change: a point of change x data by its name",
        ),
        may(
            "data",
            Kind::Words(DATA),
            "what becomes of the data on the machine, instead of what the strategy says",
        ),
        may(
            "carry",
            TEXTS,
            "absolute paths that another machine gets from the old one; in place they stay",
        ),
        may(
            "volumes",
            Kind::List(&Kind::Object(&belonging_shapes::ROLE_VOLUME)),
            "volumes that another machine gets from the old one; in place they stay",
        ),
        may(
            "replace",
            Kind::Object(&belonging_shapes::REPLACE),
            "names and addresses, where a new machine takes the place of the old one",
        ),
        may(
            "order",
            Kind::Either(&ORDERS),
            "the order of its hosts; `one-by-one` if left out",
        ),
        may(
            "after",
            Kind::Either(&[TEXTS, Kind::Text]),
            "roles that change before this one; else roles follow the order in which they are written",
        ),
        may(
            "upgrader",
            Kind::Text,
            "the kind of release upgrader; `apt` if left out",
        ),
        may(
            "rebuild",
            Kind::Object(&near_shapes::REBUILD),
            "how new machines are made for it, where the strategy asks for that",
        ),
        may(
            "guards",
            Kind::List(&Kind::Object(&GUARD)),
            "conditions measured just before each host begins",
        ),
        may(
            "services",
            Kind::Words(&["by-strategy", "by-steps"]),
            "who holds and starts the role's services; `by-strategy` if left out",
        ),
        may(
            "stay_up",
            Kind::Either(&[TEXTS, Kind::Map(&Kind::Text)]),
            "services that stay up when the others stop; each with the step that ends it, or until the host goes",
        ),
        may("prepare", STEPS, "before anything: no outage is needed"),
        may("drain", STEPS, "users are led away"),
        may(
            "backup",
            Kind::List(&Kind::Either(&[Kind::Text, Kind::Either(&BLOCKS)])),
            "datasets that are copied before anything changes, and steps",
        ),
        may("stop", STEPS, "services stop"),
        may("export", STEPS, "data leaves the host"),
        may(
            "change",
            Kind::Either(&[STEPS, Kind::Words(CHANGES)]),
            "steps beside the change of the system; or how the machine changes, instead of what the strategy says",
        ),
        may("restore", STEPS, "data comes back"),
        may("configure", STEPS, "configuration is adapted"),
        may("migrate", STEPS, "data is brought to the new versions"),
        may("start", STEPS, "services start"),
        may("verify", STEPS, "health is proven"),
        may("undrain", STEPS, "users are let back"),
        may("finish", STEPS, "after all hosts"),
        may(
            "cleanup",
            STEPS,
            "when the upgrade has proven itself: begun by name only, with overhaul cleanup",
        ),
    ]],
    later: &[
        ("keep", "write `keep` in the service"),
        (
            "together",
            "write it at the top of the file, like `together: [controller, database]`",
        ),
        ("batches", "write `order: {batches: [1, 10%]}`"),
        ("zones", "write `order: zone-by-zone`"),
        ("stages", "write it at the top of the file"),
        ("budget", "write `failure_budget` at the top of the file"),
        (
            "volume",
            "write `volumes: [{name: NAME, mount: PATH}]` with `data: volume`",
        ),
        ("expect", "write a `verify` step"),
    ],
    one_of: &[],
};
