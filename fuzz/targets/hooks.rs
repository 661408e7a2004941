//! Files of hooks.

use overhaul_source::{SourceFile, parse_hooks};

pub fn run(bytes: &[u8]) {
    let text = super::text(bytes);
    if let Err(problems) = parse_hooks(&SourceFile::new("hooks.yaml", text)) {
        assert!(!problems.to_string().is_empty());
    }
}
