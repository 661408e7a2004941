//! Private keys from files, read and decrypted once, shared by all connections.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::{PrivateKey, decode_secret_key};

use super::error::SshError;
use super::secret::Secret;

/// Largest key file that is read: an RSA key of 16384 bits takes under 16 KiB.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Answers with the passphrase of a key file, or `None` when it is not known.
pub type Passphrases<'a> = &'a dyn Fn(&Path) -> Option<Secret>;

/// The keys of some files, in the order in which they are offered.
#[derive(Default)]
pub struct Keyring {
    pub(super) keys: Vec<FileKey>,
    /// Files that gave no key. An encrypted file may still be served by an agent, so they become
    /// an error only when nothing else lets us in.
    pub(super) unusable: Vec<SshError>,
}

pub(super) struct FileKey {
    pub(super) path: PathBuf,
    pub(super) key: Arc<PrivateKey>,
}

impl Keyring {
    /// Reads key files (OpenSSH, PKCS#1, PKCS#8 forms of Ed25519, ECDSA and RSA). `passphrases` is
    /// asked for encrypted ones only.
    pub fn load<P: AsRef<Path>>(files: &[P], passphrases: Passphrases<'_>) -> Self {
        let mut keyring = Self::default();
        for file in files {
            let path = file.as_ref();
            match load_key(path, passphrases) {
                Ok(key) => keyring.keys.push(FileKey {
                    path: path.to_owned(),
                    key: Arc::new(key),
                }),
                Err(error) => keyring.unusable.push(error),
            }
        }
        keyring
    }

    /// What is wrong with the files that gave no key.
    pub fn unusable(&self) -> &[SshError] {
        &self.unusable
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<_> = self.keys.iter().map(|key| &key.path).collect();
        f.debug_struct("Keyring")
            .field("files", &files)
            .field("unusable", &self.unusable)
            .finish()
    }
}

fn load_key(path: &Path, passphrases: Passphrases<'_>) -> Result<PrivateKey, SshError> {
    use russh::keys::Error;

    let unreadable = |reason: &dyn fmt::Display| SshError::KeyUnreadable {
        path: path.to_owned(),
        reason: reason.to_string(),
    };
    let content = read_capped(path).map_err(|error| unreadable(&error))?;
    let text = std::str::from_utf8(content.expose()).map_err(|_| unreadable(&"not a key file"))?;
    match decode_secret_key(text, None) {
        Ok(key) => return Ok(key),
        // Files in the old PKCS forms say only that the passphrase is lacking or does not fit.
        Err(Error::KeyIsEncrypted) => {}
        Err(_) if text.contains("ENCRYPTED") => {}
        Err(error) => return Err(unreadable(&error)),
    }
    let passphrase = passphrases(path).ok_or_else(|| SshError::KeyEncrypted {
        path: path.to_owned(),
    })?;
    let passphrase = std::str::from_utf8(passphrase.expose())
        .map_err(|_| unreadable(&"the passphrase is not UTF-8"))?;
    decode_secret_key(text, Some(passphrase)).map_err(|_| SshError::PassphraseWrong {
        path: path.to_owned(),
    })
}

fn read_capped(path: &Path) -> std::io::Result<Secret> {
    let mut content = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut content)?;
    if content.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "larger than {FILE_BYTES_MAX} bytes"
        )));
    }
    Ok(Secret::new(content))
}
