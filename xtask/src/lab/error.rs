//! What can go wrong in the lab.

use std::path::{Path, PathBuf};

/// One reason why a lab command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A file or a folder could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("{program} cannot be started: {source}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program ended with a failure.
    #[error("{program} failed ({status}): {output}")]
    Failed {
        /// The program and its arguments.
        program: String,
        /// How it ended.
        status: String,
        /// The end of what it printed.
        output: String,
    },
    /// The probe found the machine wanting.
    #[error("this machine lacks: {}", .0.join(", "))]
    Lacking(Vec<String>),
    /// Something did not happen within its bound.
    #[error("{what} did not happen within {seconds} s")]
    Late {
        /// What was waited for.
        what: String,
        /// The bound.
        seconds: u64,
    },
    /// A topology, a state file or an answer of a tool is not as it must be.
    #[error("{what}: {reason}")]
    Malformed {
        /// The thing that was read.
        what: String,
        /// Why it is refused.
        reason: String,
    },
    /// The command does not fit the present state of the lab.
    #[error("{0}")]
    State(String),
}

/// The result of lab functions.
pub type Result<T> = std::result::Result<T, LabError>;

/// Names the file in an input or output error.
pub trait Named<T> {
    /// Adds the path to the error.
    fn named(self, path: &Path) -> Result<T>;
}

impl<T> Named<T> for std::io::Result<T> {
    fn named(self, path: &Path) -> Result<T> {
        self.map_err(|source| LabError::File {
            path: path.to_path_buf(),
            source,
        })
    }
}

/// An error about something that was read.
pub fn malformed(what: impl Into<String>, reason: impl ToString) -> LabError {
    LabError::Malformed {
        what: what.into(),
        reason: reason.to_string(),
    }
}
