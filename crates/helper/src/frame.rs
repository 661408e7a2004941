//! Frames of the protocol, read and written without trusting the other end.

use overhaul_model::wire::{DATA_BYTES_MAX, FRAME_BYTES_MAX, KIND_DATA, KIND_JSON};
use std::io::{self, Read, Write};

/// Bytes of the request id at the start of a data frame.
const ID_BYTES: usize = 4;

/// A frame that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// JSON, not parsed yet.
    Json(Vec<u8>),
    /// A piece of data for a request.
    Data {
        /// The request.
        of: u32,
        /// The piece.
        bytes: Vec<u8>,
    },
}

/// No further frame can be read: what follows cannot be told apart any more.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream ended within a frame, or failed.
    #[error("the stream broke off: {0}")]
    Stream(#[from] io::Error),
    /// The length is nothing or too much.
    #[error("a frame of {0} bytes; at least 1 and at most {FRAME_BYTES_MAX} are allowed")]
    Length(u32),
    /// The kind is not known.
    #[error("a frame of the unknown kind {0}")]
    Kind(u8),
    /// A data frame without an id or with too much data.
    #[error("a data frame of {0} bytes; an id and at most {DATA_BYTES_MAX} are allowed")]
    Data(usize),
    /// A frame that would be too large was about to be written.
    #[error("an answer of {0} bytes does not fit a frame")]
    TooLarge(usize),
}

/// The next frame; `None` at the orderly end of the stream.
///
/// # Errors
/// When the stream fails or holds no sound frame.
pub fn read(stream: &mut impl Read) -> Result<Option<Frame>, FrameError> {
    let mut length = [0_u8; 4];
    if !read_or_end(stream, &mut length)? {
        return Ok(None);
    }
    let length = u32::from_be_bytes(length);
    let size = usize::try_from(length).map_err(|_| FrameError::Length(length))?;
    if size == 0 || size > FRAME_BYTES_MAX {
        return Err(FrameError::Length(length));
    }
    let mut kind = [0_u8; 1];
    stream.read_exact(&mut kind)?;
    let [kind] = kind;
    let mut payload = vec![0_u8; size.saturating_sub(1)];
    stream.read_exact(&mut payload)?;
    match kind {
        KIND_JSON => Ok(Some(Frame::Json(payload))),
        KIND_DATA => data(payload).map(Some),
        other => Err(FrameError::Kind(other)),
    }
}

fn data(mut payload: Vec<u8>) -> Result<Frame, FrameError> {
    let size = payload.len();
    if size > DATA_BYTES_MAX.saturating_add(ID_BYTES) {
        return Err(FrameError::Data(size));
    }
    let id = payload
        .first_chunk::<ID_BYTES>()
        .ok_or(FrameError::Data(size))?;
    let of = u32::from_be_bytes(*id);
    payload.drain(..ID_BYTES);
    Ok(Frame::Data { of, bytes: payload })
}

/// Fills the buffer; `false` when the stream ended before its first byte.
fn read_or_end(stream: &mut impl Read, buffer: &mut [u8; 4]) -> Result<bool, io::Error> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Writes JSON as one frame.
///
/// # Errors
/// When it is too large or the stream fails.
pub fn write_json(stream: &mut impl Write, json: &[u8]) -> Result<(), FrameError> {
    write(stream, KIND_JSON, &[], json)
}

/// Writes a piece of data as one frame.
///
/// # Errors
/// When it is too large or the stream fails.
pub fn write_data(stream: &mut impl Write, of: u32, bytes: &[u8]) -> Result<(), FrameError> {
    if bytes.len() > DATA_BYTES_MAX {
        return Err(FrameError::Data(bytes.len()));
    }
    write(stream, KIND_DATA, &of.to_be_bytes(), bytes)
}

fn write(stream: &mut impl Write, kind: u8, head: &[u8], body: &[u8]) -> Result<(), FrameError> {
    let size = body.len().saturating_add(head.len()).saturating_add(1);
    let length = u32::try_from(size)
        .ok()
        .filter(|_| size <= FRAME_BYTES_MAX)
        .ok_or(FrameError::TooLarge(size))?;
    // One write for the whole frame: fewer packets, and nothing of a frame that another cut into.
    let mut frame = Vec::with_capacity(size.saturating_add(4));
    frame.extend_from_slice(&length.to_be_bytes());
    frame.push(kind);
    frame.extend_from_slice(head);
    frame.extend_from_slice(body);
    stream.write_all(&frame)?;
    stream.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_read_as_they_were_written() {
        let mut bytes = Vec::new();
        write_json(&mut bytes, b"{}").unwrap();
        write_data(&mut bytes, 7, b"abc").unwrap();
        let mut stream = bytes.as_slice();
        assert_eq!(
            read(&mut stream).unwrap(),
            Some(Frame::Json(b"{}".to_vec()))
        );
        let expected = Frame::Data {
            of: 7,
            bytes: b"abc".to_vec(),
        };
        assert_eq!(read(&mut stream).unwrap(), Some(expected));
        assert_eq!(read(&mut stream).unwrap(), None);
    }

    #[test]
    fn unsound_frames_are_named() {
        let too_long = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_be_bytes();
        for (bytes, expected) in [
            (vec![0, 0, 0, 0], "a frame of 0 bytes"),
            (too_long.to_vec(), "a frame of 1048577 bytes"),
            (vec![0xff; 4], "a frame of 4294967295 bytes"),
            (vec![0, 0, 0, 1, 9], "a frame of the unknown kind 9"),
            (vec![0, 0, 0, 3, 1, 0, 0], "a data frame of 2 bytes"),
            (vec![0, 0], "the stream broke off"),
            (vec![0, 0, 0, 9, 0, b'{'], "the stream broke off"),
        ] {
            let error = read(&mut bytes.as_slice()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{bytes:?}: {error}");
        }
        assert!(write_json(&mut Vec::new(), &vec![0; FRAME_BYTES_MAX]).is_err());
        assert!(write_data(&mut Vec::new(), 1, &vec![0; DATA_BYTES_MAX + 1]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut stream = bytes.as_slice();
            while let Ok(Some(_)) = read(&mut stream) {}
        }
    }
}
