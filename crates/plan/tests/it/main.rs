//! Tests of the compiler from outside: definitions in, trees and errors out.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets the unexpected shall stop there"
)]

mod kinds;
mod refusals;
mod scripts;
mod support;
mod trees;
