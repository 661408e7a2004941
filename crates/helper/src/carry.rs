//! Files on their way: a process of its own packs or unpacks, so that its bounds, its end and its memory
//! are those of any other streamed work.

use crate::store::StoreError;
use overhaul_model::id::Digest;
use overhaul_model::primitive::{Exec, Existing};
use overhaul_model::wire::{Pack, Unpack};
use overhaul_mover::{Have, OnExisting, PackSpec, UnpackSpec, pack, resume_point, unpack};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Below which all paths are.
const BASE: &str = "/";

/// The file of an attempt that says what is to be carried.
const SPEC_FILE: &str = "carry.json";

/// Where the progress of restores lies in a store.
const RESTORES_DIR: &str = "restores";

/// A process that packs or unpacks did not.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// What is to be done cannot be read.
    #[error("{0} cannot be read: {1}")]
    Spec(PathBuf, io::Error),
    /// It could not be done.
    #[error(transparent)]
    Mover(#[from] overhaul_mover::MoverError),
    /// The result could not be told.
    #[error("the result cannot be told: {0}")]
    Result(io::Error),
}

/// The command that packs for an attempt.
pub(crate) fn pack_command(dir: &Path, spec: &Pack) -> Result<Exec, StoreError> {
    command("pack", dir, spec, None)
}

/// The command that unpacks for an attempt; `store` keeps how far it is.
pub(crate) fn unpack_command(dir: &Path, spec: &Unpack, store: &Path) -> Result<Exec, StoreError> {
    command("unpack", dir, spec, Some(store))
}

fn command(
    word: &str,
    dir: &Path,
    spec: &impl Serialize,
    store: Option<&Path>,
) -> Result<Exec, StoreError> {
    crate::store::write_json_synced(&dir.join(SPEC_FILE), spec)?;
    let mut argv = vec!["/proc/self/exe".to_owned(), word.to_owned()];
    for path in [Some(dir), store].into_iter().flatten() {
        argv.push(path.to_string_lossy().into_owned());
    }
    Ok(Exec::argv(argv))
}

/// The first chunk of an archive that this host wants.
pub(crate) fn restored(store: &Path, sha256: &Digest) -> u64 {
    progress(store, sha256).map_or(0, |path| {
        resume_point(Path::new(BASE), &path, sha256.as_str())
    })
}

/// `None` when the digest is none: it names a file.
fn progress(store: &Path, sha256: &Digest) -> Option<PathBuf> {
    let digest = Digest::parse(sha256.as_str()).ok()?;
    Some(store.join(RESTORES_DIR).join(format!("{digest}.json")))
}

fn read<T: DeserializeOwned>(dir: &Path) -> Result<T, CarryError> {
    let path = dir.join(SPEC_FILE);
    let read = fs::read(&path).and_then(|bytes| {
        let json = crate::store::opened(&bytes).map_err(io::Error::other)?;
        Ok(serde_json::from_slice(json)?)
    });
    read.map_err(|error| CarryError::Spec(path, error))
}

fn raw(paths: Vec<String>) -> Vec<Vec<u8>> {
    paths.into_iter().map(String::into_bytes).collect()
}

/// A deep tree and files that are read ahead need more descriptors than a process has at first.
fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it a deep tree fails with its own words.
    let _kept = setrlimit(Resource::Nofile, limit);
}

/// Packs what the attempt's directory says to standard output.
///
/// # Errors
/// When it cannot be packed or nobody takes it.
pub fn run_pack(dir: &Path) -> Result<(), CarryError> {
    raise_limit();
    let asked: Pack = read(dir)?;
    let spec = PackSpec {
        base: BASE.into(),
        paths: raw(asked.paths),
        one_filesystem: asked.one_filesystem,
        exclude: raw(asked.exclude),
        live: asked.live,
        have: asked.have.map(|have| Have {
            chunks: have.chunks,
            sha256: have.sha256.as_str().to_owned(),
        }),
    };
    let output = rustix::stdio::stdout().try_clone_to_owned();
    let mut output = File::from(output.map_err(CarryError::Result)?);
    // A larger pipe where it is allowed: fewer turns between the two processes.
    let _hint = rustix::pipe::fcntl_setpipe_size(&output, PIPE_BYTES);
    pack(&spec, &mut output)?;
    Ok(())
}

/// The largest pipe that Linux gives to anybody.
const PIPE_BYTES: usize = 1024 * 1024;

/// What an unpacker says on standard output.
#[derive(Serialize)]
struct Said<'a> {
    entries: u64,
    content: u64,
    manifest: &'a str,
    made: bool,
    times_kept: bool,
}

/// Unpacks standard input as the attempt's directory says.
///
/// # Errors
/// When it cannot be unpacked, or is not what was packed.
pub fn run_unpack(dir: &Path, store: &Path) -> Result<(), CarryError> {
    raise_limit();
    let asked: Unpack = read(dir)?;
    let no_digest = || io::Error::from(io::ErrorKind::InvalidData);
    let progress = progress(store, &asked.sha256);
    let progress = progress.ok_or_else(|| CarryError::Spec(dir.to_owned(), no_digest()))?;
    let spec = UnpackSpec {
        base: BASE.into(),
        paths: raw(asked.paths),
        id: asked.sha256.as_str().to_owned(),
        existing: match asked.existing {
            Existing::Refuse => OnExisting::Refuse,
            Existing::SetAside => OnExisting::SetAside,
        },
        from_chunk: asked.from_chunk,
        progress: Some(progress),
    };
    let input = rustix::stdio::stdin().try_clone_to_owned();
    let input = File::from(input.map_err(CarryError::Result)?);
    let unpacked = unpack(&spec, io::BufReader::with_capacity(PIPE_BYTES, input))?;
    let said = Said {
        entries: unpacked.trailer.entries,
        content: unpacked.trailer.content,
        manifest: &unpacked.trailer.manifest,
        made: unpacked.made,
        times_kept: unpacked.times_kept,
    };
    let line = serde_json::to_string(&said).map_err(|e| CarryError::Result(e.into()))?;
    let mut output = io::stdout();
    writeln!(output, "{line}").map_err(CarryError::Result)
}
