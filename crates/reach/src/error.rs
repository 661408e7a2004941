//! Why a host could not be worked with.

use crate::client::ClientError;
use crate::openssh::WordError;
use crate::ssh::SshError;
use crate::upload::StartError;
use overhaul_engine::ports::Fault;
use overhaul_model::id::HostName;
use std::path::PathBuf;

/// Why a host could not be worked with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReachError {
    /// The connection.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// The start of the helper.
    #[error("{host}: {error}")]
    Start {
        /// The host.
        host: String,
        /// What failed.
        error: StartError,
    },
    /// The talk with the helper.
    #[error("{host}: {error}")]
    Client {
        /// The host.
        host: String,
        /// What failed.
        error: ClientError,
    },
    /// The host is not in the inventory.
    #[error("{0}: no such host in the inventory")]
    NoSuchHost(HostName),
    /// The task that connects was ended, as when the program is about to end.
    #[error("{host}: connecting was broken off")]
    BrokenOff {
        /// The host.
        host: String,
    },
}

impl ReachError {
    /// Whether the same try can succeed later with nothing changed by a person.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Ssh(error) => error.is_transient(),
            Self::Start { error, .. } => error.is_transient(),
            Self::Client { error, .. } => error.is_transient(),
            Self::BrokenOff { .. } => true,
            Self::NoSuchHost(_) => false,
        }
    }

    /// Whether a host whose packages are being replaced may refuse so for a moment: PAM, sudo and the
    /// tools that verify the helper are among them. A wrong password is not tried again: accounts are
    /// locked for that.
    pub(crate) fn may_pass_under_way(&self) -> bool {
        match self {
            Self::Ssh(error) => matches!(
                error,
                SshError::AuthRefused { .. }
                    | SshError::Protocol { .. }
                    | SshError::Openssh { .. }
                    | SshError::ExecRefused { .. }
                    | SshError::NoExitStatus { .. }
                    | SshError::SudoDenied { .. }
                    | SshError::SudoMissing { .. }
                    | SshError::StartFailed { .. }
            ),
            Self::Start { error, .. } => matches!(
                error,
                StartError::NoSha256sum | StartError::DigestWrong { .. } | StartError::Ended { .. }
            ),
            Self::Client { .. } | Self::NoSuchHost(_) | Self::BrokenOff { .. } => false,
        }
    }

    /// Whether the host showed another key than the one that is known.
    pub(crate) fn is_about_host_key(&self) -> bool {
        matches!(self, Self::Ssh(error) if error.is_about_host_key())
    }
}

impl From<ReachError> for Fault {
    fn from(error: ReachError) -> Self {
        Self {
            why: error.to_string(),
            transient: error.is_transient(),
        }
    }
}

/// Why no host can be reached at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The helper program cannot be read.
    #[error("the helper program {}: {why}", .path.display())]
    Helper {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The machine lets us hold fewer files and sockets open than the hosts need.
    #[error(
        "{hosts} hosts need {needed} open files and sockets here, and this process may have {limit}"
    )]
    OpenFiles {
        /// Hosts of the fleet.
        hosts: usize,
        /// What they need.
        needed: u64,
        /// The limit that could not be raised far enough.
        limit: u64,
    },
    /// The host is not in the inventory.
    #[error("{0}: no such host in the inventory")]
    NoSuchHost(HostName),
    /// Proven host keys cannot be kept.
    #[error("host keys cannot be kept in {}: {why}", .folder.display())]
    Pins {
        /// The folder.
        folder: PathBuf,
        /// Why.
        why: String,
    },
    /// The words for `ssh` of a host cannot be taken along.
    #[error("{host}: {error}")]
    SshWords {
        /// The host.
        host: HostName,
        /// Why.
        error: WordError,
    },
}
