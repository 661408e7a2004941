//! The one place of this crate that touches a disk.

use crate::fleet::{Disk, Kind};
use crate::problem::SourceFile;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Largest file that is read: a fleet of 100,000 hosts takes about 20 MiB.
pub const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// A file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system said no.
    #[error("{name} cannot be read: {source}")]
    Io {
        /// The file.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not a plain file.
    #[error("{name} is not a file")]
    NotAFile {
        /// The path.
        name: String,
    },
    /// It is larger than any that this tool needs.
    #[error("{name} is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge {
        /// The file.
        name: String,
    },
    /// It is not text.
    #[error("{name} is not text in UTF-8: byte {at} does not fit")]
    NotText {
        /// The file.
        name: String,
        /// The first byte that is wrong.
        at: usize,
    },
}

/// A file's text.
///
/// # Errors
/// When it cannot be read, is no plain file, is too large, or is not UTF-8.
pub fn file(path: &Path) -> Result<SourceFile, ReadError> {
    let name = path.display().to_string();
    let io = |source| ReadError::Io {
        name: name.clone(),
        source,
    };
    let file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.is_dir() {
        return Err(ReadError::NotAFile { name });
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(ReadError::TooLarge { name });
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SourceFile { name, text }),
        Err(error) => Err(ReadError::NotText {
            name,
            at: error.utf8_error().valid_up_to(),
        }),
    }
}

/// Names in one folder of inventories: more than any fleet has hosts.
pub const NAMES_MAX: usize = 1_000_000;

/// Runs a program with arguments and gives what it says, or why not in a sentence.
pub type Runner<'r> = dyn FnMut(&str, &[&str]) -> Result<String, String> + 'r;

/// The folders of this machine, with somebody who runs the programs in them.
pub struct Folders<'r> {
    run: &'r mut Runner<'r>,
}

impl<'r> Folders<'r> {
    /// With a runner of programs.
    pub fn new(run: &'r mut Runner<'r>) -> Self {
        Self { run }
    }
}

impl Disk for Folders<'_> {
    fn kind(&mut self, path: &str) -> Kind {
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => Kind::Folder,
            Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => {
                Kind::Program
            }
            Ok(_) => Kind::File,
            Err(_) => Kind::Missing,
        }
    }

    fn names(&mut self, folder: &str) -> Result<Vec<String>, String> {
        let wrong = |error: std::io::Error| format!("the folder cannot be read: {error}");
        let mut out = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(wrong)? {
            let name = entry.map_err(wrong)?.file_name();
            match name.into_string() {
                Ok(name) => out.push(name),
                Err(name) => {
                    let shown = name.to_string_lossy();
                    return Err(format!("the name `{shown}` in the folder is not UTF-8"));
                }
            }
            if out.len() > NAMES_MAX {
                return Err(format!("the folder holds more than {NAMES_MAX} names"));
            }
        }
        Ok(out)
    }

    fn text(&mut self, path: &str) -> Result<SourceFile, String> {
        file(Path::new(path)).map_err(|error| error.to_string())
    }

    fn said(&mut self, program: &str, arguments: &[&str]) -> Result<String, String> {
        (self.run)(program, arguments)
    }
}
