//! Commands over the native client.

use std::sync::Arc;
use std::time::Duration;

use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::error::SshError;
use super::session::{Inner, Session, within};
use super::text::printable;
use crate::channel::{Ends, ExecChannel, Exit, Output, OutputEnd, channel};

/// How long a server may take to open a channel.
pub(crate) const OPEN_S_MAX: u64 = 30;
/// How long to try to tell the server that a channel is not wanted any more.
const CLOSE_S_MAX: u64 = 10;
/// The number by which SSH marks standard error.
const STDERR: u32 = 1;

impl Session {
    /// Starts a command, which the account's shell on the host takes apart. Does not wait for the
    /// server's consent, which would cost a round trip: a refusal comes as the command's end.
    pub async fn exec(&self, command: &str) -> Result<ExecChannel, SshError> {
        let inner = Arc::clone(&self.inner);
        let bound = Duration::from_secs(OPEN_S_MAX);
        within(&self.inner.host, "opening a channel", bound, async move {
            let opened = match inner.handle.channel_open_session().await {
                Ok(opened) => opened,
                Err(russh::Error::ChannelOpenFailure(failure)) => {
                    let reason = printable(format!("{failure:?}").as_bytes(), 200);
                    return Err(SshError::ChannelRefused {
                        host: inner.host.clone(),
                        reason,
                    });
                }
                Err(_) => return Err(inner.lost().await),
            };
            if opened.exec(true, command).await.is_err() {
                return Err(inner.lost().await);
            }
            let (read, write) = opened.split();
            let (channel, ends) = channel(&inner.host, write.make_writer());
            let pump = Pump {
                read,
                write,
                exit: None,
                refused: false,
            };
            tokio::spawn(pump.run(ends, inner));
            Ok(channel)
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
        within(self.host(), "a command", bound, async {
            let channel = self.exec(command).await?;
            channel.run(stdin, stdout_bytes_max).await
        })
        .await
    }
}

/// Takes from the connection's loop what belongs to one channel.
struct Pump {
    read: ChannelReadHalf,
    write: ChannelWriteHalf<Msg>,
    exit: Option<Exit>,
    refused: bool,
}

impl Pump {
    async fn run(mut self, mut ends: Ends, inner: Arc<Inner>) {
        let finished = tokio::select! {
            finished = self.sort(&mut ends.stdout, &mut ends.stderr, &mut ends.stdin_over) => Some(finished),
            _ = &mut ends.closed => None,
        };
        match finished {
            Some(true) => {
                let host = inner.host.clone();
                let result = match (self.exit.take(), self.refused) {
                    (Some(exit), _) => Ok(exit),
                    (None, true) => {
                        self.close().await;
                        Err(SshError::ExecRefused { host })
                    }
                    (None, false) => Err(SshError::NoExitStatus { host }),
                };
                ends.end.send_replace(Some(result));
            }
            Some(false) => {
                let lost = inner.lost().await;
                // Before the streams end, so that a reader who sees the error finds the reason.
                let result = self.exit.take().ok_or_else(|| lost.clone());
                ends.end.send_replace(Some(result));
                ends.stdout.cut(&lost);
                ends.stderr.cut(&lost);
            }
            None => self.close().await,
        }
    }

    async fn close(&self) {
        // A server that does not listen loses the channel with the connection.
        let _late = timeout(Duration::from_secs(CLOSE_S_MAX), self.write.close()).await;
    }

    /// Sorts messages until the channel closes (true) or the connection is gone (false).
    async fn sort(
        &mut self,
        stdout: &mut OutputEnd,
        stderr: &mut OutputEnd,
        stdin_over: &mut oneshot::Receiver<()>,
    ) -> bool {
        let mut stdin_open = true;
        loop {
            let message = tokio::select! {
                message = self.read.wait() => message,
                told = &mut *stdin_over, if stdin_open => {
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
                Some(ChannelMsg::Data { data }) => stdout.deliver(data.into()).await,
                Some(ChannelMsg::ExtendedData { data, ext: STDERR }) => {
                    stderr.deliver(data.into()).await
                }
                Some(ChannelMsg::Eof) => {
                    stdout.end();
                    stderr.end();
                }
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

fn signal_text(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => printable(name.as_bytes(), 40),
        known => format!("{known:?}"),
    }
}
