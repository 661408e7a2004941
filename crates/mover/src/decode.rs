//! Chunks come in, are verified and unpacked, while the ones before them are being used.

use crate::error::MoverError;
use crate::format::{Kind, Stored, read_magic};
use std::io::Read;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

/// Chunks that wait, unpacked: some megabytes.
const WAITING_MAX: usize = 8;

/// A chunk of an archive.
pub(crate) type Chunk = (Kind, Vec<u8>);

/// Reads an archive's chunks to its end in a thread of its own.
pub(crate) fn chunks<'scope>(
    scope: &'scope Scope<'scope, '_>,
    input: impl Read + Send + 'scope,
) -> Receiver<Result<Chunk, MoverError>> {
    let (found, chunks) = sync_channel(WAITING_MAX);
    scope.spawn(move || {
        if let Err(error) = read(input, &found) {
            // Whoever listened may have given up.
            let _unheard = found.send(Err(error));
        }
    });
    chunks
}

fn read(
    mut input: impl Read,
    found: &SyncSender<Result<Chunk, MoverError>>,
) -> Result<(), MoverError> {
    read_magic(&mut input)?;
    loop {
        let chunk = Stored::read(&mut input)?
            .ok_or_else(|| MoverError::Stream(std::io::ErrorKind::UnexpectedEof.into()))?;
        let kind = chunk.kind;
        if found.send(Ok((kind, chunk.content()?))).is_err() || kind == Kind::End {
            return Ok(());
        }
    }
}
