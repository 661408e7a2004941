//! Follows an attempt: its output as it comes, then its end.

use super::session::Session;
use crate::store::{Receipt, StoreError};
use overhaul_model::receipt::ReceiptStatus;
use overhaul_model::wire::{DATA_BYTES_MAX, ResponseBody};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Longest pause between two looks at an attempt, for what the kernel does not tell: a supervisor
/// that died, a reboot's bound.
const LOOK_MS_MAX: u64 = 100;

/// Pause between two looks when the kernel tells of nothing.
const BLIND_LOOK_MS: u64 = 10;

/// Sends `Began`, the output from a byte on (none of it for `None`), and the end.
pub(super) fn follow(session: &Session, id: u32, receipt: &Receipt, from: Option<u64>) {
    if let Err(error) = try_follow(session, id, receipt, from) {
        session.refuse_by_store(id, &error);
    }
}

fn try_follow(
    session: &Session,
    id: u32,
    receipt: &Receipt,
    from: Option<u64>,
) -> Result<(), StoreError> {
    // Before the first look, so that nothing is missed between that and the first wait.
    let news = News::of(receipt.dir());
    session.send(
        id,
        ResponseBody::Began {
            sequence: receipt.begin().sequence,
            from: from.unwrap_or(0),
        },
    );
    let mut at = from;
    let mut buffer = vec![0_u8; DATA_BYTES_MAX];
    loop {
        // Looked at first: output that came before the end is then surely sent before it.
        let status = receipt.status(&session.store)?;
        let over = !matches!(status, ReceiptStatus::Running { .. });
        while let Some(offset) = at.filter(|_| !session.is_closed()) {
            let count = receipt.read_output(offset, &mut buffer, over)?;
            let piece = buffer.get(..count).unwrap_or_default();
            if piece.is_empty() || session.send_data(id, piece).is_err() {
                break;
            }
            at = Some(offset.saturating_add(u64::try_from(count).unwrap_or(0)));
        }
        match status {
            ReceiptStatus::Ended { end, .. } => {
                session.send(id, ResponseBody::Ended(end));
                return Ok(());
            }
            ReceiptStatus::Lost { why, .. } => {
                session.send(id, ResponseBody::Lost { why });
                return Ok(());
            }
            ReceiptStatus::Running { .. } | ReceiptStatus::Absent => {}
        }
        if session.is_closed() {
            return Ok(());
        }
        news.wait();
    }
}

/// Tells when something changes in a directory.
struct News(Option<OwnedFd>);

impl News {
    fn of(dir: &Path) -> Self {
        let watch = || {
            let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
            let what = WatchFlags::MODIFY
                | WatchFlags::CREATE
                | WatchFlags::MOVED_TO
                | WatchFlags::CLOSE_WRITE;
            inotify::add_watch(&fd, dir, what).ok()?;
            Some(fd)
        };
        Self(watch())
    }

    fn wait(&self) {
        let Some(fd) = &self.0 else {
            thread::sleep(Duration::from_millis(BLIND_LOOK_MS));
            return;
        };
        let bound = Timespec::try_from(Duration::from_millis(LOOK_MS_MAX)).unwrap_or_default();
        let told = rustix::event::poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&bound));
        if matches!(told, Ok(count) if count > 0) {
            let mut events = [0_u8; 4096];
            while matches!(rustix::io::read(fd, &mut events), Ok(count) if count > 0) {}
        }
    }
}
