//! Frames of [`overhaul_model::wire`], read from and written to any pair of byte streams.

use overhaul_model::wire::{FRAME_BYTES_MAX, KIND_DATA, KIND_JSON};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Bytes of the length before a frame.
const LENGTH_BYTES: usize = 4;
/// Bytes of the request id at the start of a data frame.
const ID_BYTES: usize = 4;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// JSON text, not yet understood.
    Json(Vec<u8>),
    /// Raw bytes that belong to a request.
    Data {
        /// The request.
        id: u32,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// Why no frame was read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream broke, or ended within a frame.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A length that nobody may ask memory for.
    #[error("a frame of {bytes} bytes; at most {FRAME_BYTES_MAX} are taken")]
    TooLarge {
        /// The length.
        bytes: u64,
    },
    /// A frame without a kind, or a data frame without its id.
    #[error("a frame that is too short for its kind")]
    TooShort,
    /// A kind that this program does not know.
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
}

/// Reads the next frame; `None` when the stream ends between two frames.
///
/// Not safe to cancel: bytes that were read are lost with the future.
///
/// # Errors
/// When the stream breaks or what it holds is no frame.
pub async fn read_frame<R: AsyncRead + Unpin>(from: &mut R) -> Result<Option<Frame>, FrameError> {
    let mut length = [0_u8; LENGTH_BYTES];
    let first = from.read(&mut length).await?;
    if first == 0 {
        return Ok(None);
    }
    if let Some(rest) = length.get_mut(first..) {
        from.read_exact(rest).await?;
    }
    let length = u32::from_be_bytes(length);
    let size = usize::try_from(length).unwrap_or(usize::MAX);
    if size > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge {
            bytes: u64::from(length),
        });
    }
    if size == 0 {
        return Err(FrameError::TooShort);
    }
    match from.read_u8().await? {
        KIND_JSON => {
            let mut text = vec![0; size - 1];
            from.read_exact(&mut text).await?;
            Ok(Some(Frame::Json(text)))
        }
        KIND_DATA => {
            let rest = (size - 1)
                .checked_sub(ID_BYTES)
                .ok_or(FrameError::TooShort)?;
            let id = from.read_u32().await?;
            let mut bytes = vec![0; rest];
            from.read_exact(&mut bytes).await?;
            Ok(Some(Frame::Data { id, bytes }))
        }
        other => Err(FrameError::Kind(other)),
    }
}

/// Writes a frame with one write. Does not flush.
///
/// # Errors
/// When the stream breaks or the frame is larger than either end may send.
pub async fn write_frame<W: AsyncWrite + Unpin>(
    to: &mut W,
    frame: &Frame,
) -> Result<(), FrameError> {
    let (kind, id, body) = match frame {
        Frame::Json(text) => (KIND_JSON, None, text),
        Frame::Data { id, bytes } => (KIND_DATA, Some(*id), bytes),
    };
    let size = 1 + body.len() + if id.is_some() { ID_BYTES } else { 0 };
    let too_large = || FrameError::TooLarge { bytes: size as u64 };
    if size > FRAME_BYTES_MAX {
        return Err(too_large());
    }
    let mut whole = Vec::with_capacity(LENGTH_BYTES + size);
    whole.extend(u32::try_from(size).map_err(|_| too_large())?.to_be_bytes());
    whole.push(kind);
    whole.extend(id.map(u32::to_be_bytes).into_iter().flatten());
    whole.extend(body);
    to.write_all(&whole).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(work)
    }

    fn frames() -> impl Strategy<Value = Vec<Frame>> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..300);
        let frame = prop_oneof![
            bytes().prop_map(Frame::Json),
            (any::<u32>(), bytes()).prop_map(|(id, bytes)| Frame::Data { id, bytes }),
        ];
        prop::collection::vec(frame, 0..8)
    }

    /// Reads all frames through a pipe that passes on a few bytes at a time.
    async fn read_all(bytes: Vec<u8>, piece: usize) -> Result<Vec<Frame>, FrameError> {
        let (mut ours, mut theirs) = tokio::io::duplex(piece);
        let write = async move {
            let _unread = theirs.write_all(&bytes).await;
        };
        let read = async move {
            let mut got = Vec::new();
            while let Some(frame) = read_frame(&mut ours).await? {
                got.push(frame);
            }
            Ok(got)
        };
        tokio::join!(write, read).1
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(sent in frames(), piece in 1_usize..40) {
            let got = now(async {
                let mut bytes = Vec::new();
                for frame in &sent {
                    write_frame(&mut bytes, frame).await.unwrap();
                }
                read_all(bytes, piece).await.unwrap()
            });
            prop_assert_eq!(got, sent);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _any = now(read_all(bytes, 16));
        }
    }

    #[test]
    fn caps_and_broken_frames_are_errors() {
        let read = |bytes: &[u8]| now(read_all(bytes.to_vec(), 64));
        let too_large = (FRAME_BYTES_MAX as u32 + 1).to_be_bytes();
        assert!(matches!(
            read(&too_large),
            Err(FrameError::TooLarge { bytes: 1_048_577 })
        ));
        assert!(matches!(read(&[0, 0, 0, 0]), Err(FrameError::TooShort)));
        assert!(matches!(
            read(&[0, 0, 0, 3, 1, 0, 0]),
            Err(FrameError::TooShort)
        ));
        assert!(matches!(read(&[0, 0, 0, 1, 7]), Err(FrameError::Kind(7))));
        for cut in [&[0_u8, 0][..], &[0, 0, 0, 5, 0, b'{']] {
            assert!(matches!(read(cut), Err(FrameError::Io(_))), "{cut:?}");
        }
        let frame = Frame::Json(vec![b' '; FRAME_BYTES_MAX]);
        let written = now(write_frame(&mut Vec::new(), &frame));
        assert!(matches!(written, Err(FrameError::TooLarge { .. })));
    }
}
