//! Keys that an SSH agent holds.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use russh::keys::HashAlg;
use russh::keys::agent::client::AgentClient;
use russh::keys::agent::{AgentIdentity, AgentSessionBinding};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::error::SshError;
use super::keyring::FileKey;

/// Conversations with the agent at one time: its listen queue is short (128 for OpenSSH), and a
/// full one refuses at once.
const CONVERSATIONS_MAX: usize = 32;
/// How long an agent may take to list its keys.
const LIST_S_MAX: u64 = 10;
/// How long an agent may take to sign: a person may have to touch or confirm.
const SIGN_S_MAX: u64 = 60;

/// An SSH agent, shared by all connections.
#[derive(Debug)]
pub struct Agent {
    socket: PathBuf,
    conversations: Semaphore,
}

impl Agent {
    /// The agent behind this socket. Nothing is asked of it yet.
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            conversations: Semaphore::new(CONVERSATIONS_MAX),
        }
    }

    /// The agent that `SSH_AUTH_SOCK` names, if it names one.
    pub fn from_environment() -> Option<Self> {
        let socket = std::env::var_os("SSH_AUTH_SOCK")?;
        (!socket.is_empty()).then(|| Self::at(socket))
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    pub(super) async fn identities(
        &self,
        binding: Option<&AgentSessionBinding>,
    ) -> Result<Vec<AgentIdentity>, SshError> {
        self.converse(LIST_S_MAX, async {
            let mut client = self.client(binding).await?;
            client.request_identities().await
        })
        .await
    }

    async fn client(
        &self,
        binding: Option<&AgentSessionBinding>,
    ) -> Result<AgentClient<UnixStream>, russh::keys::Error> {
        let mut client = AgentClient::connect_uds(&self.socket).await?;
        if let Some(binding) = binding {
            // Wanted by keys that are bound to destinations; an agent that knows no such keys
            // refuses, which does no harm.
            let _refused = client.bind_session(binding, false).await;
        }
        Ok(client)
    }

    async fn converse<T>(
        &self,
        bound_s: u64,
        work: impl Future<Output = Result<T, russh::keys::Error>>,
    ) -> Result<T, SshError> {
        let unavailable = |reason: String| SshError::AgentUnavailable {
            socket: self.socket.clone(),
            reason,
        };
        let _turn = self
            .conversations
            .acquire()
            .await
            .map_err(|error| unavailable(error.to_string()))?;
        match timeout(Duration::from_secs(bound_s), work).await {
            Ok(done) => done.map_err(|error| unavailable(error.to_string())),
            Err(_) => Err(unavailable(format!("no answer within {bound_s} s"))),
        }
    }
}

/// Lets the agent sign for one connection. The agent is held for the signature only, not for the
/// round trips to the server.
pub(super) struct AgentSigner<'a> {
    pub(super) agent: &'a Agent,
    pub(super) binding: Option<&'a AgentSessionBinding>,
    /// The identity that signs, where another one is shown: the bare key for a certificate of it.
    pub(super) signs: Option<AgentIdentity>,
}

/// Why a signature did not come about.
#[derive(Debug)]
pub(super) enum SignError {
    ConnectionGone,
    Agent(SshError),
    /// The server takes the key, but a person has to open it first.
    Shut(Arc<FileKey>),
    /// The key in a file does not sign.
    File(String),
}

impl From<russh::SendError> for SignError {
    fn from(_: russh::SendError) -> Self {
        Self::ConnectionGone
    }
}

impl russh::Signer for AgentSigner<'_> {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        key: &AgentIdentity,
        hash_alg: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        let key = self.signs.as_ref().unwrap_or(key);
        self.agent
            .converse(SIGN_S_MAX, async {
                let mut client = self.agent.client(self.binding).await?;
                client.sign_request(key, hash_alg, to_sign).await
            })
            .await
            .map_err(SignError::Agent)
    }
}
