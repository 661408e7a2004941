//! What the sources themselves must keep.

use super::edges::PURE;
use std::path::Path;

/// Beyond this a file holds more than one idea.
const LINES_MAX: usize = 800;

/// Crates in which `unsafe` may stand, with its reason beside it.
const UNSAFE: [&str; 2] = ["crates/helper/", "crates/reach/"];

/// A file of the repository: its path from the root, and its text.
pub struct Source<'a> {
    pub path: &'a str,
    pub text: &'a str,
}

/// What is wrong with a Rust file, as sentences.
pub fn check(source: &Source<'_>) -> Vec<String> {
    // This file names what it forbids.
    if source.path.ends_with("tidy/text.rs") {
        return Vec::new();
    }
    let mut out = Vec::new();
    let lines = source.text.lines().count();
    if lines > LINES_MAX {
        out.push(format!(
            "{} has {lines} lines; the limit is {LINES_MAX}",
            source.path
        ));
    }
    for (number, line) in source.text.lines().enumerate() {
        let mut complain = |what: &str| out.push(format!("{}:{}: {what}", source.path, number + 1));
        let code = line.split("//").next().unwrap_or_default();
        if code.contains("#[allow(") || code.contains("#![allow(") {
            complain("`allow` hides what it was for; use `expect` with a reason");
        }
        if code.contains("#[ignore") {
            complain("an ignored test asserts nothing");
        }
        if code.contains("todo!(") || code.contains("unimplemented!(") {
            complain("a stub");
        }
        if line.contains("TODO") || line.contains("FIXME") || line.contains("XXX") {
            complain("a loose end; finish it or write a sentence about it into ROADMAP.md");
        }
        let is_unsafe =
            code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl");
        if is_unsafe && !UNSAFE.iter().any(|folder| source.path.starts_with(folder)) {
            complain("`unsafe` belongs into helper or reach alone");
        }
        if line.trim_end() != line {
            complain("blanks at the end of the line");
        }
    }
    if source.path.ends_with("/mod.rs") && source.text.contains("fn ") {
        out.push(format!("{}: a mod.rs holds re-exports only", source.path));
    }
    out
}

/// Whether the lints of the pure crates hold: a crate's own clippy.toml replaces the one at the root.
pub fn check_pure_fences(root: &Path) -> Vec<String> {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let shared = read(&root.join("clippy.toml"));
    let mut out = Vec::new();
    for name in PURE {
        let own = read(&root.join("crates").join(name).join("clippy.toml"));
        for line in shared.lines().filter(|line| !line.trim().is_empty()) {
            if !own.contains(line) {
                out.push(format!(
                    "crates/{name}/clippy.toml does not repeat the root's `{line}`"
                ));
            }
        }
        for ban in [
            "SystemTime::now",
            "Instant::now",
            "Timestamp::now",
            "process::Command::new",
            "env::var",
        ] {
            if !own.contains(ban) {
                out.push(format!("crates/{name}/clippy.toml does not ban {ban}"));
            }
        }
    }
    out
}

/// Whether ARCHITECTURE.md names every crate, and no crate that is gone.
pub fn check_map(map: &str, crates: &[String]) -> Vec<String> {
    let named: Vec<&str> = map
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.split('`').next())
        .collect();
    let missing = crates
        .iter()
        .filter(|name| !named.contains(&name.as_str()))
        .map(|name| format!("ARCHITECTURE.md has no heading for the crate `{name}`"));
    let gone = named
        .iter()
        .filter(|name| !crates.iter().any(|c| c == *name))
        .map(|name| format!("ARCHITECTURE.md describes `{name}`, which is no crate"));
    missing.chain(gone).collect()
}

/// Whether every test that docs/promises.md names exists: a promise without its test is a wish.
pub fn check_promises(promises: &str, sources: &[String]) -> Vec<String> {
    let is_test = |word: &str| {
        word.matches('_').count() >= 2 && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    promises
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| is_test(word))
        .filter(|word| {
            let function = format!("fn {word}(");
            !sources.iter().any(|text| text.contains(&function))
        })
        .map(|word| format!("docs/promises.md names the test `{word}`, which does not exist"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_law_finds_its_smallest_breach() {
        let long = "\n".repeat(LINES_MAX + 1);
        let cases = [
            ("crates/plan/src/a.rs", long.as_str(), "lines"),
            ("crates/plan/src/a.rs", "#[allow(dead_code)]", "expect"),
            ("crates/plan/src/a.rs", "#[ignore]", "ignored"),
            ("crates/plan/src/a.rs", "// TODO later", "loose end"),
            ("crates/plan/src/a.rs", "unsafe { x() }", "unsafe"),
            ("crates/plan/src/a.rs", "let a = 1; ", "blanks"),
            ("crates/plan/src/a/mod.rs", "fn x() {}", "re-exports"),
        ];
        for (path, text, words) in cases {
            let found = check(&Source { path, text });
            assert!(found.iter().any(|f| f.contains(words)), "{text}: {found:?}");
        }
        let good = Source {
            path: "crates/helper/src/a.rs",
            text: "// Safe: no threads yet.\nunsafe { x() }\n",
        };
        assert_eq!(check(&good), Vec::<String>::new());
    }

    #[test]
    fn a_promise_without_its_test_is_found() {
        let sources = ["fn what_is_held() {}".to_owned()];
        let found = check_promises("`what_is_held` `cargo x` `what_is_not_held`", &sources);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn the_map_is_compared_both_ways() {
        let found = check_map("### `plan`\n### `gone`\n", &["plan".into(), "check".into()]);
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
