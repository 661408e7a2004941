//! What can go wrong, with the path that it went wrong at.

use std::io;

/// Longest path that is shown.
const SHOWN_BYTES_MAX: usize = 1024;

/// Files cannot be packed, kept or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum MoverError {
    /// The file system says no.
    #[error("{path} cannot be {doing}: {error}")]
    Io {
        /// The path, safe to show.
        path: String,
        /// What was to be done.
        doing: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// The source is in use.
    #[error(
        "{path} changed while it was copied: {what}; stop what writes there, or mark the copy `live`"
    )]
    Changed {
        /// The path, safe to show.
        path: String,
        /// What changed.
        what: &'static str,
    },
    /// Something cannot be copied, or must not be overwritten.
    #[error("{path} {why}")]
    Refused {
        /// The path, safe to show.
        path: String,
        /// Why.
        why: String,
    },
    /// An archive is not whole, or not one of ours.
    #[error("the archive is not sound: {0}")]
    Archive(String),
    /// The stream of an archive failed or ended too early.
    #[error("the archive's stream broke off: {0}")]
    Stream(io::Error),
    /// What is at the destination is not what was at the source.
    #[error("what was read back is not what was copied: {0}")]
    Differs(String),
}

impl MoverError {
    pub(crate) fn io<E: Into<io::Error>>(
        path: &[u8],
        doing: &'static str,
    ) -> impl FnOnce(E) -> Self {
        let path = shown(path);
        move |error| Self::Io {
            path,
            doing,
            error: error.into(),
        }
    }

    pub(crate) fn refused(path: &[u8], why: impl Into<String>) -> Self {
        Self::Refused {
            path: shown(path),
            why: why.into(),
        }
    }

    pub(crate) fn archive(why: impl Into<String>) -> Self {
        Self::Archive(why.into())
    }
}

/// A path for people: no control bytes, no invalid UTF-8, not too long.
pub(crate) fn shown(path: &[u8]) -> String {
    let part = path.get(..SHOWN_BYTES_MAX).unwrap_or(path);
    let mut out = String::with_capacity(part.len());
    for piece in part.utf8_chunks() {
        for character in piece.valid().chars() {
            if character.is_control() {
                out.extend(character.escape_default());
            } else {
                out.push(character);
            }
        }
        for byte in piece.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    if part.len() < path.len() {
        out.push('…');
    }
    out
}
