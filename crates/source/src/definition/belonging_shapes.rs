//! The keys of volumes, addresses, and machines beside the host's.

use crate::shape::{Key, Kind, Shape, may, must};

const fn shape(
    id: &'static str,
    what: &'static str,
    keys: &'static [&'static [Key]],
    one_of: &'static [Key],
) -> Shape {
    Shape {
        id,
        what,
        keys,
        later: &[],
        one_of,
    }
}

/// A mount in full.
pub(super) static MOUNT: Shape = shape(
    "mount",
    "`mount`",
    &[&[
        must("path", Kind::Text, "absolute path"),
        may(
            "by",
            Kind::Words(&["fstab", "unit"]),
            "what brings it back after a boot: a line of /etc/fstab, or a unit of systemd; `fstab` if left out",
        ),
        may(
            "options",
            Kind::Text,
            "options of the mount; `defaults,nofail` if left out",
        ),
    ]],
    &[],
);

const MOUNTED: Kind = Kind::Either(&[Kind::Text, Kind::Object(&MOUNT)]);

/// A volume that holds data of a role.
pub(super) static ROLE_VOLUME: Shape = shape(
    "role_volume",
    "a volume of a role",
    &[&[
        must("name", Kind::Text, "its name at the provider"),
        must("mount", MOUNTED, "where it is mounted"),
    ]],
    &[],
);

/// What is said of a change by which a new machine takes the place of the old one.
pub(super) static REPLACE: Shape = shape(
    "replacement",
    "`replace`",
    &[&[
        may(
            "beside",
            Kind::Text,
            "the new machine's name at the provider until the end; the host's with `-new` if left out",
        ),
        may(
            "old",
            Kind::Text,
            "the old machine's name at the end; the host's with `-old` if left out",
        ),
        may(
            "addresses",
            Kind::List(&Kind::Text),
            "addresses that go over to the new machine, by their names at the provider",
        ),
        may(
            "end",
            Kind::Words(&["cleanup", "finish"]),
            "when the old machine is ended: by `overhaul cleanup`, which a person begins, or in the slot `finish`; `cleanup` if left out",
        ),
    ]],
    &[],
);

const PROVIDER: Key = must("provider", Kind::Text, "the provider that does it");

const MACHINE: Key = may(
    "machine",
    Kind::Text,
    "the machine's name at the provider; if left out, that which the host's has at that place of the plan",
);

const PARAMS: Key = may(
    "params",
    Kind::Map(&Kind::Any),
    "what else the provider is told",
);

/// A volume with data.
pub(super) static VOLUME: Shape = shape(
    "volume",
    "`volume`",
    &[&[
        PROVIDER,
        MACHINE,
        may(
            "which",
            Kind::Words(&["own", "beside"]),
            "`beside`: the new machine, before it has taken over; `own` if left out",
        ),
        may(
            "mount",
            MOUNTED,
            "where it is mounted, or unmounted from; left to others if left out",
        ),
        may(
            "format",
            Kind::Words(&["ext4", "xfs"]),
            "the file system of a new volume; with `create`",
        ),
        PARAMS,
    ]],
    &[
        may(
            "create",
            Kind::Text,
            "a volume of this name is made and comes to the machine",
        ),
        may(
            "detach",
            Kind::Text,
            "it is unmounted, written out, and leaves the machine",
        ),
        may(
            "attach",
            Kind::Text,
            "it comes to the machine and is mounted",
        ),
    ],
);

/// An address.
pub(super) static ADDRESS: Shape = shape(
    "address",
    "`address`",
    &[&[
        PROVIDER,
        MACHINE,
        may(
            "which",
            Kind::Words(&["own", "beside"]),
            "`beside`: the new machine, before it has taken over; `own` if left out",
        ),
        may(
            "from",
            Kind::Text,
            "the machine that may lose it, by its name at the provider, where it is not the one whose place was taken",
        ),
        PARAMS,
    ]],
    &[may("move", Kind::Text, "it moves to the machine")],
);

/// A machine beside the host's.
pub(super) static INSTANCE: Shape = shape(
    "instance",
    "`instance`",
    &[&[
        PROVIDER,
        may(
            "which",
            Kind::Words(&["own", "beside", "old"]),
            "which machine of the host it is, with `rename` and `terminate`; its own is never terminated",
        ),
        may("to", Kind::Text, "the name that it gets; with `rename`"),
        may(
            "image",
            Kind::Text,
            "what it is made from, in the provider's words; with `launch`",
        ),
        may(
            "unprotect",
            Kind::Bool,
            "whether its protection against being ended is switched off first; with `terminate`",
        ),
        may(
            "answers_within",
            Kind::Span,
            "within this it must answer; 15m if left out",
        ),
        PARAMS,
    ]],
    &[
        may(
            "launch",
            Kind::Text,
            "a new machine of this name is made beside the host's",
        ),
        may(
            "rename",
            Kind::Text,
            "the machine of this name gets another one",
        ),
        may("terminate", Kind::Text, "the machine of this name is ended"),
    ],
);
