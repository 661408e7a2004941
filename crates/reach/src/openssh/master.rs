//! One `ssh` process that holds a connection, and its end.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::log::{Lines, Log};
use super::room::Seat;
use super::spawn::spawn;

/// How long a master may take to end when asked to; it only has to close sockets.
const GOODBYE_S_MAX: u64 = 2;
/// How long the last words of a master that ended are waited for; a proxy command of its may hold
/// the pipe open.
const LAST_WORDS_MS_MAX: u64 = 500;
/// Bytes read at a time of what a master says.
const READ_BYTES: usize = 4 << 10;

/// A running master. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Master {
    pub(super) seat: Arc<Seat>,
    log: Arc<Mutex<Log>>,
    ended: watch::Receiver<bool>,
    stop: Mutex<Option<oneshot::Sender<()>>>,
}

impl Master {
    /// Starts `ssh` with these words.
    pub(super) async fn start(seat: Seat, words: &[String]) -> io::Result<Self> {
        let mut command = Command::new("ssh");
        command
            .args(words)
            // Refusals are told apart by their words.
            .env("LC_ALL", "C")
            .env("SSH_ASKPASS_REQUIRE", "never")
            .env_remove("SSH_ASKPASS")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // What a person types at the terminal (Ctrl-C) is for us, not for the connections.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = spawn(command).await?;
        let (tell_end, ended) = watch::channel(false);
        let (stop, stopped) = oneshot::channel();
        let (seat, log) = (Arc::new(seat), Arc::new(Mutex::new(Log::default())));
        let stderr = child.stderr.take();
        let (held, kept) = (Arc::clone(&seat), Arc::clone(&log));
        tokio::spawn(async move {
            watch_over(&mut child, stderr, &kept, stopped).await;
            drop(held);
            tell_end.send_replace(true);
        });
        Ok(Self {
            seat,
            log,
            ended,
            stop: Mutex::new(Some(stop)),
        })
    }

    pub(super) fn lines(&self) -> Lines {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .lines()
    }

    pub(super) fn forget_lines(&self) {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    pub(super) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    pub(super) async fn wait(&self) {
        let mut ended = self.ended.clone();
        // An error means that its task was ended, with the runtime.
        let _gone = ended.wait_for(|ended| *ended).await;
    }

    /// Asks it to end, whatever runs over it.
    pub(super) fn stop(&self) {
        self.stop
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

async fn watch_over(
    child: &mut Child,
    mut stderr: Option<ChildStderr>,
    log: &Mutex<Log>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        tokio::select! {
            _ended = child.wait() => break,
            _ = &mut stopped => {
                terminate(child).await;
                break;
            }
            open = listen(&mut stderr, &mut buffer, log), if stderr.is_some() => {
                if !open {
                    stderr = None;
                }
            }
        }
    }
    let rest = async { while stderr.is_some() && listen(&mut stderr, &mut buffer, log).await {} };
    let _late = timeout(Duration::from_millis(LAST_WORDS_MS_MAX), rest).await;
}

/// Takes what it said next; false at the end.
async fn listen(stderr: &mut Option<ChildStderr>, buffer: &mut [u8], log: &Mutex<Log>) -> bool {
    let Some(stderr) = stderr else {
        return false;
    };
    let length = stderr.read(buffer).await.unwrap_or(0);
    let said = buffer.get(..length).unwrap_or_default();
    log.lock().unwrap_or_else(PoisonError::into_inner).add(said);
    length > 0
}

async fn terminate(child: &mut Child) {
    let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
    if let Some(pid) = pid {
        // Not yet waited for, so the number is still its own.
        let _ended = kill_process(pid, Signal::TERM);
    }
    let goodbye: Result<io::Result<ExitStatus>, _> =
        timeout(Duration::from_secs(GOODBYE_S_MAX), child.wait()).await;
    if goodbye.is_err() {
        let _gone = child.kill().await;
    }
}
