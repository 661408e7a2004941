//! The stream under a connection, with two things that russh's loop lacks: it can be closed
//! from outside at any moment, and a write that the network does not take is given up.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Closes the wire when dropped: the connection's task ends whatever it waits for.
#[derive(Debug)]
pub(super) struct Closer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    closed: AtomicBool,
    reader: Mutex<Option<Waker>>,
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::SeqCst);
        let waker = self
            .0
            .reader
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Bytes both ways: a socket, a channel of another connection, a process.
pub(super) trait Way: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Way for T {}

/// A stream with a bound on stalled writes.
pub(super) struct Wire {
    way: Box<dyn Way>,
    shared: Arc<Shared>,
    write_stall_max: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub(super) fn new(way: impl Way + 'static, write_stall_max: Duration) -> (Self, Closer) {
        let shared = Arc::new(Shared::default());
        let closer = Closer(Arc::clone(&shared));
        (
            Self {
                way: Box::new(way),
                shared,
                write_stall_max,
                stalled: None,
            },
            closer,
        )
    }

    /// russh sends no keep-alive while a write waits, and TCP itself retries for a quarter of an
    /// hour: a cut network would go unnoticed for so long.
    fn bounded<T>(
        &mut self,
        context: &mut Context<'_>,
        poll: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stalled = None;
            return poll;
        }
        let bound = self.write_stall_max;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(bound)));
        match timer.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the network took no data for {bound:?}"),
            ))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.way).poll_read(context, buffer);
        if poll.is_pending() {
            *self
                .shared
                .reader
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        }
        // Asked after the waker is in place, so that a close between the two is not missed.
        if self.shared.closed.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "closed by us",
            )));
        }
        poll
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.way).poll_write(context, data);
        self.bounded(context, poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.way).poll_flush(context);
        self.bounded(context, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.way).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::Wire;

    const BOUND: Duration = Duration::from_secs(20);

    async fn pair(write_stall_max: Duration) -> (Wire, super::Closer, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (peer, _) = listener.accept().await.unwrap();
        let (wire, closer) = Wire::new(tcp, write_stall_max);
        (wire, closer, peer)
    }

    #[tokio::test]
    async fn a_write_that_nobody_takes_is_given_up() {
        let (mut wire, _closer, _peer) = pair(Duration::from_millis(300)).await;
        let data = vec![0; 1 << 20];
        let endless = async {
            loop {
                if let Err(error) = wire.write_all(&data).await {
                    break error;
                }
            }
        };
        let error = timeout(BOUND, endless).await.unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn progress_that_is_slow_is_no_stall() {
        let (mut wire, _closer, mut peer) = pair(Duration::from_millis(600)).await;
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; 1 << 20];
            let mut total = 0;
            while total < 24 << 20 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                total += peer.read(&mut buffer).await.unwrap();
            }
        });
        for _ in 0..24 {
            timeout(BOUND, wire.write_all(&vec![0; 1 << 20]))
                .await
                .unwrap()
                .unwrap();
        }
        timeout(BOUND, reader).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn closing_wakes_a_reader() {
        let (mut wire, closer, _peer) = pair(BOUND).await;
        let reader = tokio::spawn(async move { wire.read(&mut [0; 8]).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(closer);
        let error = timeout(BOUND, reader).await.unwrap().unwrap().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionAborted);
    }
}
