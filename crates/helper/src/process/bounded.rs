//! A short command run to its end, bounded in time and in what it may print.

use super::spec::spawn;
use super::tree;
use rustix::process::Signal;
use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Pause between two looks at a command that runs: short, since most take some milliseconds.
const LOOK_MS: u64 = 2;

/// Longest wait for the rest of the output after the command has ended: children that it left behind
/// may hold the pipe.
const REST_MS_MAX: u64 = 200;

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
    let out = collect(child.stdout.take(), bytes_max);
    let err = collect(child.stderr.take(), bytes_max);
    let status = wait(&mut child, within)?;
    let rest = Instant::now();
    let take = |from: mpsc::Receiver<Piece>| {
        let mut bytes = Vec::new();
        let mut cut = false;
        loop {
            let left = Duration::from_millis(REST_MS_MAX).saturating_sub(rest.elapsed());
            match from.recv_timeout(left) {
                Ok(Piece::Bytes(more)) => bytes.extend(more),
                Ok(Piece::Cut) => cut = true,
                Err(_) => return (bytes, cut),
            }
        }
    };
    let (out, cut_out) = take(out);
    let (err, cut_err) = take(err);
    Ok(Finished {
        status,
        out,
        err,
        cut: cut_out || cut_err,
    })
}

fn wait(child: &mut Child, within: Duration) -> Result<ExitStatus, Gone> {
    let since = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) => {}
            Err(error) => return Err(Gone::Lost(error)),
        }
        if since.elapsed() > within {
            let id = i32::try_from(child.id()).unwrap_or(i32::MAX);
            tree::signal_all(&tree::descendants(id, id), Signal::KILL);
            let _ = child.kill();
            let _ = child.wait();
            return Err(Gone::TooLong(within));
        }
        thread::sleep(Duration::from_millis(LOOK_MS));
    }
}

enum Piece {
    Bytes(Vec<u8>),
    Cut,
}

/// Reads a pipe to its end in a thread, keeping its first part; reading on keeps the writer going.
fn collect(pipe: Option<impl Read + Send + 'static>, bytes_max: u64) -> mpsc::Receiver<Piece> {
    let (to, from) = mpsc::channel();
    let Some(mut pipe) = pipe else {
        return from;
    };
    let work = move || {
        let mut room = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let mut cut = false;
        let mut buffer = vec![0_u8; 16 * 1024];
        loop {
            let count = match pipe.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            let keep = count.min(room);
            room = room.saturating_sub(keep);
            let piece = buffer.get(..keep).unwrap_or_default().to_vec();
            if keep > 0 && to.send(Piece::Bytes(piece)).is_err() {
                return;
            }
            if keep < count && !std::mem::replace(&mut cut, true) {
                let _ = to.send(Piece::Cut);
            }
        }
    };
    // Without a thread there is no output; the command then ends by a broken pipe and says so itself.
    let _ = thread::Builder::new().spawn(work);
    from
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
