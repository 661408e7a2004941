//! Why a command did not do what it was asked for, worded for people, with the exit code.

use crate::exit::Exit;
use crate::text;
use std::fmt;

/// A command's failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What is wrong.
    pub message: String,
    /// What to do about it, one sentence each.
    pub hints: Vec<String>,
}

/// What every command gives.
pub type Outcome = Result<Exit, Failure>;

impl Failure {
    /// With no hint.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
            hints: Vec::new(),
        }
    }

    /// The command line or a file is wrong.
    pub fn input(message: impl fmt::Display) -> Self {
        Self::new(Exit::BadInput, message)
    }

    /// A fault of our own, or of this machine.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(Exit::Internal, message)
    }

    /// With one more hint.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// For programs.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "error": {
                "kind": self.exit.word(),
                "exit": self.exit.code(),
                "message": text::clean(&self.message),
                "hints": self.hints,
            }
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = text::clean(&self.message);
        write!(f, "error: {}", message.trim_end())?;
        for hint in &self.hints {
            write!(f, "\nhint: {}", text::clean(hint).trim_end())?;
        }
        Ok(())
    }
}

impl From<overhaul_source::Problems> for Failure {
    fn from(problems: overhaul_source::Problems) -> Self {
        let count = problems.list.len();
        Self::input(format!(
            "{}: {} in this file; nothing was changed\n\n{problems}",
            problems.file.name,
            text::count(count, "problem"),
        ))
    }
}

impl From<overhaul_source::read::ReadError> for Failure {
    fn from(error: overhaul_source::read::ReadError) -> Self {
        Self::input(error)
    }
}

/// An error of the operating system about a file of ours.
pub fn file(path: &std::path::Path, doing: &str, error: &std::io::Error) -> Failure {
    let full = matches!(
        error.kind(),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
    );
    let exit = if full {
        Exit::StoreTrouble
    } else {
        Exit::BadInput
    };
    let failure = Failure::new(
        exit,
        format!("{} cannot be {doing}: {error}", path.display()),
    );
    if full {
        failure.hint("make room there, then give the same command again")
    } else {
        failure
    }
}
