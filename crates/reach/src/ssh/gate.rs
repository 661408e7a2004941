//! Our side of russh's loop: whether the host key is right, and why a connection ended.

use std::sync::Arc;
use std::time::Duration;

use russh::client;
use russh::keys::PublicKeyOrCertificate;
use tokio::sync::watch;
use tokio::time::timeout;

use super::error::SshError;
use super::known_hosts::{HostView, KnownHosts, Verdict, fingerprint};
use super::text::printable;

/// How long to wait for the reason after a connection is seen closed; it follows at once.
const REASON_MS_MAX: u64 = 500;
/// Longest text of a server that goes into an error.
pub(super) const REASON_CHARS_MAX: usize = 400;

/// Waits shortly for the reason of an end that is already seen.
pub(super) async fn wait_ending(mut ending: watch::Receiver<Option<Ending>>) {
    let told = ending.wait_for(Option::is_some);
    let _late = timeout(Duration::from_millis(REASON_MS_MAX), told).await;
}

/// How a connection ended.
#[derive(Debug, Clone)]
pub(super) enum Ending {
    /// The server said why.
    Told(String),
    /// It just broke.
    Broke(String),
}

/// Our side of russh's loop: judges the host key and notes the end.
pub(super) struct Gate {
    pub(super) host: String,
    pub(super) view: HostView,
    pub(super) known_hosts: Arc<KnownHosts>,
    pub(super) ending: watch::Sender<Option<Ending>>,
}

#[derive(Debug)]
pub(super) enum GateError {
    Ssh(russh::Error),
    HostKey(Box<SshError>),
}

impl From<russh::Error> for GateError {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl Gate {
    fn judge(&self, key: &PublicKeyOrCertificate) -> Result<(), SshError> {
        let host = self.host.clone();
        let key = key.public_key();
        let key_type = key.algorithm().as_str().to_owned();
        let blob = key.to_bytes().map_err(|error| SshError::Protocol {
            host: host.clone(),
            reason: error.to_string(),
        })?;
        let fingerprint = fingerprint(&blob);
        match self.view.check(&key_type, &blob) {
            Verdict::Known(_) => Ok(()),
            Verdict::Unknown => Err(SshError::HostKeyUnknown {
                host,
                key_type,
                fingerprint,
                files: self.known_hosts.files().to_vec(),
            }),
            Verdict::Changed(known) => Err(SshError::HostKeyChanged {
                host,
                key_type,
                fingerprint,
                known,
            }),
            Verdict::Revoked(place) => Err(SshError::HostKeyRevoked {
                host,
                fingerprint,
                place,
            }),
            Verdict::NeedsAuthority(place) => Err(SshError::HostKeyNeedsAuthority {
                host,
                fingerprint,
                place,
            }),
        }
    }
}

impl client::Handler for Gate {
    type Error = GateError;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, GateError> {
        match self.judge(key) {
            Ok(()) => Ok(true),
            Err(error) => Err(GateError::HostKey(Box::new(error))),
        }
    }

    async fn disconnected(
        &mut self,
        reason: client::DisconnectReason<GateError>,
    ) -> Result<(), GateError> {
        let ending = match &reason {
            client::DisconnectReason::ReceivedDisconnect(info) => {
                Ending::Told(printable(info.message.as_bytes(), REASON_CHARS_MAX))
            }
            client::DisconnectReason::Error(GateError::Ssh(error)) => {
                Ending::Broke(plain_reason(error))
            }
            client::DisconnectReason::Error(GateError::HostKey(error)) => {
                Ending::Broke(error.to_string())
            }
        };
        self.ending.send_replace(Some(ending));
        match reason {
            client::DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            client::DisconnectReason::Error(error) => Err(error),
        }
    }
}

pub(super) fn plain_reason(error: &russh::Error) -> String {
    match error {
        russh::Error::KeepaliveTimeout => "no answer to keep-alives".to_owned(),
        russh::Error::HUP | russh::Error::Disconnect => "closed by the other side".to_owned(),
        russh::Error::IO(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "closed by the other side".to_owned()
        }
        other => printable(other.to_string().as_bytes(), REASON_CHARS_MAX),
    }
}
