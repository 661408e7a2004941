//! What can go wrong between here and a command on a host.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::config::ConfigError;
use super::quote::NulInArgument;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// A key that a known hosts file names for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// Such as `ssh-ed25519`.
    pub key_type: String,
    /// Where it is written.
    pub place: Place,
}

impl fmt::Display for KnownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.key_type, self.place)
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items
        .iter()
        .map(T::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn at(place: Option<&Place>) -> String {
    place.map_or_else(String::new, |place| format!(" at {place}"))
}

fn paths(files: &[PathBuf]) -> String {
    list(
        &files
            .iter()
            .map(|file| file.display().to_string())
            .collect::<Vec<_>>(),
    )
}

/// Every failure of the SSH layer. Texts from the remote side are stripped and capped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in each message")]
pub enum SshError {
    /// The address does not resolve, refuses, or has no route.
    #[error("{host}: cannot reach {address}: {reason}")]
    Unreachable {
        host: String,
        address: String,
        reason: String,
    },
    /// A bound passed.
    #[error("{host}: {what} took longer than {bound:?}")]
    TimedOut {
        host: String,
        what: &'static str,
        bound: Duration,
    },
    /// The server closed before it knew us; a busy sshd does so (`MaxStartups`).
    #[error("{host}: closed the connection before authentication: {reason}")]
    ClosedEarly { host: String, reason: String },
    /// Both sides cannot agree on the protocol.
    #[error("{host}: SSH does not come about: {reason}")]
    Protocol { host: String, reason: String },
    /// No known hosts file names this host.
    #[error("{host}: host key {key_type} {fingerprint} is unknown (looked in {})", paths(.files))]
    HostKeyUnknown {
        host: String,
        key_type: String,
        fingerprint: String,
        files: Vec<PathBuf>,
    },
    /// The host is known by other keys.
    #[error("{host}: host key changed: it now shows {key_type} {fingerprint}, known are {}", list(.known))]
    HostKeyChanged {
        host: String,
        key_type: String,
        fingerprint: String,
        known: Vec<KnownKey>,
    },
    /// The key is marked `@revoked`.
    #[error("{host}: host key {fingerprint} is revoked{}", at(.place.as_ref()))]
    HostKeyRevoked {
        host: String,
        fingerprint: String,
        /// Where, unless the `ssh` program kept it to itself.
        place: Option<Place>,
    },
    /// The host is vouched for by a certificate authority only.
    #[error(
        "{host}: host key {fingerprint} is not known by itself, and the host shows no certificate of the \
         authority at {place}"
    )]
    HostKeyNeedsAuthority {
        host: String,
        fingerprint: String,
        place: Place,
    },
    /// The host shows a certificate that does not count.
    #[error(
        "{host}: host key {fingerprint} is not known by itself, and its certificate, of the authority at \
         {place}, does not count: {reason}"
    )]
    HostCertificateUnfit {
        host: String,
        fingerprint: String,
        place: Place,
        reason: String,
    },
    /// The configuration wants longer keys of hosts.
    #[error("{host}: host key {fingerprint} has {bits} bits, and RequiredRSASize is {bits_min}")]
    HostKeyTooShort {
        host: String,
        fingerprint: String,
        bits: u32,
        bits_min: u32,
    },
    /// How the host is reached is not known.
    #[error("{host}: {error}")]
    Config { host: String, error: ConfigError },
    /// The configuration wants what our own client cannot do.
    #[error(
        "{host}: {setting}; our own client cannot do that: say transport: openssh for this host"
    )]
    NotNative { host: String, setting: String },
    /// The way to the host fails at a jump host.
    #[error("{host}: on the way through jump host {error}")]
    Jump { host: String, error: Box<Self> },
    /// The command that makes the way ended.
    #[error("{host}: ProxyCommand: {reason}")]
    Proxy { host: String, reason: String },
    /// The file of revoked host keys cannot be read, so no key can be trusted.
    #[error("revoked host keys file {}: {reason}", .path.display())]
    RevokedKeysUnreadable { path: PathBuf, reason: String },
    /// Nothing we offered was taken.
    #[error("{host}: refused user {user} (tried: {}; {note})", list(.tried))]
    AuthRefused {
        host: String,
        user: String,
        tried: Vec<String>,
        note: String,
    },
    /// Neither an agent nor a key file.
    #[error("{host}: no key to offer: name a key file or start an agent")]
    NoCredentials { host: String },
    /// The agent's socket does not answer.
    #[error("SSH agent at {}: {reason}", .socket.display())]
    AgentUnavailable { socket: PathBuf, reason: String },
    /// A key file cannot be read or understood.
    #[error("key file {}: {reason}", .path.display())]
    KeyUnreadable { path: PathBuf, reason: String },
    /// A key file is encrypted and no passphrase was given.
    #[error("key file {} is encrypted: give its passphrase or add it to an agent", .path.display())]
    KeyEncrypted { path: PathBuf },
    /// The passphrase does not open the key file.
    #[error("key file {}: the passphrase is wrong", .path.display())]
    PassphraseWrong { path: PathBuf },
    /// A known hosts file exists but cannot be read.
    #[error("known hosts file {}: {reason}", .path.display())]
    KnownHostsUnreadable { path: PathBuf, reason: String },
    /// The `ssh` program does not get in, for a reason that is none of those above.
    #[error("{host}: ssh: {text}")]
    Openssh { host: String, text: String },
    /// The `ssh` program cannot be used at all.
    #[error("the ssh program cannot be used: {reason}")]
    OpensshUnusable { reason: String },
    /// The connection died: closed by the other side, or no answer to keep-alives.
    #[error("{host}: connection lost: {reason}")]
    Lost { host: String, reason: String },
    /// The server gave no further channel (`MaxSessions`).
    #[error("{host}: no channel for a command: {reason}")]
    ChannelRefused { host: String, reason: String },
    /// The server does not run commands for us.
    #[error("{host}: refused to run the command")]
    ExecRefused { host: String },
    /// The channel ended and the server did not say how the command did.
    #[error("{host}: the command ended without an exit status")]
    NoExitStatus { host: String },
    /// An argument cannot be given to any program.
    #[error(transparent)]
    Argument(#[from] NulInArgument),
    /// Sudo asked a second time.
    #[error("{host}: wrong sudo password for {user}")]
    WrongSudoPassword { host: String, user: String },
    /// Sudo asked and no password is known.
    #[error("{host}: sudo wants a password for {user} and none is known")]
    SudoPasswordNeeded { host: String, user: String },
    /// The policy does not let this user do this.
    #[error("{host}: sudo does not allow it: {text}")]
    SudoDenied { host: String, text: String },
    /// `requiretty` is set.
    #[error("{host}: sudo wants a terminal (requiretty): {text}")]
    SudoTtyRequired { host: String, text: String },
    /// There is no sudo.
    #[error("{host}: no sudo there: {text}")]
    SudoMissing { host: String, text: String },
    /// The program ended before it said that it runs.
    #[error("{host}: the program ended ({exit}) before it was ready: {text}")]
    StartFailed {
        host: String,
        exit: String,
        text: String,
    },
}

impl SshError {
    /// Whether the same attempt can succeed later with nothing changed by a person.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Jump { error, .. } => error.is_transient(),
            other => matches!(
                other,
                Self::Unreachable { .. }
                    | Self::TimedOut { .. }
                    | Self::ClosedEarly { .. }
                    | Self::Proxy { .. }
                    | Self::Lost { .. }
                    | Self::Config {
                        error: ConfigError::TimedOut { .. },
                        ..
                    }
            ),
        }
    }

    /// Whether a server, of the host or of a jump host, closed before it knew us.
    pub fn is_closed_early(&self) -> bool {
        match self {
            Self::Jump { error, .. } => error.is_closed_early(),
            other => matches!(other, Self::ClosedEarly { .. }),
        }
    }

    /// Whether a host, or a jump host on the way to it, showed a key that is not to be trusted.
    pub fn is_about_host_key(&self) -> bool {
        match self {
            Self::Jump { error, .. } => error.is_about_host_key(),
            other => matches!(
                other,
                Self::HostKeyUnknown { .. }
                    | Self::HostKeyChanged { .. }
                    | Self::HostKeyRevoked { .. }
                    | Self::HostKeyNeedsAuthority { .. }
                    | Self::HostCertificateUnfit { .. }
                    | Self::HostKeyTooShort { .. }
            ),
        }
    }
}
