//! What is kept of simulated runs: in a place of its own, in another form than runs, and marked in every file, so
//! that nothing can take it for a run.

use crate::run::{StoreError, file, make_dir, name, sync_dir, write_new};
use overhaul_model::id::RunId;
use std::path::{Path, PathBuf};

/// The word that marks everything of a simulated run: its name begins with it, and so does each line that it writes.
pub const SIMULATED: &str = "SIMULATED";

/// The folder beside `runs`.
const FOLDER: &str = "simulated";

/// The file that says so in words, whatever the folder is called.
const MARK: &str = "SIMULATED";

/// What the mark says.
const WORDS: &str = "SIMULATED: nothing in this folder ever happened. A plan was played against hosts that are not \
    there, with virtual time.\nIt is no run: there is nothing to resume, to amend or to decide. The folder can be removed.\n";

/// The folder of a simulated run. It has no `plan.json` and no `journal.sqlite`.
#[derive(Clone, Debug)]
pub struct SimulatedDir {
    path: PathBuf,
}

impl SimulatedDir {
    /// Makes the folder, with its mark.
    ///
    /// # Errors
    /// When its name is none of a simulated run, it is there already, or the disk fails.
    pub fn create(state: &Path, run: &RunId) -> Result<Self, StoreError> {
        if !run.as_str().starts_with(SIMULATED) {
            return Err(StoreError::BadName { run: run.clone() });
        }
        let root = state.join(FOLDER);
        let path = root.join(name(run)?);
        if path.exists() {
            return Err(StoreError::Exists { run: run.clone() });
        }
        make_dir(&path)?;
        write_new(&path.join(MARK), WORDS.as_bytes())?;
        sync_dir(&root)?;
        Ok(Self { path })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a text whose lines the caller has marked.
    ///
    /// # Errors
    /// When a line is not marked, the file is there already, or the disk fails.
    pub fn keep(&self, file_name: &str, text: &str) -> Result<(), StoreError> {
        let path = self.path.join(file_name);
        if !text.lines().all(|line| line.contains(SIMULATED)) {
            return Err(file(&path, "written", &"a line of it is not marked"));
        }
        write_new(&path, text.as_bytes())
    }
}

/// Whether this is a simulated run, by its name, or by the mark in its folder.
pub(crate) fn is_simulated(run: &RunId, path: &Path) -> bool {
    run.as_str().starts_with(SIMULATED) || path.join(MARK).exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RunStore;

    #[test]
    fn a_simulated_run_is_no_run_wherever_it_lies() {
        let state = tempfile::tempdir().unwrap();
        let run = RunId::new("SIMULATED-1");
        let dir = SimulatedDir::create(state.path(), &run).unwrap();
        dir.keep("journal.jsonl", "{\"SIMULATED\": true}\n")
            .unwrap();
        assert!(dir.keep("report.txt", "run 1\n").is_err(), "not marked");
        let runs = state.path().join("runs");
        let store = RunStore::open(state.path()).unwrap();
        let refused = |run: &str| {
            let said = store.run(&RunId::new(run));
            assert!(matches!(said, Err(StoreError::Simulated { .. })), "{run}");
            assert!(store.list().unwrap().is_empty(), "{run}");
        };
        refused("SIMULATED-1");
        // Also where it was put among the runs, under another name, with a journal of a real one.
        let taken = runs.join("20260101-000000-abcd");
        std::fs::rename(dir.path(), &taken).unwrap();
        std::fs::write(taken.join("journal.sqlite"), "").unwrap();
        refused("20260101-000000-abcd");
        assert!(SimulatedDir::create(state.path(), &RunId::new("another")).is_err());
    }
}
