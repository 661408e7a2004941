//! The binary that is uploaded to targets.
fn main() {}
