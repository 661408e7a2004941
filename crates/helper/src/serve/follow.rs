//! Follows an attempt: its output as it comes, then its end.

use super::session::Session;
use crate::frame;
use crate::store::{Receipt, StoreError};
use overhaul_model::receipt::ReceiptStatus;
use overhaul_model::wire::{DATA_BYTES_MAX, ResponseBody};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Longest pause between two looks at an attempt, for what the kernel does not tell: a supervisor
/// that died, a reboot's bound.
const LOOK_MS_MAX: u64 = 100;

/// Pause between two looks when the kernel tells of nothing.
const BLIND_LOOK_MS: u64 = 10;

/// How long an answer waits for others to go with it. Most commands end sooner, and then all that is to be said of
/// them is one packet; nobody notices so short a delay of a long one's output.
const TOGETHER_MS_MAX: u64 = 20;

/// Bytes of answers that wait at most.
const TOGETHER_BYTES_MAX: usize = 64 * 1024;

/// The files of an attempt whose changes are news: its output, its end, and the lock that its supervisor holds.
const NEWS: [&[u8]; 4] = [b"spool", b"tail", b"end.json", b"alive"];

/// Sends `Began`, the output from a byte on (none of it for `None`), and the end.
pub(super) fn follow(session: &Session, id: u32, receipt: &Receipt, from: Option<u64>) {
    let mut answers = Answers {
        session,
        id,
        frames: Vec::new(),
        oldest: None,
    };
    let followed = try_follow(&mut answers, receipt, from);
    answers.send();
    if let Err(error) = followed {
        session.refuse_by_store(id, &error);
    }
}

/// Answers to one request, some of which go together.
struct Answers<'a> {
    session: &'a Session,
    id: u32,
    /// Whole frames that are not sent yet.
    frames: Vec<u8>,
    /// Since when the first of them waits.
    oldest: Option<Instant>,
}

impl Answers<'_> {
    fn add(&mut self, body: ResponseBody) {
        self.session.add(&mut self.frames, self.id, body);
        self.oldest.get_or_insert_with(Instant::now);
    }

    fn add_data(&mut self, bytes: &[u8]) {
        // A piece is at most what a frame may hold.
        let _fits = frame::write_data(&mut self.frames, self.id, bytes);
        self.oldest.get_or_insert_with(Instant::now);
        if self.frames.len() >= TOGETHER_BYTES_MAX {
            self.send();
        }
    }

    fn send(&mut self) {
        self.session.send_together(&mut self.frames);
        self.oldest = None;
    }

    /// How long what waits may wait on; nothing of it is left when that is over.
    fn left(&mut self) -> Option<Duration> {
        let passed = self.oldest?.elapsed();
        let left = Duration::from_millis(TOGETHER_MS_MAX).checked_sub(passed);
        if left.is_none() {
            self.send();
        }
        left
    }
}

fn try_follow(
    answers: &mut Answers<'_>,
    receipt: &Receipt,
    from: Option<u64>,
) -> Result<(), StoreError> {
    let session = answers.session;
    // Before the first look, so that nothing is missed between that and the first wait.
    let news = News::of(receipt.dir());
    answers.add(ResponseBody::Began {
        sequence: receipt.begin().sequence,
        from: from.unwrap_or(0),
    });
    let mut at = from;
    let mut buffer = vec![0_u8; DATA_BYTES_MAX];
    loop {
        // Looked at first: output that came before the end is then surely sent before it.
        let status = receipt.status(&session.store)?;
        let over = !matches!(status, ReceiptStatus::Running { .. });
        while let Some(offset) = at.filter(|_| !session.is_closed()) {
            let count = receipt.read_output(offset, &mut buffer, over)?;
            let piece = buffer.get(..count).unwrap_or_default();
            if piece.is_empty() {
                break;
            }
            answers.add_data(piece);
            at = Some(offset.saturating_add(u64::try_from(count).unwrap_or(0)));
        }
        match status {
            ReceiptStatus::Ended { end, .. } => {
                answers.add(ResponseBody::Ended(end));
                return Ok(());
            }
            ReceiptStatus::Lost { why, .. } => {
                answers.add(ResponseBody::Lost { why });
                return Ok(());
            }
            ReceiptStatus::Running { .. } | ReceiptStatus::Absent => {}
        }
        if session.is_closed() {
            return Ok(());
        }
        if let Some(left) = answers.left()
            && news.wait(left)
        {
            continue;
        }
        if answers.left().is_none() {
            news.wait(Duration::from_millis(LOOK_MS_MAX));
        }
    }
}

/// Tells when something changes in a directory.
struct News(Option<OwnedFd>);

impl News {
    fn of(dir: &Path) -> Self {
        let watch = || {
            let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
            let what = WatchFlags::MODIFY | WatchFlags::MOVED_TO | WatchFlags::CLOSE_WRITE;
            inotify::add_watch(&fd, dir, what).ok()?;
            Some(fd)
        };
        Self(watch())
    }

    /// Waits for news, at most so long. Says whether there may be some.
    fn wait(&self, bound: Duration) -> bool {
        let Some(fd) = &self.0 else {
            thread::sleep(bound.min(Duration::from_millis(BLIND_LOOK_MS)));
            return true;
        };
        let since = Instant::now();
        loop {
            let left = bound.saturating_sub(since.elapsed());
            let left = Timespec::try_from(left).unwrap_or_default();
            match rustix::event::poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&left)) {
                Ok(count) if count > 0 => {}
                _ => return false,
            }
            if has_news(fd) {
                return true;
            }
        }
    }
}

/// Takes all that has happened off the queue. Says whether any of it is news; what cannot be read may be.
fn has_news(fd: &OwnedFd) -> bool {
    let mut room = [MaybeUninit::<u8>::uninit(); 4096];
    let mut events = inotify::Reader::new(fd, &mut room);
    let mut any = false;
    loop {
        match events.next() {
            Ok(event) => {
                let name = event.file_name().map(CStr::to_bytes);
                any |= name.is_none_or(|name| NEWS.contains(&name));
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return any,
            Err(_) => return true,
        }
    }
}
