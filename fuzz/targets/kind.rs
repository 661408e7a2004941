//! Kinds of release upgraders.
#![no_main]

use libfuzzer_sys::fuzz_target;
use overhaul_source::{SourceFile, kind};

fuzz_target!(|text: &str| {
    if let Err(problems) = kind::parse(&SourceFile::new("kind.yaml", text)) {
        assert!(!problems.to_string().is_empty());
    }
});
