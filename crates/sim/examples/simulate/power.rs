//! The shipped journal on a disk that loses what was not synced: a child process writes under `strace`, and the power
//! is cut after each of its calls.

use crate::disk::{Change, Disk, Files, Rest};
use crate::syscalls::{self, Call};
use jiff::Timestamp;
use overhaul_engine::ports::{Journal as _, JournalError};
use overhaul_model::event::{Event, Generation};
use overhaul_model::facts::FleetFacts;
use overhaul_model::id::{Nonce, RunId};
use overhaul_sim::Scene;
use overhaul_store::{RunDir, RunStore, SqliteJournal};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The run that is written.
const RUN: &str = "power";

/// Commits of one writer.
const COMMITS: (u32, u32) = (8, 20);

/// Rows of one commit.
const ROWS: (u32, u32) = (1, 4);

/// Closing a journal takes milliseconds; a machine that has stopped for so long is broken.
const CLOSED_WITHIN: Duration = Duration::from_secs(60);

/// Between two looks at whether it is closed.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Where files cost no disk; else the usual folder for such.
const MEMORY: &str = "/dev/shm";

/// What a writer says that cannot go on.
const BROKE: &str = "broke: ";

/// What came of power cuts.
#[derive(Default)]
pub struct Cuts {
    /// Power cuts.
    pub played: u64,
    /// The first of them after which a law was broken, counted from 1: which law, and what happened.
    pub broken: Option<(u64, &'static str, String)>,
}

/// Plays power cuts with seeds from 0 on until so many are played or a law is broken.
pub fn play(scene: &Scene, planted: &str, runs: u64) -> Result<Cuts, String> {
    let mut cuts = Cuts::default();
    for seed in 0.. {
        writer(scene, planted, seed, runs, &mut cuts)?;
        if cuts.played >= runs || cuts.broken.is_some() {
            break;
        }
    }
    Ok(cuts)
}

fn folder() -> Result<tempfile::TempDir, String> {
    let at = match Path::new(MEMORY).is_dir() {
        true => PathBuf::from(MEMORY),
        false => std::env::temp_dir(),
    };
    tempfile::tempdir_in(at).map_err(|error| error.to_string())
}

/// One writer, and a power cut after each of its calls.
fn writer(
    scene: &Scene,
    planted: &str,
    seed: u64,
    runs: u64,
    cuts: &mut Cuts,
) -> Result<(), String> {
    let folder = folder()?;
    let store = RunStore::open(folder.path()).map_err(|error| error.to_string())?;
    let dir = store
        .create(&RunId::new(RUN), scene.plan(), &FleetFacts::new())
        .map_err(|error| error.to_string())?;
    let begins = read(dir.path())?;
    let calls = traced(folder.path(), dir.path(), planted, seed)?;
    let after = Replayed::new(begins.clone())?;
    let mut disk = Disk::of(begins);
    let mut told = Told::default();
    let mut dice = StdRng::seed_from_u64(seed);
    for call in calls {
        match call {
            Call::Said(line) => {
                told.hear(&line);
                if let Some(why) = told.broke {
                    let what = format!("writer {seed}: {why}");
                    cuts.broken = Some((cuts.played, "who has the journal goes on", what));
                    return Ok(());
                }
                continue;
            }
            Call::Changed(change) => disk.take(change),
        }
        for rest in Rest::ALL {
            cuts.played += 1;
            let broken = after.cut(&disk.after(rest, &mut dice), &told)?;
            if let Some((law, what)) = broken {
                let what = format!("writer {seed}, what was not synced is {rest:?}: {what}");
                cuts.broken = Some((cuts.played, law, what));
                return Ok(());
            }
            if cuts.played >= runs {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn read(dir: &Path) -> Result<Files, String> {
    let mut out = Files::new();
    for entry in std::fs::read_dir(dir).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.is_file() {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
            out.insert(name, bytes);
        }
    }
    Ok(out)
}

/// Runs the writer, and reads what it did.
fn traced(state: &Path, dir: &Path, planted: &str, seed: u64) -> Result<Vec<Call>, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let trace = state.join("trace");
    let status = Command::new("strace")
        .args([
            "-f",
            "-y",
            "-xx",
            "-s",
            "1000000",
            "-e",
            syscalls::TRACED,
            "-o",
        ])
        .arg(&trace)
        .arg(own)
        .arg("--writer")
        .arg(state)
        .args(["--seed", &seed.to_string(), "--fault", planted])
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("strace cannot be run (scripts/setup installs it): {error}"))?;
    if !status.success() {
        return Err(format!("the writer of seed {seed} under strace: {status}"));
    }
    let text = std::fs::read_to_string(&trace).map_err(|error| error.to_string())?;
    let calls = syscalls::parse(&text, &dir.display().to_string())?;
    let synced = |call: &Call| matches!(call, Call::Changed(Change::Write(..)));
    match calls.iter().any(synced) {
        true => Ok(calls),
        false => Err("strace saw no write of the writer".to_owned()),
    }
}

/// What the writer has said by now: `wrote SEQ DIGEST` before a commit, `kept SEQ DIGEST` after it, [`BROKE`] at its end.
#[derive(Default)]
struct Told {
    wrote: BTreeSet<String>,
    kept: BTreeMap<u64, BTreeSet<String>>,
    broke: Option<String>,
}

impl Told {
    fn hear(&mut self, line: &str) {
        if let Some(why) = line.strip_prefix(BROKE) {
            self.broke = Some(why.to_owned());
        }
        let mut words = line.split(' ');
        let (what, seq, digest) = (words.next(), words.next(), words.next());
        let (Some(seq), Some(digest)) = (seq.and_then(|s| s.parse().ok()), digest) else {
            return;
        };
        if what == Some("wrote") {
            self.wrote.insert(digest.to_owned());
        } else {
            self.kept.entry(seq).or_default().insert(digest.to_owned());
        }
    }
}

/// A folder in which disks are looked at after a cut.
struct Replayed {
    _folder: tempfile::TempDir,
    dir: RunDir,
    /// Files that writers never touch.
    fixed: BTreeSet<String>,
}

impl Replayed {
    fn new(begins: Files) -> Result<Self, String> {
        let folder = folder()?;
        let path = folder.path().join("runs").join(RUN);
        std::fs::create_dir_all(&path).map_err(|error| error.to_string())?;
        let mut fixed = BTreeSet::new();
        for (name, bytes) in begins {
            std::fs::write(path.join(&name), bytes).map_err(|error| error.to_string())?;
            if !name.starts_with("journal.") {
                fixed.insert(name);
            }
        }
        let dir = RunStore::look(folder.path()).run(&RunId::new(RUN));
        Ok(Self {
            dir: dir.map_err(|error| error.to_string())?,
            _folder: folder,
            fixed,
        })
    }

    /// What the next controller reads, held against what was said.
    fn cut(&self, files: &Files, told: &Told) -> Result<Option<(&'static str, String)>, String> {
        let wrong = |error: std::io::Error| error.to_string();
        for name in read(self.dir.path())?
            .keys()
            .filter(|n| !self.fixed.contains(*n))
        {
            std::fs::remove_file(self.dir.path().join(name)).map_err(wrong)?;
        }
        for (name, bytes) in files.iter().filter(|(name, _)| !self.fixed.contains(*name)) {
            std::fs::write(self.dir.path().join(name), bytes).map_err(wrong)?;
        }
        let records = match self.dir.records() {
            Ok(records) => records,
            Err(error) => return Ok(Some(("the journal can be read", error.to_string()))),
        };
        let mut found = BTreeMap::new();
        for record in records {
            let digest = record.digest().map_err(|error| error.to_string())?;
            if !told.wrote.contains(digest.as_str()) {
                let what = format!("row {} was written by nobody", record.seq);
                return Ok(Some(("no row that nobody wrote", what)));
            }
            found.insert(record.seq, digest);
        }
        for (seq, kept) in &told.kept {
            let there = found.get(seq);
            if kept
                .iter()
                .any(|kept| there.is_none_or(|found| found.as_str() != kept))
            {
                let what = format!(
                    "row {seq} was told to be durable, and {}",
                    match there {
                        Some(_) => "another one stands there",
                        None => "is not there",
                    }
                );
                return Ok(Some(("what is told as durable is there", what)));
            }
        }
        Ok(None)
    }
}

/// The writer: controllers that write into one journal, each one taking it from the one before it, which goes on.
pub fn write(state: &Path, seed: u64) -> Result<(), String> {
    match written(state, seed) {
        Ok(()) => Ok(()),
        Err(why) => say(&format!("{BROKE}{why}")),
    }
}

fn written(state: &Path, seed: u64) -> Result<(), String> {
    let dir = RunStore::look(state).run(&RunId::new(RUN));
    let dir = dir.map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut journal = opened(&dir).await?;
        let mut counter = 0;
        for _ in 0..dice.random_range(COMMITS.0..=COMMITS.1) {
            let rows = dice.random_range(ROWS.0..=ROWS.1);
            if !commit(&mut journal, rows, &mut counter).await? {
                return Err("who has the journal cannot write into it".to_owned());
            }
            if dice.random_bool(0.3) {
                let mut next = opened(&dir).await?;
                let fresh = commit(&mut next, 1, &mut counter).await?;
                // Who was followed must fail; whatever it is told then counts.
                let followed = commit(&mut journal, rows, &mut counter).await?;
                if fresh && !followed {
                    journal = next;
                }
            }
        }
        drop(journal);
        closed(dir.path())
    })
}

/// The thread of the last handle closes the file: what it still does belongs to the picture.
fn closed(dir: &Path) -> Result<(), String> {
    let began = Instant::now();
    while dir.join("journal.sqlite-wal").exists() {
        if began.elapsed() > CLOSED_WITHIN {
            return Err("the journal is not closed".to_owned());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

async fn opened(dir: &RunDir) -> Result<SqliteJournal, String> {
    let (mut journal, _inbox) = dir.open().map_err(|error| error.to_string())?;
    let replayed = journal.replay().await;
    replayed.map(|_| journal).map_err(|error| error.to_string())
}

/// Writes rows and makes them durable; whether that was said to be so.
async fn commit(journal: &mut SqliteJournal, rows: u32, counter: &mut u64) -> Result<bool, String> {
    let mut written = Vec::new();
    for _ in 0..rows {
        *counter += 1;
        let generation = Generation {
            fleet: "simulated".to_owned(),
            run: RunId::new(RUN),
            counter: *counter,
            nonce: Nonce::new("n"),
        };
        let event = Event::ControllerTook {
            generation,
            person: "simulated".into(),
        };
        let record = journal.write(Timestamp::UNIX_EPOCH, event);
        let record = record.map_err(|error| error.to_string())?;
        let digest = record.digest().map_err(|error| error.to_string())?;
        say(&format!("wrote {} {}", record.seq, digest.as_str()))?;
        written.push((record.seq, digest));
    }
    match journal.commit().await {
        Ok(()) => {
            for (seq, digest) in written {
                say(&format!("kept {seq} {}", digest.as_str()))?;
            }
            Ok(true)
        }
        Err(JournalError::Chain { .. }) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

fn say(line: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| error.to_string())
}
