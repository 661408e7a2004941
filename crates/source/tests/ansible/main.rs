//! Inventories and patterns mean here what they mean in ansible-core 2.19: both read the same files, and the answers are compared.
//!
//! `setup` installs ansible-core, `reference.py` asks it, `cases/` holds the written inventories, and `generate` makes others.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops at what must not be, and tells its numbers"
)]

mod case;
mod generate;
mod patterns;
mod reading;
mod reference;
mod tally;

use tally::Tally;

/// Generated inventories in one run of the suite; `OVERHAUL_CASES` sets another number.
const GENERATED: u64 = 250;

/// The first seed; `OVERHAUL_SEED` sets another one.
const SEED: u64 = 20_190;

#[expect(
    clippy::disallowed_methods,
    reason = "whoever looks for a difference chooses the cases"
)]
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

#[test]
fn inventories_say_what_ansible_reads_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut cases = case::written();
    let first = number("OVERHAUL_SEED", SEED);
    cases.extend((0..number("OVERHAUL_CASES", GENERATED)).map(|at| generate::case(first + at)));
    let placed = case::place(&cases, folder.path());
    let answers = reference::ask(&placed);
    let mut tally = Tally::default();
    for (case, said) in placed.iter().zip(&answers) {
        reading::compare(case, said, &mut tally);
    }
    tally.conclude();
}
