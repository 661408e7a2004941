//! The beginning and the end of an attempt: synced before the work, synced after it.

use super::durable;
use super::error::StoreError;
use super::layout::DIR_MODE;
use super::lock::Locked;
use super::receipt::Receipt;
use crate::acceptance::{self, Begin};
use crate::boot::{self, Start};
use jiff::Timestamp;
use overhaul_model::event::Generation;
use overhaul_model::id::{AttemptKey, Digest, Position};
use overhaul_model::receipt::{ReceiptBegin, ReceiptEnd, WorkEnd};
use overhaul_model::wire::Refusal;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// What sort of work an attempt is: a receipt is read without its request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkKind {
    /// A detached command.
    Exec,
    /// A file written or edited.
    File,
    /// A command whose standard output went to the controller; the spool holds its standard error.
    Fetch,
    /// A command fed by the controller.
    Feed,
    /// A reboot, ordered under this boot.
    Reboot(Start),
}

/// An attempt that is asked for.
#[derive(Clone, Debug)]
pub struct NewAttempt {
    /// On whose word.
    pub generation: Generation,
    /// The attempt.
    pub key: AttemptKey,
    /// The step.
    pub position: Position,
    /// The step's digest.
    pub step: Digest,
    /// Attempts at the same step that were made before.
    pub earlier: Vec<AttemptKey>,
}

/// An attempt's beginning is on disk.
#[derive(Debug)]
pub enum Beginning {
    /// It was made now: the work is to be done.
    Fresh(Attempt),
    /// It was there: nothing is to be done but to follow.
    Known(Receipt),
}

/// An attempt that was begun and is in the hands of this process. While the value (or a process that
/// was given its lock) lives, others see the attempt as running; without it and without an end, as lost.
#[derive(Debug)]
pub struct Attempt {
    dir: PathBuf,
    begin: ReceiptBegin,
    kind: WorkKind,
    alive: File,
}

impl Locked<'_> {
    /// Puts the beginning of an attempt on disk, unless it is there already.
    ///
    /// # Errors
    /// When the store fails; the refusal is the inner result.
    pub fn begin(
        &self,
        new: &NewAttempt,
        kind: &WorkKind,
    ) -> Result<Result<Beginning, Refusal>, StoreError> {
        let held = self.store.held()?;
        let receipt = self.store.receipt(&new.key)?;
        let at_work = self.store.first_at_work(&new.earlier)?;
        let allowed = acceptance::begin(
            held.holder.as_ref(),
            &held.ruled_out,
            receipt.is_some(),
            at_work,
            &new.generation,
            &new.key,
        );
        match (allowed, receipt) {
            (Err(refusal), _) => return Ok(Err(refusal)),
            (Ok(Begin::Known), Some(receipt)) => return Ok(Ok(Beginning::Known(receipt))),
            (Ok(Begin::Fresh | Begin::Known), _) => {}
        }
        // A request for one of them that is still on its way would begin it beside this one, or after it.
        for earlier in &new.earlier {
            if let Err(refusal) = self.rule_out(&new.generation, earlier)? {
                return Ok(Err(refusal));
            }
        }
        let begin = ReceiptBegin {
            key: new.key.clone(),
            position: new.position.clone(),
            step: new.step.clone(),
            generation: new.generation.clone(),
            sequence: self.next_sequence()?,
            at: Timestamp::now(),
            boot: boot::proof()?,
        };
        let dir = self.store.attempt_dir(&new.key)?;
        let attempt = make(&dir, begin, kind)?;
        Ok(Ok(Beginning::Fresh(attempt)))
    }
}

/// Builds the attempt's directory aside and moves it into place whole: where there is a directory of
/// that name there is a beginning, and whoever sees it sees its lock held.
fn make(dir: &Path, begin: ReceiptBegin, kind: &WorkKind) -> Result<Attempt, StoreError> {
    let receipts = dir.parent().unwrap_or(dir);
    let aside = receipts.join(format!(".new-{}", begin.key));
    let built = build(&aside, &begin, kind).and_then(|alive| {
        durable::sync_dir(&aside)?;
        fs::rename(&aside, dir).map_err(StoreError::io("written", dir))?;
        durable::sync_dir(receipts)?;
        Ok(alive)
    });
    match built {
        Ok(alive) => Ok(Attempt {
            dir: dir.to_owned(),
            begin,
            kind: kind.clone(),
            alive,
        }),
        Err(error) => {
            // It was not begun, and must not look as if it were. When even that fails, the next
            // begin clears it away.
            let _ = fs::remove_dir_all(&aside);
            Err(error)
        }
    }
}

fn build(aside: &Path, begin: &ReceiptBegin, kind: &WorkKind) -> Result<File, StoreError> {
    if aside.exists() {
        fs::remove_dir_all(aside).map_err(StoreError::io("cleared away", aside))?;
    }
    DirBuilder::new()
        .mode(DIR_MODE)
        .create(aside)
        .map_err(StoreError::io("created", aside))?;
    let alive_path = aside.join("alive");
    let alive = durable::create(&alive_path)?;
    rustix::fs::flock(&alive, FlockOperation::NonBlockingLockExclusive)
        .map_err(|error| StoreError::io("locked", &alive_path)(error.into()))?;
    durable::write_json_synced(&aside.join("work.json"), kind)?;
    durable::write_json_synced(&aside.join("begin.json"), begin)?;
    Ok(alive)
}

impl Attempt {
    /// How it began.
    pub fn begin(&self) -> &ReceiptBegin {
        &self.begin
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// It as others see it.
    pub fn receipt(&self) -> Receipt {
        Receipt::new(self.dir.clone(), self.begin.clone(), self.kind.clone())
    }

    /// The lock that says that it runs, for a process that carries the work on. The lock lives as long
    /// as anybody has it open.
    ///
    /// # Errors
    /// When this process has too many open files.
    pub fn share_lock(&self) -> Result<File, StoreError> {
        self.alive
            .try_clone()
            .map_err(StoreError::io("shared", &self.dir))
    }

    /// Puts the end on disk. Nothing of the attempt runs in this process afterwards.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn end(self, end: &ReceiptEnd) -> Result<(), StoreError> {
        write_end(&self.dir, end)
    }

    /// Puts the end of a work that the helper did itself, or could not do, on disk.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn end_as(self, end: WorkEnd, changed: bool) -> Result<ReceiptEnd, StoreError> {
        let end = ReceiptEnd {
            at: Timestamp::now(),
            end,
            changed,
            output_bytes: 0,
            sha256: None,
            said: None,
            unsynced: None,
        };
        write_end(&self.dir, &end)?;
        Ok(end)
    }
}

/// Puts an end on disk beside its beginning.
///
/// # Errors
/// When the file system says no.
pub(crate) fn write_end(dir: &Path, end: &ReceiptEnd) -> Result<(), StoreError> {
    durable::replace_json(&dir.join("end.json"), end)
}
