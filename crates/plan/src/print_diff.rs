//! What is different between two plans, as text.

use crate::diff::{Changed, EntriesDiff, Field, PlanDiff};
use serde_json::Value;
use std::fmt::Write as _;

/// Longest value that is shown whole, in characters.
const VALUE_CHARS_MAX: usize = 100;

/// The difference as people read it: `+` what is new, `-` what is gone, `~` what is other, `>` what moved.
pub fn text(diff: &PlanDiff) -> String {
    let mut out = format!("plan {} -> {}\n", diff.old.short(), diff.new.short());
    if diff.is_empty() {
        out.push_str("  no difference\n");
        return out;
    }
    steps(diff, &mut out);
    for (name, part) in &diff.parts {
        entries(name, part, &mut out);
    }
    out
}

fn steps(diff: &PlanDiff, out: &mut String) {
    let steps = &diff.steps;
    let _ = writeln!(
        out,
        "\nsteps: {} added, {} removed, {} changed, {} moved; {} as they were{}",
        steps.added.len(),
        steps.removed.len(),
        steps.changed.len(),
        steps.moved.len(),
        steps.same,
        match steps.rewritten.len() {
            0 => String::new(),
            lines => format!(", {lines} but for their line in the file"),
        }
    );
    for (sign, list) in [
        ("+", &steps.added),
        ("-", &steps.removed),
        (">", &steps.moved),
    ] {
        for step in list {
            let _ = writeln!(out, "  {sign} {}  {}", step.id, step.title);
        }
    }
    for step in &steps.changed {
        changed(step, out);
    }
}

fn entries(name: &str, part: &EntriesDiff, out: &mut String) {
    let _ = writeln!(out, "\n{}", name.replace('_', " "));
    for (sign, list) in [("+", &part.added), ("-", &part.removed)] {
        for entry in list {
            let _ = writeln!(out, "  {sign} {entry}");
        }
    }
    for entry in &part.changed {
        changed(entry, out);
    }
}

fn changed(entry: &Changed, out: &mut String) {
    let title = entry.title.as_deref().unwrap_or_default();
    let head = format!("{}  {title}", entry.id);
    if !head.trim().is_empty() {
        let _ = writeln!(out, "  ~ {}", head.trim_end());
    }
    for Field { field, old, new } in &entry.fields {
        let colon = if field.is_empty() { "" } else { ": " };
        let _ = writeln!(out, "      {field}{colon}{} -> {}", value(old), value(new));
    }
}

/// A value on one line; a text without its quotes.
fn value(value: &Option<Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => "nothing".to_owned(),
        Some(Value::String(text)) => text.escape_debug().to_string(),
        Some(other) => other.to_string(),
    };
    if text.chars().count() <= VALUE_CHARS_MAX {
        return text;
    }
    let head: String = text.chars().take(VALUE_CHARS_MAX).collect();
    format!("{head}…")
}
