//! The authority over a dataset changes its host: each end puts its half on record.

use crate::carry;
use crate::measure;
use crate::store::{Locked, NewAttempt, StoreError};
use jiff::Timestamp;
use overhaul_model::authority::{AuthorityRecord, AuthorityStand, Claim, Moved, Subject, judge};
use overhaul_model::primitive::{Measure, Measurement, Moving, UnitState};
use overhaul_model::wire::{GiveAway, Refusal, TakeAuthority};
use std::time::Duration;

/// How long a unit may take to say that it is stopped: systemd answers at once or is in trouble.
const UNIT_S_MAX: u64 = 20;

/// What became of a change of authority.
pub(crate) enum Change {
    /// It is on record.
    Made(String),
    /// It was on record already.
    Known(String),
    /// It may not be, and nothing was changed.
    Refused(String),
}

/// Whether the records of this host stand against what is asked for. With the lock held, so that nothing changes
/// between the answer and the beginning of the work.
pub(crate) fn demand(
    locked: &Locked<'_>,
    fleet: &str,
    claims: &[Claim],
) -> Result<Result<(), Refusal>, StoreError> {
    if claims.is_empty() {
        return Ok(Ok(()));
    }
    let records = locked.records()?;
    Ok(judge(&records, fleet, claims).map_err(|why| Refusal::NotAuthority { why }))
}

/// The first unit that is not known to be stopped.
pub(crate) fn still_up(units: &[String]) -> Option<String> {
    units.iter().find_map(|unit| {
        let measure = Measure::Unit {
            unit: unit.clone(),
            state: UnitState::Stopped,
        };
        match measure::measure(&measure, Duration::from_secs(UNIT_S_MAX)) {
            Measurement::So { .. } => None,
            Measurement::NotSo { evidence } => Some(format!(
                "{unit}, which writes to it, is not stopped here ({evidence}); stop it first"
            )),
            Measurement::Unknown { reason } => Some(format!(
                "nobody knows whether {unit}, which writes to it, is stopped here: {reason}"
            )),
        }
    })
}

fn subject(new: &NewAttempt, data: &Moving) -> Subject {
    Subject {
        fleet: new.generation.fleet.clone(),
        dataset: data.dataset.clone(),
        paths: data.paths.clone(),
        units: data.units.clone(),
    }
}

fn moved(new: &NewAttempt, digest: &str) -> Moved {
    Moved {
        run: new.generation.run.clone(),
        position: new.position.clone(),
        digest: digest.to_owned(),
        at: Timestamp::now(),
    }
}

fn known<'r>(records: &'r [AuthorityRecord], about: &Subject) -> Option<&'r AuthorityRecord> {
    let same = |record: &&AuthorityRecord| {
        record.about.fleet == about.fleet && record.about.dataset == about.dataset
    };
    records.iter().find(same)
}

/// This host gives the authority away.
pub(crate) fn give(
    locked: &Locked<'_>,
    new: &NewAttempt,
    asked: &GiveAway,
) -> Result<Change, StoreError> {
    let records = locked.records()?;
    let about = subject(new, &asked.data);
    if let Some(record) = known(&records, &about)
        && let AuthorityStand::Given { to } = &record.stand
    {
        let same = *to == asked.to && record.moved.digest == asked.digest;
        return Ok(match same {
            true => Change::Known(record.words()),
            false => Change::Refused(record.words()),
        });
    }
    let claim = Claim::Sends {
        dataset: asked.data.dataset.clone(),
        paths: asked.data.paths.clone(),
    };
    if let Err(why) = judge(&records, &about.fleet, &[claim]) {
        return Ok(Change::Refused(why));
    }
    if let Some(why) = still_up(&asked.data.units) {
        return Ok(Change::Refused(why));
    }
    if let Err(error) = carry::untouched(&asked.data, &asked.stamps) {
        return Ok(Change::Refused(error.to_string()));
    }
    let record = AuthorityRecord {
        about,
        stand: AuthorityStand::Given {
            to: asked.to.clone(),
        },
        moved: moved(new, &asked.digest),
    };
    locked.put_authority(&record)?;
    Ok(Change::Made(record.words()))
}

/// This host takes the authority.
pub(crate) fn take(
    locked: &Locked<'_>,
    new: &NewAttempt,
    asked: &TakeAuthority,
) -> Result<Change, StoreError> {
    let records = locked.records()?;
    let about = subject(new, &asked.data);
    match known(&records, &about).map(|record| (&record.stand, record)) {
        Some((AuthorityStand::Held { from }, record)) => {
            let same = *from == asked.from && record.moved.digest == asked.digest;
            return Ok(match same {
                true => Change::Known(record.words()),
                false => Change::Refused(record.words()),
            });
        }
        Some((AuthorityStand::Given { to }, record)) if *to != asked.from => {
            return Ok(Change::Refused(record.words()));
        }
        _ => {}
    }
    match carry::complete(locked.dir(), &asked.transfer) {
        Some(digest) if digest == asked.digest => {}
        Some(digest) => {
            return Ok(Change::Refused(format!(
                "what was received here has the digest {digest} instead of {}",
                asked.digest
            )));
        }
        None => {
            let why = "this host has not received all of it".to_owned();
            return Ok(Change::Refused(why));
        }
    }
    let record = AuthorityRecord {
        about,
        stand: AuthorityStand::Held {
            from: asked.from.clone(),
        },
        moved: moved(new, &asked.digest),
    };
    locked.put_authority(&record)?;
    Ok(Change::Made(record.words()))
}
