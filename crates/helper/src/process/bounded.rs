//! A short command run to its end, bounded in time and in what it may print.

use super::spec::spawn;
use super::tree;
use rustix::io::ioctl_fionbio;
use rustix::process::Signal;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Pause between two looks at a command that runs: short, since most take some milliseconds.
const LOOK_MS: u64 = 2;

/// What is read at once.
const BUFFER_BYTES: usize = 16 * 1024;

/// Reads in one look: four times what a pipe holds at most by default (64 KiB), so that a command that has ended is read to its end.
const READS_AT_ONCE_MAX: usize = 16;

/// A command that ended.
#[derive(Debug)]
pub struct Finished {
    /// How.
    pub status: ExitStatus,
    /// Its standard output, at most as much as was allowed.
    pub out: Vec<u8>,
    /// Its standard error, at most as much as was allowed.
    pub err: Vec<u8>,
    /// Whether there was more output than that.
    pub cut: bool,
}

impl Finished {
    /// The last line that is not empty, of standard error or else of standard output.
    pub fn last_line(&self) -> String {
        let last = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes)
                .lines()
                .rev()
                .map(|line| line.trim().to_owned())
                .find(|line| !line.is_empty())
        };
        last(&self.err)
            .or_else(|| last(&self.out))
            .unwrap_or_default()
    }
}

/// A command that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Gone {
    /// It could not be started.
    #[error("it cannot be started: {0}")]
    NotStarted(io::Error),
    /// It took too long and was ended.
    #[error("it took longer than {} s and was ended", .0.as_secs_f32())]
    TooLong(Duration),
    /// The system lost it.
    #[error("it was lost: {0}")]
    Lost(io::Error),
}

/// Runs a command without input.
///
/// # Errors
/// When it cannot be started or takes longer than allowed; nothing of it runs then.
pub fn run_bounded(
    mut command: Command,
    within: Duration,
    bytes_max: u64,
) -> Result<Finished, Gone> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = spawn(&mut command).map_err(Gone::NotStarted)?;
    let mut out = Stream::of(child.stdout.take(), bytes_max);
    let mut err = Stream::of(child.stderr.take(), bytes_max);
    let since = Instant::now();
    loop {
        // Asked for before the pipes are read: what the command wrote is in them when it has ended, however long we were kept from the processor.
        // What children write that it left behind is not its output.
        let ended = child.try_wait().map_err(Gone::Lost)?;
        out.read_there();
        err.read_there();
        if let Some(status) = ended {
            return Ok(Finished {
                status,
                cut: out.cut || err.cut,
                out: out.kept,
                err: err.kept,
            });
        }
        if since.elapsed() > within {
            end(&mut child);
            return Err(Gone::TooLong(within));
        }
        thread::sleep(Duration::from_millis(LOOK_MS));
    }
}

fn end(child: &mut Child) {
    let id = i32::try_from(child.id()).unwrap_or(i32::MAX);
    tree::signal_all(&tree::descendants(id, id), Signal::KILL);
    let _ = child.kill();
    let _ = child.wait();
}

/// One of the command's streams, of which the first part is kept; reading on keeps the writer going.
struct Stream<R> {
    pipe: Option<R>,
    room: usize,
    kept: Vec<u8>,
    cut: bool,
}

impl<R: Read + AsFd> Stream<R> {
    fn of(pipe: Option<R>, bytes_max: u64) -> Self {
        // Without it a read could wait for ever: then nothing is read.
        let pipe = pipe.filter(|pipe| ioctl_fionbio(pipe, true).is_ok());
        Self {
            pipe,
            room: usize::try_from(bytes_max).unwrap_or(usize::MAX),
            kept: Vec::new(),
            cut: false,
        }
    }

    /// Reads all that is in the pipe now.
    fn read_there(&mut self) {
        let mut buffer = [0_u8; BUFFER_BYTES];
        // A writer that never stops must not keep us from looking at the clock.
        for _ in 0..READS_AT_ONCE_MAX {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.keep(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.pipe = None,
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(self.room);
        self.room = self.room.saturating_sub(kept);
        self.cut |= kept < bytes.len();
        self.kept.extend(bytes.iter().take(kept));
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::plain;
    use super::*;

    fn sh(script: &str, within_ms: u64) -> Result<Finished, Gone> {
        run_bounded(
            plain("/bin/sh", ["-c", script]),
            Duration::from_millis(within_ms),
            64,
        )
    }

    #[test]
    fn output_is_bounded_and_the_rest_read_away() {
        let done = sh("head -c 300000 /dev/zero; echo oops >&2; exit 3", 9_000).unwrap();
        assert_eq!((done.out.len(), done.cut), (64, true));
        assert_eq!(done.status.code(), Some(3));
        assert_eq!(done.last_line(), "oops");
    }

    #[test]
    fn nothing_is_lost_when_the_command_ends_at_once() {
        // Readers may not have had a processor by then.
        for round in 0..200 {
            let done = sh("echo here; echo there >&2", 9_000).unwrap();
            assert_eq!(
                (done.out, done.err),
                (b"here\n".to_vec(), b"there\n".to_vec()),
                "{round}"
            );
        }
    }

    #[test]
    fn time_is_bounded_and_nothing_stays() {
        let gone = sh("sleep 31.07 & sleep 31.07", 100).unwrap_err();
        assert!(matches!(gone, Gone::TooLong(_)), "{gone}");
        // Killed ones are there until somebody reaps them.
        let is_left = || {
            let left = tree::descendants(1, -1);
            let mut parts = left.chunks(20);
            parts.any(|some| tree::evidence(some, &[]).contains("31.07"))
        };
        let since = Instant::now();
        while is_left() {
            assert!(since.elapsed() < Duration::from_secs(5), "it still runs");
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn children_that_stay_do_not_hold_the_end_up() {
        let since = Instant::now();
        assert!(sh("sleep 3 & echo on", 9_000).unwrap().out == b"on\n");
        assert!(since.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn a_program_that_is_not_there_is_named_so() {
        let gone = run_bounded(plain("/no/such", ["x"]), Duration::from_secs(1), 64);
        assert!(matches!(gone, Err(Gone::NotStarted(_))));
    }
}
