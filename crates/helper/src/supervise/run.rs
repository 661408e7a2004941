//! The supervisor: starts one command, keeps what it prints, holds its bounds, writes its end.
//!
//! It needs no controller and no connection. Its standard error is the attempt's lock, which says as
//! long as it lives that the work runs.

use super::spec::{READY, SPEC_BYTES_MAX, Spec};
use super::voice::Voice;
use super::watch::{Stall, exit_of};
use crate::process::{self, Proc};
use crate::redact::Redactor;
use crate::settle;
use crate::store::{Spool, read_capped, write_end};
use jiff::Timestamp;
use overhaul_model::primitive::{Exec, OutputPolicy};
use overhaul_model::receipt::{ReceiptEnd, WorkEnd};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use std::io::{self, PipeReader, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Longest pause between two looks at bounds and at the wish to end the work.
const TICK_MS: u64 = 50;

/// The same on kernels that cannot tell of a process's end.
const TICK_WITHOUT_PIDFD_MS: u64 = 10;

/// How long output is awaited after the command has ended while children that it left hold the pipe.
const REST_MS_MAX: u64 = 100;

/// From the request to end until the order to.
const GRACE_MS: u64 = 5_000;

/// How long processes may take to vanish after the order: some hang in the kernel for good.
const VANISH_MS_MAX: u64 = 10_000;

/// How long the end is tried to be written while the disk is full.
const END_S_MAX: u64 = 600;

/// Pause between two such tries.
const END_RETRY_MS: u64 = 1_000;

/// Largest reason in a request to end the work.
const WHY_BYTES_MAX: u64 = 4 * 1024;

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// Reads before the bounds are looked at again, so that a flood of output cannot hold that up.
const READS_AT_ONCE: usize = 16;

/// The supervisor could not take on its work. Its exit code is all that anybody sees of this.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// The description of the work did not come whole.
    #[error("the description of the work: {0}")]
    Spec(#[from] serde_json::Error),
    /// The system refused something that it always gives.
    #[error("{0}")]
    System(#[from] io::Error),
    /// The end could not be written.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

/// Supervises the attempt with this directory to its end.
///
/// # Errors
/// When the description does not come or the end cannot be written; the attempt is then lost.
pub fn run(dir: &Path) -> Result<(), SuperviseError> {
    let spec: Spec = serde_json::from_reader(io::stdin().lock().take(SPEC_BYTES_MAX))?;
    cut_loose();
    process::go_to_root();
    if spec.leave_group {
        leave_group();
    }
    let spool = match spec.exec.output {
        OutputPolicy::Keep => {
            Spool::create(dir, Redactor::new(&spec.redact)).unwrap_or_else(|_| Spool::nothing(dir))
        }
        OutputPolicy::None => Spool::nothing(dir),
    };
    let (from, to) = pipe()?;
    let apart = spec.value && spec.exec.output == OutputPolicy::Keep;
    let (value_from, value_to) = apart.then(pipe).transpose()?.unzip();
    rustix::io::retry_on_intr(|| rustix::io::write(rustix::stdio::stdout(), &[READY]))
        .map_err(io::Error::from)?;
    let (end, changed, bytes, said) = match start(&spec, to, value_to) {
        Ok(pid) => {
            let mut watch = Watch::new(dir, &spec, spool, from, value_from, pid);
            let end = watch.run_out();
            if spec.order {
                return Ok(());
            }
            (end, true, watch.bytes, watch.voice.map(Voice::finish))
        }
        Err(why) => (WorkEnd::Refused { why }, false, 0, None),
    };
    let at = Timestamp::now();
    let end = ReceiptEnd {
        at,
        end,
        changed,
        output_bytes: bytes,
        sha256: None,
        said,
        unsynced: changed.then(settle::put_on_disk).flatten(),
    };
    write_until(dir, &end)
}

/// The end is worth waiting for: without it a work that went well counts as lost.
fn write_until(dir: &Path, end: &ReceiptEnd) -> Result<(), SuperviseError> {
    let since = Instant::now();
    loop {
        match write_end(dir, end) {
            Ok(()) => return Ok(()),
            Err(error) if since.elapsed() > Duration::from_secs(END_S_MAX) => {
                return Err(error.into());
            }
            Err(_) => thread::sleep(Duration::from_millis(END_RETRY_MS)),
        }
    }
}

/// Leaves the session, takes in the orphans of the work, and outlives the signals of a shutdown, so
/// that the work's end under them is still written.
fn cut_loose() {
    // Fails only when this is a session of its own already.
    let _ = rustix::process::setsid();
    // Without it orphans escape to process 1, as on any system.
    let _ = rustix::process::set_child_subreaper(Pid::from_raw(1));
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT] {
        outlive(signal);
    }
}

/// Without a scope, whoever ends the login session's group would end the work with it. Only root may
/// leave a group; a plain account's work stays where it is. One group serves all works, so that they
/// leave no more than this one empty folder behind until the next boot.
fn leave_group() {
    for root in [
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/unified",
        "/sys/fs/cgroup/systemd",
    ] {
        let group = Path::new(root).join("overhaul");
        let is_tree = Path::new(root).join("cgroup.procs").exists();
        if is_tree && std::fs::create_dir_all(&group).is_ok() {
            let _ = std::fs::write(group.join("cgroup.procs"), "0");
        }
    }
}

extern "C" fn nothing(_: libc::c_int) {}

#[expect(unsafe_code, reason = "the standard library sets no signal handlers")]
fn outlive(signal: libc::c_int) {
    let handler: extern "C" fn(libc::c_int) = nothing;
    // SAFETY: the handler does nothing at all, which is sound at any moment. A handler and not
    // `SIG_IGN`, because the command would inherit the latter.
    let _ = unsafe { libc::signal(signal, handler as libc::sighandler_t) };
}

/// A pipe whose reader does not wait.
fn pipe() -> io::Result<(PipeReader, io::PipeWriter)> {
    let (from, to) = io::pipe()?;
    rustix::fs::fcntl_setfl(&from, OFlags::NONBLOCK)?;
    Ok((from, to))
}

/// One pipe for both outputs keeps their order; a value needs a pipe of its own.
fn start(spec: &Spec, to: io::PipeWriter, value_to: Option<io::PipeWriter>) -> Result<Pid, String> {
    let mut command: Command = process::command(&spec.exec).map_err(|e| e.to_string())?;
    let out = match value_to {
        Some(pipe) => pipe,
        None => to.try_clone().map_err(|e| e.to_string())?,
    };
    command.stdin(input(&spec.exec)?).stdout(out).stderr(to);
    let child = process::spawn(&mut command)
        .map_err(|error| format!("the command cannot be started: {error}"))?;
    // The child is waited for with all orphans, by id.
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| "the command has no process id".to_owned())
}

/// What the command reads: a file in memory alone, so that nobody has to feed it and nothing of it
/// reaches a disk.
fn input(exec: &Exec) -> Result<Stdio, String> {
    let Some(text) = &exec.stdin else {
        return Ok(Stdio::null());
    };
    let made = rustix::fs::memfd_create("input", rustix::fs::MemfdFlags::CLOEXEC)
        .map_err(io::Error::from)
        .and_then(|fd| {
            let mut file = std::fs::File::from(fd);
            file.write_all(text.as_bytes())?;
            file.rewind()?;
            Ok(file)
        });
    made.map(Stdio::from)
        .map_err(|error| format!("its input cannot be given: {error}"))
}

/// A work that is being ended.
struct Ending {
    end: WorkEnd,
    since: Instant,
}

struct Watch<'a> {
    dir: &'a Path,
    spec: &'a Spec,
    spool: Spool,
    /// `None` when all writers have closed it.
    pipe: Option<PipeReader>,
    /// The standard output, when it is apart.
    value_pipe: Option<PipeReader>,
    voice: Option<Voice>,
    buffer: Vec<u8>,
    bytes: u64,
    me: i32,
    main: Pid,
    /// `None` on old kernels, and when the command has ended.
    main_end: Option<OwnedFd>,
    tick: Duration,
    /// How the command ended, and when that was seen.
    exit: Option<(WorkEnd, Instant)>,
    started: Instant,
    stall: Option<Stall>,
    ending: Option<Ending>,
}

impl<'a> Watch<'a> {
    fn new(
        dir: &'a Path,
        spec: &'a Spec,
        spool: Spool,
        pipe: PipeReader,
        value_pipe: Option<PipeReader>,
        main: Pid,
    ) -> Self {
        let main_end = rustix::process::pidfd_open(main, PidfdFlags::empty()).ok();
        let tick = if main_end.is_some() {
            TICK_MS
        } else {
            TICK_WITHOUT_PIDFD_MS
        };
        Self {
            dir,
            spec,
            spool,
            pipe: Some(pipe),
            voice: value_pipe.is_some().then(|| Voice::new(&spec.redact)),
            value_pipe,
            buffer: vec![0; READ_BYTES],
            bytes: 0,
            me: rustix::process::getpid().as_raw_nonzero().get(),
            main,
            main_end,
            tick: Duration::from_millis(tick),
            exit: None,
            started: Instant::now(),
            stall: Stall::new(spec.limits.stall),
            ending: None,
        }
    }

    fn run_out(&mut self) -> WorkEnd {
        let end = loop {
            self.sleep();
            self.read();
            self.reap();
            if let Some(end) = self.is_over() {
                break end;
            }
            if self.ending.is_none() && self.exit.is_none() {
                self.ending = self.must_end();
            }
        };
        self.read();
        self.spool.finish();
        end
    }

    /// Until there is output, the command ends, or a tick has passed.
    fn sleep(&self) {
        let pipes = [&self.pipe, &self.value_pipe];
        let pipes = pipes
            .into_iter()
            .flatten()
            .map(|pipe| PollFd::new(pipe, PollFlags::IN));
        let main = self
            .main_end
            .as_ref()
            .map(|fd| PollFd::new(fd, PollFlags::IN));
        let mut fds: Vec<PollFd<'_>> = pipes.chain(main).collect();
        let tick = Timespec::try_from(self.tick).unwrap_or_default();
        // An interrupted wait is a short one.
        let _ = rustix::event::poll(&mut fds, Some(&tick));
    }

    fn read(&mut self) {
        for _ in 0..READS_AT_ONCE {
            let heard = read_once(&mut self.pipe, &mut self.buffer);
            if let Some(count) = heard {
                self.keep(count);
            }
            let said = read_once(&mut self.value_pipe, &mut self.buffer);
            if let Some(count) = said {
                if let Some(voice) = &mut self.voice {
                    voice.push(self.buffer.get(..count).unwrap_or_default());
                }
                self.keep(count);
            }
            if heard.is_none() && said.is_none() {
                return;
            }
        }
    }

    fn keep(&mut self, count: usize) {
        self.spool
            .push(self.buffer.get(..count).unwrap_or_default());
        let count = u64::try_from(count).unwrap_or(0);
        self.bytes = self.bytes.saturating_add(count);
    }

    /// Waits for whatever ended: the command, and orphans of it.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if pid == self.main {
                let end = exit_of(
                    &self.spec.exec,
                    status.exit_status(),
                    status.terminating_signal(),
                );
                self.exit = Some((end, Instant::now()));
                self.main_end = None;
            }
        }
    }

    fn is_over(&mut self) -> Option<WorkEnd> {
        if let Some(ending) = &self.ending {
            let since = ending.since.elapsed();
            let living = self.living();
            if living.is_empty() || since > Duration::from_millis(GRACE_MS + VANISH_MS_MAX) {
                return self.ending.take().map(|ending| ending.end);
            }
            if since > Duration::from_millis(GRACE_MS) {
                process::signal_all(&living, Signal::KILL);
                // Processes that are being killed keep their pipe: no need to look all the time.
                thread::sleep(self.tick);
            }
            return None;
        }
        let (end, at) = self.exit.as_ref()?;
        let rested = at.elapsed() > Duration::from_millis(REST_MS_MAX);
        ((self.pipe.is_none() && self.value_pipe.is_none()) || rested).then(|| end.clone())
    }

    fn living(&self) -> Vec<Proc> {
        let mut all = process::descendants(self.me, self.main.as_raw_nonzero().get());
        all.retain(|process| process.state != 'Z');
        all
    }

    /// Whether a bound is exceeded or somebody wants the work ended; it is then asked to.
    fn must_end(&mut self) -> Option<Ending> {
        let total = self.spec.limits.total;
        let main = self.main.as_raw_nonzero().get();
        let end = if let Some(why) = wish_to_end(self.dir) {
            WorkEnd::Killed { why }
        } else if self.started.elapsed() > total.as_duration() {
            WorkEnd::TimedOut {
                bound: total,
                processes: process::evidence(&self.living(), &self.spec.redact),
            }
        } else {
            let bytes = self.bytes;
            let bound = self.stall.as_mut()?.exceeded(bytes, self.me, main)?;
            WorkEnd::Stalled {
                bound,
                processes: process::evidence(&self.living(), &self.spec.redact),
            }
        };
        let living = self.living();
        process::signal_all(&living, Signal::TERM);
        // A stopped process does not hear the request before it goes on.
        process::signal_all(&living, Signal::CONT);
        Some(Ending {
            end,
            since: Instant::now(),
        })
    }
}

/// Bytes that are there now; `None` when there are none. A pipe that has ended is let go.
fn read_once(pipe: &mut Option<PipeReader>, buffer: &mut [u8]) -> Option<usize> {
    match pipe.as_mut()?.read(buffer) {
        Ok(0) => *pipe = None,
        Ok(count) => return Some(count),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Some(0),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(_) => *pipe = None,
    }
    None
}

/// The reason in a request to end the work, if there is one.
pub(crate) fn wish_to_end(dir: &Path) -> Option<String> {
    let path = dir.join("kill");
    path.exists().then(|| {
        let why = read_capped(&path, WHY_BYTES_MAX).unwrap_or_default();
        String::from_utf8_lossy(&why).into_owned()
    })
}
