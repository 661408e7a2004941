//! The command as people meet it: whole outputs and exit codes.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests: the first surprise ends one"
)]

mod amend;
mod classify;
mod clock;
mod data;
mod days;
mod decisions;
mod doctor;
mod drafts;
mod fleet_facts;
mod input;
mod loopback;
mod offline;
mod past;
mod rebuilt;
mod scene;
mod shell;
mod simulate;
mod sittings;
mod six;
mod sshd;
mod stage;
mod stored;
mod sudo;
mod twelve;
mod watch;
