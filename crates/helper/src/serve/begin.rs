//! An attempt is begun: first its receipt, then its work.

use super::follow;
use super::session::{Bound, Piece, Session};
use super::stream::{self, Streamed};
use crate::authority::{self, Change};
use crate::boot;
use crate::carry;
use crate::files;
use crate::store::{
    Attempt, Beginning, Locked, NewAttempt, REBOOT_ORDER_S_MAX, Receipt, StoreError, WorkKind,
};
use crate::supervise::{self, Detached, NotDetached, Spec};
use overhaul_model::action::Limits;
use overhaul_model::authority::Claim;
use overhaul_model::primitive::{Command, Exec};
use overhaul_model::receipt::WorkEnd;
use overhaul_model::span::Span;
use overhaul_model::wire::HostWork;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// What is asked for.
pub(super) struct Asked {
    pub(super) new: NewAttempt,
    pub(super) work: HostWork,
    pub(super) limits: Limits,
    pub(super) value: bool,
    pub(super) redact: Vec<String>,
    pub(super) claims: Vec<Claim>,
}

pub(super) fn begin(session: &Arc<Session>, id: u32, asked: Asked, feed: Option<Receiver<Piece>>) {
    let bound = session.bind();
    let fleet = asked.new.generation.fleet.clone();
    let begun = kind_of(&asked.work).and_then(|kind| {
        let locked = session.store.lock()?;
        let begun = locked.receipt_of(&asked.new.key)?;
        // One that has begun is followed, whatever has become of the authority since.
        if begun.is_none()
            && let Err(refusal) = authority::demand(&locked, &fleet, &asked.claims)?
        {
            return Ok(Err(refusal));
        }
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
        HostWork::WriteFile(_)
        | HostWork::EditFile(_)
        | HostWork::GiveAway(_)
        | HostWork::TakeAuthority(_) => WorkKind::File,
        HostWork::Fetch(_) => WorkKind::Fetch,
        HostWork::Feed(_) => WorkKind::Feed,
        HostWork::Persist(_) | HostWork::Send(_) => WorkKind::Fetch,
        HostWork::Restore(_) | HostWork::Receive(_) | HostWork::Offer(_) => WorkKind::Feed,
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
        new,
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
        HostWork::GiveAway(give) => change_authority(session, attempt, |locked| {
            authority::give(locked, &new, &give)
        }),
        HostWork::TakeAuthority(take) => change_authority(session, attempt, |locked| {
            authority::take(locked, &new, &take)
        }),
        work @ (HostWork::Fetch(_)
        | HostWork::Feed(_)
        | HostWork::Persist(_)
        | HostWork::Restore(_)
        | HostWork::Send(_)
        | HostWork::Offer(_)
        | HostWork::Receive(_)) => {
            match flow(work, attempt.dir(), session.store.dir(), limits, redact) {
                Ok(Flow::Out(work)) => {
                    return stream::fetch(session, id, attempt, receipt, &work, bound);
                }
                Ok(Flow::In(work)) => {
                    return stream::feed(session, id, attempt, receipt, work, feed, bound);
                }
                Err(NoFlow::Refused(why)) => attempt
                    .end_as(WorkEnd::Refused { why }, false)
                    .map(|_| None),
                Err(NoFlow::Store(error)) => Err(error),
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

/// A command whose bytes go over the connection.
enum Flow {
    /// From the host.
    Out(Streamed),
    /// To the host.
    In(Streamed),
}

/// Why there is none.
enum NoFlow {
    Refused(String),
    Store(StoreError),
}

impl From<StoreError> for NoFlow {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The command for work that streams.
fn flow(
    work: HostWork,
    dir: &Path,
    store: &Path,
    limits: Limits,
    redact: Vec<String>,
) -> Result<Flow, NoFlow> {
    let streamed = |exec| Streamed::new(exec, limits, redact);
    let at_rest = |units: &[String]| match authority::still_up(units) {
        Some(why) => Err(NoFlow::Refused(why)),
        None => Ok(()),
    };
    Ok(match work {
        HostWork::Fetch(exec) => Flow::Out(streamed(exec)),
        HostWork::Feed(exec) => Flow::In(streamed(exec)),
        HostWork::Persist(spec) => {
            Flow::Out(streamed(carry::pack_command(dir, &spec)?).without_digest())
        }
        HostWork::Restore(spec) => {
            Flow::In(streamed(carry::unpack_command(dir, &spec, store)?).of_mover())
        }
        HostWork::Send(spec) => {
            at_rest(&spec.data.units)?;
            Flow::Out(streamed(carry::send_command(dir, &spec)?).without_digest())
        }
        HostWork::Offer(spec) => {
            at_rest(&spec.data.units)?;
            Flow::In(streamed(carry::offer_command(dir, &spec)?).of_mover())
        }
        HostWork::Receive(spec) => {
            Flow::In(streamed(carry::receive_command(dir, &spec, store)?).of_mover())
        }
        HostWork::Exec(_)
        | HostWork::WriteFile(_)
        | HostWork::EditFile(_)
        | HostWork::Reboot(_)
        | HostWork::GiveAway(_)
        | HostWork::TakeAuthority(_) => {
            return Err(NoFlow::Refused("this is no stream".to_owned()));
        }
    })
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

/// With the lock, so that two who change it come one after the other.
fn change_authority(
    session: &Session,
    attempt: Attempt,
    change: impl FnOnce(&Locked<'_>) -> Result<Change, StoreError>,
) -> Result<Option<Detached>, StoreError> {
    let changed = session.store.lock().and_then(|locked| change(&locked))?;
    let (end, changed) = match changed {
        Change::Made(detail) => (WorkEnd::Done { detail }, true),
        Change::Known(detail) => (WorkEnd::Done { detail }, false),
        Change::Refused(why) => (WorkEnd::Refused { why }, false),
    };
    attempt.end_as(end, changed)?;
    Ok(None)
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
