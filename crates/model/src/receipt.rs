//! The target's own durable record of an attempt.

use crate::event::Generation;
use crate::facts::BootProof;
use crate::id::{AttemptKey, Digest, Position};
use crate::span::Span;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of the receipt store's form; a helper refuses a newer one, and reads older ones. Since 2, files
/// end with the line of their checksum.
pub const STORE_FORMAT: u32 = 2;

/// Written and synced before the work begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptBegin {
    /// The attempt.
    pub key: AttemptKey,
    /// The step.
    pub position: Position,
    /// The digest of the step as planned.
    pub step: Digest,
    /// On whose word.
    pub generation: Generation,
    /// The store's sequence number.
    pub sequence: u64,
    /// When, by the target's clock.
    pub at: Timestamp,
    /// Under which boot.
    pub boot: BootProof,
}

/// Written and synced after the work ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptEnd {
    /// When, by the target's clock.
    pub at: Timestamp,
    /// How.
    pub end: WorkEnd,
    /// Whether anything changed, as far as the helper can tell; a command counts as a change.
    pub changed: bool,
    /// Bytes of output that the work wrote, kept or not.
    pub output_bytes: u64,
    /// Digest of the whole streamed output, for work that is streamed to or from the controller.
    pub sha256: Option<Digest>,
    /// What the command said on its standard output alone, when that was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
    /// What of its traces is not known to be on the disk, and would be gone if the host lost its power now; nothing
    /// when all is there, or nothing was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsynced: Option<String>,
}

/// Longest standard output that becomes a value of a step: values are small, and stay in the journal.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// A command's standard output as a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// All of it, secrets redacted, without the end of its last line.
    Text(String),
    /// It is longer than [`VALUE_BYTES_MAX`].
    TooLong,
    /// It is not UTF-8.
    NoText,
}

/// How work on a target ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum WorkEnd {
    /// The helper itself did it.
    Done {
        /// What it did.
        detail: String,
    },
    /// The helper itself could not do it; nothing was changed.
    Refused {
        /// Why.
        why: String,
    },
    /// A command ended by itself.
    Exited {
        /// Its exit code.
        code: i32,
        /// Whether the step counts that code as success.
        success: bool,
    },
    /// A command was ended by a signal.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// It took longer than its bound and was ended.
    TimedOut {
        /// The bound.
        bound: Span,
        /// Its processes then, one per line.
        processes: String,
    },
    /// It made no progress for longer than its bound and was ended.
    Stalled {
        /// The bound.
        bound: Span,
        /// Its processes then, one per line.
        processes: String,
    },
    /// It was ended on request.
    Killed {
        /// Why.
        why: String,
    },
}

/// What a receipt store knows of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum ReceiptStatus {
    /// It has no such receipt.
    Absent,
    /// The work goes on.
    Running {
        /// How it began.
        begin: ReceiptBegin,
        /// Bytes in the spool so far.
        spooled: u64,
    },
    /// It ended.
    Ended {
        /// How it began.
        begin: ReceiptBegin,
        /// How it ended.
        end: ReceiptEnd,
    },
    /// It began, has no end, and nothing of it runs: cut off by a power cut, a reboot or a kill.
    Lost {
        /// How it began.
        begin: ReceiptBegin,
        /// What speaks for that.
        why: String,
    },
}
