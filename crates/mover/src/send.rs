//! An archive that was kept is sent, verified on the way.

use crate::error::MoverError;
use crate::format::{Kind, MAGIC, Stored, Trailer, hex, read_magic};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Read at once: few system calls for gigabytes.
const READ_BYTES: usize = 1024 * 1024;

/// An archive that is being sent. Its last chunk, without which nobody takes it for whole, comes only
/// after all of the file gave the digest that it must have.
pub struct Sending {
    file: BufReader<File>,
    sha256: Sha256,
    wanted: String,
    from_chunk: u64,
    index: u64,
    begun: bool,
    trailer: Option<Trailer>,
}

impl Sending {
    /// `wanted` is the SHA-256 that the file must have; chunks between the head and `from_chunk` are
    /// left out.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path, wanted: &str, from_chunk: u64) -> Result<Self, MoverError> {
        let shown = path.as_os_str().as_encoded_bytes();
        let file = File::open(path).map_err(MoverError::io(shown, "opened"))?;
        Ok(Self {
            file: BufReader::with_capacity(READ_BYTES, file),
            sha256: Sha256::new(),
            wanted: wanted.to_owned(),
            from_chunk,
            index: 0,
            begun: false,
            trailer: None,
        })
    }

    /// The next bytes of the stream; `None` after the last.
    ///
    /// # Errors
    /// When the file cannot be read, or is not the one that was made.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, MoverError> {
        if !self.begun {
            self.begun = true;
            read_magic(&mut self.file)?;
            self.sha256.update(MAGIC);
            return Ok(Some(MAGIC.to_vec()));
        }
        while let Some(chunk) = Stored::read(&mut self.file)? {
            self.sha256.update(&chunk.bytes);
            let index = self.index;
            self.index = index.saturating_add(1);
            if chunk.kind == Kind::End {
                self.trailer = Some(chunk.parse()?);
                self.verify()?;
                return Ok(Some(chunk.bytes));
            }
            if index == 0 || index >= self.from_chunk {
                return Ok(Some(chunk.bytes));
            }
        }
        match &self.trailer {
            Some(_) => Ok(None),
            None => Err(MoverError::archive("it ends before its end")),
        }
    }

    fn verify(&mut self) -> Result<(), MoverError> {
        if Stored::read(&mut self.file)?.is_some() {
            return Err(MoverError::archive("something after its end"));
        }
        let found = hex(&self.sha256.clone().finalize());
        if found == self.wanted {
            return Ok(());
        }
        let why = format!("the file has SHA-256 {found} instead of {}", self.wanted);
        Err(MoverError::Differs(why))
    }

    /// What stands at the end of the archive, once it was reached.
    pub fn trailer(&self) -> Option<&Trailer> {
        self.trailer.as_ref()
    }
}
