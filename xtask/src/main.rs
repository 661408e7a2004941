//! Development tasks: lab, tidy, bench.
fn main() {}
