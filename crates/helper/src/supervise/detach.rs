//! Sets a supervisor loose from this process, its session and its control group.

use super::spec::{READY, Spec};
use crate::process;
use crate::store::{Attempt, Store, StoreError, create};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for a supervisor to say that it is there. Systemd may be slow just while it is itself
/// being replaced; beyond this the supervisor is started without it.
const READY_S_MAX: u64 = 20;

/// Longest description that is written without a thread: a new pipe takes so much at once on every system, whoever
/// reads it and when.
const SPEC_AT_ONCE_BYTES_MAX: usize = 4 * 1024;

/// Bytes of a unit's name that are taken from the store's identity: keys of two stores on one host
/// may be equal.
const STORE_MARK_BYTES: usize = 8;

/// How long a supervisor may take to vanish after it has written its work's end.
const REAP_S_MAX: u64 = 10;

/// Pause between two looks at it on kernels that cannot tell of a process's end.
const REAP_LOOK_MS: u64 = 5;

/// The supervisor is not there.
#[derive(Debug, thiserror::Error)]
pub enum NotDetached {
    /// It never got as far as to start the command.
    #[error("the supervisor cannot be started: {0}")]
    NotBegun(String),
    /// It was there, and may have started the command, but is gone.
    #[error("the supervisor died as it started")]
    Died,
    /// The attempt's directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Starts a supervisor for the attempt. When this returns, the work goes on without this process.
///
/// As root under systemd it gets a scope of its own in the system's slice: neither the end of the login
/// session, nor a restart of sshd, nor a new systemd reaches it there. Elsewhere a session of its own must do.
///
/// # Errors
/// When nobody carries the work on.
pub fn detach(store: &Store, attempt: &Attempt, mut spec: Spec) -> Result<Detached, NotDetached> {
    let mut note = "a session of its own".to_owned();
    if let Some((command, unit)) = by_systemd(store, attempt) {
        match start(command, &spec, attempt) {
            Ok(detached) => {
                leave_note(attempt, &format!("the scope {unit}"));
                return Ok(detached);
            }
            Err(NotDetached::NotBegun(why)) => {
                spec.leave_group = true;
                note = format!("a session of its own, since the scope {unit} failed: {why}");
            }
            Err(other) => return Err(other),
        }
    }
    let mut command = process::plain("/proc/self/exe", ["supervise"]);
    command.arg(attempt.dir());
    let detached = start(command, &spec, attempt)?;
    leave_note(attempt, &note);
    Ok(detached)
}

/// A supervisor that is there.
#[derive(Debug)]
pub struct Detached(Child);

impl Detached {
    /// Waits for a supervisor whose work is over, so that it leaves no zombie. One that a disk holds back stays one
    /// until this process has ended.
    pub fn reap(mut self) {
        let since = Instant::now();
        let bound = Duration::from_secs(REAP_S_MAX);
        let end = pidfd_open(Pid::from_child(&self.0), PidfdFlags::empty());
        while matches!(self.0.try_wait(), Ok(None)) && since.elapsed() < bound {
            match &end {
                Ok(end) => {
                    let left = bound.saturating_sub(since.elapsed());
                    let left = Timespec::try_from(left).unwrap_or_default();
                    // An interrupted wait is a short one.
                    let _ =
                        rustix::event::poll(&mut [PollFd::new(end, PollFlags::IN)], Some(&left));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(REAP_LOOK_MS)),
            }
        }
    }
}

/// For people who look for the work's place; nothing depends on it.
fn leave_note(attempt: &Attempt, note: &str) {
    let _ = create(&attempt.dir().join("detached"))
        .map(|mut file| file.write_all(format!("{note}\n").as_bytes()));
}

fn by_systemd(store: &Store, attempt: &Attempt) -> Option<(Command, String)> {
    if !Path::new("/run/systemd/system").is_dir() || !rustix::process::geteuid().is_root() {
        return None;
    }
    let itself: PathBuf = std::env::current_exe().ok()?;
    let mark = store.install_id().as_str();
    let mark = mark.get(..STORE_MARK_BYTES).unwrap_or(mark);
    let unit = format!("overhaul-{mark}-{}.scope", attempt.begin().key);
    let mut command = process::plain(
        "systemd-run",
        ["--scope", "--quiet", "--collect", "--slice=system.slice"],
    );
    command
        .arg(format!("--unit={unit}"))
        .arg("--")
        .arg(itself)
        .arg("supervise")
        .arg(attempt.dir());
    Some((command, unit))
}

fn start(mut command: Command, spec: &Spec, attempt: &Attempt) -> Result<Detached, NotDetached> {
    let spec = serde_json::to_vec(spec).map_err(|e| NotDetached::NotBegun(e.to_string()))?;
    // The supervisor's standard error is the lock of the attempt: it holds it from its first moment on,
    // and what systemd-run complains of is found there.
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(attempt.share_lock()?);
    let mut child =
        process::spawn(&mut command).map_err(|error| NotDetached::NotBegun(error.to_string()))?;
    hand_over(&mut child, spec);
    let ready = child.stdout.take().is_some_and(|pipe| {
        let mut pipe = File::from(std::os::fd::OwnedFd::from(pipe));
        if said_ready(&mut pipe, Duration::from_secs(READY_S_MAX)) {
            return true;
        }
        let _ = child.kill();
        let _ = child.wait();
        // It may have said so just before it was killed.
        said_ready(&mut pipe, Duration::ZERO)
    });
    if ready {
        return match child.try_wait() {
            Ok(Some(status)) if !status.success() => Err(NotDetached::Died),
            _ => Ok(Detached(child)),
        };
    }
    let why = match child.wait() {
        Ok(status) => format!("it ended before it was ready ({status})"),
        Err(error) => error.to_string(),
    };
    Err(NotDetached::NotBegun(why))
}

/// Writes a long description in a thread: systemd-run may hang before anybody reads it.
fn hand_over(child: &mut Child, spec: Vec<u8>) {
    if let Some(mut pipe) = child.stdin.take() {
        if spec.len() <= SPEC_AT_ONCE_BYTES_MAX {
            // A supervisor that does not get all of it ends, and says so by that.
            let _ = pipe.write_all(&spec);
            return;
        }
        // Without a thread the pipe closes, and the supervisor finds no description and ends.
        let _ = std::thread::Builder::new().spawn(move || pipe.write_all(&spec));
    }
}

fn said_ready(pipe: &mut File, within: Duration) -> bool {
    let since = Instant::now();
    loop {
        let left = within.saturating_sub(since.elapsed());
        let left = Timespec::try_from(left).unwrap_or_default();
        match rustix::event::poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&left)) {
            Ok(0) => return false,
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    let mut byte = [0_u8; 1];
    pipe.read_exact(&mut byte).is_ok() && byte == [READY]
}
