//! A new state folder with what of a run is whole. The old files stay as they are.

use crate::inspect::Inspection;
use crate::run::{
    FACTS, JOURNAL, PLAN, RunDir, RunStore, StoreError, file, make_dir, sync_dir, write_new,
};
use crate::sums::{self, Sums};
use crate::witness::{self, Witness};
use crate::{database, journal};
use jiff::Timestamp;
use overhaul_model::event::{Event, Record};
use overhaul_model::facts::FleetFacts;
use overhaul_model::id::Digest;
use std::fs::File;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What became of a run that was salvaged.
#[derive(Debug)]
pub struct Salvage {
    /// The new folder.
    pub dir: RunDir,
    /// Rows that were kept.
    pub kept: u64,
    /// Whether the facts could be kept.
    pub facts: bool,
    /// What was not copied because it is neither a file nor a folder.
    pub left: Vec<PathBuf>,
}

impl Inspection {
    /// Makes a run of the same name in another state folder: the plan, the whole rows byte for byte, `events`
    /// behind them, and copies of everything else that lies in the run's folder, but for what only the old
    /// journal needs.
    ///
    /// # Errors
    /// When a controller has the run, the plan is not whole, the other folder has such a run, or the disk
    /// fails; then nothing is left there.
    pub fn salvage(
        &self,
        kept: u64,
        events: Vec<Event>,
        into: &Path,
    ) -> Result<Salvage, StoreError> {
        if let Some(holder) = &self.held_by {
            return Err(StoreError::Held {
                run: self.run.clone(),
                holder: holder.clone(),
            });
        }
        let old = RunDir::at(self.run.clone(), self.folder.clone());
        let plan = old.whole_text(PLAN)?;
        old.parsed_plan(&plan)?;
        let facts = old.facts().and_then(|_| old.whole_text(FACTS)).ok();
        let whole = self.texts.iter().zip(&self.records);
        let whole: Vec<_> = whole.take_while(|(_, r)| r.seq <= kept).collect();
        let last = whole.last().map(|(_, record)| *record);
        let mut texts: Vec<String> = whole.iter().map(|(text, _)| (*text).clone()).collect();
        let kept = last.map_or(0, |record| record.seq);
        add(&mut texts, last, events).map_err(|error| file(into, "written", &error))?;
        let mut left = Vec::new();
        let dir = RunStore::open(into)?.make(&self.run, |making| {
            make_dir(making)?;
            let mut sums = Sums::default();
            let nothing = FleetFacts::default();
            let nothing =
                serde_json::to_string(&nothing).map_err(|error| file(making, "written", &error))?;
            for (name, text) in [(PLAN, &plan), (FACTS, facts.as_ref().unwrap_or(&nothing))] {
                sums.add(name, text.as_bytes());
                write_new(&making.join(name), text.as_bytes())?;
            }
            write_new(&making.join(sums::NAME), sums.text().as_bytes())?;
            let path = making.join(JOURNAL);
            database::create(&path)?;
            let mut connection = database::open(&path)?;
            journal::restore(&mut connection, &texts)?;
            copy_rest(&self.folder, making, &mut left)?;
            sync_dir(making)
        })?;
        Witness::beside(&dir.path().join(JOURNAL))?;
        Ok(Salvage {
            dir,
            kept,
            facts: facts.is_some(),
            left,
        })
    }
}

/// Rows behind the last one, as a controller writes them.
fn add(
    texts: &mut Vec<String>,
    last: Option<&Record>,
    events: Vec<Event>,
) -> Result<(), serde_json::Error> {
    let after = last.map_or(Timestamp::UNIX_EPOCH, |record| record.at);
    let at = Timestamp::now().max(after);
    for (event, seq) in events
        .into_iter()
        .zip(last.map_or(0, |record| record.seq).saturating_add(1)..)
    {
        let before = texts.last().map_or_else(Record::genesis, Digest::of);
        let record = Record {
            seq,
            at,
            before,
            event,
        };
        texts.push(serde_json::to_string(&record)?);
    }
    Ok(())
}

/// Files that are made anew, or belong to the old journal alone.
fn is_remade(name: &str) -> bool {
    [PLAN, FACTS, sums::NAME, witness::NAME, "lock"].contains(&name) || name.starts_with(JOURNAL)
}

fn copy_rest(from: &Path, to: &Path, left: &mut Vec<PathBuf>) -> Result<(), StoreError> {
    for (name, path) in entries(from)? {
        if !is_remade(&name) {
            copy(&path, &to.join(&name), left)?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, StoreError> {
    let read = |error| file(folder, "read", &error);
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        // All names in a run's folder are ours.
        if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
            out.push((name.to_owned(), path.clone()));
        }
    }
    Ok(out)
}

/// A copy with the same permissions. Not a link: receipts and half-done copies are written in place.
fn copy(from: &Path, to: &Path, left: &mut Vec<PathBuf>) -> Result<(), StoreError> {
    let meta = std::fs::symlink_metadata(from).map_err(|error| file(from, "read", &error))?;
    let mode = meta.mode() & 0o777;
    if meta.is_dir() {
        std::fs::DirBuilder::new()
            .mode(mode)
            .create(to)
            .map_err(|error| file(to, "made", &error))?;
        for (name, path) in entries(from)? {
            copy(&path, &to.join(name), left)?;
        }
        return sync_dir(to);
    }
    if !meta.is_file() {
        left.push(from.to_owned());
        return Ok(());
    }
    let mut source = File::open(from).map_err(|error| file(from, "read", &error))?;
    std::fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(mode)
        .open(to)
        .and_then(|mut out| {
            std::io::copy(&mut source, &mut out)?;
            out.sync_all()
        })
        .map_err(|error| file(to, "written", &error))
}
