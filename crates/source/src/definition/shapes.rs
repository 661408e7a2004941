//! The keys of a definition.

use super::calendar::{CALENDAR, PREWORK};
use super::knowledge_shapes::KNOWLEDGE;
use super::role_shapes::ROLE;
use super::{archive, belonging_shapes, later_shapes, members, near_shapes};
use crate::shape::{Key, Kind, Shape, may, must};

pub(super) const fn shape(
    id: &'static str,
    what: &'static str,
    keys: &'static [&'static [Key]],
) -> Shape {
    Shape {
        id,
        what,
        keys,
        later: &[],
        one_of: &[],
    }
}

pub(super) const TEXTS: Kind = Kind::List(&Kind::Text);
const SCRIPT: Kind = Kind::Either(&[TEXTS, Kind::Text]);

/// A file written whole.
pub(crate) static FILE: Shape = shape(
    "file",
    "`file`",
    &[&[
        must("path", Kind::Text, "absolute path"),
        may("content", Kind::Text, "the whole content"),
        may("mode", Kind::Text, "permission bits like \"0644\""),
        may(
            "backup",
            Kind::Bool,
            "whether the old content is kept beside it",
        ),
        may(
            "absent",
            Kind::Bool,
            "whether the file shall be gone instead",
        ),
    ]],
);

/// A key with its value.
pub(super) static SET: Shape = shape(
    "set",
    "an entry of `set`",
    &[&[
        must("key", Kind::Text, "the key at the start of the line"),
        must("value", Kind::Text, "its new value"),
        may(
            "separator",
            Kind::Text,
            "what stands between them; ` = ` if left out",
        ),
    ]],
);

/// A text that becomes another.
pub(super) static REPLACE: Shape = shape(
    "replace",
    "an entry of `replace`",
    &[&[
        must("find", Kind::Text, "the text to find"),
        must("with", Kind::Text, "what takes its place"),
    ]],
);

/// A file edited.
pub(crate) static EDIT: Shape = shape(
    "edit",
    "`edit`",
    &[&[
        must("path", Kind::Text, "absolute path of a file that exists"),
        may(
            "set",
            Kind::List(&Kind::Object(&SET)),
            "keys with their values",
        ),
        may("line", TEXTS, "lines that shall stand in the file"),
        may("remove", TEXTS, "lines that shall not"),
        may(
            "replace",
            Kind::List(&Kind::Object(&REPLACE)),
            "texts that become others",
        ),
        may(
            "validate",
            TEXTS,
            "a command that must accept the new file, which it names {path}",
        ),
        may(
            "backup",
            Kind::Bool,
            "whether the old content is kept beside it",
        ),
    ]],
);

const STATES: Kind = Kind::Words(&[
    "active",
    "stopped",
    "held",
    "startable",
    "enabled",
    "disabled",
]);

const MEASURE_EXTRAS: &[Key] = &[
    may("state", STATES, "with `unit`: the state it shall have"),
    may(
        "status",
        Kind::Int(100, 599),
        "with `http`: the status that is good; 200 if left out",
    ),
];

static A_MEASURE: Kind = Kind::Object(&MEASURE);
static A_GUARD: Kind = Kind::Object(&GUARD);

static MEASURES: [Key; 11] = [
    may(
        "run",
        SCRIPT,
        "a command that succeeds: a list of arguments, or a text for /bin/sh",
    ),
    may("shell", Kind::Text, "a script for /bin/sh that succeeds"),
    may("unit", Kind::Text, "a unit of systemd, with `state`"),
    may(
        "release",
        Kind::Text,
        "the release that the host has, like `debian 13`",
    ),
    may(
        "packages_clean",
        Kind::Bool,
        "dpkg has nothing unfinished and nothing broken",
    ),
    may("installed", TEXTS, "packages that are installed"),
    may(
        "http",
        Kind::Text,
        "a URL that answers, asked from the controller",
    ),
    may(
        "tcp",
        Kind::Text,
        "host:port that accepts, asked from the controller",
    ),
    may(
        "file",
        Kind::Object(&FILE),
        "the file is as it would be written",
    ),
    may(
        "edit",
        Kind::Object(&EDIT),
        "the file is as it would be after the edits",
    ),
    may("all", Kind::List(&A_MEASURE), "all of these hold"),
];

/// A condition that is measured.
pub(crate) static MEASURE: Shape = Shape {
    id: "measure",
    what: "a measure",
    keys: &[MEASURE_EXTRAS],
    later: &[],
    one_of: &MEASURES,
};

/// A condition with a name and a bound.
pub(super) static GUARD: Shape = Shape {
    id: "guard",
    what: "a guard",
    keys: &[
        &[
            must("name", Kind::Text, "what is waited for"),
            must(
                "at_most",
                Kind::Span,
                "how long the step is held before it fails",
            ),
        ],
        MEASURE_EXTRAS,
    ],
    later: &[("every", "guards are measured again by themselves")],
    one_of: &MEASURES,
};

/// How health is measured.
pub(super) static HEALTHY: Shape = Shape {
    id: "healthy",
    what: "`healthy`",
    keys: &[&[may(
        "status",
        Kind::Int(100, 599),
        "with `http`: the status that is good; 200 if left out",
    )]],
    later: &[(
        "unit",
        "a unit that runs may still refuse its users: use `http`, `tcp` or `run`",
    )],
    one_of: &[
        may(
            "http",
            Kind::Text,
            "a URL that answers, asked from the controller",
        ),
        may(
            "tcp",
            Kind::Text,
            "host:port that accepts, asked from the controller",
        ),
        may("run", SCRIPT, "a command that succeeds on the host"),
        may(
            "shell",
            Kind::Text,
            "a script for /bin/sh that succeeds on the host",
        ),
    ],
};

/// The outage agreed on.
pub(super) static WINDOW: Shape = shape(
    "window",
    "`window`",
    &[&[must(
        "budget",
        Kind::Span,
        "the longest outage that was agreed on",
    )]],
);

/// A service.
pub(super) static SERVICE: Shape = Shape {
    id: "service",
    what: "a service",
    keys: &[&[
        must("on", Kind::Text, "the role whose hosts run it"),
        must(
            "unit",
            Kind::Text,
            "its unit of systemd; `.service` may be left out",
        ),
        may(
            "healthy",
            Kind::Object(&HEALTHY),
            "how its health is measured",
        ),
        may(
            "window",
            Kind::Object(&WINDOW),
            "the outage that was agreed on",
        ),
        may(
            "keep",
            Kind::Int(0, 100_000),
            "hosts that must serve at any time; needs `healthy` or `cluster`",
        ),
        may(
            "cluster",
            Kind::Text,
            "the kind of cluster that its hosts form: it says what a healthy member is, and how many make a majority",
        ),
        may(
            "after",
            Kind::Either(&[TEXTS, Kind::Text]),
            "services of the same role that start before it and stop after it",
        ),
    ]],
    later: &[],
    one_of: &[],
};

/// A dataset.
pub(super) static DATASET: Shape = Shape {
    id: "dataset",
    what: "a dataset",
    keys: &[&[
        must("of", Kind::Text, "the service that holds it"),
        must(
            "kind",
            Kind::Words(&["postgresql", "mariadb", "paths"]),
            "what it is",
        ),
        may(
            "paths",
            TEXTS,
            "of `kind: paths`, absolute paths, none in another one",
        ),
        may(
            "authority",
            Kind::Text,
            "the host whose copy counts; the only host of its service if left out",
        ),
        may(
            "cluster",
            Kind::Text,
            "the PostgreSQL cluster; `main` if left out",
        ),
        may(
            "fresh_for",
            Kind::Span,
            "a copy that is older than this counts as none",
        ),
    ]],
    later: &[],
    one_of: &[],
};

/// A release.
pub(super) static RELEASE: Shape = shape(
    "release",
    "a release",
    &[&[
        must("os", Kind::Text, "as ID of os-release names it"),
        must("release", Kind::Text, "as VERSION_ID names it"),
    ]],
);

/// A release in either form.
pub(crate) const RELEASE_KIND: Kind = Kind::Either(&[Kind::Object(&RELEASE), Kind::Text]);

/// An exception.
pub(super) static WAIVER: Shape = shape(
    "waiver",
    "a waiver",
    &[&[
        must("rule", Kind::Text, "the rule"),
        must("subject", Kind::Text, "the finding's subject"),
        must("person", Kind::Text, "who takes it on themselves"),
        must("reason", Kind::Text, "why"),
        must("expires", Kind::Date, "the last day on which it counts"),
    ]],
);

/// What happens to a unit.
pub(super) static UNIT_ACTION: Shape = Shape {
    id: "unit_action",
    what: "`service`",
    keys: &[],
    later: &[],
    one_of: &[
        may("start", Kind::Text, "starts the unit"),
        may("stop", Kind::Text, "stops it"),
        may("restart", Kind::Text, "restarts it"),
        may("reload", Kind::Text, "reloads it"),
        may(
            "hold",
            Kind::Text,
            "stops and masks it, so that nothing starts it",
        ),
        may("let_go", Kind::Text, "unmasks and starts it"),
        may("enable", Kind::Text, "has it started at boot"),
        may("disable", Kind::Text, "has it not started at boot"),
    ],
};

/// Packages.
pub(super) static PACKAGES: Shape = shape(
    "packages",
    "`packages`",
    &[&[
        may("install", TEXTS, "packages to be installed"),
        may("remove", TEXTS, "packages to be removed"),
    ]],
);

/// A reboot.
pub(super) static REBOOT: Shape = shape(
    "reboot",
    "`reboot`",
    &[&[may(
        "back_within",
        Kind::Span,
        "within this the host must be back; 10m if left out",
    )]],
);

/// Work on a dataset.
pub(super) static DATABASE: Shape = Shape {
    id: "database",
    what: "`database`",
    keys: &[&[must(
        "move_cluster",
        Kind::Text,
        "the dataset whose cluster moves to the new major version",
    )]],
    later: &[
        ("backup", "name the dataset in the role's `backup:` list"),
        ("restore", "the way back comes with a later version"),
    ],
    one_of: &[],
};

/// A bounded wait.
pub(crate) static WAIT: Shape = shape(
    "wait",
    "`wait`",
    &[&[
        must("until", Kind::Object(&MEASURE), "the condition"),
        may(
            "every",
            Kind::Span,
            "time between two measurements; 5s if left out",
        ),
        must("at_most", Kind::Span, "the wait fails after this"),
    ]],
);

/// Attempts.
pub(crate) static RETRY: Shape = shape(
    "retry",
    "`retry`",
    &[&[
        must("attempts", Kind::Int(1, 20), "attempts in all"),
        may(
            "back_off",
            Kind::Span,
            "wait before the second attempt, doubled each time; 10s if left out",
        ),
    ]],
);

/// Keys of every step that acts, in definitions and kinds.
pub(crate) const STEP_KEYS: &[Key] = &[
    must(
        "name",
        Kind::Text,
        "what the step is called; its slug is the end of the step's id",
    ),
    may(
        "check",
        Kind::Object(&MEASURE),
        "already so? then the step is skipped",
    ),
    may(
        "verify",
        Kind::Object(&MEASURE),
        "so now? else the step has failed",
    ),
    may(
        "repeat",
        Kind::Words(&["safe"]),
        "`safe` when the step may be begun again freely",
    ),
    may("timeout", Kind::Span, "the act is ended after this"),
    may(
        "stall",
        Kind::Span,
        "the act is ended after this long without progress",
    ),
    may("expected", Kind::Span, "how long it usually takes"),
    may("retry", Kind::Object(&RETRY), "attempts; one if left out"),
    may(
        "outputs",
        Kind::Map(&Kind::Words(&["stdout"])),
        "values for later steps, by name",
    ),
    may(
        "env",
        Kind::Map(&Kind::Text),
        "variables added to a clean environment",
    ),
    may("cwd", Kind::Text, "working directory; / if left out"),
    may(
        "success",
        Kind::List(&Kind::Int(0, 255)),
        "exit codes that mean success; [0] if left out",
    ),
    may(
        "output",
        Kind::Words(&["keep", "none"]),
        "`none` when output may hold secrets and is thrown away",
    ),
];

const PLACED_KEYS: &[Key] = &[
    may("undo", SCRIPT, "the command that takes the step back"),
    may(
        "once",
        Kind::Words(&["host", "role", "dataset", "fleet"]),
        "what the step may happen once in",
    ),
    may(
        "touches",
        Kind::Either(&[TEXTS, Kind::Words(&["nothing"])]),
        "services that the command disturbs; anything if left out",
    ),
    may(
        "when",
        Kind::Text,
        "the step is planned only for hosts where this expression is true",
    ),
    may(
        "guards",
        Kind::List(&A_GUARD),
        "conditions measured just before the step",
    ),
];

/// Actions that kinds may use too.
pub(crate) const KIND_ACTIONS: &[Key] = &[
    may("run", TEXTS, "a command as a list of arguments"),
    may(
        "shell",
        Kind::Text,
        "a script for /bin/sh; interpolated values are quoted",
    ),
    may("file", Kind::Object(&FILE), "a file written whole"),
    may(
        "edit",
        Kind::Object(&EDIT),
        "lines or keys of a file changed",
    ),
    may(
        "wait",
        Kind::Object(&WAIT),
        "a bounded wait for a condition",
    ),
];

static REBOOTS: [Kind; 2] = [Kind::Nothing, Kind::Object(&REBOOT)];

const STEP_LATER: &[(&str, &str)] = &[
    (
        "release_upgrade",
        "the strategy places the release upgrade itself; choose its kind by `upgrader:`",
    ),
    (
        "backup",
        "the strategy places backups itself; name datasets in the role's `backup:` list",
    ),
    (
        "needs",
        "steps of a slot run in the order in which they are written",
    ),
    (
        "after",
        "steps of a slot run in the order in which they are written",
    ),
];

const STEP_ACTIONS: &[Key] = &[
    may("run", TEXTS, "a command as a list of arguments"),
    may(
        "shell",
        Kind::Text,
        "a script for /bin/sh; interpolated values are quoted",
    ),
    may("service", Kind::Object(&UNIT_ACTION), "a unit of systemd"),
    may(
        "packages",
        Kind::Object(&PACKAGES),
        "packages installed or removed",
    ),
    may(
        "reboot",
        Kind::Either(&REBOOTS),
        "a reboot, proven by a new boot id",
    ),
    may("file", Kind::Object(&FILE), "a file written whole"),
    may(
        "edit",
        Kind::Object(&EDIT),
        "lines or keys of a file changed",
    ),
    may("database", Kind::Object(&DATABASE), "work on a dataset"),
    may(
        "archive",
        Kind::Object(&archive::ARCHIVE),
        "paths copied to the controller, and kept there",
    ),
    may(
        "machine",
        Kind::Object(&near_shapes::MACHINE),
        "work on the host's machine, by a provider",
    ),
    may(
        "ansible",
        Kind::Object(&near_shapes::ANSIBLE),
        "a playbook, run on the controller",
    ),
    may(
        "wait",
        Kind::Object(&WAIT),
        "a bounded wait for a condition",
    ),
    may("gate", Kind::Text, "a question that a person decides"),
    may(
        "announce",
        Kind::Text,
        "a message to people; nothing waits for them",
    ),
    may(
        "volume",
        Kind::Object(&belonging_shapes::VOLUME),
        "a volume with data is made, comes to the machine or leaves it, by a provider",
    ),
    may(
        "address",
        Kind::Object(&belonging_shapes::ADDRESS),
        "an address moves to the host's machine, by a provider",
    ),
    may(
        "dns",
        Kind::Object(&later_shapes::DNS),
        "names; not available in this version",
    ),
    may(
        "instance",
        Kind::Object(&belonging_shapes::INSTANCE),
        "a machine beside the host's is made, renamed or ended, by a provider",
    ),
    may(
        "certificate",
        Kind::Object(&later_shapes::CERTIFICATE),
        "a certificate; not available in this version",
    ),
    may(
        "sessions",
        Kind::Object(&later_shapes::SESSIONS),
        "people and processes at work; not available in this version",
    ),
    may(
        "quiesce",
        Kind::Object(&members::QUIESCE),
        "the other hosts of a role stop; beside a stage only",
    ),
    may(
        "cluster",
        Kind::Object(&members::CLUSTER),
        "membership of a cluster",
    ),
    may(
        "transfer",
        Kind::Object(&archive::TRANSFER),
        "a dataset comes from another host, and the authority over it with it",
    ),
    may(
        "migrations",
        Kind::Object(&later_shapes::MIGRATIONS),
        "data migrated while services run; not available in this version",
    ),
    may(
        "mark",
        Kind::Object(&later_shapes::MARK),
        "a mark that others read; not available in this version",
    ),
];

/// A step of a definition.
pub(super) static STEP: Shape = Shape {
    id: "step",
    what: "a step",
    keys: &[STEP_KEYS, PLACED_KEYS],
    later: STEP_LATER,
    one_of: STEP_ACTIONS,
};

/// A step of a stage.
pub(super) static STAGE_STEP: Shape = Shape {
    id: "stage_step",
    what: "a step of a stage",
    keys: &[
        STEP_KEYS,
        PLACED_KEYS,
        &[may(
            "on",
            Kind::Text,
            "the role whose first host does it, by name; needed by all that is done on a host",
        )],
    ],
    later: STEP_LATER,
    one_of: STEP_ACTIONS,
};

const STAGE_STEPS: Kind = Kind::List(&Kind::Object(&STAGE_STEP));

/// A stage.
pub(super) static STAGE: Shape = shape(
    "stage",
    "a stage",
    &[&[
        may(
            "slots",
            TEXTS,
            "its slots; one that no stage names goes with the one before it. `prepare`, `upgrade`, `finish` and `cleanup` have their usual ones if left out",
        ),
        may("before", STAGE_STEPS, "done once, before any host"),
        may("after", STAGE_STEPS, "done once, after all hosts"),
        may(
            "roles",
            Kind::Either(&[TEXTS, Kind::Words(&["in-turn", "at-once"])]),
            "whether roles go through it one after the other, or which of them first; `in-turn` if left out",
        ),
        may(
            "weave",
            Kind::Words(&["across-roles", "within-zone"]),
            "whether each role goes through it as a whole, or all roles of one zone before the next zone",
        ),
    ]],
);

/// An upgrade.
pub(crate) static DEFINITION: Shape = Shape {
    id: "upgrade",
    what: "an upgrade",
    keys: &[
        &KNOWLEDGE,
        &[
            must("upgrade", Kind::Text, "the upgrade's name"),
            may("from", RELEASE_KIND, "the release that hosts have before"),
            may("to", RELEASE_KIND, "the release that hosts have afterwards"),
            may(
                "release",
                RELEASE_KIND,
                "instead of both: the release that hosts have, and keep",
            ),
            may(
                "services",
                Kind::Map(&Kind::Object(&SERVICE)),
                "services that users notice, by name",
            ),
            may(
                "datasets",
                Kind::Map(&Kind::Object(&DATASET)),
                "data with one authority, by name",
            ),
            must(
                "roles",
                Kind::Map(&Kind::Object(&ROLE)),
                "how each role changes, in this order",
            ),
            may(
                "providers",
                Kind::Map(&Kind::Object(&near_shapes::PROVIDER)),
                "programs that make and end machines, by name",
            ),
            may(
                "together",
                Kind::Either(&[TEXTS, Kind::List(&TEXTS)]),
                "roles whose hosts change in step, rank by rank: a list of roles, or several such lists",
            ),
            may(
                "stages",
                Kind::Either(&[
                    Kind::Words(&["across-roles", "within-zone"]),
                    Kind::Map(&Kind::Object(&STAGE)),
                ]),
                "stages by name, in their order; or one word for the usual ones",
            ),
            may(
                "zones",
                Kind::Words(&["one-at-a-time", "free"]),
                "whether hosts of two zones may be away at once",
            ),
            may(
                "failure_budget",
                Kind::Text,
                "hosts that may fail before no further one begins, like 1 or 5%; 0 if left out",
            ),
            may(
                "calendar",
                Kind::Object(&CALENDAR),
                "the dates between which it runs",
            ),
            may(
                "prework",
                Kind::Object(&PREWORK),
                "how long the stage `prepare` counts",
            ),
            may(
                "waivers",
                Kind::List(&Kind::Object(&WAIVER)),
                "exceptions that named persons made",
            ),
        ],
    ],
    later: &[
        (
            "clusters",
            "guard each host with a measure of the cluster's own health",
        ),
        ("guards", "write guards in roles or steps"),
        ("waits", "write a step with `wait:`"),
        ("budget", "write `failure_budget`"),
        ("vars", "variables stand in the fleet"),
    ],
    one_of: &[],
};
