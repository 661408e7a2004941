//! Fleets in YAML: our short form, and inventories.

use overhaul_source::{SourceFile, fleet};

pub fn run(bytes: &[u8]) {
    let text = super::text(bytes);
    if let Err(problems) = fleet::parse(&SourceFile::new("hosts.yaml", text)) {
        assert!(!problems.to_string().is_empty());
    }
}
