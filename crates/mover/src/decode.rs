//! Chunks come in, are verified and unpacked, while the ones before them are being used.

use crate::error::MoverError;
use crate::format::{HEADER_BYTES, Kind, Stored, read_magic};
use std::io::Read;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

/// Chunks that wait, unpacked: some megabytes.
const WAITING_MAX: usize = 8;

/// A chunk of an archive or of a stream.
pub(crate) struct Chunk {
    pub(crate) kind: Kind,
    pub(crate) content: Vec<u8>,
    pub(crate) header: [u8; HEADER_BYTES],
}

/// How it begins, and which chunk is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// With the magic word, until the end of the archive.
    Archive,
    /// With the magic word, until the seal; it may begin again.
    Stream,
    /// In the middle of a stream.
    Rest,
}

/// Reads chunks to their end in a thread of its own.
pub(crate) fn chunks<'scope>(
    scope: &'scope Scope<'scope, '_>,
    input: impl Read + Send + 'scope,
    course: Course,
) -> Receiver<Result<Chunk, MoverError>> {
    let (found, chunks) = sync_channel(WAITING_MAX);
    scope.spawn(move || {
        if let Err(error) = read(input, &found, course) {
            // Whoever listened may have given up.
            let _unheard = found.send(Err(error));
        }
    });
    chunks
}

fn read(
    mut input: impl Read,
    found: &SyncSender<Result<Chunk, MoverError>>,
    course: Course,
) -> Result<(), MoverError> {
    if course != Course::Rest {
        read_magic(&mut input)?;
    }
    let last = match course {
        Course::Archive => Kind::End,
        Course::Stream | Course::Rest => Kind::Seal,
    };
    loop {
        let chunk = Stored::read(&mut input)?
            .ok_or_else(|| MoverError::Stream(std::io::ErrorKind::UnexpectedEof.into()))?;
        let kind = chunk.kind;
        let again = kind == Kind::Again && course != Course::Archive;
        let chunk = Chunk {
            kind,
            content: chunk.content()?,
            header: chunk.header(),
        };
        if found.send(Ok(chunk)).is_err() || kind == last {
            return Ok(());
        }
        if again {
            read_magic(&mut input)?;
        }
    }
}
