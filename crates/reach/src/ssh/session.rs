//! One connection to one host: reaching it, knowing it, being let in.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::Algorithm;
use russh::{Preferred, cipher, compression};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::agent::Agent;
use super::entry::Entry;
use super::error::SshError;
use super::gate::{Ending, Gate, GateError, plain_reason, wait_ending};
use super::keyring::Keyring;
use super::known_hosts::{HostView, KnownHosts, LookupName};
use super::wire::{Closer, Wire};

/// How long the server may take to decide about us: PAM and name services on a busy host are slow,
/// and a person may have to touch a key.
const AUTHENTICATION_S_MAX: u64 = 60;
/// How long saying goodbye may take; it is a courtesy.
const GOODBYE_MS_MAX: u64 = 500;
/// Bytes a server may send on one channel before it waits for us. Fills a link of 100 MB/s and
/// 10 ms; what is really held back is bounded by [`CHANNEL_MESSAGES_MAX`].
const WINDOW_BYTES: u32 = 1 << 20;
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
    /// Keys from files, offered after the agent's.
    pub keyring: Arc<Keyring>,
    /// The agent, when one is to be used.
    pub agent: Option<Arc<Agent>>,
    /// What is known of host keys.
    pub known_hosts: Arc<KnownHosts>,
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

/// Reaches the target, checks its host key and is let in by the first key that it takes.
pub async fn connect(target: &Target) -> Result<Session, SshError> {
    let (ending_sender, ending) = watch::channel(None);
    let name = LookupName::new(
        &target.address,
        target.port,
        target.host_key_alias.as_deref(),
    );
    let gate = Gate {
        host: target.name.clone(),
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
    };
    Ok(Session {
        inner: Arc::new(inner),
    })
}

async fn reach(target: &Target, gate: Gate) -> Result<(Handle<Gate>, Closer), SshError> {
    let unreachable = |error: std::io::Error| SshError::Unreachable {
        host: target.name.clone(),
        address: format!("{} port {}", target.address, target.port),
        reason: error.to_string(),
    };
    let tcp = TcpStream::connect((target.address.as_str(), target.port))
        .await
        .map_err(unreachable)?;
    tcp.set_nodelay(true).map_err(unreachable)?;
    let config = Arc::new(config(target, &gate.view));
    let (wire, closer) = Wire::new(tcp, target.silence_max());
    match client::connect_stream(config, wire, gate).await {
        Ok(handle) => Ok((handle, closer)),
        Err(GateError::HostKey(error)) => Err(*error),
        Err(GateError::Ssh(error)) => Err(handshake_error(&target.name, &error)),
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

fn config(target: &Target, view: &HostView) -> client::Config {
    // AES-GCM first: processors of this age have it in hardware, ours and the servers'.
    const CIPHERS: &[cipher::Name] = &[
        cipher::AES_256_GCM,
        cipher::CHACHA20_POLY1305,
        cipher::AES_256_CTR,
        cipher::AES_192_CTR,
        cipher::AES_128_CTR,
    ];
    let algorithms = view
        .algorithms()
        .into_iter()
        .filter_map(|name| name.parse::<Algorithm>().ok());
    client::Config {
        window_size: WINDOW_BYTES,
        maximum_packet_size: PACKET_BYTES_MAX,
        channel_buffer_size: CHANNEL_MESSAGES_MAX,
        keepalive_interval: Some(target.keepalive_interval),
        keepalive_max: target.keepalive_max,
        nodelay: true,
        preferred: Preferred {
            key: algorithms.collect(),
            cipher: Cow::Borrowed(CIPHERS),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::DEFAULT
        },
        ..client::Config::default()
    }
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
