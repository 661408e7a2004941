//! An attempt is begun: first its receipt, then its work.

use super::follow;
use super::session::{Bound, Piece, Session};
use super::stream::{self, Streamed};
use crate::boot;
use crate::carry;
use crate::files;
use crate::store::{
    Attempt, Beginning, NewAttempt, REBOOT_ORDER_S_MAX, Receipt, StoreError, WorkKind,
};
use crate::supervise::{self, Detached, NotDetached, Spec};
use overhaul_model::action::Limits;
use overhaul_model::primitive::{Command, Exec};
use overhaul_model::receipt::WorkEnd;
use overhaul_model::span::Span;
use overhaul_model::wire::HostWork;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// What is asked for.
pub(super) struct Asked {
    pub(super) new: NewAttempt,
    pub(super) work: HostWork,
    pub(super) limits: Limits,
    pub(super) value: bool,
    pub(super) redact: Vec<String>,
}

pub(super) fn begin(session: &Arc<Session>, id: u32, asked: Asked, feed: Option<Receiver<Piece>>) {
    let bound = session.bind();
    let begun = kind_of(&asked.work).and_then(|kind| {
        let locked = session.store.lock()?;
        locked.begin(&asked.new, &kind)
    });
    match begun {
        Ok(Ok(Beginning::Fresh(attempt))) => {
            let receipt = attempt.receipt();
            act(session, id, asked, attempt, &receipt, feed, bound);
        }
        Ok(Ok(Beginning::Known(receipt))) => {
            drop((bound, feed));
            session.close_feed(id);
            // What a fetch printed went to whoever began it; its spool is not what is asked for here.
            let from = (*receipt.kind() != WorkKind::Fetch).then_some(0);
            follow::follow(session, id, &receipt, from);
        }
        Ok(Err(refusal)) => session.refuse(id, refusal),
        Err(error) => session.refuse_by_store(id, &error),
    }
}

fn kind_of(work: &HostWork) -> Result<WorkKind, StoreError> {
    Ok(match work {
        HostWork::Exec(_) => WorkKind::Exec,
        HostWork::WriteFile(_) | HostWork::EditFile(_) => WorkKind::File,
        HostWork::Fetch(_) => WorkKind::Fetch,
        HostWork::Feed(_) => WorkKind::Feed,
        HostWork::Persist(_) => WorkKind::Fetch,
        HostWork::Restore(_) => WorkKind::Feed,
        HostWork::Reboot(_) => WorkKind::Reboot(boot::start()?),
    })
}

fn act(
    session: &Arc<Session>,
    id: u32,
    asked: Asked,
    attempt: Attempt,
    receipt: &Receipt,
    feed: Option<Receiver<Piece>>,
    bound: Bound,
) {
    let Asked {
        work,
        limits,
        value,
        redact,
        ..
    } = asked;
    let done = match work {
        HostWork::Exec(exec) => {
            let spec = Spec::new(exec, limits, redact);
            detach(session, attempt, Spec { value, ..spec })
        }
        HostWork::Reboot(reboot) => {
            let exec = Exec::new(Command::Argv(reboot.command));
            let spec = Spec::new(exec, order_limits(limits), redact);
            detach(
                session,
                attempt,
                Spec {
                    order: true,
                    ..spec
                },
            )
        }
        HostWork::WriteFile(file) => end_file(attempt, files::write(&file)),
        HostWork::EditFile(file) => end_file(attempt, files::edit(&file)),
        HostWork::Fetch(exec) => {
            let work = Streamed::new(exec, limits, redact);
            return stream::fetch(session, id, attempt, receipt, &work, bound);
        }
        HostWork::Persist(spec) => match carry::pack_command(attempt.dir(), &spec) {
            Ok(exec) => {
                let work = Streamed::new(exec, limits, redact).without_digest();
                return stream::fetch(session, id, attempt, receipt, &work, bound);
            }
            Err(error) => Err(error),
        },
        HostWork::Feed(exec) => {
            let work = Streamed::new(exec, limits, redact);
            return stream::feed(session, id, attempt, receipt, work, feed, bound);
        }
        HostWork::Restore(spec) => {
            match carry::unpack_command(attempt.dir(), &spec, session.store.dir()) {
                Ok(exec) => {
                    let work = Streamed::new(exec, limits, redact).without_digest();
                    return stream::feed(session, id, attempt, receipt, work, feed, bound);
                }
                Err(error) => Err(error),
            }
        }
    };
    let detached = match done {
        Ok(detached) => detached,
        Err(error) => {
            // Its beginning is on record and its end is not: whoever asks hears that it is lost.
            session.refuse_by_store(id, &error);
            return;
        }
    };
    drop(bound);
    follow::follow(session, id, receipt, Some(0));
    // When nobody listens any more this process ends, and the supervisor goes on without it.
    if let Some(detached) = detached.filter(|_| !session.is_closed()) {
        detached.reap();
    }
}

/// The order itself is bounded by what a reboot may take; its judge is the next boot.
fn order_limits(limits: Limits) -> Limits {
    Limits {
        total: Span::from_s(REBOOT_ORDER_S_MAX),
        stall: None,
        expected: limits.expected,
    }
}

fn detach(session: &Session, attempt: Attempt, spec: Spec) -> Result<Option<Detached>, StoreError> {
    match supervise::detach(&session.store, &attempt, spec) {
        // Here this process gives the lock up; the supervisor has it.
        Ok(detached) => Ok(Some(detached)),
        Err(NotDetached::Died) => Ok(None),
        Err(NotDetached::NotBegun(why)) => {
            let why = format!("the supervisor cannot be started: {why}");
            attempt.end_as(WorkEnd::Refused { why }, false)?;
            Ok(None)
        }
        Err(NotDetached::Store(error)) => Err(error),
    }
}

fn end_file(
    attempt: Attempt,
    result: Result<files::Changed, files::FileError>,
) -> Result<Option<Detached>, StoreError> {
    let (end, changed) = match result {
        Ok(files::Changed { changed, detail }) => (WorkEnd::Done { detail }, changed),
        Err(error) => (
            WorkEnd::Refused {
                why: error.to_string(),
            },
            false,
        ),
    };
    attempt.end_as(end, changed)?;
    Ok(None)
}
