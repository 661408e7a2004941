//! Each sort of request, answered.

use super::begin;
use super::follow;
use super::session::{Piece, Session};
use crate::acceptance;
use crate::carry;
use crate::facts;
use crate::measure;
use crate::store::{Locked, StoreError};
use overhaul_model::event::Generation;
use overhaul_model::id::{AttemptKey, Digest, Person};
use overhaul_model::receipt::ReceiptStatus;
use overhaul_model::wire::{Refusal, RequestBody, ResponseBody};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for a work that was asked to end: its grace, the time its processes may take to vanish,
/// and some more.
const KILL_S_MAX: u64 = 30;

/// Pause between two looks whether it has ended.
const KILL_LOOK_MS: u64 = 10;

/// Longest text of a person's reason: it is kept for good.
const REASON_BYTES_MAX: usize = 4 * 1024;

pub(super) fn answer(
    session: &Arc<Session>,
    id: u32,
    body: RequestBody,
    feed: Option<Receiver<Piece>>,
) {
    match body {
        RequestBody::Register { .. }
        | RequestBody::Release { .. }
        | RequestBody::ForceRelease { .. } => change_holder(session, id, &body),
        RequestBody::Holder => tell_holder(session, id),
        RequestBody::Facts {
            wanted,
            controller_now,
        } => {
            let facts = facts::gather(&session.store, &wanted, controller_now);
            session.send(id, ResponseBody::Facts(Box::new(facts)));
        }
        RequestBody::Measure { measure, within } => {
            let measured = measure::measure(&measure, within.as_duration());
            session.send(id, ResponseBody::Measured(measured));
        }
        RequestBody::Begin {
            generation,
            key,
            position,
            step,
            work,
            limits,
            value,
            redact,
            earlier,
            claims,
        } => {
            let asked = begin::Asked {
                new: crate::store::NewAttempt {
                    generation,
                    key,
                    position,
                    step,
                    earlier,
                },
                work: *work,
                limits,
                value,
                redact,
                claims,
            };
            begin::begin(session, id, asked, feed);
        }
        RequestBody::Attach { key, from } => attach(session, id, &key, from),
        RequestBody::Receipt { key } => report(session, id, &key),
        RequestBody::RuleOut { generation, key } => rule_out(session, id, &generation, &key),
        RequestBody::Kill {
            generation,
            key,
            why,
        } => kill(session, id, &generation, &key, &why),
        RequestBody::Restored { sha256 } => {
            let from_chunk = carry::restored(session.store.dir(), &sha256);
            session.send(id, ResponseBody::Restored { from_chunk });
        }
        RequestBody::Received { transfer } => {
            let have = carry::received(session.store.dir(), &transfer);
            session.send(id, ResponseBody::Received { have });
        }
        RequestBody::Authority => tell_authority(session, id),
        RequestBody::VoidAuthority {
            seen,
            person,
            reason,
        } => void_authority(session, id, (&seen, &person, &reason)),
        // The reader deals with it, in the order of the data.
        RequestBody::DataEnd { .. } => {}
    }
}

fn tell_holder(session: &Arc<Session>, id: u32) {
    match session.store.holder() {
        Ok(holder) => session.send(id, ResponseBody::Held { holder }),
        Err(error) => session.refuse_by_store(id, &error),
    }
}

fn attach(session: &Arc<Session>, id: u32, key: &AttemptKey, from: u64) {
    match session.store.receipt(key) {
        Ok(Some(receipt)) => follow::follow(session, id, &receipt, Some(from)),
        Ok(None) => session.refuse_bad(id, "there is no receipt of this attempt"),
        Err(error) => session.refuse_by_store(id, &error),
    }
}

fn change_holder(session: &Arc<Session>, id: u32, body: &RequestBody) {
    let change = |locked: &Locked<'_>| -> Result<Result<ResponseBody, Refusal>, StoreError> {
        let released = match body {
            RequestBody::Register { generation } => {
                return Ok(match locked.register(generation)? {
                    Ok(()) => Ok(ResponseBody::Registered {
                        sequence: session.store.sequence()?,
                    }),
                    Err(refusal) => Err(refusal),
                });
            }
            RequestBody::Release { generation } => locked.release(generation)?,
            RequestBody::ForceRelease {
                holder,
                person,
                reason,
            } => {
                if reason.len().max(person.as_str().len()) > REASON_BYTES_MAX {
                    let why = "the reason is too long".to_owned();
                    return Ok(Err(Refusal::BadRequest { why }));
                }
                locked.force_release(holder, person, reason)?
            }
            _ => {
                let why = "this changes no holder".to_owned();
                return Ok(Err(Refusal::BadRequest { why }));
            }
        };
        Ok(released.map(|()| ResponseBody::Released))
    };
    let _bound = session.bind();
    let changed = session.store.lock().and_then(|locked| change(&locked));
    match changed {
        Ok(Ok(body)) => session.send(id, body),
        Ok(Err(refusal)) => session.refuse(id, refusal),
        Err(error) => session.refuse_by_store(id, &error),
    }
}

fn report(session: &Session, id: u32, key: &AttemptKey) {
    match session.store.status(key) {
        Ok(status) => session.send(id, ResponseBody::Receipt(status)),
        Err(error) => session.refuse_by_store(id, &error),
    }
}

fn tell_authority(session: &Session, id: u32) {
    match session.store.authority() {
        Ok(records) => session.send(id, ResponseBody::Authority { records }),
        Err(error) => session.refuse_by_store(id, &error),
    }
}

fn void_authority(
    session: &Arc<Session>,
    id: u32,
    (seen, person, reason): (&Digest, &Person, &str),
) {
    if reason.len().max(person.as_str().len()) > REASON_BYTES_MAX {
        return session.refuse_bad(id, "the reason is too long");
    }
    let _bound = session.bind();
    let voided = session
        .store
        .lock()
        .and_then(|locked| locked.void_authority(seen, person, reason));
    match voided {
        Ok(Ok(())) => tell_authority(session, id),
        Ok(Err(refusal)) => session.refuse(id, refusal),
        Err(error) => session.refuse_by_store(id, &error),
    }
}

fn rule_out(session: &Arc<Session>, id: u32, generation: &Generation, key: &AttemptKey) {
    let _bound = session.bind();
    let ruled_out = session
        .store
        .lock()
        .and_then(|locked| locked.rule_out(generation, key));
    match ruled_out {
        // A reboot's status may need the lock, which is free again.
        Ok(Ok(())) => report(session, id, key),
        Ok(Err(refusal)) => session.refuse(id, refusal),
        Err(error) => session.refuse_by_store(id, &error),
    }
}

fn kill(session: &Session, id: u32, generation: &Generation, key: &AttemptKey, why: &str) {
    let mut why = why.to_owned();
    while why.len() > REASON_BYTES_MAX {
        why.pop();
    }
    let asked = || -> Result<Result<(), Refusal>, StoreError> {
        let _locked = session.store.lock()?;
        let held = session.store.holder()?;
        if let Err(refusal) = acceptance::demand(held.as_ref(), generation) {
            return Ok(Err(refusal));
        }
        if let Some(receipt) = session.store.receipt(key)? {
            let status = receipt.status(&session.store)?;
            if matches!(status, ReceiptStatus::Running { .. }) {
                receipt.ask_to_end(&why)?;
            }
        }
        Ok(Ok(()))
    };
    match asked() {
        Ok(Ok(())) => {}
        Ok(Err(refusal)) => return session.refuse(id, refusal),
        Err(error) => return session.refuse_by_store(id, &error),
    }
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(KILL_S_MAX) && !session.is_closed() {
        match session.store.status(key) {
            Ok(ReceiptStatus::Running { .. }) => {
                thread::sleep(Duration::from_millis(KILL_LOOK_MS));
            }
            _ => break,
        }
    }
    report(session, id, key);
}
