//! An archive becomes a file: chunk by chunk under a name that says it is not whole, and under its own
//! name when both ends have the same digest of it.

use crate::error::MoverError;
use crate::format::{
    HEADER_BYTES, Have, Kind, MAGIC, Stored, Trailer, hex, read_magic, stored_bytes,
};
use rustix::fs::{Advice, fadvise, fstatvfs};
use sha2::{Digest as _, Sha256};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What a cut connection may cost: after so many bytes they are made durable.
const SYNC_BYTES: u64 = 256 * 1024 * 1024;

/// Room that an archive leaves to others on its disk: the journal of the run may lie there too.
const ROOM_BYTES_MIN: u64 = 256 * 1024 * 1024;

/// Room that reads a file back.
const READ_BYTES: usize = 1024 * 1024;

/// An archive that is being received.
pub struct Keeping {
    path: PathBuf,
    partial: PathBuf,
    file: File,
    sha256: Sha256,
    chunks: u64,
    bytes: u64,
    unsynced: u64,
    /// The beginning of a chunk whose rest has not come.
    pending: Vec<u8>,
    trailer: Option<Trailer>,
    seal: Option<String>,
}

/// An archive that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What stands at its end.
    pub trailer: Trailer,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> MoverError {
    MoverError::io(path.as_os_str().as_encoded_bytes(), doing)
}

impl Keeping {
    /// Makes the folders (0700) and the file (0600), or takes up what an earlier attempt left of it, as
    /// far as its chunks are whole.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn open(path: &Path) -> Result<Self, MoverError> {
        let folder = path.parent().unwrap_or(path);
        let mut made = DirBuilder::new();
        made.recursive(true).mode(0o700);
        made.create(folder).map_err(failed(folder, "made"))?;
        let last = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = folder.join(format!(".{last}.partial"));
        let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let options = options.mode(0o600).custom_flags(no_follow);
        let file = options.open(&partial).map_err(failed(&partial, "opened"))?;
        let mut keeping = Self {
            path: path.to_owned(),
            partial,
            file,
            sha256: Sha256::new(),
            chunks: 0,
            bytes: 0,
            unsynced: 0,
            pending: Vec::new(),
            trailer: None,
            seal: None,
        };
        keeping.take_up()?;
        Ok(keeping)
    }

    /// Counts the whole chunks that are there, and cuts off what follows them.
    fn take_up(&mut self) -> Result<(), MoverError> {
        let reopened = self
            .file
            .try_clone()
            .map_err(failed(&self.partial, "read"))?;
        let mut stream = BufReader::with_capacity(READ_BYTES, reopened);
        if read_magic(&mut stream).is_ok() {
            self.count(MAGIC);
            // What cannot be read is fetched again.
            while let Ok(Some(chunk)) = Stored::read(&mut stream) {
                if matches!(chunk.kind, Kind::Seal | Kind::Again) || self.trailer.is_some() {
                    break;
                }
                if chunk.kind == Kind::End {
                    let Ok(trailer) = chunk.parse() else { break };
                    self.trailer = Some(trailer);
                }
                self.count(&chunk.bytes);
                self.chunks = self.chunks.saturating_add(1);
            }
        }
        if self.chunks == 0 {
            self.again()
        } else {
            self.cut()
        }
    }

    fn count(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
    }

    fn cut(&mut self) -> Result<(), MoverError> {
        let written = |error| failed(&self.partial, "written")(error);
        self.file.set_len(self.bytes).map_err(written)?;
        let written = |error| failed(&self.partial, "written")(error);
        self.file
            .seek(SeekFrom::Start(self.bytes))
            .map_err(written)?;
        Ok(())
    }

    fn again(&mut self) -> Result<(), MoverError> {
        self.sha256 = Sha256::new();
        (self.chunks, self.bytes, self.unsynced) = (0, 0, 0);
        self.trailer = None;
        self.cut()
    }

    /// What is here already.
    pub fn have(&self) -> Option<Have> {
        (self.chunks > 0).then(|| Have {
            chunks: self.chunks,
            digest: hex(&self.sha256.clone().finalize()),
        })
    }

    /// Bytes of the archive that are here.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next bytes of the stream.
    ///
    /// # Errors
    /// When they are not sound, or the disk is full or fails. What is whole stays for the next attempt.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), MoverError> {
        self.pending.extend_from_slice(bytes);
        let mut pending = std::mem::take(&mut self.pending);
        let mut used = 0;
        let taken = loop {
            let rest = pending.get(used..).unwrap_or_default();
            match self.one(rest) {
                Ok(0) => break Ok(()),
                Ok(count) => used = used.saturating_add(count),
                Err(error) => break Err(error),
            }
        };
        pending.drain(..used);
        self.pending = pending;
        taken
    }

    /// Takes one chunk, or the magic word, if it is there; how many bytes it had.
    fn one(&mut self, rest: &[u8]) -> Result<usize, MoverError> {
        if self.bytes == 0 && !starts_again(rest) {
            let Some(mut magic) = rest.get(..MAGIC.len()) else {
                return Ok(0);
            };
            read_magic(&mut magic)?;
            self.store(MAGIC)?;
            return Ok(MAGIC.len());
        }
        let Some(header) = rest.get(..HEADER_BYTES) else {
            return Ok(0);
        };
        let size = HEADER_BYTES.saturating_add(stored_bytes(header)?);
        let Some(mut whole) = rest.get(..size) else {
            return Ok(0);
        };
        let Some(chunk) = Stored::read(&mut whole)? else {
            return Ok(0);
        };
        if self.seal.is_some() || (self.trailer.is_some() && is_body(chunk.kind)) {
            return Err(MoverError::archive("something after its end"));
        }
        match chunk.kind {
            Kind::Again => self.again()?,
            Kind::Seal => self.seal = Some(hex(&chunk.content()?)),
            kind => {
                if (kind == Kind::Head) != (self.chunks == 0) {
                    return Err(MoverError::archive("a head at the wrong place"));
                }
                let trailer = if kind == Kind::End {
                    Some(chunk.parse()?)
                } else {
                    None
                };
                self.store(&chunk.bytes)?;
                self.chunks = self.chunks.saturating_add(1);
                self.trailer = trailer;
            }
        }
        Ok(size)
    }

    fn store(&mut self, bytes: &[u8]) -> Result<(), MoverError> {
        if let Err(error) = self.file.write_all(bytes) {
            // Only whole chunks stay.
            self.cut()?;
            return Err(failed(&self.partial, "written")(error));
        }
        self.count(bytes);
        self.unsynced = self.unsynced.saturating_add(bytes.len() as u64);
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.file
                .sync_data()
                .map_err(failed(&self.partial, "written"))?;
            self.leave_room()?;
        }
        Ok(())
    }

    fn leave_room(&self) -> Result<(), MoverError> {
        let at = fstatvfs(&self.file).map_err(io::Error::from);
        let at = at.map_err(failed(&self.partial, "written"))?;
        if at.f_bavail.saturating_mul(at.f_frsize) < ROOM_BYTES_MIN {
            let error = io::Error::from(io::ErrorKind::StorageFull);
            return Err(failed(&self.partial, "written")(error));
        }
        Ok(())
    }

    /// Compares the digests of both ends, makes the file durable, reads it back and gives it its name.
    ///
    /// # Errors
    /// When the archive is not whole, its digests differ, or the disk fails.
    pub fn finish(mut self) -> Result<Kept, MoverError> {
        let unfinished = || MoverError::Stream(io::ErrorKind::UnexpectedEof.into());
        let seal = self.seal.take().ok_or_else(unfinished)?;
        let trailer = self.trailer.take().ok_or_else(unfinished)?;
        let sha256 = hex(&self.sha256.clone().finalize());
        if seal != sha256 {
            let why = format!("SHA-256 is {sha256} on the controller and {seal} on the host");
            return Err(MoverError::Differs(why));
        }
        self.file
            .sync_all()
            .map_err(failed(&self.partial, "written"))?;
        let read = self.digest().map_err(failed(&self.partial, "read back"))?;
        if read != sha256 {
            let path = self.partial.display();
            let why = format!("{path} gives SHA-256 {read} instead of {sha256}");
            return Err(MoverError::Differs(why));
        }
        fs::rename(&self.partial, &self.path).map_err(failed(&self.path, "named"))?;
        let folder = self.path.parent().unwrap_or(&self.path);
        let opened = File::open(folder).map_err(failed(folder, "opened"))?;
        opened.sync_all().map_err(failed(folder, "made durable"))?;
        let bytes = self.bytes;
        Ok(Kept {
            trailer,
            sha256,
            bytes,
        })
    }

    /// Of what is on the disk: the pages in memory are given up first, as far as the system does so.
    fn digest(&mut self) -> io::Result<String> {
        let _hint = fadvise(&self.file, 0, None, Advice::DontNeed);
        self.file.seek(SeekFrom::Start(0))?;
        let mut sha256 = Sha256::new();
        let mut room = vec![0; READ_BYTES];
        loop {
            let length = self.file.read(&mut room)?;
            if length == 0 {
                return Ok(hex(&sha256.finalize()));
            }
            sha256.update(room.get(..length).unwrap_or_default());
        }
    }
}

fn is_body(kind: Kind) -> bool {
    matches!(kind, Kind::Head | Kind::Body | Kind::End)
}

/// Whether a stream that has not begun begins with the order to begin.
fn starts_again(rest: &[u8]) -> bool {
    rest.first().is_some_and(|byte| Some(byte) != MAGIC.first())
}
