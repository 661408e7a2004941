//! Commands over a master: pipes that the master is handed, and what it tells of the end.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWrite};
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::time::timeout;

use super::mux::{Mux, MuxError, Told};
use super::session::{Inner, Session};
use crate::channel::{Ends, ExecChannel, Exit, Output, OutputEnd, channel};
use crate::ssh::{OPEN_S_MAX, SshError, printable, within};

/// Bytes read at a time of a command's output.
const READ_BYTES: usize = 32 << 10;
/// How long a master, a process on this machine, may take to say that it is there.
const ALIVE_S_MAX: u64 = 5;
/// How long the reason of a loss is waited for after the loss is seen; it follows at once.
const REASON_S_MAX: u64 = 3;
/// Longest text of a server that goes into an error.
const REASON_CHARS_MAX: usize = 200;

impl Session {
    /// Starts a command, which the account's shell on the host takes apart.
    ///
    /// # Errors
    /// When the connection is lost or the host gives no further channel.
    pub async fn exec(&self, command: &str) -> Result<ExecChannel, SshError> {
        let inner = Arc::clone(&self.inner);
        let bound = Duration::from_secs(OPEN_S_MAX);
        within(&self.inner.host, "opening a channel", bound, async move {
            let opened = open(&inner, command).await;
            let (mux, pipes) = match opened {
                Ok(opened) => opened,
                Err(error) => return Err(refusal(&inner, error).await),
            };
            let (channel, ends) = channel(&inner.host, Input(Some(pipes.stdin)));
            let pump = Pump {
                mux,
                stdout: pipes.stdout,
                stderr: pipes.stderr,
            };
            tokio::spawn(pump.run(ends, inner));
            Ok(channel)
        })
        .await
    }

    /// Runs a command to its end: gives it `stdin`, keeps up to `stdout_bytes_max` of its output
    /// and reads away the rest. After `bound` the channel is closed.
    ///
    /// # Errors
    /// As [`Session::exec`], and when the bound passes or the connection is lost on the way.
    pub async fn run(
        &self,
        command: &str,
        stdin: &[u8],
        stdout_bytes_max: usize,
        bound: Duration,
    ) -> Result<Output, SshError> {
        within(self.host(), "a command", bound, async {
            let channel = self.exec(command).await?;
            channel.run(stdin, stdout_bytes_max).await
        })
        .await
    }
}

/// Standard input: a pipe whose end is its closing.
struct Input(Option<pipe::Sender>);

impl Input {
    fn pipe(&mut self) -> io::Result<Pin<&mut pipe::Sender>> {
        let over = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.as_mut().map(Pin::new).ok_or_else(over)
    }
}

impl AsyncWrite for Input {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.pipe()?.poll_write(context, data)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0 = None;
        Poll::Ready(Ok(()))
    }
}

/// Our ends of a command's streams.
struct Pipes {
    stdin: pipe::Sender,
    stdout: pipe::Receiver,
    stderr: pipe::Receiver,
}

async fn open(inner: &Inner, command: &str) -> Result<(Mux, Pipes), MuxError> {
    let _turn = inner.opens.acquire().await.map_err(io::Error::other)?;
    let (stdin, their_stdin) = pipe::pipe()?;
    let (their_stdout, stdout) = pipe::pipe()?;
    let (their_stderr, stderr) = pipe::pipe()?;
    let theirs: [OwnedFd; 3] = [
        their_stdin.into_blocking_fd()?,
        their_stdout.into_blocking_fd()?,
        their_stderr.into_blocking_fd()?,
    ];
    let mut mux = Mux::connect(&inner.socket()).await?;
    mux.open(command, theirs).await?;
    Ok((
        mux,
        Pipes {
            stdin,
            stdout,
            stderr,
        },
    ))
}

async fn refusal(inner: &Inner, error: MuxError) -> SshError {
    let refused = |reason: String| SshError::ChannelRefused {
        host: inner.host.clone(),
        reason: printable(reason.as_bytes(), REASON_CHARS_MAX),
    };
    match error {
        MuxError::Gone(error) => match lost(inner).await {
            Some(lost) => lost,
            None => refused(error.to_string()),
        },
        other => refused(other.to_string()),
    }
}

/// The loss of a connection that seems to be gone; `None` when it turns out to be there.
async fn lost(inner: &Inner) -> Option<SshError> {
    let alive = timeout(
        Duration::from_secs(ALIVE_S_MAX),
        Mux::is_alive(&inner.socket()),
    )
    .await;
    if alive == Ok(true) {
        return None;
    }
    let reason = timeout(Duration::from_secs(REASON_S_MAX), inner.lost()).await;
    Some(reason.unwrap_or_else(|_| SshError::Lost {
        host: inner.host.clone(),
        reason: "the ssh program does not answer".to_owned(),
    }))
}

/// Takes a command's output from its pipes until all is told.
struct Pump {
    mux: Mux,
    stdout: pipe::Receiver,
    stderr: pipe::Receiver,
}

impl Pump {
    async fn run(mut self, ends: Ends, inner: Arc<Inner>) {
        let Ends {
            stdout,
            stderr,
            end,
            closed,
            stdin_over: _,
        } = ends;
        let host = inner.host.clone();
        let status = async {
            let result = match self.mux.told().await {
                Told::Exit(code) => Ok(Exit::Code(code)),
                Told::Closed => match lost(&inner).await {
                    Some(lost) => Err(lost),
                    // A signal, of which multiplexing tells nothing, or a server that hides it.
                    None => Err(SshError::NoExitStatus { host: host.clone() }),
                },
            };
            end.send_replace(Some(result));
        };
        let streams = async {
            tokio::join!(
                drain(self.stdout, stdout, &inner, &end),
                drain(self.stderr, stderr, &inner, &end)
            );
        };
        // The connection to the master stays until both are over: with it the master would throw
        // away what is still under way.
        let all = async { tokio::join!(status, streams) };
        tokio::select! {
            _ = all => {}
            _ = closed => {}
        }
    }
}

/// Hands a stream on to its end. That it is whole is proven by a master that still works after it
/// has closed the pipe; one that lost its connection does not come back to answering.
async fn drain(
    mut from: pipe::Receiver,
    mut to: OutputEnd,
    inner: &Inner,
    end: &watch::Sender<Option<Result<Exit, SshError>>>,
) {
    let mut buffer = vec![0; READ_BYTES];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        to.deliver(buffer.get(..length).unwrap_or_default().to_vec())
            .await;
    }
    match lost(inner).await {
        None => to.end(),
        Some(lost) => {
            // Before the stream ends, so that a reader who sees the error finds the reason.
            end.send_if_modified(|end| {
                let first = end.is_none();
                if first {
                    *end = Some(Err(lost.clone()));
                }
                first
            });
            to.cut(&lost);
        }
    }
}
