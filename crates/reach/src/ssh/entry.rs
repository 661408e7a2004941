//! Being let in: which keys are offered, in which order, and what a refusal means.

use std::sync::Arc;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, MethodSet};
use tokio::sync::watch;

use super::agent::{Agent, AgentSigner, SignError};
use super::error::SshError;
use super::gate::{Ending, Gate, REASON_CHARS_MAX, plain_reason, wait_ending};
use super::keyring::FileKey;
use super::session::Target;
use super::text::printable;

/// One try to be let in.
pub(super) struct Entry<'a> {
    pub(super) target: &'a Target,
    pub(super) handle: &'a mut Handle<Gate>,
    pub(super) ending: watch::Receiver<Option<Ending>>,
    pub(super) tried: Vec<String>,
    pub(super) note: String,
}

/// Whether it is worth to offer the next key.
enum Next {
    Inside,
    Offer,
    Stop,
}

impl Entry<'_> {
    /// Offers the agent's keys, then those of files, until one is taken.
    pub(super) async fn authenticate(mut self) -> Result<(), SshError> {
        let mut offered: Vec<PublicKey> = Vec::new();
        if let Some(agent) = self.target.agent.clone() {
            match self.with_agent(&agent, &mut offered).await? {
                Next::Inside => return Ok(()),
                Next::Offer => {}
                Next::Stop => return Err(self.refused()),
            }
        }
        let keyring = Arc::clone(&self.target.keyring);
        let files = keyring.keys.iter().filter(|file| {
            !offered
                .iter()
                .any(|key| key.key_data() == file.key.public_key().key_data())
        });
        let mut again = Vec::new();
        for file in files {
            let hash = self.rsa_hash(&file.key.algorithm()).await?;
            // Older servers name SHA-512 even where their configuration takes SHA-256 only.
            if hash == Some(HashAlg::Sha512) {
                again.push((file, Some(HashAlg::Sha256)));
            }
            match self.with_file(file, hash).await? {
                Next::Inside => return Ok(()),
                Next::Offer => {}
                Next::Stop => return Err(self.refused()),
            }
        }
        // Last, because servers count tries.
        for (file, hash) in again {
            match self.with_file(file, hash).await? {
                Next::Inside => return Ok(()),
                Next::Offer => {}
                Next::Stop => break,
            }
        }
        if self.tried.is_empty() {
            let unusable = keyring.unusable.first().cloned();
            return Err(unusable.unwrap_or(SshError::NoCredentials {
                host: self.target.name.clone(),
            }));
        }
        Err(self.refused())
    }

    async fn with_file(&mut self, file: &FileKey, hash: Option<HashAlg>) -> Result<Next, SshError> {
        let key = PrivateKeyWithHashAlg::new(Arc::clone(&file.key), hash);
        let tried = format!("key file {}", file.path.display());
        if !self.tried.contains(&tried) {
            self.tried.push(tried);
        }
        let answer = self
            .handle
            .authenticate_publickey(&self.target.user, key)
            .await;
        self.judge(answer.map_err(|error| plain_reason(&error)))
            .await
    }

    async fn with_agent(
        &mut self,
        agent: &Agent,
        offered: &mut Vec<PublicKey>,
    ) -> Result<Next, SshError> {
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
            self.target
                .keyring
                .keys
                .iter()
                .any(|file| file.key.public_key().key_data() == key.key_data())
        };
        identities.sort_by_key(|identity| !named(&identity.public_key()));
        let mut signer = AgentSigner {
            agent,
            binding: binding.as_ref(),
        };
        for identity in identities {
            let key = identity.public_key().into_owned();
            let hash = self.rsa_hash(&key.algorithm()).await?;
            self.tried.push(format!(
                "agent key {}",
                printable(identity.comment().as_bytes(), REASON_CHARS_MAX)
            ));
            let user = &self.target.user;
            let answer = match identity {
                AgentIdentity::PublicKey { key, .. } => {
                    offered.push(key.clone());
                    self.handle
                        .authenticate_publickey_with(user, key, hash, &mut signer)
                        .await
                }
                AgentIdentity::Certificate { certificate, .. } => {
                    self.handle
                        .authenticate_certificate_with(user, certificate, hash, &mut signer)
                        .await
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
            Ok(AuthResult::Failure {
                remaining_methods, ..
            }) if remaining_methods.is_empty() => {
                if self.handle.is_closed() {
                    Err(self.gone().await)
                } else {
                    Ok(Next::Stop)
                }
            }
            Ok(AuthResult::Failure {
                remaining_methods,
                partial_success,
            }) => {
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
            Some(Ending::Told(note)) => SshError::AuthRefused {
                host,
                user: self.target.user.clone(),
                tried: self.tried.clone(),
                note,
            },
            Some(Ending::Broke(reason)) => SshError::Lost { host, reason },
            None => SshError::Lost {
                host,
                reason: "closed".to_owned(),
            },
        }
    }

    fn refused(&self) -> SshError {
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
    methods
        .iter()
        .map(String::from)
        .collect::<Vec<_>>()
        .join(", ")
}
