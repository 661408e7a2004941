//! Inventories in INI.
#![no_main]

use libfuzzer_sys::fuzz_target;
use overhaul_source::{SourceFile, fleet};

fuzz_target!(|text: &str| {
    if let Err(problems) = fleet::parse(&SourceFile::new("hosts.ini", text)) {
        assert!(!problems.to_string().is_empty());
    }
});
