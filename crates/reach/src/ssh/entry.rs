//! Being let in: which keys are offered, and what a refusal means.

use std::sync::Arc;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};
use tokio::sync::watch;

use super::agent::{AgentSigner, SignError};
use super::error::SshError;
use super::gate::{Ending, Gate, REASON_CHARS_MAX, plain_reason, wait_ending};
use super::keyring::{FileKey, Use};
use super::limits::certificate_name;
use super::offer::{FileSigner, Offer, Shown, Signer, offers};
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

/// Why we are not inside.
pub(super) enum Outside {
    Failed(SshError),
    /// The server takes this key, but a person has to open it first. A server does not wait for that:
    /// the connection is of no use any more.
    Shut(Arc<FileKey>),
}

impl From<SshError> for Outside {
    fn from(error: SshError) -> Self {
        Self::Failed(error)
    }
}

/// Whether it is worth to offer the next key.
enum Next {
    Inside,
    Offer,
    Stop,
}

impl Entry<'_> {
    /// Offers keys in OpenSSH's order until one is taken.
    pub(super) async fn authenticate(mut self) -> Result<(), Outside> {
        let identities = self.identities().await?;
        let keyring = Arc::clone(&self.target.keyring);
        let mut again = Vec::new();
        for offer in offers(&keyring, identities, self.target.identities_only) {
            let Some(hash) = self.hash(&offer).await? else {
                continue;
            };
            // Older servers name SHA-512 even where their configuration takes SHA-256 only.
            let in_file = matches!(offer.signer, Signer::File(_));
            if in_file
                && hash == Some(HashAlg::Sha512)
                && self.allows(&offer, Some(HashAlg::Sha256))
            {
                again.push(offer.clone());
            }
            match self.offer(offer, hash).await? {
                Next::Inside => return Ok(()),
                Next::Offer => {}
                Next::Stop => return Err(self.refused().into()),
            }
        }
        // Last, because servers count tries.
        for offer in again {
            match self.offer(offer, Some(HashAlg::Sha256)).await? {
                Next::Inside => return Ok(()),
                Next::Offer => {}
                Next::Stop => break,
            }
        }
        // These cannot even be shown before they are opened.
        let hidden = |key: &&Arc<FileKey>| key.is_shut() && key.public().is_none();
        if let Some(key) = keyring.keys.iter().find(hidden) {
            return Err(Outside::Shut(Arc::clone(key)));
        }
        if self.tried.is_empty() {
            let unusable = keyring.unusable().into_iter().next();
            let nothing = SshError::NoCredentials {
                host: self.target.name.clone(),
            };
            return Err(unusable.unwrap_or(nothing).into());
        }
        Err(self.refused().into())
    }

    async fn identities(&mut self) -> Result<Vec<AgentIdentity>, SshError> {
        let Some(agent) = &self.target.agent else {
            return Ok(Vec::new());
        };
        let binding = self.handle.agent_session_binding();
        match agent.identities(binding).await {
            Ok(identities) => Ok(identities),
            // A dead agent must not keep a key file from being used.
            Err(error) if self.target.keyring.keys.is_empty() => Err(error),
            Err(error) => {
                self.tried.push(error.to_string());
                Ok(Vec::new())
            }
        }
    }

    async fn offer(&mut self, offer: Offer, hash: Option<HashAlg>) -> Result<Next, Outside> {
        let tried = printable(offer.name.as_bytes(), REASON_CHARS_MAX);
        if !self.tried.contains(&tried) {
            self.tried.push(tried);
        }
        if let (Signer::File(key), Shown::Key(_)) = (&offer.signer, &offer.shown)
            && let Use::Sign(key) = key.usable()
        {
            // An open key is shown and signs in one round trip.
            let key = PrivateKeyWithHashAlg::new(key, hash);
            let user = &self.target.user;
            let answer = self.handle.authenticate_publickey(user, key).await;
            return Ok(self
                .judge(answer.map_err(|error| plain_reason(&error)))
                .await?);
        }
        let answer = match (&offer.signer, self.target.agent.clone()) {
            (Signer::File(key), _) => {
                let signer = FileSigner(Arc::clone(key));
                self.show(offer.shown, hash, signer).await
            }
            (Signer::Agent(identity), Some(agent)) => {
                let binding = self.handle.agent_session_binding().cloned();
                let signer = AgentSigner {
                    agent: &agent,
                    binding: binding.as_ref(),
                    signs: Some(identity.as_ref().clone()),
                };
                self.show(offer.shown, hash, signer).await
            }
            (Signer::Agent(_), None) => return Ok(Next::Offer),
        };
        match answer {
            Ok(answer) => Ok(self.judge(Ok(answer)).await?),
            Err(SignError::ConnectionGone) => Ok(self.judge(Err("closed".to_owned())).await?),
            Err(SignError::Agent(error)) => {
                self.tried.push(error.to_string());
                Ok(Next::Offer)
            }
            Err(SignError::File(reason)) => {
                self.tried.push(reason);
                Ok(Next::Offer)
            }
            Err(SignError::Shut(key)) => Err(Outside::Shut(key)),
        }
    }

    async fn show<S: russh::Signer<Error = SignError>>(
        &mut self,
        shown: Shown,
        hash: Option<HashAlg>,
        mut signer: S,
    ) -> Result<AuthResult, SignError> {
        let user = self.target.user.clone();
        match shown {
            Shown::Key(key) => {
                let signer = &mut signer;
                self.handle
                    .authenticate_publickey_with(user, key, hash, signer)
                    .await
            }
            Shown::Certificate(certificate) => {
                let signer = &mut signer;
                self.handle
                    .authenticate_certificate_with(user, *certificate, hash, signer)
                    .await
            }
        }
    }

    fn allows(&self, offer: &Offer, hash: Option<HashAlg>) -> bool {
        let algorithm = match (offer.algorithm(), hash) {
            (Algorithm::Rsa { .. }, Some(_)) => Algorithm::Rsa { hash },
            (algorithm, _) => algorithm,
        };
        let name = match offer.shown {
            Shown::Key(_) => algorithm.as_str().to_owned(),
            Shown::Certificate(_) => certificate_name(algorithm.as_str()),
        };
        let bits = offer.rsa_bits().unwrap_or(u32::MAX);
        self.target.limits.allows_key(&name) && bits >= self.target.limits.rsa_bits_min
    }

    /// The hash to sign with; `None` outside when the configuration does not let us offer this at all.
    async fn hash(&self, offer: &Offer) -> Result<Option<Option<HashAlg>>, SshError> {
        let best = self.rsa_hash(&offer.algorithm()).await?;
        let mut hashes = vec![best];
        if best == Some(HashAlg::Sha512) {
            hashes.push(Some(HashAlg::Sha256));
        }
        Ok(hashes.into_iter().find(|hash| self.allows(offer, *hash)))
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
                if !more && methods.contains("gssapi") {
                    self.note += KERBEROS;
                }
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
        tried.extend(
            self.target
                .keyring
                .unusable()
                .iter()
                .map(ToString::to_string),
        );
        SshError::AuthRefused {
            host: self.target.name.clone(),
            user: self.target.user.clone(),
            tried,
            note: self.note.clone(),
        }
    }
}

/// What helps where the server takes tickets instead of keys.
const KERBEROS: &str =
    "; our own client knows no Kerberos: let the ssh program reach this host (transport: openssh)";

fn names(methods: &MethodSet) -> String {
    methods
        .iter()
        .map(String::from)
        .collect::<Vec<_>>()
        .join(", ")
}
