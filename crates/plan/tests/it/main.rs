//! Tests of the compiler from outside: definitions in, trees and errors out.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets the unexpected shall stop there, and tests of scripts run them"
)]

mod belongings;
mod clusters;
mod kinds;
mod look;
mod orders;
mod refusals;
mod scripts;
mod strategies;
mod support;
mod transfers;
mod trees;
