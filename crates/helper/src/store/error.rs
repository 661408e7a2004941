//! What can be wrong with the store.

use overhaul_model::receipt::STORE_FORMAT;
use std::io;
use std::path::{Path, PathBuf};

/// The store cannot be used, or the request does not fit it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system said no.
    #[error("{path} cannot be {doing}: {why}")]
    Io {
        /// `read`, `written`, ...
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// A newer helper made it.
    #[error("the store has format {found}; this helper knows formats up to {STORE_FORMAT}")]
    Newer {
        /// Its format.
        found: u32,
    },
    /// A file of it does not hold what the helper writes.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Somebody else could write into it.
    #[error("{path} is not safe as a store: {why}")]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// The folder holds another store than the one that was opened.
    #[error("the store is another one than when this connection was greeted")]
    Replaced,
    /// Another helper held the lock too long.
    #[error("the store is locked by another helper since {0} s")]
    Busy(u64),
    /// The attempt's key cannot name a directory.
    #[error("the attempt's key must be 1 to 128 letters, digits, `-` or `_`")]
    Key,
    /// This boot cannot be told from others.
    #[error("this boot cannot be measured: {0}")]
    Boot(#[from] crate::boot::BootError),
}

impl StoreError {
    /// For `map_err`: what was being done to which file.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |why| Self::Io { doing, path, why }
    }

    /// For `map_err`: the file does not hold what it should.
    pub fn damaged<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |why| Self::Damaged {
            path,
            why: why.to_string(),
        }
    }
}
