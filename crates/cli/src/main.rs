//! The command overhaul: wiring, words and exit codes.
fn main() {}
