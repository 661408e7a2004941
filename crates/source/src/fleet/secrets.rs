//! Files that are encrypted as a whole: opened only with a key.

use super::book::loose;
use super::vault::{VaultKeys, decrypt, is_vault};
use crate::problem::{Problems, SourceFile};

/// A file as it is read on.
pub(super) struct Opened {
    pub(super) file: SourceFile,
    /// Whether it was encrypted as a whole, so that all values in it are secrets.
    pub(super) was_encrypted: bool,
}

/// The file itself, or what is in it when it is encrypted.
pub(super) fn open(keys: &VaultKeys, file: SourceFile) -> Result<Opened, Problems> {
    if !is_vault(&file.text) {
        let was_encrypted = false;
        return Ok(Opened {
            file,
            was_encrypted,
        });
    }
    if keys.is_empty() {
        let message = "the file is encrypted, and what it holds may count for every host";
        let help = "give the vault password with --vault-password-file".to_owned();
        return Err(loose(&file.name, message.to_owned(), Some(help)));
    }
    match decrypt(&file.text, keys) {
        Ok(secret) => Ok(Opened {
            file: SourceFile::new(file.name, secret.reveal()),
            was_encrypted: true,
        }),
        Err(error) => {
            let message = format!("the file cannot be decrypted: {error}");
            Err(loose(&file.name, message, None))
        }
    }
}
