//! Private keys from files, read once and shared by all connections. Encrypted ones stay shut until a
//! server wants them and a person opens them.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, PrivateKey, PublicKey, decode_secret_key};

use super::error::SshError;
use super::secret::Secret;

/// Largest key file that is read: an RSA key of 16384 bits takes under 16 KiB.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The keys of some files, in the order in which they are offered.
#[derive(Default)]
pub struct Keyring {
    pub(super) keys: Vec<Arc<FileKey>>,
    /// Certificates that stand for themselves, not beside a key file.
    pub(super) certificates: Vec<FileCertificate>,
    /// Files that gave no key. They become an error only when nothing else lets us in.
    unusable: Vec<SshError>,
}

/// A certificate about an account, from a file.
#[derive(Clone)]
pub(super) struct FileCertificate {
    pub(super) path: PathBuf,
    pub(super) certificate: Certificate,
}

/// A key file.
pub(super) struct FileKey {
    path: PathBuf,
    public: Option<PublicKey>,
    certificate: Option<FileCertificate>,
    private: Private,
}

enum Private {
    Open(Arc<PrivateKey>),
    Encrypted {
        content: Secret,
        lock: Mutex<Lock>,
    },
    /// An agent may have it, or a device.
    Elsewhere,
}

enum Lock {
    Shut,
    Open(Arc<PrivateKey>),
    /// Nobody could open it; the number says how many answers were wrong.
    GivenUp(u32),
}

/// What a key file is good for at this moment.
pub(super) enum Use {
    Sign(Arc<PrivateKey>),
    /// Signs when a person has opened it.
    Ask,
    Nothing,
}

impl Keyring {
    /// Reads key files (OpenSSH, PKCS#1, PKCS#8 forms of Ed25519, ECDSA and RSA), the certificates
    /// beside them (`FILE-cert.pub`), and certificates of their own.
    pub fn load<P: AsRef<Path>>(files: &[P], certificates: &[P]) -> Self {
        let mut keyring = Self::default();
        for file in files {
            keyring.add(FileKey::load(file.as_ref()).map(Arc::new));
        }
        for file in certificates {
            keyring.add_certificate(file.as_ref());
        }
        keyring
    }

    pub(super) fn add(&mut self, key: Result<Arc<FileKey>, SshError>) {
        match key {
            Ok(key) => self.keys.push(key),
            Err(error) => self.unusable.push(error),
        }
    }

    pub(super) fn add_certificate(&mut self, path: &Path) {
        match load_certificate(path) {
            Ok(certificate) => self.certificates.push(certificate),
            Err(error) => self.unusable.push(error),
        }
    }

    /// What is wrong with the files that gave no key, as far as it is known by now.
    pub fn unusable(&self) -> Vec<SshError> {
        let shut = self.keys.iter().filter_map(|key| key.why_shut());
        self.unusable.iter().cloned().chain(shut).collect()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<_> = self.keys.iter().map(|key| key.path()).collect();
        f.debug_struct("Keyring")
            .field("files", &files)
            .field("unusable", &self.unusable)
            .finish()
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key file {}", self.path.display())
    }
}

impl FileKey {
    /// Reads one file and what lies beside it.
    pub(super) fn load(path: &Path) -> Result<Self, SshError> {
        let unreadable = |reason: &dyn fmt::Display| SshError::KeyUnreadable {
            path: path.to_owned(),
            reason: reason.to_string(),
        };
        let (public, private) = match read_capped(path) {
            Ok(content) => halves(content, path).map_err(|reason| unreadable(&reason))?,
            // The public half alone names a key of an agent.
            Err(error) if error.kind() == ErrorKind::NotFound => match public_beside(path) {
                Some(public) => (Some(public), Private::Elsewhere),
                None => return Err(unreadable(&error)),
            },
            Err(error) => return Err(unreadable(&error)),
        };
        Ok(Self {
            path: path.to_owned(),
            public,
            // One that is not there, or not understood, is not missed: nobody named it.
            certificate: load_certificate(&beside(path, "-cert.pub")).ok(),
            private,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The public half; of an old encrypted form it is not known before it is opened.
    pub(super) fn public(&self) -> Option<&PublicKey> {
        self.public.as_ref()
    }

    pub(super) fn certificate(&self) -> Option<&FileCertificate> {
        self.certificate.as_ref()
    }

    pub(super) fn is_of(&self, key: &KeyData) -> bool {
        self.public
            .as_ref()
            .is_some_and(|public| public.key_data() == key)
    }

    fn lock(&self) -> Option<MutexGuard<'_, Lock>> {
        match &self.private {
            Private::Encrypted { lock, .. } => {
                Some(lock.lock().unwrap_or_else(PoisonError::into_inner))
            }
            Private::Open(_) | Private::Elsewhere => None,
        }
    }

    pub(super) fn usable(&self) -> Use {
        match (&self.private, self.lock().as_deref()) {
            (Private::Open(key), _) | (_, Some(Lock::Open(key))) => Use::Sign(Arc::clone(key)),
            (_, Some(Lock::Shut)) => Use::Ask,
            (_, Some(Lock::GivenUp(_)) | None) => Use::Nothing,
        }
    }

    pub(super) fn is_shut(&self) -> bool {
        matches!(self.lock().as_deref(), Some(Lock::Shut))
    }

    /// Says whether the passphrase was right. Takes a good part of a second: that is what the key's
    /// encryption is for.
    pub(super) fn open(&self, passphrase: &Secret) -> bool {
        let Private::Encrypted { content, .. } = &self.private else {
            return true;
        };
        let (Ok(text), Ok(passphrase)) = (
            std::str::from_utf8(content.expose()),
            std::str::from_utf8(passphrase.expose()),
        ) else {
            return false;
        };
        let Ok(key) = decode_secret_key(text, Some(passphrase)) else {
            return false;
        };
        if let Some(mut lock) = self.lock() {
            *lock = Lock::Open(Arc::new(key));
        }
        true
    }

    pub(super) fn give_up(&self, wrong: u32) {
        if let Some(mut lock) = self.lock() {
            *lock = Lock::GivenUp(wrong);
        }
    }

    fn why_shut(&self) -> Option<SshError> {
        let path = self.path.clone();
        match self.lock().as_deref()? {
            Lock::Open(_) => None,
            Lock::Shut | Lock::GivenUp(0) => Some(SshError::KeyEncrypted { path }),
            Lock::GivenUp(_) => Some(SshError::PassphraseWrong { path }),
        }
    }
}

fn halves(content: Secret, path: &Path) -> Result<(Option<PublicKey>, Private), String> {
    use russh::keys::Error;

    let text = std::str::from_utf8(content.expose()).map_err(|_| "not a key file".to_owned())?;
    let public = match decode_secret_key(text, None) {
        Ok(key) if is_in_hardware(&key.algorithm()) => {
            return Ok((Some(key.public_key().clone()), Private::Elsewhere));
        }
        Ok(key) => {
            return Ok((Some(key.public_key().clone()), Private::Open(Arc::new(key))));
        }
        // Only the newer form has the public half in the open.
        Err(Error::KeyIsEncrypted) => PrivateKey::from_openssh(text)
            .ok()
            .map(|key| key.public_key().clone()),
        // Files in the old PKCS forms say only that the passphrase is lacking or does not fit.
        Err(_) if text.contains("ENCRYPTED") => None,
        Err(error) => {
            return match PublicKey::from_openssh(text) {
                Ok(public) => Ok((Some(public), Private::Elsewhere)),
                Err(_) => Err(error.to_string()),
            };
        }
    };
    let public = public.or_else(|| public_beside(path));
    let lock = Mutex::new(Lock::Shut);
    Ok((public, Private::Encrypted { content, lock }))
}

/// Such a file holds only a handle of the key, which is in a device.
fn is_in_hardware(algorithm: &Algorithm) -> bool {
    matches!(
        algorithm,
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256
    )
}

fn public_beside(path: &Path) -> Option<PublicKey> {
    let content = read_capped(&beside(path, ".pub")).ok()?;
    PublicKey::from_openssh(std::str::from_utf8(content.expose()).ok()?).ok()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn load_certificate(path: &Path) -> Result<FileCertificate, SshError> {
    let unreadable = |reason: &dyn fmt::Display| SshError::KeyUnreadable {
        path: path.to_owned(),
        reason: reason.to_string(),
    };
    let content = read_capped(path).map_err(|error| unreadable(&error))?;
    let text = std::str::from_utf8(content.expose()).map_err(|_| unreadable(&"no certificate"))?;
    Ok(FileCertificate {
        path: path.to_owned(),
        certificate: Certificate::from_openssh(text).map_err(|error| unreadable(&error))?,
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
