//! `SHA256SUMS` of a run's folder: the digests of the files that are written once, in the form of `sha256sum`,
//! so that people can verify them too.

use crate::run::{StoreError, read_text};
use overhaul_model::id::Digest;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// The file's name.
pub(crate) const NAME: &str = "SHA256SUMS";

/// Digests by file name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums(BTreeMap<String, Digest>);

/// The sums of a run's folder; `None` when it has none, as of runs of earlier versions.
///
/// # Errors
/// When they cannot be read, or are not in their form.
pub(crate) fn of_folder(dir: &Path) -> Result<Option<Sums>, StoreError> {
    let path = dir.join(NAME);
    if !path.exists() {
        return Ok(None);
    }
    let altered = |line: &str| StoreError::Altered {
        path: path.display().to_string(),
        why: format!("`{line}` is no digest with the name of a file"),
    };
    let mut sums = Sums::default();
    for line in read_text(&path)?.lines() {
        let (digest, name) = line.split_once("  ").ok_or_else(|| altered(line))?;
        let digest = Digest::parse(digest)
            .ok()
            .filter(|parsed| parsed.as_str() == digest)
            .ok_or_else(|| altered(line))?;
        sums.0.insert(name.to_owned(), digest);
    }
    Ok(Some(sums))
}

impl Sums {
    /// Adds a file.
    pub fn add(&mut self, name: &str, bytes: &[u8]) {
        self.0.insert(name.to_owned(), Digest::of(bytes));
    }

    /// Whether they have a digest of a file.
    pub fn names(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, digest) in &self.0 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}  {name}", digest.as_str());
        }
        text
    }

    /// A file's text, of this digest, is the one that was written.
    ///
    /// # Errors
    /// When it is not, or the sums do not name the file.
    pub fn verify(&self, path: &Path, name: &str, found: &Digest) -> Result<(), StoreError> {
        let why = match self.0.get(name) {
            Some(digest) if digest == found => return Ok(()),
            Some(digest) => format!(
                "its SHA-256 is {}..., {NAME} says {}...; one of the two was changed",
                found.short(),
                digest.short()
            ),
            None => format!("{NAME} does not name it"),
        };
        Err(StoreError::Altered {
            path: path.display().to_string(),
            why,
        })
    }
}
