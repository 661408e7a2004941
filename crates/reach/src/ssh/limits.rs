//! Which algorithms may be used: ours, less what the configuration leaves out.

use std::borrow::Cow;

use russh::keys::Algorithm;
use russh::{Preferred, cipher, compression, kex, mac};

use super::error::SshError;
use super::known_hosts::HostView;

/// AES-GCM first: processors of this age have it in hardware, ours and the servers'.
const CIPHERS: [cipher::Name; 5] = [
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];
/// Key exchanges that are taken when the usual ones are left out or not there.
const MORE_KEX: [kex::Name; 3] = [
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
];
/// Names among the key exchanges that are no exchange, but say what we understand.
const NO_EXCHANGE: [kex::Name; 4] = [
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];
/// Signatures of certificate authorities that count when nothing is said: OpenSSH's list, less keys in
/// hardware, whose signatures we cannot check.
const CA_SIGNATURES: [&str; 6] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
];

/// What the configuration allows; `None` is everything that we do. The order of preference is ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// `HostKeyAlgorithms`.
    pub host_keys: Option<Vec<String>>,
    /// `KexAlgorithms`.
    pub kex: Option<Vec<String>>,
    /// `Ciphers`.
    pub ciphers: Option<Vec<String>>,
    /// `MACs`.
    pub macs: Option<Vec<String>>,
    /// `CASignatureAlgorithms`.
    pub ca_signatures: Option<Vec<String>>,
    /// `PubkeyAcceptedAlgorithms`.
    pub keys: Option<Vec<String>>,
    /// `RequiredRSASize`, in bits.
    pub rsa_bits_min: u32,
}

fn allowed(list: Option<&Vec<String>>, name: &str) -> bool {
    list.is_none_or(|list| list.iter().any(|allowed| allowed == name))
}

impl Limits {
    /// Whether a key or certificate may be offered with a signature of this name.
    pub(super) fn allows_key(&self, algorithm: &str) -> bool {
        allowed(self.keys.as_ref(), algorithm)
    }

    /// Whether a certificate authority may sign so.
    pub(super) fn allows_ca_signature(&self, algorithm: &str) -> bool {
        match &self.ca_signatures {
            None => CA_SIGNATURES.contains(&algorithm),
            Some(list) => list.iter().any(|allowed| allowed == algorithm),
        }
    }

    /// What is proposed to the server of this host.
    pub(super) fn preferred(&self, host: &str, view: &HostView) -> Result<Preferred, SshError> {
        let usual = Preferred::DEFAULT;
        let exchanges = usual.kex.iter().chain(&MORE_KEX).copied();
        let kex: Vec<_> = exchanges
            .filter(|name| NO_EXCHANGE.contains(name) || allowed(self.kex.as_ref(), name.as_ref()))
            .collect();
        let ciphers = CIPHERS.iter().copied();
        let ciphers = ciphers.filter(|name| allowed(self.ciphers.as_ref(), name.as_ref()));
        let macs = usual.mac.iter().copied();
        let macs = macs.filter(|name| allowed(self.macs.as_ref(), name.as_ref()));
        let preferred = Preferred {
            key: parsed(
                view.algorithms()
                    .into_iter()
                    .filter(|name| allowed(self.host_keys.as_ref(), name)),
            ),
            host_key_certificates: parsed(
                view.certificate_algorithms()
                    .into_iter()
                    .filter(|name| allowed(self.host_keys.as_ref(), &certificate_name(name))),
            ),
            cipher: ciphers.collect(),
            mac: macs.collect::<Vec<mac::Name>>().into(),
            compression: Cow::Borrowed(&[compression::NONE]),
            kex: kex.into(),
        };
        self.judge(host, &preferred)?;
        Ok(preferred)
    }

    fn judge(&self, host: &str, preferred: &Preferred) -> Result<(), SshError> {
        let nothing = preferred.key.is_empty() && preferred.host_key_certificates.is_empty();
        let exchanges = preferred
            .kex
            .iter()
            .filter(|name| !NO_EXCHANGE.contains(name));
        for (lacking, keyword, list) in [
            (nothing, "HostKeyAlgorithms", &self.host_keys),
            (exchanges.count() == 0, "KexAlgorithms", &self.kex),
            (preferred.cipher.is_empty(), "Ciphers", &self.ciphers),
            (preferred.mac.is_empty(), "MACs", &self.macs),
        ] {
            if lacking {
                let list = list.as_ref().map(|list| list.join(",")).unwrap_or_default();
                return Err(SshError::NotNative {
                    host: host.to_owned(),
                    setting: format!("{keyword} {list}: our own client knows none of these"),
                });
            }
        }
        Ok(())
    }
}

fn parsed<'a>(names: impl Iterator<Item = &'a str>) -> Cow<'static, [Algorithm]> {
    names.filter_map(|name| name.parse().ok()).collect()
}

/// The name of an algorithm when a certificate is shown instead of the bare key.
pub(super) fn certificate_name(algorithm: &str) -> String {
    format!("{algorithm}-cert-v01@openssh.com")
}
