//! One change of the store at a time, across all helpers of the host.

use super::durable::{self, FILE_MODE};
use super::error::StoreError;
use super::layout::{Store, sequence_text};
use super::receipt::Receipt;
use crate::acceptance::{self, Accept};
use jiff::Timestamp;
use overhaul_model::authority::AuthorityRecord;
use overhaul_model::event::Generation;
use overhaul_model::id::{AttemptKey, Person};
use overhaul_model::wire::Refusal;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest wait for the lock. Its longest lawful holder is a begin that waits for systemd.
const LOCK_WAIT_S_MAX: u64 = 90;

/// Pause between two tries for the lock.
const LOCK_RETRY_MS: u64 = 5;

/// Who holds the host, as stored.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) holder: Option<Generation>,
    /// Who held it last; kept when the host is released.
    #[serde(default)]
    pub(super) last: Option<Generation>,
    /// Attempts that the holder was told to have never begun. They go with the holder, whose requests are refused
    /// from then on.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) ruled_out: BTreeSet<AttemptKey>,
}

/// A row of the history of releases by force.
#[derive(Debug, Serialize, Deserialize)]
struct ForceRelease {
    at: Timestamp,
    holder: Generation,
    person: Person,
    reason: String,
}

/// The store while nobody else changes it. The lock ends with this value, or with the process.
#[derive(Debug)]
pub struct Locked<'a> {
    pub(super) store: &'a Store,
    _file: File,
}

impl<'a> Locked<'a> {
    /// Waits for the lock.
    pub(super) fn take(store: &'a Store) -> Result<Self, StoreError> {
        let path = store.path("lock");
        let file = open(&path)?;
        let since = Instant::now();
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { store, _file: file }),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(StoreError::io("locked", &path)(error.into())),
            }
            if since.elapsed() > Duration::from_secs(LOCK_WAIT_S_MAX) {
                return Err(StoreError::Busy(LOCK_WAIT_S_MAX));
            }
            std::thread::sleep(Duration::from_millis(LOCK_RETRY_MS));
        }
    }

    /// The store's directory.
    pub fn dir(&self) -> &Path {
        self.store.dir()
    }

    /// The receipt of an attempt, if it has begun here.
    ///
    /// # Errors
    /// When the key cannot be one, or the receipt cannot be read.
    pub fn receipt_of(&self, key: &AttemptKey) -> Result<Option<Receipt>, StoreError> {
        self.store.receipt(key)
    }

    /// What this host keeps of authority.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn records(&self) -> Result<Vec<AuthorityRecord>, StoreError> {
        self.store.authority()
    }

    /// Makes the generation the holder, if it may be.
    ///
    /// # Errors
    /// When the store fails; the refusal is the inner result.
    pub fn register(&self, asked: &Generation) -> Result<Result<(), Refusal>, StoreError> {
        let held = self.store.held()?;
        match acceptance::accept(held.holder.as_ref(), held.last.as_ref(), asked) {
            // Who stored it may have been killed before it was durable.
            Ok(Accept::Again) => durable::sync_dir(self.store.dir()).map(Ok),
            Ok(Accept::Taken | Accept::Succeeded) => self.hold(Some(asked.clone())).map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Frees the host for its holder.
    ///
    /// # Errors
    /// When the store fails; the refusal is the inner result.
    pub fn release(&self, asked: &Generation) -> Result<Result<(), Refusal>, StoreError> {
        match acceptance::release(self.store.holder()?.as_ref(), asked) {
            Ok(()) => self.hold(None).map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Frees the host of the holder that a person saw, and keeps who did it and why.
    ///
    /// # Errors
    /// When the store fails; the refusal is the inner result.
    pub fn force_release(
        &self,
        seen: &Generation,
        person: &Person,
        reason: &str,
    ) -> Result<Result<(), Refusal>, StoreError> {
        let held = self.store.holder()?;
        if let Err(refusal) = acceptance::demand(held.as_ref(), seen) {
            return Ok(Err(refusal));
        }
        self.record(&ForceRelease {
            at: Timestamp::now(),
            holder: seen.clone(),
            person: person.clone(),
            reason: reason.to_owned(),
        })?;
        self.hold(None).map(Ok)
    }

    /// Sees to it that an attempt without a receipt never begins.
    ///
    /// # Errors
    /// When the store fails; the refusal is the inner result.
    pub fn rule_out(
        &self,
        asked: &Generation,
        key: &AttemptKey,
    ) -> Result<Result<(), Refusal>, StoreError> {
        if self.store.receipt(key)?.is_some() {
            return Ok(Ok(()));
        }
        let mut held = self.store.held()?;
        match acceptance::rule_out(held.holder.as_ref(), &held.ruled_out, asked, key) {
            Err(refusal) => return Ok(Err(refusal)),
            // Who stored it may have been killed before it was durable.
            Ok(false) => durable::sync_dir(self.store.dir())?,
            Ok(true) => {
                held.ruled_out.insert(key.clone());
                durable::replace_json(&self.store.path("generation.json"), &held)?;
            }
        }
        Ok(Ok(()))
    }

    fn hold(&self, holder: Option<Generation>) -> Result<(), StoreError> {
        let last = match &holder {
            Some(holder) => Some(holder.clone()),
            None => self.store.held()?.last,
        };
        let held = Held {
            holder,
            last,
            ruled_out: BTreeSet::new(),
        };
        durable::replace_json(&self.store.path("generation.json"), &held)
    }

    fn record(&self, row: &ForceRelease) -> Result<(), StoreError> {
        let path = self.store.path("force-releases.jsonl");
        let mut line = serde_json::to_vec(row).map_err(StoreError::damaged(&path))?;
        line.push(b'\n');
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(FILE_MODE)
            .open(&path)
            .and_then(|mut file| file.write_all(&line).and_then(|()| file.sync_all()))
            .map_err(StoreError::io("written", &path))?;
        durable::sync_dir(self.store.dir())
    }

    /// The next sequence number, durable before it is used.
    pub(super) fn next_sequence(&self) -> Result<u64, StoreError> {
        let path = self.store.path("sequence");
        let next = self.store.sequence()?.saturating_add(1);
        // Written in place: it always takes the same bytes of one sector, which a disk writes
        // whole, and a rename would cost a second sync before every step.
        OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|file| {
                file.write_all_at(&sequence_text(next), 0)
                    .and_then(|()| file.sync_data())
            })
            .map_err(StoreError::io("written", &path))?;
        Ok(next)
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)
        .map_err(StoreError::io("opened", path))
}
