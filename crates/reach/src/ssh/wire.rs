//! The TCP stream under a connection, with two things that russh's loop lacks: it can be closed
//! from outside at any moment, and a write that the network does not take is given up.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
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
        let waker = self.0.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A TCP stream with a bound on stalled writes.
pub(super) struct Wire {
    tcp: TcpStream,
    shared: Arc<Shared>,
    write_stall_max: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub(super) fn new(tcp: TcpStream, write_stall_max: Duration) -> (Self, Closer) {
        let shared = Arc::new(Shared::default());
        let closer = Closer(Arc::clone(&shared));
        (Self { tcp, shared, write_stall_max, stalled: None }, closer)
    }

    /// russh sends no keep-alive while a write waits, and TCP itself retries for a quarter of an
    /// hour: a cut network would go unnoticed for so long.
    fn bounded<T>(&mut self, context: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
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
        let poll = Pin::new(&mut self.tcp).poll_read(context, buffer);
        if poll.is_pending() {
            *self.shared.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        }
        // Asked after the waker is in place, so that a close between the two is not missed.
        if self.shared.closed.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "closed by us")));
        }
        poll
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.tcp).poll_write(context, data);
        self.bounded(context, poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.tcp).poll_flush(context);
        self.bounded(context, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
