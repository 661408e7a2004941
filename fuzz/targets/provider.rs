//! What a provider's program says of a machine.

use overhaul_reach::fuzzing;

pub fn run(bytes: &[u8]) {
    fuzzing::provider(super::text(bytes));
}
