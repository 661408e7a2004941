//! The keys of what the controller carries out itself: providers, machines, playbooks.

use crate::shape::{Key, Kind, Shape, may, must};

const TEXTS: Kind = Kind::List(&Kind::Text);

const fn shape(id: &'static str, what: &'static str, keys: &'static [&'static [Key]]) -> Shape {
    Shape {
        id,
        what,
        keys,
        later: &[],
        one_of: &[],
    }
}

/// A provider of machines.
pub(super) static PROVIDER: Shape = shape(
    "provider",
    "a provider",
    &[&[
        must(
            "script",
            Kind::Text,
            "absolute path of the program that makes and ends machines (docs/providers.md)",
        ),
        may(
            "config",
            Kind::Map(&Kind::Any),
            "what every request tells it; no secrets",
        ),
    ]],
);

const MACHINE_KEYS: &[Key] = &[
    may(
        "machine",
        Kind::Text,
        "the machine's name at the provider; the host's own if left out",
    ),
    may(
        "params",
        Kind::Map(&Kind::Any),
        "what else the provider is told",
    ),
    may(
        "answers_within",
        Kind::Span,
        "within this the machine must answer; 15m if left out",
    ),
];

/// How a role's machines are made anew.
pub(super) static REBUILD: Shape = shape(
    "rebuild",
    "`rebuild`",
    &[&[
        may("provider", Kind::Text, "the provider that makes them"),
        may(
            "image",
            Kind::Text,
            "what a new machine is made from, in the provider's words",
        ),
        may(
            "by",
            Kind::Words(&["person"]),
            "`person`: somebody is asked to make them, and the new machine is proven afterwards",
        ),
        may(
            "params",
            Kind::Map(&Kind::Any),
            "what else the provider is told",
        ),
        may(
            "answers_within",
            Kind::Span,
            "within this the new machine must answer; 15m if left out",
        ),
    ]],
);

/// Work on a machine.
pub(super) static MACHINE: Shape = shape(
    "machine",
    "`machine`",
    &[
        &[
            must(
                "op",
                Kind::Words(&["describe", "rebuild", "stop", "start", "create", "destroy"]),
                "what is done",
            ),
            must("provider", Kind::Text, "the provider that does it"),
            may(
                "image",
                Kind::Text,
                "what a new machine is made from; with `rebuild` and `create`",
            ),
        ],
        MACHINE_KEYS,
    ],
);

/// A playbook.
pub(super) static ANSIBLE: Shape = shape(
    "ansible",
    "`ansible`",
    &[&[
        must(
            "playbook",
            Kind::Text,
            "its file, seen from the definition's folder",
        ),
        may("tags", TEXTS, "tags; all tasks if left out"),
        may(
            "limit",
            Kind::Text,
            "the pattern of hosts; the host of the lane alone if left out",
        ),
        may(
            "inventory",
            Kind::Text,
            "the inventory, seen from the definition's folder; that of the plan if left out",
        ),
        may(
            "extra_vars",
            Kind::Map(&Kind::Any),
            "further variables, given on standard input",
        ),
    ]],
);
