//! Kinds of release upgraders.

use overhaul_source::{SourceFile, kind};

pub fn run(bytes: &[u8]) {
    let text = super::text(bytes);
    if let Err(problems) = kind::parse(&SourceFile::new("kind.yaml", text)) {
        assert!(!problems.to_string().is_empty());
    }
}
