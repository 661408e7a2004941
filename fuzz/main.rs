//! libFuzzer over the target that `FUZZ_TARGET` names.
#![no_main]

mod targets;
mod text;

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static CHOSEN: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = targets::ALL.iter().find(|(known, _)| *known == name);
    found.expect("FUZZ_TARGET names a target").1
});

fuzz_target!(|bytes: &[u8]| CHOSEN(bytes));
