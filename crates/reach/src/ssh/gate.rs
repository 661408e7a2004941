//! Our side of russh's loop: whether the host key is right, and why a connection ended.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use russh::client;
use russh::keys::{Certificate, PublicKey, PublicKeyOrCertificate};
use tokio::sync::watch;
use tokio::time::timeout;

use super::certificate::{Vouched, judge};
use super::error::{Place, SshError};
use super::known_hosts::{HostView, KnownHosts, Verdict, fingerprint};
use super::limits::Limits;
use super::revoked::RevokedKeys;
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
    /// The name that certificates must carry.
    pub(super) name: String,
    pub(super) limits: Limits,
    pub(super) revoked: Option<Arc<RevokedKeys>>,
    pub(super) now: fn() -> Timestamp,
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
    fn judge(&self, shown: &PublicKeyOrCertificate) -> Result<(), SshError> {
        let key = shown.public_key();
        let key_type = key.algorithm().as_str().to_owned();
        let blob = self.blob(&key)?;
        let fingerprint = fingerprint(&blob);
        self.long_enough(&key, &fingerprint)?;
        if let Some(place) = self.revoked(&blob) {
            return Err(self.is_revoked(fingerprint, place));
        }
        let unfit = match shown.certificate() {
            None => None,
            Some(certificate) => match self.vouched(certificate, &fingerprint)? {
                Vouched::Yes(_) => return Ok(()),
                Vouched::Unfit { place, reason } => Some((place, reason)),
                // Refused already.
                Vouched::Revoked(_) | Vouched::NoAuthority => None,
            },
        };
        // As for OpenSSH, the key in a certificate that does not count may still be known by itself.
        self.known(key_type, &blob, fingerprint, unfit)
    }

    fn known(
        &self,
        key_type: String,
        blob: &[u8],
        fingerprint: String,
        unfit: Option<(Place, String)>,
    ) -> Result<(), SshError> {
        let host = self.host.clone();
        match (self.view.check(&key_type, blob), unfit) {
            (Verdict::Known(_), _) => Ok(()),
            (Verdict::Revoked(place), _) => Err(self.is_revoked(fingerprint, place)),
            (_, Some((place, reason))) => Err(SshError::HostCertificateUnfit {
                host,
                fingerprint,
                place,
                reason,
            }),
            (Verdict::Unknown, None) => Err(SshError::HostKeyUnknown {
                host,
                key_type,
                fingerprint,
                files: self.known_hosts.files().to_vec(),
            }),
            (Verdict::Changed(known), None) => Err(SshError::HostKeyChanged {
                host,
                key_type,
                fingerprint,
                known,
            }),
            (Verdict::NeedsAuthority(place), None) => Err(SshError::HostKeyNeedsAuthority {
                host,
                fingerprint,
                place,
            }),
        }
    }

    fn vouched(&self, certificate: &Certificate, fingerprint: &str) -> Result<Vouched, SshError> {
        let authority = PublicKey::new(certificate.signature_key().clone(), "");
        if let Some(place) = self.revoked(&self.blob(&authority)?) {
            return Err(self.is_revoked(fingerprint.to_owned(), place));
        }
        let now_s = u64::try_from((self.now)().as_second()).unwrap_or_default();
        match judge(&self.view, certificate, &self.name, now_s, &self.limits) {
            Vouched::Revoked(place) => Err(self.is_revoked(fingerprint.to_owned(), place)),
            vouched => Ok(vouched),
        }
    }

    fn blob(&self, key: &PublicKey) -> Result<Vec<u8>, SshError> {
        key.to_bytes().map_err(|error| SshError::Protocol {
            host: self.host.clone(),
            reason: error.to_string(),
        })
    }

    fn revoked(&self, blob: &[u8]) -> Option<Place> {
        self.revoked.as_ref()?.place(blob)
    }

    fn is_revoked(&self, fingerprint: String, place: Place) -> SshError {
        SshError::HostKeyRevoked {
            host: self.host.clone(),
            fingerprint,
            place: Some(place),
        }
    }

    fn long_enough(&self, key: &PublicKey, fingerprint: &str) -> Result<(), SshError> {
        let bits_min = self.limits.rsa_bits_min;
        match key.key_data().rsa().map(|key| key.key_size()) {
            Some(bits) if bits < bits_min => Err(SshError::HostKeyTooShort {
                host: self.host.clone(),
                fingerprint: fingerprint.to_owned(),
                bits,
                bits_min,
            }),
            _ => Ok(()),
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
