//! A command on a host, over whichever client: three streams and an exit.
//!
//! A task per channel sorts what arrives into bounded queues. A reader that does not read holds up
//! its channel; over the native client it holds up the whole connection once the channel's buffer is
//! full (russh delivers to all channels from one loop): read both output streams, or drop the one
//! that is not wanted.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::sync::{mpsc, oneshot, watch};

use crate::ssh::SshError;

/// Chunks of output that wait for a reader, each at most a packet of 32 KiB.
const CHUNKS_MAX: usize = 4;
/// Standard error kept by [`ExecChannel::run`]: enough for any message to a person.
const RUN_STDERR_BYTES_MAX: usize = 64 << 10;
/// Bytes read at a time by [`ExecChannel::run`].
const READ_BYTES: usize = 32 << 10;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It returned this status.
    Code(u32),
    /// A signal ended it.
    Signal {
        /// Without `SIG`, such as `KILL`.
        name: String,
        /// Whether a core was written.
        core_dumped: bool,
    },
}

impl Exit {
    /// Whether the status is 0.
    pub fn success(&self) -> bool {
        *self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal { name, .. } => write!(f, "signal {name}"),
        }
    }
}

/// All that a short command said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// Standard output up to the cap.
    pub stdout: Vec<u8>,
    /// Whether there was more of it.
    pub stdout_truncated: bool,
    /// The beginning of standard error.
    pub stderr: Vec<u8>,
}

/// A running command. Its parts can be taken apart; when the last part is dropped, the channel
/// closes.
#[derive(Debug)]
pub struct ExecChannel {
    /// Standard input; shutting it down or dropping it is the end of input.
    pub stdin: ExecStdin,
    /// Standard output.
    pub stdout: ExecReader,
    /// Standard error.
    pub stderr: ExecReader,
    /// How it ended.
    pub exit: ExecExit,
}

impl ExecChannel {
    /// Waits for the end of the command. Read the output before or beside: a command that cannot
    /// write does not end.
    pub async fn exit(&mut self) -> Result<Exit, SshError> {
        self.exit.wait().await
    }

    /// Goes with the command to its end: gives it `stdin`, keeps up to `stdout_bytes_max` of its
    /// output and reads away the rest.
    pub(crate) async fn run(
        self,
        stdin: &[u8],
        stdout_bytes_max: usize,
    ) -> Result<Output, SshError> {
        let Self {
            stdin: mut to,
            mut stdout,
            mut stderr,
            mut exit,
        } = self;
        let feed = async move {
            // A command may end without reading all: its exit says whether that is right.
            let _unread = to.write_all(stdin).await;
            let _closed = to.shutdown().await;
        };
        let (_fed, out, err) = tokio::join!(
            feed,
            collect(&mut stdout, stdout_bytes_max),
            collect(&mut stderr, RUN_STDERR_BYTES_MAX)
        );
        let ended = exit.wait().await?;
        let cut = |_| exit.lost("its output was cut short");
        let (stdout, stdout_truncated) = out.map_err(cut)?;
        let (stderr, _) = err.map_err(cut)?;
        Ok(Output {
            exit: ended,
            stdout,
            stdout_truncated,
            stderr,
        })
    }
}

/// While one part holds it the channel stays open.
struct Guard {
    _open: oneshot::Sender<()>,
}

/// Standard input of a command.
pub struct ExecStdin {
    writer: Pin<Box<dyn AsyncWrite + Send + Sync>>,
    ended: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    over: bool,
    shut: bool,
    dropped: Option<oneshot::Sender<()>>,
    _guard: Arc<Guard>,
}

/// One output stream of a command. It ends with an error when the connection was lost, so that a
/// cut stream is never taken for a whole one.
pub struct ExecReader {
    chunks: mpsc::Receiver<io::Result<Chunk>>,
    chunk: Chunk,
    _guard: Arc<Guard>,
}

/// Bytes with a reading position.
#[derive(Default)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    read: usize,
}

/// The end of a command.
pub struct ExecExit {
    end: watch::Receiver<Option<Result<Exit, SshError>>>,
    host: String,
    _guard: Arc<Guard>,
}

/// The other side of a channel's parts: what a client fills and heeds.
pub(crate) struct Ends {
    pub(crate) stdout: OutputEnd,
    pub(crate) stderr: OutputEnd,
    /// How the command ended. A loss is told here before the streams end.
    pub(crate) end: watch::Sender<Option<Result<Exit, SshError>>>,
    /// Resolves when all parts are dropped.
    pub(crate) closed: oneshot::Receiver<()>,
    /// Resolves when standard input is over: with an error when it was dropped without a shutdown.
    pub(crate) stdin_over: oneshot::Receiver<()>,
}

/// The other side of an output stream.
pub(crate) struct OutputEnd(Option<mpsc::Sender<io::Result<Chunk>>>);

impl OutputEnd {
    /// Hands bytes on. A reader that is gone wants no more: its data is read away.
    pub(crate) async fn deliver(&mut self, bytes: Vec<u8>) {
        if let Some(sender) = &self.0
            && sender.send(Ok(Chunk { bytes, read: 0 })).await.is_err()
        {
            self.0 = None;
        }
    }

    /// The stream is whole.
    pub(crate) fn end(&mut self) {
        self.0 = None;
    }

    /// The stream was cut, if it had not ended before. A reader that is behind gets the error after
    /// what it has not read.
    pub(crate) fn cut(&mut self, lost: &SshError) {
        if let Some(sender) = self.0.take() {
            let error = io::Error::new(io::ErrorKind::ConnectionAborted, lost.to_string());
            tokio::spawn(async move { sender.send(Err(error)).await });
        }
    }
}

/// The parts of a command's channel and their other sides. What `writer` is given goes to the
/// command.
pub(crate) fn channel(
    host: &str,
    writer: impl AsyncWrite + Send + Sync + 'static,
) -> (ExecChannel, Ends) {
    let (open, closed) = oneshot::channel();
    let guard = Arc::new(Guard { _open: open });
    let (stdout_sender, stdout) = mpsc::channel(CHUNKS_MAX);
    let (stderr_sender, stderr) = mpsc::channel(CHUNKS_MAX);
    let (stdin_sender, stdin_over) = oneshot::channel();
    let (end_sender, end) = watch::channel(None);
    let mut ended = end.clone();
    let stdin = ExecStdin {
        writer: Box::pin(writer),
        ended: Box::pin(async move {
            let _gone = ended.wait_for(Option::is_some).await;
        }),
        over: false,
        shut: false,
        dropped: Some(stdin_sender),
        _guard: Arc::clone(&guard),
    };
    let reader = |chunks| ExecReader {
        chunks,
        chunk: Chunk::default(),
        _guard: Arc::clone(&guard),
    };
    let channel = ExecChannel {
        stdin,
        stdout: reader(stdout),
        stderr: reader(stderr),
        exit: ExecExit {
            end,
            host: host.to_owned(),
            _guard: Arc::clone(&guard),
        },
    };
    let ends = Ends {
        stdout: OutputEnd(Some(stdout_sender)),
        stderr: OutputEnd(Some(stderr_sender)),
        end: end_sender,
        closed,
        stdin_over,
    };
    (channel, ends)
}

async fn collect(reader: &mut ExecReader, bytes_max: usize) -> io::Result<(Vec<u8>, bool)> {
    let mut kept = Vec::new();
    let mut truncated = false;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let length = reader.read(&mut buffer).await?;
        if length == 0 {
            return Ok((kept, truncated));
        }
        let room = bytes_max - kept.len();
        truncated |= length > room;
        kept.extend(buffer.iter().take(length.min(room)));
    }
}

impl ExecExit {
    /// Waits for the end of the command; can be asked again.
    pub async fn wait(&mut self) -> Result<Exit, SshError> {
        let ended = self.end.wait_for(Option::is_some).await;
        let ended = ended.ok().and_then(|end| end.clone());
        ended.unwrap_or_else(|| Err(self.lost("closed")))
    }

    fn lost(&self, reason: &str) -> SshError {
        SshError::Lost {
            host: self.host.clone(),
            reason: reason.to_owned(),
        }
    }
}

impl ExecReader {
    /// Puts bytes back in front of what is still to be read.
    pub(crate) fn unread(&mut self, mut bytes: Vec<u8>) {
        bytes.extend(self.chunk.bytes.iter().skip(self.chunk.read));
        self.chunk = Chunk { bytes, read: 0 };
    }
}

impl AsyncRead for ExecReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.chunk.read >= self.chunk.bytes.len() {
            match ready!(self.chunks.poll_recv(context)) {
                Some(Ok(chunk)) => self.chunk = chunk,
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(())),
            }
        }
        let left = self.chunk.bytes.get(self.chunk.read..).unwrap_or_default();
        let length = left.len().min(buffer.remaining());
        buffer.put_slice(left.get(..length).unwrap_or_default());
        self.chunk.read += length;
        Poll::Ready(Ok(()))
    }
}

impl ExecStdin {
    /// A command that has ended takes nothing: without this a writer would wait for a window that
    /// nobody opens any more.
    fn poll_over(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.over || self.ended.as_mut().poll(context).is_ready() {
            self.over = true;
            return Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the command has ended",
            ));
        }
        Ok(())
    }
}

impl AsyncWrite for ExecStdin {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_over(context)?;
        self.writer.as_mut().poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.shut {
            return Poll::Ready(Ok(()));
        }
        self.poll_over(context)?;
        ready!(self.writer.as_mut().poll_shutdown(context))?;
        self.shut = true;
        if let Some(told) = self.dropped.take() {
            // The task may be gone already, and then the end of input does not matter.
            let _gone = told.send(());
        }
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for ExecStdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExecStdin")
    }
}

impl fmt::Debug for ExecReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExecReader")
    }
}

impl fmt::Debug for ExecExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExecExit")
    }
}
