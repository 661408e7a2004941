//! The bounded record of what a work printed: its beginning as it came, and its last part.

use super::durable::{self, FILE_MODE};
use super::error::StoreError;
use crate::redact::Redactor;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes of output that are kept from its beginning: a whole release upgrade prints some megabytes.
pub const SPOOL_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Bytes of output that are kept from its end when there is more: the reason of a failure is there.
pub const TAIL_BYTES_MAX: usize = 64 * 1024;

/// Pause between two writes of the last part while more comes: what a power cut may cost of it.
const TAIL_EVERY_MS: u64 = 1_000;

/// The writer's side. Readers see `spool` grow, and after the end `tail` as its continuation.
#[derive(Debug)]
pub struct Spool {
    /// `None` when nothing may be kept.
    file: Option<File>,
    redactor: Redactor,
    tail_path: PathBuf,
    kept: u64,
    tail: VecDeque<u8>,
    left_out: u64,
    tail_written: Option<Instant>,
}

impl Spool {
    /// A new spool in an attempt's directory.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn create(dir: &Path, redactor: Redactor) -> Result<Self, StoreError> {
        let path = dir.join("spool");
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(StoreError::io("created", &path))?;
        let mut spool = Self::nothing(dir);
        spool.file = Some(file);
        spool.redactor = redactor;
        Ok(spool)
    }

    /// A spool that keeps nothing.
    pub fn nothing(dir: &Path) -> Self {
        Self {
            file: None,
            redactor: Redactor::new(Vec::<Vec<u8>>::new()),
            tail_path: dir.join("tail"),
            kept: 0,
            tail: VecDeque::new(),
            left_out: 0,
            tail_written: None,
        }
    }

    /// Takes the next output.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.file.is_some() {
            let clean = self.redactor.push(bytes);
            self.keep(&clean);
        }
    }

    /// Takes what was held back, and makes all durable. What comes later is not kept.
    pub fn finish(&mut self) {
        let rest = self.redactor.finish();
        self.keep(&rest);
        if !self.tail.is_empty() {
            self.write_tail();
        }
        if let Some(file) = self.file.take() {
            // A spool that cannot be synced is worth less, but the work's end is still true.
            let _ = file.sync_data();
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let Some(file) = &mut self.file else {
            return;
        };
        let room = usize::try_from(SPOOL_BYTES_MAX.saturating_sub(self.kept)).unwrap_or(0);
        // Once something went to the tail, nothing may follow it in the spool.
        let room = if self.tail.is_empty() { room } else { 0 };
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        let mut written = 0;
        while let Some(piece) = head.get(written..).filter(|piece| !piece.is_empty()) {
            match file.write(piece) {
                Ok(count) if count > 0 => written = written.saturating_add(count),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // A full disk must not stop the work: the output goes on in memory.
                _ => break,
            }
        }
        self.kept = self
            .kept
            .saturating_add(u64::try_from(written).unwrap_or(0));
        if written < head.len() {
            self.kept = SPOOL_BYTES_MAX;
        }
        let unwritten = head.get(written..).unwrap_or_default();
        for part in [unwritten, rest] {
            self.tail.extend(part);
        }
        let over = self.tail.len().saturating_sub(TAIL_BYTES_MAX);
        self.tail.drain(..over);
        self.left_out = self
            .left_out
            .saturating_add(u64::try_from(over).unwrap_or(0));
        self.write_tail_sometimes();
    }

    fn write_tail_sometimes(&mut self) {
        let due = self
            .tail_written
            .is_none_or(|at| at.elapsed() >= Duration::from_millis(TAIL_EVERY_MS));
        if !self.tail.is_empty() && due {
            self.write_tail();
        }
    }

    fn write_tail(&mut self) {
        let mut bytes = Vec::with_capacity(self.tail.len());
        if self.left_out > 0 {
            let line = format!("\n[overhaul: {} bytes were not kept]\n", self.left_out);
            bytes.extend_from_slice(line.as_bytes());
        }
        bytes.extend(&self.tail);
        let fresh = self.tail_path.with_extension("new");
        // A full disk again: nothing else can be done with the output than to lose it.
        let _ = durable::write_synced(&fresh, &bytes)
            .map(|()| std::fs::rename(&fresh, &self.tail_path));
        self.tail_written = Some(Instant::now());
    }
}
