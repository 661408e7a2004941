//! Who may import whom, and what the pure crates must not depend on.

use super::run::Metadata;
use std::collections::BTreeMap;

/// Crates of ours that each crate may import. Nothing else is allowed.
const EDGES: [(&str, &[&str]); 14] = [
    ("model", &[]),
    ("source", &["model"]),
    ("plan", &["model"]),
    ("check", &["model"]),
    ("classify", &["model"]),
    ("machine", &["model"]),
    ("engine", &["model", "check", "machine"]),
    ("store", &["model", "engine"]),
    ("mover", &[]),
    ("reach", &["model", "engine", "mover"]),
    ("helper", &["model", "mover"]),
    ("sim", &["model", "check", "machine", "engine", "helper"]),
    (
        "cli",
        &[
            "model", "source", "plan", "check", "classify", "machine", "engine", "store", "reach",
            "mover", "sim",
        ],
    ),
    ("xtask", &[]),
];

/// Tests of these crates must not borrow these crates either: who checks shares nothing with who plans.
const TEST_BANS: [(&str, &[&str]); 2] = [("check", &["plan", "source"]), ("machine", &["plan"])];

/// Crates without I/O, clock and async.
pub const PURE: [&str; 6] = ["model", "source", "plan", "check", "classify", "machine"];

/// What would let I/O, time or randomness into a pure crate.
const IMPURE: [&str; 9] = [
    "tokio",
    "rusqlite",
    "russh",
    "rustix",
    "libc",
    "rand",
    "getrandom",
    "nix",
    "async-trait",
];

/// Edges that are not allowed, as sentences.
pub fn check(metadata: &Metadata) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = EDGES.into_iter().collect();
    let mut out = Vec::new();
    for package in metadata.members() {
        let name = short(&package.name);
        let Some(allowed) = allowed.get(name) else {
            out.push(format!(
                "crate {name} has no line in the table of edges (xtask/src/tidy/edges.rs)"
            ));
            continue;
        };
        let bans = TEST_BANS
            .iter()
            .find(|(n, _)| *n == name)
            .map_or(&[][..], |(_, bans)| bans);
        for dependency in &package.dependencies {
            let target = short(&dependency.name);
            let ours = dependency.name.starts_with("overhaul-");
            let for_tests = dependency.kind.as_deref() == Some("dev");
            if ours && !for_tests && !allowed.contains(&target) {
                out.push(format!("{name} must not import {target}"));
            }
            if ours && for_tests && bans.contains(&target) {
                out.push(format!("the tests of {name} must not import {target}"));
            }
            if !for_tests && PURE.contains(&name) && IMPURE.contains(&dependency.name.as_str()) {
                out.push(format!(
                    "{name} is pure and must not depend on {}",
                    dependency.name
                ));
            }
        }
    }
    out
}

fn short(package: &str) -> &str {
    package.strip_prefix("overhaul-").unwrap_or(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(package: &str, dependencies: &[(&str, Option<&str>)]) -> Metadata {
        let dependencies: Vec<_> = dependencies
            .iter()
            .map(|(name, kind)| serde_json::json!({"name": name, "kind": kind}))
            .collect();
        serde_json::from_value(serde_json::json!({
            "workspace_members": ["x"],
            "packages": [{"id": "x", "name": package, "license": "MIT", "manifest_path": "/x/Cargo.toml",
                          "dependencies": dependencies}],
        }))
        .unwrap()
    }

    #[test]
    fn forbidden_edges_are_named() {
        let cases = [
            (
                "overhaul-check",
                "overhaul-plan",
                None,
                Some("check must not import plan"),
            ),
            (
                "overhaul-check",
                "overhaul-plan",
                Some("dev"),
                Some("the tests of check must not import plan"),
            ),
            (
                "overhaul-plan",
                "tokio",
                None,
                Some("plan is pure and must not depend on tokio"),
            ),
            ("overhaul-plan", "overhaul-source", Some("dev"), None),
            ("overhaul-engine", "overhaul-check", None, None),
            ("overhaul-web", "serde", None, Some("crate web has no line")),
        ];
        for (package, dependency, kind, expected) in cases {
            let found = check(&metadata(package, &[(dependency, kind)]));
            match expected {
                Some(words) => assert!(
                    found.iter().any(|f| f.contains(words)),
                    "{package}: {found:?}"
                ),
                None => assert!(found.is_empty(), "{package}: {found:?}"),
            }
        }
    }
}
