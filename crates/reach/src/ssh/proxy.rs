//! `ProxyCommand`: a process whose standard streams are the way to the host.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::sleep;

use super::error::SshError;
use super::process::Group;
use super::text::printable;

/// What is kept of a command's standard error: its last words, as they tell why it ended.
const WORDS_BYTES_MAX: usize = 1_000;
/// How long its last words are waited for when it has ended.
const WORDS_MS: u64 = 100;
/// The shell when `SHELL` is not set; OpenSSH's choice as well.
const SHELL: &str = "/bin/sh";

/// The way through a command. The command is ended when this is dropped.
pub(super) struct Proxy {
    stdin: ChildStdin,
    stdout: ChildStdout,
    // In this order: the group is ended while its leader is not yet waited for.
    _group: Group,
    _child: Child,
}

/// The last words of a command.
#[derive(Debug, Clone, Default)]
pub(super) struct LastWords(Arc<Mutex<Vec<u8>>>);

impl LastWords {
    pub(super) fn text(&self) -> String {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        printable(words.trim_ascii(), WORDS_BYTES_MAX)
    }

    /// The end of a handshake, told with what the command said: that it ended is all the rest.
    pub(super) async fn explain(self, error: SshError) -> SshError {
        let SshError::ClosedEarly { host, .. } = error else {
            return error;
        };
        // They follow at once; nothing hangs on their being complete.
        sleep(Duration::from_millis(WORDS_MS)).await;
        let words = self.text();
        let reason = if words.is_empty() {
            "it ended before the host said a word".to_owned()
        } else {
            words
        };
        SshError::Proxy { host, reason }
    }

    async fn listen(self, mut stderr: ChildStderr) {
        let mut buffer = [0; 512];
        while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
            let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            words.extend_from_slice(buffer.get(..count).unwrap_or_default());
            let over = words.len().saturating_sub(WORDS_BYTES_MAX);
            words.drain(..over);
        }
    }
}

impl Proxy {
    /// Starts the command as OpenSSH does: by the operator's shell, which it replaces.
    pub(super) fn start(command: &str) -> io::Result<(Self, LastWords)> {
        let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
        let mut child = Command::new(shell.unwrap_or_else(|| SHELL.into()))
            .arg("-c")
            .arg(format!("exec {command}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = Group::of(&child);
        let lacking = || io::Error::other("the command has no standard streams");
        let words = LastWords::default();
        let stderr = child.stderr.take().ok_or_else(lacking)?;
        tokio::spawn(words.clone().listen(stderr));
        let proxy = Self {
            stdin: child.stdin.take().ok_or_else(lacking)?,
            stdout: child.stdout.take().ok_or_else(lacking)?,
            _group: group,
            _child: child,
        };
        Ok((proxy, words))
    }
}

impl AsyncRead for Proxy {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(context, buffer)
    }
}

impl AsyncWrite for Proxy {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stdin).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(context)
    }
}
