//! A command on a host: three streams and an exit.
//!
//! A task per channel sorts what arrives into bounded queues. A reader that does not read holds up
//! its channel and, once the channel's buffer is full, its whole connection (russh delivers to all
//! channels from one loop): read both output streams, or drop the one that is not wanted.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::error::SshError;
use super::session::{Inner, Session, within};
use super::text::printable;

/// How long a server may take to open a channel.
const OPEN_S_MAX: u64 = 30;
/// How long to try to tell the server that a channel is not wanted any more.
const CLOSE_S_MAX: u64 = 10;
/// Chunks of output that wait for a reader, each at most a packet of 32 KiB.
const CHUNKS_MAX: usize = 4;
/// Standard error kept by [`Session::run`]: enough for any message to a person.
const RUN_STDERR_BYTES_MAX: usize = 64 << 10;
/// Bytes read at a time by [`Session::run`].
const READ_BYTES: usize = 32 << 10;
/// The number by which SSH marks standard error.
const STDERR: u32 = 1;

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
struct Chunk {
    bytes: Vec<u8>,
    read: usize,
}

/// The end of a command.
pub struct ExecExit {
    end: watch::Receiver<Option<Result<Exit, SshError>>>,
    inner: Arc<Inner>,
    _guard: Arc<Guard>,
}

impl Session {
    /// Starts a command, which the account's shell on the host takes apart. Does not wait for the
    /// server's consent, which would cost a round trip: a refusal comes as the command's end.
    pub async fn exec(&self, command: &str) -> Result<ExecChannel, SshError> {
        let inner = Arc::clone(&self.inner);
        let bound = Duration::from_secs(OPEN_S_MAX);
        within(&self.inner.host, "opening a channel", bound, async move {
            let channel = match inner.handle.channel_open_session().await {
                Ok(channel) => channel,
                Err(russh::Error::ChannelOpenFailure(failure)) => {
                    let reason = printable(format!("{failure:?}").as_bytes(), 200);
                    return Err(SshError::ChannelRefused {
                        host: inner.host.clone(),
                        reason,
                    });
                }
                Err(_) => return Err(inner.lost().await),
            };
            if channel.exec(true, command).await.is_err() {
                return Err(inner.lost().await);
            }
            let (read, write) = channel.split();
            Ok(assemble(read, write, inner))
        })
        .await
    }

    /// Runs a command to its end: gives it `stdin`, keeps up to `stdout_bytes_max` of its output
    /// and reads away the rest. After `bound` the channel is closed.
    pub async fn run(
        &self,
        command: &str,
        stdin: &[u8],
        stdout_bytes_max: usize,
        bound: Duration,
    ) -> Result<Output, SshError> {
        within(&self.inner.host, "a command", bound, async {
            let ExecChannel {
                stdin: mut to,
                mut stdout,
                mut stderr,
                mut exit,
            } = self.exec(command).await?;
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
            let exit = exit.wait().await?;
            let lost = |_| self.inner.lost_now();
            let (stdout, stdout_truncated) = out.map_err(lost)?;
            let (stderr, _) = err.map_err(lost)?;
            Ok(Output {
                exit,
                stdout,
                stdout_truncated,
                stderr,
            })
        })
        .await
    }
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

fn assemble(read: ChannelReadHalf, write: ChannelWriteHalf<Msg>, inner: Arc<Inner>) -> ExecChannel {
    let (open, closed) = oneshot::channel();
    let guard = Arc::new(Guard { _open: open });
    let (stdout_sender, stdout) = mpsc::channel(CHUNKS_MAX);
    let (stderr_sender, stderr) = mpsc::channel(CHUNKS_MAX);
    let (stdin_sender, stdin_dropped) = oneshot::channel();
    let (end_sender, end) = watch::channel(None);
    let mut ended = end.clone();
    let stdin = ExecStdin {
        writer: Box::pin(write.make_writer()),
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
    let (stdout, stderr) = (reader(stdout), reader(stderr));
    let exit = ExecExit {
        end,
        inner: Arc::clone(&inner),
        _guard: guard,
    };
    let pump = Pump {
        read,
        write,
        stdout: Some(stdout_sender),
        stderr: Some(stderr_sender),
        exit: None,
        refused: false,
    };
    tokio::spawn(pump.run(closed, stdin_dropped, end_sender, inner));
    ExecChannel {
        stdin,
        stdout,
        stderr,
        exit,
    }
}

/// Takes from the connection's loop what belongs to one channel.
struct Pump {
    read: ChannelReadHalf,
    write: ChannelWriteHalf<Msg>,
    stdout: Option<mpsc::Sender<io::Result<Chunk>>>,
    stderr: Option<mpsc::Sender<io::Result<Chunk>>>,
    exit: Option<Exit>,
    refused: bool,
}

impl Pump {
    async fn run(
        mut self,
        closed: oneshot::Receiver<()>,
        stdin_dropped: oneshot::Receiver<()>,
        end: watch::Sender<Option<Result<Exit, SshError>>>,
        inner: Arc<Inner>,
    ) {
        let finished = tokio::select! {
            finished = self.sort(stdin_dropped) => Some(finished),
            // Resolves when all parts are dropped.
            _ = closed => None,
        };
        match finished {
            Some(true) => {
                let host = inner.host.clone();
                let result = match (self.exit.take(), self.refused) {
                    (Some(exit), _) => Ok(exit),
                    (None, true) => {
                        let _late =
                            timeout(Duration::from_secs(CLOSE_S_MAX), self.write.close()).await;
                        Err(SshError::ExecRefused { host })
                    }
                    (None, false) => Err(SshError::NoExitStatus { host }),
                };
                end.send_replace(Some(result));
            }
            Some(false) => {
                let lost = inner.lost().await;
                // Before the streams end, so that a reader who sees the error finds the reason.
                end.send_replace(Some(self.exit.take().ok_or_else(|| lost.clone())));
                for stream in [self.stdout.take(), self.stderr.take()]
                    .into_iter()
                    .flatten()
                {
                    let error = io::Error::new(io::ErrorKind::ConnectionAborted, lost.to_string());
                    // Readers that are behind get it after what they have not read.
                    tokio::spawn(async move { stream.send(Err(error)).await });
                }
            }
            None => {
                let _late = timeout(Duration::from_secs(CLOSE_S_MAX), self.write.close()).await;
            }
        }
    }

    /// Sorts messages until the channel closes (true) or the connection is gone (false).
    async fn sort(&mut self, mut stdin_dropped: oneshot::Receiver<()>) -> bool {
        let mut stdin_open = true;
        loop {
            let message = tokio::select! {
                message = self.read.wait() => message,
                told = &mut stdin_dropped, if stdin_open => {
                    stdin_open = false;
                    // An error means dropped without a shutdown, which has sent the end itself.
                    if told.is_err() {
                        let _gone = self.write.eof().await;
                    }
                    continue;
                }
            };
            match message {
                None => return false,
                Some(ChannelMsg::Close) => return true,
                Some(ChannelMsg::Data { data }) => deliver(&mut self.stdout, data.into()).await,
                Some(ChannelMsg::ExtendedData { data, ext: STDERR }) => {
                    deliver(&mut self.stderr, data.into()).await
                }
                Some(ChannelMsg::Eof) => (self.stdout, self.stderr) = (None, None),
                Some(ChannelMsg::ExitStatus { exit_status }) => {
                    self.exit = Some(Exit::Code(exit_status))
                }
                Some(ChannelMsg::ExitSignal {
                    signal_name,
                    core_dumped,
                    ..
                }) => {
                    self.exit = Some(Exit::Signal {
                        name: signal_text(&signal_name),
                        core_dumped,
                    });
                }
                Some(ChannelMsg::Failure) => {
                    self.refused = true;
                    return true;
                }
                Some(_) => {}
            }
        }
    }
}

/// A reader that is gone wants no more: its data is read away.
async fn deliver(stream: &mut Option<mpsc::Sender<io::Result<Chunk>>>, bytes: Vec<u8>) {
    if let Some(sender) = stream
        && sender.send(Ok(Chunk { bytes, read: 0 })).await.is_err()
    {
        *stream = None;
    }
}

fn signal_text(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => printable(name.as_bytes(), 40),
        known => format!("{known:?}"),
    }
}

impl ExecExit {
    /// Waits for the end of the command; can be asked again.
    pub async fn wait(&mut self) -> Result<Exit, SshError> {
        match self.end.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or_else(|| Err(self.inner.lost_now())),
            Err(_) => Err(self.inner.lost_now()),
        }
    }
}

impl ExecReader {
    /// Puts bytes back in front of what is still to be read.
    pub(super) fn unread(&mut self, mut bytes: Vec<u8>) {
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
