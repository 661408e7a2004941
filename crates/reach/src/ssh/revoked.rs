//! `RevokedHostKeys`: a file of keys that no host may show.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use russh::keys::PublicKey;

use super::error::{Place, SshError};

/// Largest file that is read: some 50,000 keys.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// How a key revocation list in OpenSSH's binary form begins.
const BINARY_LIST: &[u8] = b"SSHKRL\n\0";

/// Keys that no host may show, nor any authority that vouches for one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RevokedKeys {
    file: PathBuf,
    keys: HashMap<Vec<u8>, usize>,
}

impl RevokedKeys {
    /// Reads a file with one public key on each line. As for OpenSSH, a file that cannot be read or
    /// understood means that no host can be trusted.
    ///
    /// # Errors
    /// That, and binary revocation lists, which only the program `ssh` reads.
    pub fn load(path: &Path) -> Result<Self, SshError> {
        let wrong = |reason: String| SshError::RevokedKeysUnreadable {
            path: path.to_owned(),
            reason,
        };
        let mut content = Vec::new();
        let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
        file.take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut content)
            .map_err(|error| wrong(error.to_string()))?;
        if content.len() as u64 > FILE_BYTES_MAX {
            return Err(wrong(format!("larger than {FILE_BYTES_MAX} bytes")));
        }
        Self::parse(path, &content).map_err(wrong)
    }

    /// Reads the content of such a file; the path is for naming its lines.
    ///
    /// # Errors
    /// When it is a binary list, or a line of it is no public key; in words without the path.
    pub fn parse(path: &Path, content: &[u8]) -> Result<Self, String> {
        if content.starts_with(BINARY_LIST) {
            return Err(
                "a binary revocation list, which our own client does not read: write the keys one on \
                 each line, or say transport: openssh for this host"
                    .to_owned(),
            );
        }
        let mut keys = HashMap::new();
        for (index, line) in String::from_utf8_lossy(content).lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = PublicKey::from_openssh(line).ok();
            let blob = key.and_then(|key| key.to_bytes().ok());
            let blob = blob.ok_or_else(|| format!("line {}: no public key", index + 1))?;
            keys.insert(blob, index + 1);
        }
        Ok(Self {
            file: path.to_owned(),
            keys,
        })
    }

    /// The line that forbids a key.
    pub(super) fn place(&self, blob: &[u8]) -> Option<Place> {
        self.keys.get(blob).map(|line| Place {
            file: self.file.clone(),
            line: *line,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::RevokedKeys;
    use std::path::Path;

    #[test]
    fn what_is_not_understood_is_an_error() {
        let parse = |text: &[u8]| RevokedKeys::parse(Path::new("r"), text);
        assert!(parse(b"# none\n\n").is_ok());
        assert_eq!(
            parse(b"# x\nssh-ed25519 AAAA\n"),
            Err("line 2: no public key".into())
        );
        assert!(parse(b"SSHKRL\n\0\x01").is_err_and(|why| why.contains("transport: openssh")));
    }
}
