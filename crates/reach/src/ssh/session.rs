//! One connection to one host: reaching it, knowing it, being let in.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{MethodKind, MethodSet, Preferred, cipher, compression};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::agent::{Agent, AgentSigner, SignError};
use super::error::SshError;
use super::keyring::Keyring;
use super::known_hosts::{HostView, KnownHosts, LookupName, Verdict, fingerprint};
use super::text::printable;
use super::wire::{Closer, Wire};

/// How long the server may take to decide about us: PAM and name services on a busy host are slow,
/// and a person may have to touch a key.
const AUTHENTICATION_S_MAX: u64 = 60;
/// How long to wait for the reason after a connection is seen closed; it follows at once.
const REASON_MS_MAX: u64 = 500;
/// Bytes a server may send on one channel before it waits for us. Fills a link of 100 MB/s and
/// 10 ms; what is really held back is bounded by [`CHANNEL_MESSAGES_MAX`].
const WINDOW_BYTES: u32 = 1 << 20;
/// Largest packet; also OpenSSH's.
const PACKET_BYTES_MAX: u32 = 32 << 10;
/// Messages held for a slow reader of a channel, each at most a packet: 512 KiB.
const CHANNEL_MESSAGES_MAX: usize = 16;
/// Longest text of a server that goes into an error.
const REASON_CHARS_MAX: usize = 400;

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
        let questions = u32::try_from(self.keepalive_max).unwrap_or(u32::MAX).saturating_add(1);
        self.keepalive_interval.saturating_mul(questions)
    }

    fn timed_out(&self, what: &'static str, bound: Duration) -> SshError {
        SshError::TimedOut { host: self.name.clone(), what, bound }
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
        f.debug_struct("Session").field("host", &self.inner.host).field("user", &self.inner.user).finish()
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
        let goodbye = self.inner.handle.disconnect(russh::Disconnect::ByApplication, "", "");
        // Only courtesy: dropping the session closes the connection in any case.
        let _sent = timeout(Duration::from_millis(REASON_MS_MAX), goodbye).await;
    }
}

impl Inner {
    /// The loss of this connection as an error, with the reason when it is known by now.
    pub(super) fn lost_now(&self) -> SshError {
        let reason = match &*self.ending.borrow() {
            Some(Ending::Told(text) | Ending::Broke(text)) => text.clone(),
            None => "closed".to_owned(),
        };
        SshError::Lost { host: self.host.clone(), reason }
    }

    pub(super) async fn lost(&self) -> SshError {
        wait_ending(self.ending.clone()).await;
        self.lost_now()
    }
}

async fn wait_ending(mut ending: watch::Receiver<Option<Ending>>) {
    let told = ending.wait_for(Option::is_some);
    let _late = timeout(Duration::from_millis(REASON_MS_MAX), told).await;
}

/// How a connection ended.
#[derive(Debug, Clone)]
enum Ending {
    /// The server said why.
    Told(String),
    /// It just broke.
    Broke(String),
}

/// Our side of russh's loop: judges the host key and notes the end.
pub(super) struct Gate {
    host: String,
    view: HostView,
    known_hosts: Arc<KnownHosts>,
    ending: watch::Sender<Option<Ending>>,
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
        let blob = key
            .to_bytes()
            .map_err(|error| SshError::Protocol { host: host.clone(), reason: error.to_string() })?;
        let fingerprint = fingerprint(&blob);
        match self.view.check(&key_type, &blob) {
            Verdict::Known(_) => Ok(()),
            Verdict::Unknown => Err(SshError::HostKeyUnknown {
                host,
                key_type,
                fingerprint,
                files: self.known_hosts.files().to_vec(),
            }),
            Verdict::Changed(known) => Err(SshError::HostKeyChanged { host, key_type, fingerprint, known }),
            Verdict::Revoked(place) => Err(SshError::HostKeyRevoked { host, fingerprint, place }),
            Verdict::NeedsAuthority(place) => Err(SshError::HostKeyNeedsAuthority { host, fingerprint, place }),
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

    async fn disconnected(&mut self, reason: client::DisconnectReason<GateError>) -> Result<(), GateError> {
        let ending = match &reason {
            client::DisconnectReason::ReceivedDisconnect(info) => {
                Ending::Told(printable(info.message.as_bytes(), REASON_CHARS_MAX))
            }
            client::DisconnectReason::Error(GateError::Ssh(error)) => Ending::Broke(plain_reason(error)),
            client::DisconnectReason::Error(GateError::HostKey(error)) => Ending::Broke(error.to_string()),
        };
        self.ending.send_replace(Some(ending));
        match reason {
            client::DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            client::DisconnectReason::Error(error) => Err(error),
        }
    }
}

fn plain_reason(error: &russh::Error) -> String {
    match error {
        russh::Error::KeepaliveTimeout => "no answer to keep-alives".to_owned(),
        russh::Error::HUP | russh::Error::Disconnect => "closed by the other side".to_owned(),
        russh::Error::IO(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "closed by the other side".to_owned()
        }
        other => printable(other.to_string().as_bytes(), REASON_CHARS_MAX),
    }
}

/// Reaches the target, checks its host key and is let in by the first key that it takes.
pub async fn connect(target: &Target) -> Result<Session, SshError> {
    let (ending_sender, ending) = watch::channel(None);
    let name = LookupName::new(&target.address, target.port, target.host_key_alias.as_deref());
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
    let entry = Entry { target, handle: &mut handle, ending: ending.clone(), tried: Vec::new(), note: String::new() };
    timeout(bound, entry.authenticate()).await.map_err(|_| target.timed_out("authentication", bound))??;
    let inner =
        Inner { host: target.name.clone(), user: target.user.clone(), handle, ending, _closer: closer };
    Ok(Session { inner: Arc::new(inner) })
}

async fn reach(target: &Target, gate: Gate) -> Result<(Handle<Gate>, Closer), SshError> {
    let unreachable = |error: std::io::Error| SshError::Unreachable {
        host: target.name.clone(),
        address: format!("{} port {}", target.address, target.port),
        reason: error.to_string(),
    };
    let tcp = TcpStream::connect((target.address.as_str(), target.port)).await.map_err(unreachable)?;
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
        russh::Error::HUP | russh::Error::Disconnect | russh::Error::IO(_) => SshError::ClosedEarly { host, reason },
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
    let algorithms = view.algorithms().into_iter().filter_map(|name| name.parse::<Algorithm>().ok());
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

/// One try to be let in.
struct Entry<'a> {
    target: &'a Target,
    handle: &'a mut Handle<Gate>,
    ending: watch::Receiver<Option<Ending>>,
    tried: Vec<String>,
    note: String,
}

/// Whether it is worth to offer the next key.
enum Next {
    Inside,
    Offer,
    Stop,
}

impl Entry<'_> {
    async fn authenticate(mut self) -> Result<(), SshError> {
        let mut offered: Vec<PublicKey> = Vec::new();
        if let Some(agent) = self.target.agent.clone() {
            match self.with_agent(&agent, &mut offered).await? {
                Next::Inside => return Ok(()),
                Next::Offer => {}
                Next::Stop => return Err(self.refused().await),
            }
        }
        let keyring = Arc::clone(&self.target.keyring);
        for file in &keyring.keys {
            if offered.iter().any(|key| key.key_data() == file.key.public_key().key_data()) {
                continue;
            }
            let hash = self.rsa_hash(&file.key.algorithm()).await?;
            let key = PrivateKeyWithHashAlg::new(Arc::clone(&file.key), hash);
            self.tried.push(format!("key file {}", file.path.display()));
            offered.push(file.key.public_key().clone());
            let answer = self.handle.authenticate_publickey(&self.target.user, key).await;
            match self.judge(answer.map_err(|error| plain_reason(&error))).await? {
                Next::Inside => return Ok(()),
                Next::Offer => {}
                Next::Stop => return Err(self.refused().await),
            }
        }
        if offered.is_empty() {
            let unusable = keyring.unusable.first().cloned();
            return Err(unusable.unwrap_or(SshError::NoCredentials { host: self.target.name.clone() }));
        }
        Err(self.refused().await)
    }

    async fn with_agent(&mut self, agent: &Agent, offered: &mut Vec<PublicKey>) -> Result<Next, SshError> {
        let binding = self.handle.agent_session_binding().cloned();
        let mut identities = match agent.identities(binding.as_ref()).await {
            Ok(identities) => identities,
            // A dead agent must not keep a key file from being used.
            Err(error) if self.target.keyring.keys.is_empty() => return Err(error),
            Err(error) => {
                self.tried.push(error.to_string());
                return Ok(Next::Offer);
            }
        };
        // Servers count tries: the keys that a person named come first.
        let named = |key: &PublicKey| {
            self.target.keyring.keys.iter().any(|file| file.key.public_key().key_data() == key.key_data())
        };
        identities.sort_by_key(|identity| !named(&identity.public_key()));
        let mut signer = AgentSigner { agent, binding: binding.as_ref() };
        for identity in identities {
            let key = identity.public_key().into_owned();
            let hash = self.rsa_hash(&key.algorithm()).await?;
            self.tried.push(format!("agent key {}", printable(identity.comment().as_bytes(), REASON_CHARS_MAX)));
            let user = &self.target.user;
            let answer = match identity {
                AgentIdentity::PublicKey { key, .. } => {
                    offered.push(key.clone());
                    self.handle.authenticate_publickey_with(user, key, hash, &mut signer).await
                }
                AgentIdentity::Certificate { certificate, .. } => {
                    self.handle.authenticate_certificate_with(user, certificate, hash, &mut signer).await
                }
            };
            let answer = match answer {
                Ok(answer) => Ok(answer),
                Err(SignError::ConnectionGone) => Err("closed".to_owned()),
                Err(SignError::Agent(error)) => {
                    self.tried.push(error.to_string());
                    continue;
                }
            };
            match self.judge(answer).await? {
                Next::Offer => {}
                end => return Ok(end),
            }
        }
        Ok(Next::Offer)
    }

    /// SHA-1 signatures are never made; a server that names no choice gets the strongest.
    async fn rsa_hash(&self, algorithm: &Algorithm) -> Result<Option<HashAlg>, SshError> {
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return Ok(None);
        }
        match self.handle.best_supported_rsa_hash().await {
            Ok(best) => Ok(Some(best.flatten().unwrap_or(HashAlg::Sha512))),
            Err(_) => Err(self.gone().await),
        }
    }

    async fn judge(&mut self, answer: Result<AuthResult, String>) -> Result<Next, SshError> {
        match answer {
            Ok(AuthResult::Success) => Ok(Next::Inside),
            // A connection that breaks is reported by russh as a refusal without any method left.
            Ok(AuthResult::Failure { remaining_methods, .. }) if remaining_methods.is_empty() => {
                if self.handle.is_closed() { Err(self.gone().await) } else { Ok(Next::Stop) }
            }
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                let methods = names(&remaining_methods);
                self.note = if partial_success {
                    format!("the key is right, but the server wants {methods} as well")
                } else {
                    format!("the server takes {methods}")
                };
                let more = remaining_methods.contains(&MethodKind::PublicKey);
                Ok(if more { Next::Offer } else { Next::Stop })
            }
            Err(_) => Err(self.gone().await),
        }
    }

    /// The connection ended while we asked: the server's own word counts as a refusal.
    async fn gone(&self) -> SshError {
        wait_ending(self.ending.clone()).await;
        let host = self.target.name.clone();
        let ending = self.ending.borrow().clone();
        match ending {
            Some(Ending::Told(note)) => {
                SshError::AuthRefused { host, user: self.target.user.clone(), tried: self.tried.clone(), note }
            }
            Some(Ending::Broke(reason)) => SshError::Lost { host, reason },
            None => SshError::Lost { host, reason: "closed".to_owned() },
        }
    }

    async fn refused(&self) -> SshError {
        let mut tried = self.tried.clone();
        tried.extend(self.target.keyring.unusable.iter().map(ToString::to_string));
        SshError::AuthRefused {
            host: self.target.name.clone(),
            user: self.target.user.clone(),
            tried,
            note: self.note.clone(),
        }
    }
}

fn names(methods: &MethodSet) -> String {
    methods.iter().map(String::from).collect::<Vec<_>>().join(", ")
}

/// Bounds a future and names what took too long.
pub(super) async fn within<T>(
    host: &str,
    what: &'static str,
    bound: Duration,
    work: impl Future<Output = Result<T, SshError>>,
) -> Result<T, SshError> {
    match timeout(bound, work).await {
        Ok(done) => done,
        Err(_) => Err(SshError::TimedOut { host: host.to_owned(), what, bound }),
    }
}
