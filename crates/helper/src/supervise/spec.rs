//! What a supervisor is told, over a pipe: it may hold secrets, which must not reach a disk or an
//! argument list.

use overhaul_model::action::Limits;
use overhaul_model::primitive::Exec;
use serde::{Deserialize, Serialize};

/// Largest description that a supervisor reads: it came in one frame.
pub(super) const SPEC_BYTES_MAX: u64 = 2 * overhaul_model::wire::FRAME_BYTES_MAX as u64;

/// The byte by which a supervisor says that it is there. The command is started after it, never before.
pub(super) const READY: u8 = b'r';

/// The work of a supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub struct Spec {
    /// The command.
    pub exec: Exec,
    /// Its bounds.
    pub limits: Limits,
    /// Values that must not reach the disk.
    pub redact: Vec<String>,
    /// Whether the command only orders a reboot, so that its own end says nothing.
    pub order: bool,
    /// Whether the standard output is wanted as a value, apart from the standard error.
    #[serde(default)]
    pub value: bool,
    /// Whether the supervisor must leave the control group that it was started in by itself.
    #[serde(default)]
    pub leave_group: bool,
}

impl Spec {
    /// A command with its bounds, and nothing out of the ordinary.
    pub fn new(exec: Exec, limits: Limits, redact: Vec<String>) -> Self {
        Self {
            exec,
            limits,
            redact,
            order: false,
            value: false,
            leave_group: false,
        }
    }
}
