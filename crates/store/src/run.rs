//! The folders of runs, and the lock that keeps a second controller of this machine out.

use crate::journal::Follower;
use crate::simulated;
use crate::sums::{self, Sums};
use crate::witness::{self, Witness};
use crate::worker::Worker;
use crate::{SqliteInbox, SqliteJournal, database, inbox, journal};
use overhaul_engine::ports::JournalError;
use overhaul_model::event::{Decision, Record};
use overhaul_model::facts::FleetFacts;
use overhaul_model::id::{Digest, RunId};
use overhaul_model::plan::{PLAN_FORMAT, Plan};
use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A plan of 100,000 hosts takes about 100 MB; what is larger is not a plan.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// What a run's folder is called, before its name, while it is made.
const MAKING: &str = ".making-";

/// The plan's file.
pub(crate) const PLAN: &str = "plan.json";

/// How the plan's text begins where it is the one that is hashed: without spaces.
const AS_HASHED: &str = "{\"";

/// The file of the facts that the plan was made from.
pub(crate) const FACTS: &str = "facts.json";

/// The file of journal and inbox.
pub(crate) const JOURNAL: &str = "journal.sqlite";

/// The folders of runs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder failed.
    #[error("{path} cannot be {doing}: {why}")]
    File {
        /// Which.
        path: String,
        /// `read`, `written`, ...
        doing: &'static str,
        /// Why.
        why: String,
    },
    /// A file does not hold what was written into it.
    #[error("{path} is not as it was written: {why}")]
    Altered {
        /// Which.
        path: String,
        /// What was found.
        why: String,
    },
    /// There is no such run.
    #[error("there is no run `{run}` in {root}")]
    NoRun {
        /// The run.
        run: RunId,
        /// The folder of runs.
        root: String,
    },
    /// The run's name is not one.
    #[error("`{run}` is not the name of a run: letters, digits, `-` and `_` only")]
    BadName {
        /// The name.
        run: RunId,
    },
    /// It was simulated: nothing of it ever reached a host.
    #[error(
        "`{run}` is SIMULATED, and no run: nothing of it ever reached a host; nothing was changed"
    )]
    Simulated {
        /// Its name.
        run: RunId,
    },
    /// There is such a run already.
    #[error("run `{run}` exists already")]
    Exists {
        /// The run.
        run: RunId,
    },
    /// A plan of a newer or an older program.
    #[error("the plan has format {found}; this program knows format {known} alone")]
    PlanFormat {
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Another controller on this machine has the run.
    #[error("run `{run}` is in the hands of another controller on this machine, process {holder}")]
    Held {
        /// The run.
        run: RunId,
        /// Its process id, or `unknown`.
        holder: String,
    },
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The folder of all runs.
#[derive(Clone, Debug)]
pub struct RunStore {
    root: PathBuf,
}

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct RunDir {
    run: RunId,
    path: PathBuf,
}

/// Held as long as this process is the run's controller.
#[derive(Debug)]
pub struct RunLock {
    // The lock is released when the file is closed, also by a kill.
    _file: File,
}

impl RunStore {
    /// The store below a state folder, made if it is not there.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(state: &Path) -> Result<Self, StoreError> {
        let root = state.join("runs");
        make_dir(&root)?;
        Ok(Self { root })
    }

    /// The store below a state folder that must be there; nothing is made, so that a copy that cannot be
    /// written can be looked at.
    pub fn look(state: &Path) -> Self {
        Self {
            root: state.join("runs"),
        }
    }

    /// Makes the folder of a new run, with its plan and the facts it was made from.
    ///
    /// # Errors
    /// When there is such a run, or the disk fails; then no run is left behind.
    pub fn create(
        &self,
        run: &RunId,
        plan: &Plan,
        facts: &FleetFacts,
    ) -> Result<RunDir, StoreError> {
        self.make(run, |making| self.fill(making, plan, facts))
    }

    /// Makes the folder of a run under another name, and renames it: a run is either whole or not there.
    pub(crate) fn make(
        &self,
        run: &RunId,
        fill: impl FnOnce(&Path) -> Result<(), StoreError>,
    ) -> Result<RunDir, StoreError> {
        let path = self.root.join(name(run)?);
        if simulated::is_simulated(run, &path) {
            return Err(StoreError::Simulated { run: run.clone() });
        }
        if path.exists() {
            return Err(StoreError::Exists { run: run.clone() });
        }
        let making = self.root.join(format!("{MAKING}{run}"));
        let _ = std::fs::remove_dir_all(&making);
        let made = fill(&making).and_then(|()| {
            std::fs::rename(&making, &path).map_err(|error| file(&path, "made", &error))?;
            sync_dir(&self.root)
        });
        if let Err(error) = made {
            let _ = std::fs::remove_dir_all(&making);
            return Err(error);
        }
        Ok(RunDir {
            run: run.clone(),
            path,
        })
    }

    fn fill(&self, dir: &Path, plan: &Plan, facts: &FleetFacts) -> Result<(), StoreError> {
        make_dir(dir)?;
        make_dir(&dir.join("data"))?;
        let mut sums = Sums::default();
        // As it is hashed, so that its file's digest is its hash.
        write_text(dir, PLAN, serde_json::to_vec(plan), &mut sums)?;
        write_text(dir, FACTS, serde_json::to_vec_pretty(facts), &mut sums)?;
        write_new(&dir.join(sums::NAME), sums.text().as_bytes())?;
        database::create(&dir.join(JOURNAL))?;
        sync_dir(dir)
    }

    /// A run that exists.
    ///
    /// # Errors
    /// When it does not.
    pub fn run(&self, run: &RunId) -> Result<RunDir, StoreError> {
        let path = self.root.join(name(run)?);
        if simulated::is_simulated(run, &path) {
            return Err(StoreError::Simulated { run: run.clone() });
        }
        if path.is_dir() {
            Ok(RunDir {
                run: run.clone(),
                path,
            })
        } else {
            Err(StoreError::NoRun {
                run: run.clone(),
                root: self.root.display().to_string(),
            })
        }
    }

    /// Folders of runs that were cut off while they were made: they can be removed.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn cut_off(&self) -> Result<Vec<PathBuf>, StoreError> {
        let read = |error| file(&self.root, "read", &error);
        let mut out = Vec::new();
        for entry in std::fs::read_dir(&self.root).map_err(read)? {
            let entry = entry.map_err(read)?;
            if entry.file_name().to_string_lossy().starts_with(MAKING) {
                out.push(entry.path());
            }
        }
        out.sort();
        Ok(out)
    }

    /// All runs, by name.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<RunDir>, StoreError> {
        let read = |error| file(&self.root, "read", &error);
        let mut out = Vec::new();
        for entry in std::fs::read_dir(&self.root).map_err(read)? {
            let entry = entry.map_err(read)?;
            let found = entry.file_name().to_string_lossy().into_owned();
            let run = RunId::new(&found);
            if !found.starts_with('.')
                && entry.path().join(JOURNAL).exists()
                && !simulated::is_simulated(&run, &entry.path())
            {
                out.push(RunDir {
                    run,
                    path: entry.path(),
                });
            }
        }
        out.sort_by(|a, b| a.run.cmp(&b.run));
        Ok(out)
    }
}

impl RunDir {
    /// The folder of a run that is there.
    pub(crate) fn at(run: RunId, path: PathBuf) -> Self {
        Self { run, path }
    }

    /// The run.
    pub fn id(&self) -> &RunId {
        &self.run
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where copies of data lie.
    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// The plan.
    ///
    /// # Errors
    /// When it cannot be read, or comes from a newer or an older program.
    pub fn plan(&self) -> Result<Plan, StoreError> {
        self.parsed_plan(&self.whole_text(PLAN)?)
    }

    /// The plan, and its hash. Of a large plan the digest of its text is had much sooner than the plan is written
    /// again to be hashed. Where somebody has written the text in another way, the hash is not that of the journal's
    /// plan, and no row of it fits.
    ///
    /// # Errors
    /// As for [`RunDir::plan`].
    pub fn hashed_plan(&self) -> Result<(Plan, Digest), StoreError> {
        let (text, digest) = self.verified_text(PLAN)?;
        let plan = self.parsed_plan(&text)?;
        let hash = match text.starts_with(AS_HASHED) {
            true => digest,
            // As earlier versions wrote it.
            false => {
                let hash = plan.hash();
                hash.map_err(|error| file(&self.path.join(PLAN), "hashed", &error))?
            }
        };
        Ok((plan, hash))
    }

    /// The plan of a text.
    pub(crate) fn parsed_plan(&self, text: &str) -> Result<Plan, StoreError> {
        let path = self.path.join(PLAN);
        let plan = parse_json::<Plan>(&path, text);
        // One of another format may look like one of ours, or may not.
        let found = match &plan {
            Ok(plan) => plan.format,
            Err(_) => parse_json::<Format>(&path, text)?.format,
        };
        match found {
            PLAN_FORMAT => plan,
            found => Err(StoreError::PlanFormat {
                found,
                known: PLAN_FORMAT,
            }),
        }
    }

    /// The facts that the plan was made from.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn facts(&self) -> Result<FleetFacts, StoreError> {
        parse_json(&self.path.join(FACTS), &self.whole_text(FACTS)?)
    }

    /// The text of a file of the folder, as it was written. A run of an earlier version has no sums; then its
    /// plan is held by the hash in its journal alone.
    pub(crate) fn whole_text(&self, name: &str) -> Result<String, StoreError> {
        Ok(self.verified_text(name)?.0)
    }

    /// The same with its digest.
    fn verified_text(&self, name: &str) -> Result<(String, Digest), StoreError> {
        let path = self.path.join(name);
        let text = read_text(&path)?;
        let digest = Digest::of(&text);
        if let Some(sums) = sums::of_folder(&self.path)? {
            sums.verify(&path, name, &digest)?;
        }
        Ok((text, digest))
    }

    /// Journal and inbox for the controller, on one thread.
    ///
    /// # Errors
    /// When the file cannot be opened or has a newer format.
    pub fn open(&self) -> Result<(SqliteJournal, SqliteInbox), StoreError> {
        let path = self.path.join(JOURNAL);
        let (worker, head) = Worker::start(&path)?;
        let journal = SqliteJournal::new(worker.clone(), Witness::beside(&path)?, head);
        Ok((journal, SqliteInbox::new(worker)))
    }

    /// All rows, for readers beside the controller.
    ///
    /// # Errors
    /// As for [`overhaul_engine::ports::Journal::replay`].
    pub fn records(&self) -> Result<Vec<Record>, StoreError> {
        Ok(journal::replay(&database::open(&self.path.join(JOURNAL))?)?)
    }

    /// All rows, handed over in parts and in their order while later ones are still read. They count only when all
    /// of them came.
    ///
    /// # Errors
    /// As for [`RunDir::records`].
    pub fn each_part(&self, take: &mut dyn FnMut(Vec<Record>)) -> Result<(), StoreError> {
        let connection = database::open(&self.path.join(JOURNAL))?;
        Ok(journal::replay_in_parts(&connection, take)?)
    }

    /// Rows as they come, behind the last one that is known.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn follow(&self, last: Option<&Record>) -> Result<Follower, StoreError> {
        let connection = database::open(&self.path.join(JOURNAL))?;
        Ok(Follower::new(connection, last)?)
    }

    /// The number of the last row.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn last_row(&self) -> Result<u64, StoreError> {
        let connection = database::open(&self.path.join("journal.sqlite"))?;
        Ok(journal::head(&connection)?.0)
    }

    /// All rows of a journal that cannot be written, as on a backup: read from a copy of the file and of what
    /// SQLite keeps beside it, in a folder that only we can read and that is removed again.
    ///
    /// # Errors
    /// As for [`RunDir::records`], and when no copy can be made.
    pub fn records_of_copy(&self) -> Result<Vec<Record>, StoreError> {
        self.with_copy(|copy| Ok(journal::replay(&database::open(copy)?)?))?
    }

    /// Does something with a copy of the journal's files.
    pub(crate) fn with_copy<T>(&self, work: impl FnOnce(&Path) -> T) -> Result<T, StoreError> {
        let folder = std::env::temp_dir().join(format!(
            "overhaul-{}-{}",
            std::process::id(),
            self.run.as_str()
        ));
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(|error| file(&folder, "made", &error))?;
        let copied = self
            .copy_journal(&folder)
            .map(|()| work(&folder.join(JOURNAL)));
        let removed = std::fs::remove_dir_all(&folder);
        removed.map_err(|error| file(&folder, "removed", &error))?;
        copied
    }

    fn copy_journal(&self, folder: &Path) -> Result<(), StoreError> {
        for name in [JOURNAL, "journal.sqlite-wal", witness::NAME] {
            let from = self.path.join(name);
            if !from.exists() {
                continue;
            }
            let mut out = OpenOptions::new()
                .create_new(true)
                .write(true)
                .mode(0o600)
                .open(folder.join(name))
                .map_err(|error| file(folder, "written", &error))?;
            File::open(&from)
                .and_then(|mut text| std::io::copy(&mut text, &mut out))
                .map_err(|error| file(&from, "read", &error))?;
        }
        Ok(())
    }

    /// Requests that wait for the controller.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn pending(&self) -> Result<Vec<Decision>, StoreError> {
        Ok(inbox::pending(&database::open(&self.path.join(JOURNAL))?)?)
    }

    /// Puts a request into the inbox; the same nonce twice is one request.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn submit(&self, decision: &Decision) -> Result<(), StoreError> {
        Ok(inbox::submit(
            &database::open(&self.path.join(JOURNAL))?,
            decision,
        )?)
    }

    /// Takes the run for this process.
    ///
    /// # Errors
    /// When another process has it.
    pub fn lock(&self) -> Result<RunLock, StoreError> {
        let path = self.path.join("lock");
        let wrong = |error| file(&path, "locked", &error);
        let mut held = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(wrong)?;
        if flock(&held, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            let _ = held.take(20).read_to_string(&mut holder);
            let holder = if holder.is_empty() {
                "unknown".to_owned()
            } else {
                holder
            };
            return Err(StoreError::Held {
                run: self.run.clone(),
                holder,
            });
        }
        held.set_len(0).map_err(wrong)?;
        held.seek(SeekFrom::Start(0)).map_err(wrong)?;
        held.write_all(std::process::id().to_string().as_bytes())
            .map_err(wrong)?;
        Ok(RunLock { _file: held })
    }

    /// The process that has the run now: its id, or `unknown`.
    pub(crate) fn holder(&self) -> Option<String> {
        if !self.is_held().unwrap_or(false) {
            return None;
        }
        let text = std::fs::read_to_string(self.path.join("lock")).unwrap_or_default();
        Some(match text.parse::<u32>() {
            Ok(process) => process.to_string(),
            Err(_) => "unknown".to_owned(),
        })
    }

    /// Whether a process has the run now.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn is_held(&self) -> Result<bool, StoreError> {
        let path = self.path.join("lock");
        let Ok(lock) = File::open(&path) else {
            return Ok(false);
        };
        Ok(flock(&lock, FlockOperation::NonBlockingLockShared).is_err())
    }
}

#[derive(serde::Deserialize)]
struct Format {
    format: u32,
}

/// The run's folder name: it comes from people, and must stay below the store.
pub(crate) fn name(run: &RunId) -> Result<&str, StoreError> {
    let text = run.as_str();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !text.is_empty() && text.len() <= 100 && text.chars().all(plain) {
        Ok(text)
    } else {
        Err(StoreError::BadName { run: run.clone() })
    }
}

pub(crate) fn file(path: &Path, doing: &'static str, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::File {
        path: path.display().to_string(),
        doing,
        why: why.to_string(),
    }
}

pub(crate) fn make_dir(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| file(path, "made", &error))
}

pub(crate) fn sync_dir(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| file(path, "synced", &error))
}

fn write_text(
    dir: &Path,
    name: &'static str,
    text: serde_json::Result<Vec<u8>>,
    sums: &mut Sums,
) -> Result<(), StoreError> {
    let path = dir.join(name);
    let text = text.map_err(|error| file(&path, "written", &error))?;
    sums.add(name, &text);
    write_new(&path, &text)
}

pub(crate) fn write_new(path: &Path, text: &[u8]) -> Result<(), StoreError> {
    let written = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut out| out.write_all(text).and_then(|()| out.sync_all()));
    written.map_err(|error| file(path, "written", &error))
}

pub(crate) fn read_text(path: &Path) -> Result<String, StoreError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|f| f.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|error| file(path, "read", &error))?;
    String::from_utf8(bytes).map_err(|error| StoreError::Altered {
        path: path.display().to_string(),
        why: format!("it is no text: {error}"),
    })
}

fn parse_json<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Altered {
        path: path.display().to_string(),
        why: error.to_string(),
    })
}
