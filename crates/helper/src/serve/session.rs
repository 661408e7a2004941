//! One connection: its output, what is fed over it, and what must be finished before it ends.

use crate::frame::{self, FrameError};
use crate::store::{Store, StoreError};
use overhaul_model::wire::{DATA_BYTES_MAX, Refusal, Response, ResponseBody};
use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Pieces that wait between the connection and a process that is fed: some megabytes at most.
const FEED_PIECES_MAX: usize = 32;

/// Pause between two tries to hand on a piece while the process is slow.
const FEED_RETRY_MS: u64 = 2;

/// Longest wait at the end of the connection for work that is bound to it to be ended and recorded.
const SETTLE_S_MAX: u64 = 30;

/// A piece for a process that is fed.
pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// There is no more.
    End,
}

/// The state of a connection.
pub(super) struct Session {
    pub(super) store: Store,
    out: Mutex<File>,
    closed: AtomicBool,
    feeds: Mutex<HashMap<u32, SyncSender<Piece>>>,
    bound_works: AtomicUsize,
}

/// While it lives, the end of the connection waits.
pub(super) struct Bound(Arc<Session>);

impl Drop for Bound {
    fn drop(&mut self) {
        self.0.bound_works.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Session {
    pub(super) fn new(store: Store, out: File) -> Self {
        Self {
            store,
            out: Mutex::new(out),
            closed: AtomicBool::new(false),
            feeds: Mutex::new(HashMap::new()),
            bound_works: AtomicUsize::new(0),
        }
    }

    /// Whether nobody listens or asks any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // Whoever is being fed learns of it as well.
        lock(&self.feeds).clear();
    }

    pub(super) fn send(&self, id: u32, body: ResponseBody) {
        if let Err(FrameError::TooLarge(size)) = self.try_send(id, body) {
            let why = format!("the answer has {size} bytes, too many for a frame");
            let _ = self.try_send(id, ResponseBody::Refused(Refusal::BadRequest { why }));
        }
    }

    pub(super) fn refuse(&self, id: u32, refusal: Refusal) {
        self.send(id, ResponseBody::Refused(refusal));
    }

    pub(super) fn refuse_bad(&self, id: u32, why: impl Into<String>) {
        self.refuse(id, Refusal::BadRequest { why: why.into() });
    }

    /// Sends what the store says against a request.
    pub(super) fn refuse_by_store(&self, id: u32, error: &StoreError) {
        let why = error.to_string();
        match error {
            StoreError::Key => self.refuse_bad(id, why),
            _ => self.refuse(id, Refusal::Store { why }),
        }
    }

    fn try_send(&self, id: u32, body: ResponseBody) -> Result<(), FrameError> {
        let json = serde_json::to_vec(&Response { id, body })
            .map_err(|error| FrameError::Stream(error.into()))?;
        self.note(frame::write_json(&mut *lock(&self.out), &json))
    }

    /// Adds an answer to those that go together; see [`Session::send_together`].
    pub(super) fn add(&self, answers: &mut Vec<u8>, id: u32, body: ResponseBody) {
        let added = serde_json::to_vec(&Response { id, body })
            .map_err(|error| FrameError::Stream(error.into()))
            .and_then(|json| frame::write_json(answers, &json));
        if let Err(error) = added {
            // What there was before it is sent all the same.
            self.send_together(answers);
            self.refuse_bad(id, error.to_string());
        }
    }

    /// Sends whole frames with one write, so that they make one packet, and whoever carries them on is woken once.
    pub(super) fn send_together(&self, answers: &mut Vec<u8>) {
        if answers.is_empty() {
            return;
        }
        let written = lock(&self.out).write_all(answers);
        // That the stream broke is noted; there is nobody left to be told.
        let _ = self.note(written.map_err(FrameError::Stream));
        answers.clear();
    }

    /// Sends data of a request. Waits while the other end does not read: whoever makes the data waits
    /// with it.
    pub(super) fn send_data(&self, id: u32, bytes: &[u8]) -> Result<(), FrameError> {
        for piece in bytes.chunks(DATA_BYTES_MAX) {
            self.note(frame::write_data(&mut *lock(&self.out), id, piece))?;
        }
        Ok(())
    }

    fn note(&self, result: Result<(), FrameError>) -> Result<(), FrameError> {
        if matches!(result, Err(FrameError::Stream(_))) {
            self.close();
        }
        result
    }

    /// Opens the way for data of a request, before the request itself is looked at.
    pub(super) fn open_feed(&self, id: u32) -> Option<std::sync::mpsc::Receiver<Piece>> {
        let (to, from) = sync_channel(FEED_PIECES_MAX);
        let mut feeds = lock(&self.feeds);
        if feeds.contains_key(&id) {
            return None;
        }
        feeds.insert(id, to);
        Some(from)
    }

    pub(super) fn close_feed(&self, id: u32) {
        lock(&self.feeds).remove(&id);
    }

    /// Hands a piece on. Waits while the process that is fed is slow, and all other requests of this
    /// connection wait with it: streams get a connection of their own. `hung_up` tells whether the
    /// connection has ended meanwhile, which the reader cannot see while it waits here.
    pub(super) fn feed(&self, id: u32, piece: Piece, hung_up: impl Fn() -> bool) {
        let Some(to) = lock(&self.feeds).get(&id).cloned() else {
            // The process has ended: the rest is thrown away.
            return;
        };
        let mut piece = piece;
        loop {
            match to.try_send(piece) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(back)) => piece = back,
            }
            if hung_up() || self.is_closed() {
                self.close();
                return;
            }
            thread::sleep(Duration::from_millis(FEED_RETRY_MS));
        }
    }

    /// Marks work that the end of the connection has to wait for.
    pub(super) fn bind(self: &Arc<Self>) -> Bound {
        self.bound_works.fetch_add(1, Ordering::SeqCst);
        Bound(Arc::clone(self))
    }

    /// Waits until bound work is recorded.
    pub(super) fn settle(&self) {
        let since = Instant::now();
        while self.bound_works.load(Ordering::SeqCst) > 0
            && since.elapsed() < Duration::from_secs(SETTLE_S_MAX)
        {
            thread::sleep(Duration::from_millis(FEED_RETRY_MS));
        }
    }
}

/// The data behind a mutex is sound after a panic elsewhere: every use of it is one assignment or one
/// whole frame.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
