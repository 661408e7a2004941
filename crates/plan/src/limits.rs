//! The bounds that steps have when nobody wrote others, each with its reason.

use overhaul_model::action::{Limits, Retry};
use overhaul_model::primitive::MachineOp;
use overhaul_model::span::Span;

/// A written command: most take seconds; half an hour is long for one and short for a night.
const COMMAND_TOTAL: Span = Span::from_s(30 * 60);
/// No output and no processor time for so long: it waits for something that does not come.
const COMMAND_STALL: Span = Span::from_s(10 * 60);
/// What a command usually takes.
const COMMAND_EXPECTED: Span = Span::from_s(5);

/// Writing or editing one file.
const FILE_TOTAL: Span = Span::from_s(60);
/// What it usually takes.
const FILE_EXPECTED: Span = Span::from_s(1);

/// Starting or stopping a unit: systemd's own bound is 90 s per process, and databases write their
/// memory to disk when they stop.
const SERVICE_TOTAL: Span = Span::from_s(15 * 60);
/// What it usually takes.
const SERVICE_EXPECTED: Span = Span::from_s(2);

/// Installing some packages over a slow line.
const PACKAGES_TOTAL: Span = Span::from_s(60 * 60);
/// What it usually takes.
const PACKAGES_EXPECTED: Span = Span::from_s(30);

/// A dump of a very large database.
const COPY_TOTAL: Span = Span::from_s(24 * 60 * 60);
/// A dump that gives no byte for so long waits for a lock.
const COPY_STALL: Span = Span::from_s(10 * 60);
/// Bytes of database that a dump gets through in a second, carefully: compressing is what takes time.
const COPY_BYTES_PER_S: u64 = 20_000_000;
/// Bytes of database whose copy is read back in a second, carefully.
const READ_BACK_BYTES_PER_S: u64 = 100_000_000;

/// A cluster moved by dump and restore, indexes built anew.
const MOVE_TOTAL: Span = Span::from_s(48 * 60 * 60);
/// One index of a large table can take an hour without a line of output, but not without processor time.
const MOVE_STALL: Span = Span::from_s(60 * 60);
/// Bytes of database moved in a second, carefully.
const MOVE_BYTES_PER_S: u64 = 8_000_000;
/// Two servers started and stopped.
const MOVE_AT_LEAST: Span = Span::from_s(15);

/// A host of a service that is missed may be repaired or reboot by itself; after an hour a person must know.
pub(crate) const MINIMUM_AT_MOST: Span = Span::from_s(60 * 60);

/// Within this a host must be back after the strategy's reboot: firmware of large machines takes ten
/// minutes, a file system check some more.
pub(crate) const BACK_WITHIN: Span = Span::from_s(30 * 60);
/// What a reboot usually takes, firmware included.
const REBOOT_EXPECTED: Span = Span::from_s(60);

/// A person may be asleep, on holiday, or wait for a decision of others.
const GATE_TOTAL: Span = Span::from_s(30 * 24 * 60 * 60);

/// A provider that copies an image of a system to a slow disk.
const PROVIDER_TOTAL: Span = Span::from_s(60 * 60);
/// What making a machine usually takes until it answers.
const PROVIDER_EXPECTED: Span = Span::from_s(120);
/// What a provider usually takes for anything else.
const PROVIDER_QUICK: Span = Span::from_s(15);

/// A playbook: the longest of them take hours, and the author of a longer one knows it.
pub(crate) const PLAYBOOK: Limits = Limits {
    total: Span::from_s(4 * 60 * 60),
    // A task without output and without processor time here waits on its host: no package takes longer.
    stall: Some(Span::from_s(30 * 60)),
    expected: Span::from_s(60),
};

/// The bounds of work on a machine.
pub(crate) fn machine(op: MachineOp, answers_within: Span) -> Limits {
    Limits {
        total: PROVIDER_TOTAL.plus(answers_within),
        stall: None,
        expected: if op.makes_new() {
            PROVIDER_EXPECTED
        } else {
            PROVIDER_QUICK
        },
    }
}

/// A provider's work on a volume or an address: detaching waits until the machine has let go.
const BELONGING_TOTAL: Span = Span::from_s(15 * 60);
/// What it usually takes.
const BELONGING_EXPECTED: Span = Span::from_s(10);

/// A file system with much that was not written yet, on a slow disk, written out.
const MOUNT_TOTAL: Span = Span::from_s(30 * 60);
/// What it usually takes.
const MOUNT_EXPECTED: Span = Span::from_s(2);

/// A service that is not healthy so long after its start will not be.
const HEALTH_AT_MOST: Span = Span::from_s(5 * 60);
/// Between two looks at a service's health: the resolution of a measured window.
pub(crate) const HEALTH_EVERY: Span = Span::from_s(1);
/// What a started service usually takes until it is healthy.
const HEALTH_EXPECTED: Span = Span::from_s(5);

/// A member takes from the others what it missed: at worst all of the data, some hundred gigabytes over
/// a link of 1 Gbit/s.
const MEMBER_AT_MOST: Span = Span::from_s(2 * 60 * 60);
/// Between two looks at a member: each starts some programs on it.
pub(crate) const MEMBER_EVERY: Span = Span::from_s(2);
/// What a member that missed little usually takes.
const MEMBER_EXPECTED: Span = Span::from_s(20);

/// The release stands in a file: a moment suffices, a host that is still starting takes some more.
pub(crate) const RELEASE_AT_MOST: Span = Span::from_s(60);
/// Between two looks at it.
pub(crate) const RELEASE_EVERY: Span = Span::from_s(1);

/// Copies fail when the network does: some further attempts by itself cost nothing.
pub(crate) const COPY_RETRY: Retry = Retry {
    attempts: 3,
    back_off: Span::from_s(10),
};

const fn limits(total: Span, stall: Option<Span>, expected: Span) -> Limits {
    Limits {
        total,
        stall,
        expected,
    }
}

pub(crate) const COMMAND: Limits = limits(COMMAND_TOTAL, Some(COMMAND_STALL), COMMAND_EXPECTED);
pub(crate) const FILE: Limits = limits(FILE_TOTAL, None, FILE_EXPECTED);
pub(crate) const SERVICE: Limits = limits(SERVICE_TOTAL, None, SERVICE_EXPECTED);
pub(crate) const PACKAGES: Limits = limits(PACKAGES_TOTAL, Some(COMMAND_STALL), PACKAGES_EXPECTED);
pub(crate) const BELONGING: Limits = limits(BELONGING_TOTAL, None, BELONGING_EXPECTED);
pub(crate) const MOUNT: Limits = limits(MOUNT_TOTAL, None, MOUNT_EXPECTED);
pub(crate) const GATE: Limits = limits(GATE_TOTAL, None, Span::from_s(0));
pub(crate) const ANNOUNCE: Limits = limits(FILE_TOTAL, None, Span::from_s(0));
pub(crate) const RELEASE: Limits = limits(RELEASE_AT_MOST, None, FILE_EXPECTED);
pub(crate) const HEALTH: Limits = limits(HEALTH_AT_MOST, None, HEALTH_EXPECTED);
pub(crate) const MEMBER: Limits = limits(MEMBER_AT_MOST, None, MEMBER_EXPECTED);

pub(crate) fn reboot(back_within: Span) -> Limits {
    limits(back_within, None, smaller(REBOOT_EXPECTED, back_within))
}

pub(crate) fn wait(at_most: Span) -> Limits {
    limits(at_most, None, smaller(FILE_EXPECTED, at_most))
}

pub(crate) fn copy(bytes: Option<u64>) -> Limits {
    limits(
        COPY_TOTAL,
        Some(COPY_STALL),
        at_speed(bytes, COPY_BYTES_PER_S),
    )
}

pub(crate) fn read_back(bytes: Option<u64>) -> Limits {
    limits(
        COPY_TOTAL,
        Some(COPY_STALL),
        at_speed(bytes, READ_BACK_BYTES_PER_S),
    )
}

pub(crate) fn move_cluster(bytes: Option<u64>) -> Limits {
    let expected = at_speed(bytes, MOVE_BYTES_PER_S).plus(MOVE_AT_LEAST);
    limits(MOVE_TOTAL, Some(MOVE_STALL), expected)
}

fn at_speed(bytes: Option<u64>, bytes_per_s: u64) -> Span {
    Span::from_s(bytes.unwrap_or(0).div_ceil(bytes_per_s).max(1))
}

fn smaller(a: Span, b: Span) -> Span {
    if a < b { a } else { b }
}
