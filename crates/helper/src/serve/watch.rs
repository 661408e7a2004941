//! Holds the bounds of work that is bound to the connection, and ends it with the connection.

use super::session::Session;
use super::stream::{Moved, Streamed};
use crate::process;
use crate::supervise::{Stall, exit_of, wish_to_end};
use overhaul_model::receipt::WorkEnd;
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// Pause between two looks at a work's bounds and at the connection.
const LOOK_MS: u64 = 5;

/// From the request to end until the order to. Shorter than for detached work: what streams can be
/// streamed again.
const GRACE_MS: u64 = 2_000;

/// How long a process may take to vanish after the order.
const VANISH_MS_MAX: u64 = 10_000;

/// From the end of its input until the request to end, for work that keeps what it has: gigabytes that wait for
/// the disk. The end of the connection waits for it ([`super::session`]).
const KEEP_MS_MAX: u64 = 15_000;

/// No process: the group alone names the work.
const NOBODY: i32 = -1;

/// A work that is watched.
pub(super) struct Watch<'a> {
    session: &'a Session,
    dir: &'a Path,
    work: &'a Streamed,
    child: Child,
    group: i32,
    started: Instant,
    stall: Option<Stall>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        session: &'a Session,
        dir: &'a Path,
        work: &'a Streamed,
        child: Child,
    ) -> Self {
        Self {
            session,
            dir,
            work,
            group: i32::try_from(child.id()).unwrap_or(i32::MAX),
            child,
            started: Instant::now(),
            stall: Stall::new(work.limits.stall),
        }
    }

    /// Until the command has ended, by itself or not.
    pub(super) fn run_out(mut self, moved: &Moved) -> WorkEnd {
        let mut ending: Option<(WorkEnd, Instant)> = None;
        let mut keeping: Option<(WorkEnd, Instant)> = None;
        loop {
            match self.child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => {
                    let Some((end, _)) = ending.or(keeping) else {
                        return exit_of(&self.work.exec, status.code(), status.signal());
                    };
                    self.signal(Signal::KILL);
                    return end;
                }
                Err(error) => {
                    let why = format!("the command was lost: {error}");
                    return ending.map_or(WorkEnd::Killed { why }, |(end, _)| end);
                }
            }
            match &ending {
                None => match (keeping.take(), self.must_end(moved)) {
                    (None, None) => {}
                    (None, Some(end)) if self.work.ends_itself => {
                        moved.cut.store(true, Ordering::SeqCst);
                        keeping = Some((end, Instant::now()));
                    }
                    (Some((end, since)), _)
                        if since.elapsed() <= Duration::from_millis(KEEP_MS_MAX) =>
                    {
                        keeping = Some((end, since));
                    }
                    (Some((end, _)), _) | (None, Some(end)) => {
                        self.signal(Signal::TERM);
                        self.signal(Signal::CONT);
                        ending = Some((end, Instant::now()));
                    }
                },
                Some((end, since)) => {
                    if since.elapsed() > Duration::from_millis(GRACE_MS) {
                        self.signal(Signal::KILL);
                    }
                    if since.elapsed() > Duration::from_millis(GRACE_MS + VANISH_MS_MAX) {
                        return end.clone();
                    }
                }
            }
            thread::sleep(Duration::from_millis(LOOK_MS));
        }
    }

    fn signal(&self, signal: Signal) {
        process::signal_all(&process::descendants(NOBODY, self.group), signal);
    }

    fn evidence(&self) -> String {
        let living = process::descendants(NOBODY, self.group);
        process::evidence(&living, &self.work.redact)
    }

    fn must_end(&mut self, moved: &Moved) -> Option<WorkEnd> {
        if self.session.is_closed() {
            let why = "the connection ended".to_owned();
            return Some(WorkEnd::Killed { why });
        }
        if let Some(why) = wish_to_end(self.dir) {
            return Some(WorkEnd::Killed { why });
        }
        let total = self.work.limits.total;
        if self.started.elapsed() > total.as_duration() {
            return Some(WorkEnd::TimedOut {
                bound: total,
                processes: self.evidence(),
            });
        }
        let stall = self.stall.as_mut()?;
        let bound = stall.exceeded(moved.bytes(), NOBODY, self.group)?;
        Some(WorkEnd::Stalled {
            bound,
            processes: self.evidence(),
        })
    }
}
