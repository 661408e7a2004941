//! Findings of the checker as text.

use crate::text;
use overhaul_model::finding::{Finding, Severity};
use std::fmt::Write as _;

/// Findings, the heaviest first, and a line that counts them.
pub fn findings(findings: &[Finding]) -> String {
    let mut out = String::new();
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort();
    for finding in &sorted {
        let word = match (&finding.waived, finding.severity) {
            (Some(_), _) => "waived",
            (None, Severity::Error) => "error",
            (None, Severity::Warning) => "warning",
            (None, Severity::Note) => "note",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{word}[{}] {}: {}",
            finding.rule,
            finding.subject,
            text::clean(&finding.sentence)
        );
        if !finding.help.is_empty() {
            let _ = writeln!(out, "  help: {}", text::clean(&finding.help));
        }
        if let Some(by) = &finding.waived {
            let _ = writeln!(out, "  waived: {}", text::clean(by));
        }
    }
    let _ = writeln!(out, "{}", counted(findings));
    out
}

fn counted(findings: &[Finding]) -> String {
    let of = |severity| {
        let open = |f: &&Finding| f.severity == severity && f.waived.is_none();
        findings.iter().filter(open).count()
    };
    let waived = findings.iter().filter(|f| f.waived.is_some()).count();
    let parts: Vec<String> = [
        (of(Severity::Error), "error"),
        (of(Severity::Warning), "warning"),
        (of(Severity::Note), "note"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| text::count(count, word))
    .chain((waived > 0).then(|| format!("{waived} waived")))
    .collect();
    if parts.is_empty() {
        "check: nothing to complain of".to_owned()
    } else {
        format!("check: {}", parts.join(", "))
    }
}
