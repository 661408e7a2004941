//! Definitions of upgrades.

use overhaul_source::{SourceFile, definition, kind};
use std::sync::LazyLock;

static KINDS: LazyLock<std::collections::BTreeMap<String, overhaul_model::kind::Upgrader>> = LazyLock::new(|| {
    let file = SourceFile::new("apt.yaml", include_str!("../../kinds/apt.yaml"));
    let apt = kind::parse(&file).expect("our own kind is whole");
    [(apt.name.clone(), apt)].into_iter().collect()
});

pub fn run(bytes: &[u8]) {
    let text = super::text(bytes);
    if let Err(problems) = definition::parse(&SourceFile::new("upgrade.yaml", text), &*KINDS) {
        assert!(!problems.to_string().is_empty());
    }
}
