//! From the end of a work on a target to the outcome of an attempt.

use crate::output::Heard;
use overhaul_model::definition::OutputFrom;
use overhaul_model::event::Outcome;
use overhaul_model::receipt::{ReceiptEnd, Said, VALUE_BYTES_MAX, WorkEnd};
use std::collections::BTreeMap;

/// Longest list of processes in an outcome's words.
const PROCESSES_CHARS_MAX: usize = 600;

/// Longest list of file systems that are not known to have taken what was written.
const UNSYNCED_CHARS_MAX: usize = 400;

/// Certainly not begun.
pub(crate) fn not_begun(why: impl Into<String>) -> Outcome {
    Outcome::Failed {
        why: why.into(),
        tail: String::new(),
        end: None,
    }
}

/// Begun, and nobody can say more.
pub(crate) fn unknown(reason: impl Into<String>) -> Outcome {
    Outcome::Unknown {
        reason: reason.into(),
    }
}

/// Begun and ended, and not as it should have.
pub(crate) fn failed(why: impl Into<String>, tail: String, end: Option<WorkEnd>) -> Outcome {
    Outcome::Failed {
        why: why.into(),
        tail,
        end,
    }
}

/// Whether the work did what it should.
pub(crate) fn is_success(end: &WorkEnd) -> bool {
    match end {
        WorkEnd::Done { .. } => true,
        WorkEnd::Exited { success, .. } => *success,
        WorkEnd::Refused { .. }
        | WorkEnd::Signaled { .. }
        | WorkEnd::TimedOut { .. }
        | WorkEnd::Stalled { .. }
        | WorkEnd::Killed { .. } => false,
    }
}

/// How the work ended, in words.
pub(crate) fn words(end: &WorkEnd) -> String {
    let cut = |text: &str| crate::ssh::printable(text.as_bytes(), PROCESSES_CHARS_MAX);
    match end {
        WorkEnd::Done { detail } => cut(detail),
        WorkEnd::Refused { why } => cut(why),
        WorkEnd::Exited { code, .. } => format!("exit code {code}"),
        WorkEnd::Signaled { signal } => format!("ended by signal {signal}"),
        WorkEnd::TimedOut { bound, processes } => {
            format!("took longer than {bound}; running then: {}", cut(processes))
        }
        WorkEnd::Stalled { bound, processes } => {
            format!(
                "made no progress for {bound}; running then: {}",
                cut(processes)
            )
        }
        WorkEnd::Killed { why } => format!("ended on request: {}", cut(why)),
    }
}

/// What of the work's traces is not known to be on the disk, if anything.
pub(crate) fn unsynced(end: &ReceiptEnd) -> Option<String> {
    let lacking = end.unsynced.as_ref()?;
    Some(crate::ssh::printable(
        lacking.as_bytes(),
        UNSYNCED_CHARS_MAX,
    ))
}

/// What the command said, or why that is no value.
fn value(end: &ReceiptEnd) -> Result<String, String> {
    match &end.said {
        Some(Said::Text(text)) => Ok(text.clone()),
        Some(Said::TooLong) => Err(format!("it is longer than {VALUE_BYTES_MAX} bytes")),
        Some(Said::NoText) => Err("it is not UTF-8 text".to_owned()),
        None => Err("it was not kept".to_owned()),
    }
}

/// The outcome of detached work.
pub(crate) fn of_end(
    end: ReceiptEnd,
    heard: &Heard,
    wanted: &BTreeMap<String, OutputFrom>,
) -> Outcome {
    if !is_success(&end.end) {
        return failed(words(&end.end), heard.tail(), Some(end.end));
    }
    let mut outputs = BTreeMap::new();
    for (name, from) in wanted {
        match from {
            OutputFrom::Stdout => match value(&end) {
                Ok(text) => {
                    outputs.insert(name.clone(), serde_json::Value::String(text));
                }
                Err(why) => {
                    let why =
                        format!("it succeeded, but its output is no value for `{name}`: {why}");
                    return failed(why, heard.tail(), Some(end.end));
                }
            },
        }
    }
    let evidence = match (&end.end, heard.last_line()) {
        (WorkEnd::Exited { .. }, Some(line)) => format!("{}: {line}", words(&end.end)),
        (other, _) => words(other),
    };
    Outcome::Succeeded {
        changed: end.changed,
        outputs,
        evidence,
        unsynced: unsynced(&end),
    }
}

/// The outcome of a command whose output is now a file of the controller.
pub(crate) fn of_fetch(end: &ReceiptEnd, sha256: &str, bytes: u64, file: &str) -> Outcome {
    let outputs = [
        ("sha256", serde_json::Value::from(sha256)),
        ("bytes", serde_json::Value::from(bytes)),
        ("file", serde_json::Value::from(file)),
    ];
    Outcome::Succeeded {
        changed: end.changed,
        outputs: outputs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        evidence: format!("{bytes} bytes in {file}, SHA-256 {sha256} at both ends"),
        unsynced: None,
    }
}
