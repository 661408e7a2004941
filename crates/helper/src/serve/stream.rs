//! Work that is bound to the connection: its output or its input is a stream of data frames.

use super::follow;
use super::session::{Bound, Piece, Session};
use super::watch::Watch;
use crate::process;
use crate::redact::Redactor;
use crate::settle;
use crate::store::{Attempt, Receipt, Spool};
use jiff::Timestamp;
use overhaul_model::action::Limits;
use overhaul_model::id::Digest;
use overhaul_model::primitive::{Exec, OutputPolicy};
use overhaul_model::receipt::{ReceiptEnd, WorkEnd};
use overhaul_model::wire::{DATA_BYTES_MAX, ResponseBody};
use rustix::process::Signal;
use sha2::{Digest as _, Sha256};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long the rest of a stream is awaited after the command has ended while nothing of it moves:
/// children that it left behind may hold the pipe.
const REST_MS_MAX: u64 = 1_000;

/// How long the end of what is fed is awaited after the command has ended without reading it.
const FEED_REST_MS_MAX: u64 = 500;

/// Longest wait for a piece before it is looked whether more are wanted.
const PIECE_LOOK_MS: u64 = 200;

/// Pause between two looks at such a rest.
const REST_LOOK_MS: u64 = 5;

/// A command and its bounds.
pub(super) struct Streamed {
    pub(super) exec: Exec,
    pub(super) limits: Limits,
    pub(super) redact: Vec<String>,
    /// Whether the receipt has the digest of the stream.
    digest: bool,
    /// Whether the command takes the end of its input for an end only where its data says so: then it may
    /// come to its own end when the connection ends, and keeps what it has.
    pub(super) ends_itself: bool,
}

impl Streamed {
    pub(super) fn new(exec: Exec, limits: Limits, redact: Vec<String>) -> Self {
        Self {
            exec,
            limits,
            redact,
            digest: true,
            ends_itself: false,
        }
    }

    /// What unpacks takes nothing for whole that has no end of its own.
    pub(super) fn of_mover(self) -> Self {
        Self {
            ends_itself: true,
            ..self.without_digest()
        }
    }

    /// An archive has digests of its own.
    pub(super) fn without_digest(self) -> Self {
        Self {
            digest: false,
            ..self
        }
    }
}

/// What the threads that move bytes tell the one that watches.
#[derive(Default)]
pub(super) struct Moved {
    /// Bytes of any stream: progress.
    any: AtomicU64,
    /// Bytes that the command wrote.
    output: AtomicU64,
    /// Whether the other end is being waited for.
    sending: AtomicBool,
    /// Whether the stream came to its end.
    whole: AtomicBool,
    /// Whether the command's input is to end although the data has not.
    pub(super) cut: AtomicBool,
    /// Whether the work is over, so that nothing may be sent any more.
    over: Mutex<bool>,
    sha256: Mutex<Sha256>,
    has_digest: bool,
}

impl Moved {
    fn new(has_digest: bool) -> Self {
        Self {
            has_digest,
            ..Self::default()
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.any.load(Ordering::SeqCst)
    }

    fn count(&self, counter: &AtomicU64, bytes: &[u8]) {
        let bytes = u64::try_from(bytes.len()).unwrap_or(0);
        counter.fetch_add(bytes, Ordering::SeqCst);
    }

    fn digest_on(&self, bytes: &[u8]) {
        if !self.has_digest {
            return;
        }
        let mut sha256 = self.sha256.lock().unwrap_or_else(PoisonError::into_inner);
        sha256.update(bytes);
    }

    /// The digest of the whole stream; none of a part of it.
    fn digest(&self) -> Option<Digest> {
        let sha256 = self.sha256.lock().unwrap_or_else(PoisonError::into_inner);
        (self.has_digest && self.is_whole()).then(|| Digest::from_raw(&sha256.clone().finalize()))
    }

    fn is_whole(&self) -> bool {
        self.whole.load(Ordering::SeqCst)
    }

    fn is_over(&self) -> bool {
        *self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_over(&self) {
        *self.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Waits for the rest of the stream as long as it moves, or the other end is slow to take it.
    fn wait_for_rest(&self, session: &Session, until: Instant, rest_ms: u64) {
        let mut seen = (self.bytes(), Instant::now());
        while !self.is_whole() && !session.is_closed() && Instant::now() < until {
            let bytes = self.bytes();
            if bytes != seen.0 || self.sending.load(Ordering::SeqCst) {
                seen = (bytes, Instant::now());
            }
            if seen.1.elapsed() > Duration::from_millis(rest_ms) {
                return;
            }
            thread::sleep(Duration::from_millis(REST_LOOK_MS));
        }
    }
}

/// Sends a command's standard output to the controller, whole, and then its end.
pub(super) fn fetch(
    session: &Arc<Session>,
    id: u32,
    attempt: Attempt,
    receipt: &Receipt,
    work: &Streamed,
    bound: Bound,
) {
    let sequence = receipt.begin().sequence;
    session.send(id, ResponseBody::Began { sequence, from: 0 });
    let moved = Arc::new(Moved::new(work.digest));
    let until = Instant::now() + work.limits.total.as_duration();
    let spool = spool(&attempt, work);
    let end = match spawn(&work.exec, Stdio::null()) {
        Err(why) => refused(why),
        Ok(mut child) => {
            let sender = (Arc::clone(session), Arc::clone(&moved));
            pump(child.stdout.take(), move |piece| {
                send_on(&sender.0, &sender.1, id, piece)
            });
            let spooled = spool_from(child.stderr.take(), &spool, &moved, false);
            let mut end = Watch::new(session, attempt.dir(), work, child).run_out(&moved);
            moved.wait_for_rest(session, until, REST_MS_MAX);
            let _ = spooled.recv_timeout(Duration::from_millis(REST_MS_MAX));
            if !moved.is_whole() && session.is_closed() {
                end = WorkEnd::Killed {
                    why: "the connection ended".to_owned(),
                };
            }
            ended(end, &moved)
        }
    };
    finish(attempt, &spool, &end);
    moved.set_over();
    drop(bound);
    session.send(id, ResponseBody::Ended(end));
}

/// Feeds a command with what comes over the connection, while its output is followed.
pub(super) fn feed(
    session: &Arc<Session>,
    id: u32,
    attempt: Attempt,
    receipt: &Receipt,
    work: Streamed,
    pieces: Option<Receiver<Piece>>,
    bound: Bound,
) {
    let mine = Arc::clone(session);
    let run = move || {
        run_fed(&mine, attempt, &work, pieces);
        mine.close_feed(id);
        drop(bound);
    };
    // Without a thread the attempt is dropped here, and its follower finds it lost.
    let _ = thread::Builder::new().spawn(run);
    follow::follow(session, id, receipt, Some(0));
}

fn run_fed(
    session: &Arc<Session>,
    attempt: Attempt,
    work: &Streamed,
    pieces: Option<Receiver<Piece>>,
) {
    let moved = Arc::new(Moved::new(work.digest));
    let spool = spool(&attempt, work);
    let end = match spawn(&work.exec, Stdio::piped()) {
        Err(why) => refused(why),
        Ok(mut child) => {
            let until = Instant::now() + Duration::from_millis(FEED_REST_MS_MAX);
            feed_on(child.stdin.take(), pieces, &moved);
            let spooled = [
                spool_from(child.stdout.take(), &spool, &moved, true),
                spool_from(child.stderr.take(), &spool, &moved, true),
            ];
            let end = Watch::new(session, attempt.dir(), work, child).run_out(&moved);
            let rest = until.max(Instant::now() + Duration::from_millis(FEED_REST_MS_MAX));
            moved.wait_for_rest(session, rest, FEED_REST_MS_MAX);
            for one in spooled {
                let _ = one.recv_timeout(Duration::from_millis(REST_MS_MAX));
            }
            ReceiptEnd {
                unsynced: settle::put_on_disk(),
                ..ended(end, &moved)
            }
        }
    };
    finish(attempt, &spool, &end);
    moved.set_over();
}

fn refused(why: String) -> ReceiptEnd {
    ReceiptEnd {
        at: Timestamp::now(),
        end: WorkEnd::Refused { why },
        changed: false,
        output_bytes: 0,
        sha256: None,
        said: None,
        unsynced: None,
    }
}

/// The stream of a command that did not end by itself ends as well, and is not whole for that.
fn ended(end: WorkEnd, moved: &Moved) -> ReceiptEnd {
    let by_itself = matches!(end, WorkEnd::Exited { .. });
    ReceiptEnd {
        at: Timestamp::now(),
        end,
        changed: true,
        output_bytes: moved.output.load(Ordering::SeqCst),
        sha256: moved.digest().filter(|_| by_itself),
        said: None,
        unsynced: None,
    }
}

fn finish(attempt: Attempt, spool: &Mutex<Spool>, end: &ReceiptEnd) {
    spool
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .finish();
    // An end that cannot be written leaves the attempt lost, which is what its follower then says.
    let _ = attempt.end(end);
}

fn spool(attempt: &Attempt, work: &Streamed) -> Arc<Mutex<Spool>> {
    let dir = attempt.dir();
    let spool = match work.exec.output {
        OutputPolicy::Keep => {
            Spool::create(dir, Redactor::new(&work.redact)).unwrap_or_else(|_| Spool::nothing(dir))
        }
        OutputPolicy::None => Spool::nothing(dir),
    };
    Arc::new(Mutex::new(spool))
}

#[expect(
    unsafe_code,
    reason = "only between fork and exec can a child ask for this signal"
)]
fn spawn(exec: &Exec, stdin: Stdio) -> Result<Child, String> {
    let mut command = process::command(exec).map_err(|error| error.to_string())?;
    command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let die_with_us = || {
        Ok(rustix::process::set_parent_process_death_signal(Some(
            Signal::KILL,
        ))?)
    };
    // SAFETY: the closure makes one system call and allocates nothing, as is demanded after a fork.
    unsafe { command.pre_exec(die_with_us) };
    command
        .spawn()
        .map_err(|error| format!("the command cannot be started: {error}"))
}

/// Reads a pipe to its end in a thread. Dropping the pipe early ends its writer.
fn pump(
    pipe: Option<impl Read + Send + 'static>,
    mut take: impl FnMut(Option<&[u8]>) -> bool + Send + 'static,
) {
    let work = move || {
        let Some(mut pipe) = pipe else { return };
        let mut buffer = vec![0_u8; DATA_BYTES_MAX];
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => {
                    take(None);
                    return;
                }
                Ok(count) => {
                    if !take(buffer.get(..count)) {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    };
    // Without a thread the pipe is dropped, and the stream never counts as whole.
    let _ = thread::Builder::new().spawn(work);
}

fn send_on(session: &Session, moved: &Moved, id: u32, piece: Option<&[u8]>) -> bool {
    let Some(piece) = piece else {
        moved.whole.store(true, Ordering::SeqCst);
        return true;
    };
    // Held while sending, so that nothing comes after the end of the work was sent.
    let over = moved.over.lock().unwrap_or_else(PoisonError::into_inner);
    if *over {
        return false;
    }
    moved.digest_on(piece);
    moved.count(&moved.any, piece);
    moved.count(&moved.output, piece);
    moved.sending.store(true, Ordering::SeqCst);
    let sent = session.send_data(id, piece).is_ok();
    moved.sending.store(false, Ordering::SeqCst);
    sent
}

/// Keeps what comes from a pipe. The receiver hears of its end.
fn spool_from(
    pipe: Option<impl Read + Send + 'static>,
    spool: &Arc<Mutex<Spool>>,
    moved: &Arc<Moved>,
    is_output: bool,
) -> Receiver<()> {
    let (over, ended) = channel();
    let (spool, moved) = (Arc::clone(spool), Arc::clone(moved));
    pump(pipe, move |piece| {
        let Some(piece) = piece else {
            let _ = over.send(());
            return true;
        };
        moved.count(&moved.any, piece);
        if is_output {
            moved.count(&moved.output, piece);
        }
        spool
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(piece);
        true
    });
    ended
}

/// The next piece; none when the connection has ended, or the input is to.
fn next_piece(pieces: Option<&Receiver<Piece>>, moved: &Moved) -> Option<Piece> {
    loop {
        match pieces?.recv_timeout(Duration::from_millis(PIECE_LOOK_MS)) {
            Ok(piece) => return Some(piece),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) if moved.cut.load(Ordering::SeqCst) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Writes pieces into a command's standard input. After it has stopped reading they are thrown away.
fn feed_on(stdin: Option<ChildStdin>, pieces: Option<Receiver<Piece>>, moved: &Arc<Moved>) {
    let moved = Arc::clone(moved);
    let work = move || {
        let mut stdin = stdin;
        while let Some(piece) = next_piece(pieces.as_ref(), &moved) {
            let Piece::Bytes(bytes) = piece else {
                moved.whole.store(true, Ordering::SeqCst);
                return;
            };
            moved.digest_on(&bytes);
            moved.count(&moved.any, &bytes);
            if stdin
                .as_mut()
                .is_some_and(|stdin| stdin.write_all(&bytes).is_err())
            {
                stdin = None;
            }
        }
        // The connection ended before the data did. Were the input closed now, the command would take
        // what it has for everything; it is held open until the command was ended.
        while !moved.is_over() && !moved.cut.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(REST_LOOK_MS));
        }
    };
    // Without a thread the input is empty and never whole.
    let _ = thread::Builder::new().spawn(work);
}
