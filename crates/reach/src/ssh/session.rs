//! One connection to one host: reaching it, knowing it, being let in.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use russh::client::{self, Handle};
use tokio::sync::watch;
use tokio::time::timeout;

use super::agent::Agent;
use super::entry::{Entry, Outside};
use super::error::SshError;
use super::gate::{Ending, Gate, GateError, plain_reason, wait_ending};
use super::keyring::Keyring;
use super::known_hosts::{HostView, KnownHosts, LookupName};
use super::limits::Limits;
use super::passphrases::Passphrases;
use super::revoked::RevokedKeys;
use super::via::Via;
use super::wire::{Closer, Wire};

/// How long the server may take to decide about us: PAM and name services on a busy host are slow,
/// and a person may have to touch a key.
pub(crate) const AUTHENTICATION_S_MAX: u64 = 60;
/// How long saying goodbye may take; it is a courtesy.
const GOODBYE_MS_MAX: u64 = 500;
/// Bytes a server may send on one channel before it waits for us. Fills a link of 100 MB/s and
/// 10 ms; what is really held back is bounded by [`CHANNEL_MESSAGES_MAX`].
pub(super) const WINDOW_BYTES: u32 = 1 << 20;
/// Largest packet; also OpenSSH's.
const PACKET_BYTES_MAX: u32 = 32 << 10;
/// Messages held for a slow reader of a channel, each at most a packet: 512 KiB.
const CHANNEL_MESSAGES_MAX: usize = 16;

/// Whom to reach, how, and with what.
#[derive(Debug, Clone)]
pub struct Target {
    /// The host's name in messages.
    pub name: String,
    /// Name or IP address to connect to.
    pub address: String,
    /// TCP port.
    pub port: u16,
    /// The account.
    pub user: String,
    /// The name to look up in known hosts files instead of address and port.
    pub host_key_alias: Option<String>,
    /// What leads there.
    pub via: Via,
    /// Keys from files, offered after the agent's.
    pub keyring: Arc<Keyring>,
    /// Whether the agent may be used only for keys that the keyring names.
    pub identities_only: bool,
    /// Who opens encrypted keys.
    pub passphrases: Passphrases,
    /// The agent, when one is to be used.
    pub agent: Option<Arc<Agent>>,
    /// What is known of host keys.
    pub known_hosts: Arc<KnownHosts>,
    /// Host keys that are never to be trusted.
    pub revoked: Option<Arc<RevokedKeys>>,
    /// Which algorithms may be used.
    pub limits: Limits,
    /// The clock that the times of host certificates are held against.
    pub now: fn() -> Timestamp,
    /// Bound on reaching the address and on the key exchange, together.
    pub connect_timeout: Duration,
    /// After so much silence the server is asked for a sign of life.
    pub keepalive_interval: Duration,
    /// So many unanswered questions mean that the connection is lost.
    pub keepalive_max: usize,
}

impl Target {
    /// How long a dead connection can look alive.
    fn silence_max(&self) -> Duration {
        let questions = u32::try_from(self.keepalive_max)
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        self.keepalive_interval.saturating_mul(questions)
    }

    fn timed_out(&self, what: &'static str, bound: Duration) -> SshError {
        SshError::TimedOut {
            host: self.name.clone(),
            what,
            bound,
        }
    }
}

/// A connection that is let in. Clones share it; it closes when the last clone and the last
/// channel are gone.
#[derive(Clone)]
pub struct Session {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) host: String,
    pub(super) user: String,
    pub(super) handle: Handle<Gate>,
    ending: watch::Receiver<Option<Ending>>,
    _closer: Closer,
    /// Keeps a jump host's connection while this one stands on it.
    _via: Via,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("host", &self.inner.host)
            .field("user", &self.inner.user)
            .finish()
    }
}

impl Session {
    /// The host's name, as in its target.
    pub fn host(&self) -> &str {
        &self.inner.host
    }

    /// The account that is used.
    pub fn user(&self) -> &str {
        &self.inner.user
    }

    /// Whether the connection is still there, as far as we know.
    pub fn is_open(&self) -> bool {
        !self.inner.handle.is_closed()
    }

    /// Waits until the connection is lost and says why. Waits for ever on a healthy one.
    pub async fn lost(&self) -> SshError {
        let mut ending = self.inner.ending.clone();
        let _closed = ending.wait_for(Option::is_some).await;
        self.inner.lost_now()
    }

    /// Ends the connection now, whatever its channels do.
    pub async fn close(self) {
        let goodbye = self
            .inner
            .handle
            .disconnect(russh::Disconnect::ByApplication, "", "");
        // Only courtesy: dropping the session closes the connection in any case.
        let _sent = timeout(Duration::from_millis(GOODBYE_MS_MAX), goodbye).await;
    }
}

impl Inner {
    /// The loss of this connection as an error, with the reason when it is known by now.
    pub(super) fn lost_now(&self) -> SshError {
        let reason = match &*self.ending.borrow() {
            Some(Ending::Told(text) | Ending::Broke(text)) => text.clone(),
            None => "closed".to_owned(),
        };
        SshError::Lost {
            host: self.host.clone(),
            reason,
        }
    }

    pub(super) async fn lost(&self) -> SshError {
        wait_ending(self.ending.clone()).await;
        self.lost_now()
    }
}

/// Reaches the target, checks its host key and is let in by the first key that it takes. A key that the
/// target would take and that is encrypted is opened by a person, and then the target is reached anew.
pub async fn connect(target: &Target) -> Result<Session, SshError> {
    loop {
        match attempt(target).await {
            Ok(session) => return Ok(session),
            Err(Outside::Failed(error)) => return Err(error),
            // Ends: after that, each key is open or given up.
            Err(Outside::Shut(key)) => target.passphrases.open(&key).await,
        }
    }
}

async fn attempt(target: &Target) -> Result<Session, Outside> {
    let (ending_sender, ending) = watch::channel(None);
    let alias = target.host_key_alias.as_deref();
    let name = LookupName::new(&target.address, target.port, alias);
    let gate = Gate {
        host: target.name.clone(),
        name: alias.unwrap_or(&target.address).to_lowercase(),
        limits: target.limits.clone(),
        revoked: target.revoked.clone(),
        now: target.now,
        view: target.known_hosts.view(&name),
        known_hosts: Arc::clone(&target.known_hosts),
        ending: ending_sender,
    };
    let (mut handle, closer) = timeout(target.connect_timeout, reach(target, gate))
        .await
        .map_err(|_| target.timed_out("connecting", target.connect_timeout))??;
    let bound = Duration::from_secs(AUTHENTICATION_S_MAX);
    let entry = Entry {
        target,
        handle: &mut handle,
        ending: ending.clone(),
        tried: Vec::new(),
        note: String::new(),
    };
    timeout(bound, entry.authenticate())
        .await
        .map_err(|_| target.timed_out("authentication", bound))??;
    let inner = Inner {
        host: target.name.clone(),
        user: target.user.clone(),
        handle,
        ending,
        _closer: closer,
        _via: target.via.clone(),
    };
    Ok(Session {
        inner: Arc::new(inner),
    })
}

async fn reach(target: &Target, gate: Gate) -> Result<(Handle<Gate>, Closer), SshError> {
    let config = Arc::new(config(target, &gate.view)?);
    let (way, words) = target.via.open(target).await?;
    let (wire, closer) = Wire::new(way, target.silence_max());
    match client::connect_stream(config, wire, gate).await {
        Ok(handle) => Ok((handle, closer)),
        Err(GateError::HostKey(error)) => Err(*error),
        Err(GateError::Ssh(error)) => {
            let error = handshake_error(&target.name, &error);
            Err(match words {
                Some(words) => words.explain(error).await,
                None => error,
            })
        }
    }
}

fn handshake_error(host: &str, error: &russh::Error) -> SshError {
    let (host, reason) = (host.to_owned(), plain_reason(error));
    match error {
        russh::Error::HUP | russh::Error::Disconnect | russh::Error::IO(_) => {
            SshError::ClosedEarly { host, reason }
        }
        _ => SshError::Protocol { host, reason },
    }
}

fn config(target: &Target, view: &HostView) -> Result<client::Config, SshError> {
    Ok(client::Config {
        window_size: WINDOW_BYTES,
        maximum_packet_size: PACKET_BYTES_MAX,
        channel_buffer_size: CHANNEL_MESSAGES_MAX,
        keepalive_interval: Some(target.keepalive_interval),
        keepalive_max: target.keepalive_max,
        nodelay: true,
        preferred: target.limits.preferred(&target.name, view)?,
        ..client::Config::default()
    })
}

/// Bounds a future and names what took too long.
pub(crate) async fn within<T>(
    host: &str,
    what: &'static str,
    bound: Duration,
    work: impl Future<Output = Result<T, SshError>>,
) -> Result<T, SshError> {
    match timeout(bound, work).await {
        Ok(done) => done,
        Err(_) => Err(SshError::TimedOut {
            host: host.to_owned(),
            what,
            bound,
        }),
    }
}
