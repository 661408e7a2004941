//! What is offered to a server, in which order, and who signs for it.

use std::fmt;
use std::sync::Arc;

use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::ssh_key::{Signature, private::KeypairData};
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey, PublicKey};

use super::agent::SignError;
use super::keyring::{FileCertificate, FileKey, Keyring, Use};

/// One key or certificate, and who signs for it.
#[derive(Clone)]
pub(super) struct Offer {
    /// For people.
    pub(super) name: String,
    pub(super) shown: Shown,
    pub(super) signer: Signer,
}

#[derive(Clone)]
pub(super) enum Shown {
    Key(PublicKey),
    Certificate(Box<Certificate>),
}

#[derive(Clone)]
pub(super) enum Signer {
    Agent(Box<AgentIdentity>),
    File(Arc<FileKey>),
}

impl Offer {
    fn key(&self) -> &KeyData {
        match &self.shown {
            Shown::Key(key) => key.key_data(),
            Shown::Certificate(certificate) => certificate.public_key(),
        }
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.key().algorithm()
    }

    pub(super) fn rsa_bits(&self) -> Option<u32> {
        self.key().rsa().map(|key| key.key_size())
    }

    fn of_agent(identity: AgentIdentity) -> Self {
        let name = format!("agent key {}", identity.comment());
        let shown = match &identity {
            AgentIdentity::PublicKey { key, .. } => Shown::Key(key.clone()),
            AgentIdentity::Certificate { certificate, .. } => {
                Shown::Certificate(Box::new(certificate.clone()))
            }
        };
        Self {
            name,
            shown,
            signer: Signer::Agent(Box::new(identity)),
        }
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = match self.shown {
            Shown::Key(_) => "key",
            Shown::Certificate(_) => "certificate",
        };
        write!(f, "{} ({shown})", self.name)
    }
}

/// OpenSSH's order: certificates of files, the agent's keys that files name, its other keys unless only
/// named ones may be used, and last the keys that are in files alone.
pub(super) fn offers(
    keyring: &Keyring,
    identities: Vec<AgentIdentity>,
    identities_only: bool,
) -> Vec<Offer> {
    let beside = keyring.keys.iter().filter_map(|key| key.certificate());
    let certificates: Vec<_> = keyring.certificates.iter().chain(beside).collect();
    let mut offers: Vec<Offer> = Vec::new();
    for certificate in &certificates {
        offers.extend(of_certificate(certificate, keyring, &identities));
    }
    let is_bare = |identity: &AgentIdentity| matches!(identity, AgentIdentity::PublicKey { .. });
    let is_shown = |identity: &AgentIdentity| match identity {
        AgentIdentity::PublicKey { .. } => false,
        AgentIdentity::Certificate { certificate, .. } => certificates
            .iter()
            .any(|shown| shown.certificate == *certificate),
    };
    let named = |identity: &AgentIdentity| {
        let key = identity.public_key();
        let mut keys = keyring.keys.iter();
        keys.position(|file| is_bare(identity) && file.is_of(key.key_data()))
    };
    let mut rest: Vec<_> = identities
        .into_iter()
        .filter(|identity| !is_shown(identity))
        .filter(|identity| !identities_only || named(identity).is_some())
        .collect();
    // The others keep the agent's order.
    rest.sort_by_key(|identity| named(identity).unwrap_or(usize::MAX));
    let in_agent: Vec<_> = rest
        .iter()
        .filter(|identity| is_bare(identity))
        .map(|identity| identity.public_key().into_owned())
        .collect();
    offers.extend(rest.into_iter().map(Offer::of_agent));
    for key in &keyring.keys {
        if !in_agent.iter().any(|known| key.is_of(known.key_data())) {
            offers.extend(of_file(key));
        }
    }
    offers
}

fn of_file(key: &Arc<FileKey>) -> Option<Offer> {
    let public = match (key.usable(), key.public()) {
        (Use::Nothing, _) => return None,
        (Use::Sign(private), _) => private.public_key().clone(),
        (Use::Ask, Some(public)) => public.clone(),
        // Its public half is not known: it cannot be shown before it is opened.
        (Use::Ask, None) => return None,
    };
    Some(Offer {
        name: format!("key file {}", key.path().display()),
        shown: Shown::Key(public),
        signer: Signer::File(Arc::clone(key)),
    })
}

fn of_certificate(
    file: &FileCertificate,
    keyring: &Keyring,
    identities: &[AgentIdentity],
) -> Option<Offer> {
    let certificate = &file.certificate;
    let key = certificate.public_key();
    let of_agent = |bare: bool| {
        let mut identities = identities.iter();
        identities.find(|identity| match identity {
            AgentIdentity::PublicKey { key: own, .. } => bare && own.key_data() == key,
            AgentIdentity::Certificate {
                certificate: own, ..
            } => !bare && own == certificate,
        })
    };
    let signer = match of_agent(false).or_else(|| of_agent(true)) {
        Some(identity) => Signer::Agent(Box::new(identity.clone())),
        None => {
            let mut keys = keyring.keys.iter();
            let key =
                keys.find(|file| file.is_of(key) && !matches!(file.usable(), Use::Nothing))?;
            Signer::File(Arc::clone(key))
        }
    };
    Some(Offer {
        name: format!("certificate {}", file.path.display()),
        shown: Shown::Certificate(Box::new(certificate.clone())),
        signer,
    })
}

/// Signs with the key in a file.
pub(super) struct FileSigner(pub(super) Arc<FileKey>);

impl russh::Signer for FileSigner {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        _shown: &AgentIdentity,
        hash_alg: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        let key = match self.0.usable() {
            Use::Sign(key) => key,
            Use::Ask | Use::Nothing => return Err(SignError::Shut(Arc::clone(&self.0))),
        };
        let failed = |reason: String| {
            SignError::File(format!("key file {}: {reason}", self.0.path().display()))
        };
        let signature = sign(&key, hash_alg, &to_sign).map_err(failed)?;
        signature
            .encode(&mut to_sign)
            .map_err(|error| failed(error.to_string()))?;
        Ok(to_sign)
    }
}

/// The signature in its encoded form.
fn sign(key: &PrivateKey, hash: Option<HashAlg>, data: &[u8]) -> Result<Vec<u8>, String> {
    let signature: Result<Signature, _> = match key.key_data() {
        KeypairData::Rsa(pair) => (pair, hash).try_sign(data),
        pair => pair.try_sign(data),
    };
    let signature = signature.map_err(|error| error.to_string())?;
    Vec::try_from(signature).map_err(|error: russh::keys::ssh_key::Error| error.to_string())
}
