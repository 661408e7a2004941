//! A channel of a jump host's connection as the stream under another connection.
//!
//! russh serves a connection from one loop, which reads nothing while it writes. When one such connection
//! stands on another, both loops can wait for each other for ever: the inner one for the outer one to take
//! what it writes, the outer one for the inner one to take what has arrived for it. So what arrives is taken
//! from the outer loop at once and held here until the inner one reads.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, ReadHalf, WriteHalf, split};
use tokio::task::AbortHandle;

use super::session::WINDOW_BYTES;

/// Bytes held for a connection that does not read. While it does not, it opens no window anew either: a
/// server can send one window for each channel, and has ten at the usual `MaxSessions`. More is no SSH.
const HELD_BYTES_MAX: usize = 16 * WINDOW_BYTES as usize;
/// Bytes taken at a time: the largest packet.
const READ_BYTES: usize = 32 << 10;

/// The stream; when it is dropped, so is the channel.
pub(super) struct Through<S> {
    writer: WriteHalf<S>,
    held: Arc<Held>,
    taker: AbortHandle,
}

#[derive(Default)]
struct Held(Mutex<State>);

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    /// How the channel ended; told once everything before it is read.
    ended: Option<io::Result<()>>,
    reader: Option<Waker>,
}

impl Held {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let reader = {
            let mut state = self.state();
            change(&mut state);
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Holds these too, unless they are too many.
    fn add(&self, bytes: &[u8]) -> io::Result<()> {
        let mut held = Ok(());
        self.change(|state| {
            if state.bytes.len() + bytes.len() > HELD_BYTES_MAX {
                held = Err(io::Error::other(format!(
                    "more than {HELD_BYTES_MAX} bytes came that no window was open for"
                )));
            } else {
                state.bytes.extend(bytes);
            }
        });
        held
    }
}

impl<S: AsyncRead + AsyncWrite + Send + 'static> Through<S> {
    pub(super) fn new(channel: S) -> Self {
        let (reader, writer) = split(channel);
        let held = Arc::new(Held::default());
        let taker = Arc::clone(&held);
        let taker = tokio::spawn(async move {
            let ended = take(reader, &taker).await;
            taker.change(|state| state.ended = Some(ended));
        });
        Self {
            writer,
            held,
            taker: taker.abort_handle(),
        }
    }
}

/// Takes what arrives until nothing more does.
async fn take<S: AsyncRead>(mut reader: ReadHalf<S>, held: &Held) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let length = reader.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        held.add(buffer.get(..length).unwrap_or_default())?;
    }
}

impl<S> Drop for Through<S> {
    fn drop(&mut self) {
        self.taker.abort();
    }
}

impl<S> AsyncRead for Through<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.held.state();
        if !state.bytes.is_empty() {
            let (next, _) = state.bytes.as_slices();
            let next = next.get(..buffer.remaining()).unwrap_or(next);
            buffer.put_slice(next);
            let length = next.len();
            state.bytes.drain(..length);
            return Poll::Ready(Ok(()));
        }
        match state.ended.replace(Ok(())) {
            Some(ended) => Poll::Ready(ended),
            None => {
                state.ended = None;
                state.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncWrite for Through<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::timeout;

    use super::{HELD_BYTES_MAX, Through};

    const BOUND: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn what_arrives_is_taken_before_anybody_reads() {
        let (channel, mut far) = duplex(1 << 10);
        let mut through = Through::new(channel);
        let sent: Vec<u8> = (0..1_u32 << 18).flat_map(u32::to_be_bytes).collect();
        let all = async {
            far.write_all(&sent).await.unwrap();
            far.write_all(b"end").await.unwrap();
        };
        timeout(BOUND, all).await.unwrap();
        through.write_all(b"back").await.unwrap();
        let mut back = [0; 4];
        far.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"back");
        drop(far);
        let mut read = Vec::new();
        timeout(BOUND, through.read_to_end(&mut read))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(read.len(), sent.len() + 3);
        assert!(read.starts_with(&sent) && read.ends_with(b"end"));
    }

    #[tokio::test]
    async fn more_than_any_window_allows_ends_it() {
        let (channel, mut far) = duplex(1 << 16);
        let mut through = Through::new(channel);
        let flood = async {
            let chunk = vec![7; 1 << 16];
            while far.write_all(&chunk).await.is_ok() {}
        };
        let flood = timeout(BOUND, flood);
        let mut read = Vec::new();
        let (_still_sending, error) = tokio::join!(
            async {
                let _ended = timeout(Duration::from_secs(1), flood).await;
            },
            async {
                tokio::time::sleep(Duration::from_secs(2)).await;
                through.read_to_end(&mut read).await.unwrap_err()
            }
        );
        assert!(error.to_string().contains("no window was open"), "{error}");
        assert!(read.len() <= HELD_BYTES_MAX && read.len() > HELD_BYTES_MAX / 2);
    }

    #[tokio::test]
    async fn dropped_it_drops_the_channel() {
        let (channel, mut far) = duplex(1 << 10);
        let through = Through::new(channel);
        drop(through);
        let length = timeout(BOUND, far.read(&mut [0; 1]))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(length, 0);
    }
}
