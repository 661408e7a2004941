//! A receipt as others see it: running, ended or lost, and what the work printed.

use super::attempt::{WorkKind, write_end};
use super::durable;
use super::error::StoreError;
use super::layout::Store;
use crate::boot::{self, Start};
use jiff::Timestamp;
use overhaul_model::id::AttemptKey;
use overhaul_model::receipt::{ReceiptBegin, ReceiptEnd, ReceiptStatus, WorkEnd};
use rustix::fs::FlockOperation;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How long a host may take from the order of a reboot until it is down. A stop of services that hangs
/// is ended by systemd after 90 s each, some of them one after the other.
pub const REBOOT_ORDER_S_MAX: u64 = 300;

/// A receipt on disk.
#[derive(Clone, Debug)]
pub struct Receipt {
    dir: PathBuf,
    begin: ReceiptBegin,
    kind: WorkKind,
}

impl Store {
    /// The receipt of an attempt, if it has begun here.
    ///
    /// # Errors
    /// When the key cannot be one, or the receipt cannot be read.
    pub fn receipt(&self, key: &AttemptKey) -> Result<Option<Receipt>, StoreError> {
        let dir = self.attempt_dir(key)?;
        if !dir.exists() {
            return Ok(None);
        }
        let must = |path: &Path| StoreError::damaged(path)("it is missing");
        let begin_path = dir.join("begin.json");
        let kind_path = dir.join("work.json");
        Ok(Some(Receipt {
            begin: durable::read_json(&begin_path)?.ok_or_else(|| must(&begin_path))?,
            kind: durable::read_json(&kind_path)?.ok_or_else(|| must(&kind_path))?,
            dir,
        }))
    }

    /// What the store knows of an attempt.
    ///
    /// # Errors
    /// When the key cannot be one, or the receipt cannot be read.
    pub fn status(&self, key: &AttemptKey) -> Result<ReceiptStatus, StoreError> {
        match self.receipt(key)? {
            Some(receipt) => receipt.status(self),
            None => Ok(ReceiptStatus::Absent),
        }
    }

    /// The first of these attempts whose work has no end and still runs.
    ///
    /// # Errors
    /// When a key cannot be one, or a receipt cannot be read.
    pub(super) fn first_at_work<'k>(
        &self,
        keys: &'k [AttemptKey],
    ) -> Result<Option<&'k AttemptKey>, StoreError> {
        for key in keys {
            if let Some(receipt) = self.receipt(key)?
                && receipt.end()?.is_none()
                && receipt.is_alive()?
            {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }
}

impl Receipt {
    pub(super) fn new(dir: PathBuf, begin: ReceiptBegin, kind: WorkKind) -> Self {
        Self { dir, begin, kind }
    }

    /// How it began.
    pub fn begin(&self) -> &ReceiptBegin {
        &self.begin
    }

    /// What sort of work it is.
    pub fn kind(&self) -> &WorkKind {
        &self.kind
    }

    /// Its directory, whose changes tell a follower that there is news.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How it stands. A reboot that is seen to have happened gets its end here.
    ///
    /// # Errors
    /// When it cannot be read, or the end of a reboot cannot be written.
    pub fn status(&self, store: &Store) -> Result<ReceiptStatus, StoreError> {
        if let Some(end) = self.end()? {
            return Ok(self.ended(end));
        }
        if let WorkKind::Reboot(ordered) = &self.kind {
            return self.reboot_status(store, ordered);
        }
        if self.is_alive()? {
            return Ok(self.running());
        }
        // The lock may have been given up just after the end was written.
        match self.end()? {
            Some(end) => Ok(self.ended(end)),
            None => Ok(self.lost(self.why_lost()?)),
        }
    }

    /// Asks the work to end. It looks for this itself.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn ask_to_end(&self, why: &str) -> Result<(), StoreError> {
        durable::replace(&self.dir.join("kill"), why.as_bytes())
    }

    /// Reads what the work printed, as far as it was kept, from a byte of it. `with_tail` is for works
    /// that do not run any more.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_output(
        &self,
        from: u64,
        buffer: &mut [u8],
        with_tail: bool,
    ) -> Result<usize, StoreError> {
        let (count, size) = read_at(&self.dir.join("spool"), from, buffer)?;
        if count > 0 || !with_tail {
            return Ok(count);
        }
        let from = from.saturating_sub(size);
        read_at(&self.dir.join("tail"), from, buffer).map(|(count, _)| count)
    }

    fn ended(&self, end: ReceiptEnd) -> ReceiptStatus {
        ReceiptStatus::Ended {
            begin: self.begin.clone(),
            end,
        }
    }

    fn running(&self) -> ReceiptStatus {
        let spool = self.dir.join("spool").metadata();
        ReceiptStatus::Running {
            begin: self.begin.clone(),
            spooled: spool.map_or(0, |meta| meta.len()),
        }
    }

    fn lost(&self, why: String) -> ReceiptStatus {
        ReceiptStatus::Lost {
            begin: self.begin.clone(),
            why,
        }
    }

    /// The end on record, durable. Its writer may have been seen, or killed, between the rename and the
    /// sync of the directory; whoever tells of an end must know that it will still be there tomorrow.
    fn end(&self) -> Result<Option<ReceiptEnd>, StoreError> {
        let end = durable::read_json(&self.dir.join("end.json"))?;
        if end.is_some() {
            durable::sync_dir(&self.dir)?;
        }
        Ok(end)
    }

    /// Whether somebody holds the lock of the work. Asked with a shared lock, so that two who ask do
    /// not take each other for the work.
    fn is_alive(&self) -> Result<bool, StoreError> {
        let path = self.dir.join("alive");
        let file = File::open(&path).map_err(StoreError::io("read", &path))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(StoreError::io("locked", &path)(error.into())),
        }
    }

    fn why_lost(&self) -> Result<String, StoreError> {
        let now = boot::proof()?;
        Ok(if now.boot_id == self.begin.boot.boot_id {
            "the work has no end on record, and nothing of it runs: it was killed with its supervisor"
                .to_owned()
        } else {
            format!(
                "the work has no end on record, and the host was started anew (boot {} then, {} now)",
                self.begin.boot.boot_id, now.boot_id
            )
        })
    }

    fn reboot_status(&self, store: &Store, ordered: &Start) -> Result<ReceiptStatus, StoreError> {
        let now = boot::start()?;
        match judge_reboot(ordered, &now) {
            Rebooted::Proven => self.end_of_reboot(store, ordered, &now),
            Rebooted::Awaited => Ok(self.running()),
            Rebooted::No(why) => Ok(self.lost(why)),
        }
    }

    fn end_of_reboot(
        &self,
        store: &Store,
        ordered: &Start,
        now: &Start,
    ) -> Result<ReceiptStatus, StoreError> {
        let _locked = store.lock()?;
        if let Some(end) = self.end()? {
            return Ok(self.ended(end));
        }
        let end = ReceiptEnd {
            at: Timestamp::now(),
            end: WorkEnd::Done {
                detail: format!("booted: {} -> {}", ordered.boot.boot_id, now.boot.boot_id),
            },
            changed: true,
            output_bytes: 0,
            sha256: None,
            said: None,
            unsynced: None,
        };
        write_end(&self.dir, &end)?;
        Ok(self.ended(end))
    }
}

/// Whether an ordered reboot has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rebooted {
    Proven,
    Awaited,
    No(String),
}

fn judge_reboot(ordered: &Start, now: &Start) -> Rebooted {
    if now.proves_reboot_since(ordered) {
        return Rebooted::Proven;
    }
    let (old, new) = (&ordered.boot, &now.boot);
    if old != new {
        return Rebooted::No(format!(
            "only one of the two signs of a reboot has changed (boot {} at tick {}, now boot {} at tick {})",
            old.boot_id, old.init_started_ticks, new.boot_id, new.init_started_ticks
        ));
    }
    let waited_s = now.up_ms.saturating_sub(ordered.up_ms) / 1_000;
    if waited_s > REBOOT_ORDER_S_MAX {
        return Rebooted::No(format!(
            "the host has not rebooted {waited_s} s after the order"
        ));
    }
    Rebooted::Awaited
}

/// Reads from a byte of a file on; nothing when it is absent. Gives the file's size as well.
fn read_at(path: &Path, from: u64, buffer: &mut [u8]) -> Result<(usize, u64), StoreError> {
    let mut read = |path: &Path| -> io::Result<(usize, u64)> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok((file.read_at(buffer, from)?, size))
    };
    match read(path) {
        Ok(found) => Ok(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((0, 0)),
        Err(error) => Err(StoreError::io("read", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use overhaul_model::facts::BootProof;

    fn start(boot_id: &str, ticks: u64, init_started_ms: u64, up_ms: u64) -> Start {
        Start {
            boot: BootProof {
                boot_id: boot_id.to_owned(),
                init_started_ticks: ticks,
            },
            init_started_ms,
            up_ms,
        }
    }

    #[test]
    fn a_reboot_is_awaited_for_a_while() {
        let ordered = start("a", 24, 1_000_000, 50_000);
        let one_sign = "only one of the two signs";
        for (now, expected) in [
            (start("a", 24, 1_000_000, 60_000), Ok(Rebooted::Awaited)),
            (start("a", 24, 9_000_000, 60_000), Ok(Rebooted::Awaited)),
            (start("a", 24, 1_000_000, 350_000), Ok(Rebooted::Awaited)),
            (
                start("a", 24, 1_000_000, 352_000),
                Err("not rebooted 302 s after"),
            ),
            (start("b", 24, 1_090_000, 9_000), Ok(Rebooted::Proven)),
            (start("b", 99, 1_000_000, 9_000), Ok(Rebooted::Proven)),
            (start("b", 24, 1_000_000, 60_000), Err(one_sign)),
            (start("a", 99, 1_090_000, 60_000), Err(one_sign)),
        ] {
            match (judge_reboot(&ordered, &now), expected) {
                (Rebooted::No(why), Err(part)) => assert!(why.contains(part), "{why}"),
                (judged, expected) => assert_eq!(Ok(judged), expected, "{now:?}"),
            }
        }
    }
}
