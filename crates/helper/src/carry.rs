//! Files on their way: a process of its own packs or unpacks, so that its bounds, its end and its memory
//! are those of any other streamed work.

use crate::channel::ChannelError;
use crate::store::StoreError;
use crate::transfer::TRANSFERS_DIR;
use overhaul_model::id::Digest;
use overhaul_model::primitive::{Exec, Existing, Moving};
use overhaul_model::wire::{self, Pack, Receiving, Sending, Unpack};
use overhaul_mover::{
    Digesting, Form, Have, MoverError, OnExisting, PackSpec, UnpackSpec, Unpacked, pack,
    resume_point, unpack,
};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Below which all paths are.
pub(crate) const BASE: &str = "/";

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
    Mover(#[from] MoverError),
    /// There is no way to the other end.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// What the controller says cannot be read.
    #[error("the controller's words cannot be read: {0}")]
    Input(io::Error),
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

/// The command that packs for another host.
pub(crate) fn send_command(dir: &Path, spec: &Sending) -> Result<Exec, StoreError> {
    command("send", dir, spec, None)
}

/// The command that packs for another host that comes for it.
pub(crate) fn offer_command(dir: &Path, spec: &Sending) -> Result<Exec, StoreError> {
    command("offer", dir, spec, None)
}

/// The command that unpacks what another host packs.
pub(crate) fn receive_command(
    dir: &Path,
    spec: &Receiving,
    store: &Path,
) -> Result<Exec, StoreError> {
    command("receive", dir, spec, Some(store))
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
    progress(store, RESTORES_DIR, sha256).map_or(0, |path| {
        resume_point(Path::new(BASE), &path, sha256.as_str())
    })
}

/// What this host has of a transfer.
pub(crate) fn received(store: &Path, transfer: &Digest) -> Option<wire::Have> {
    let path = progress(store, TRANSFERS_DIR, transfer)?;
    let have = overhaul_mover::received(Path::new(BASE), &path, transfer.as_str())?;
    Some(wire::Have {
        chunks: have.chunks,
        digest: Digest::parse(&have.digest).ok()?,
    })
}

/// The digest of a transfer that is complete.
pub(crate) fn complete(store: &Path, transfer: &Digest) -> Option<String> {
    let path = progress(store, TRANSFERS_DIR, transfer)?;
    overhaul_mover::complete(&path, transfer.as_str())
}

/// Whether data is as it was when it was packed.
pub(crate) fn untouched(data: &Moving, stamps: &str) -> Result<(), MoverError> {
    overhaul_mover::untouched(&packing(data.clone(), None), stamps)
}

pub(crate) fn packing(data: Moving, have: Option<wire::Have>) -> PackSpec {
    PackSpec {
        base: BASE.into(),
        paths: raw(data.paths),
        one_filesystem: data.one_filesystem,
        exclude: raw(data.exclude),
        live: false,
        digesting: Digesting::Chain,
        have: have.map(had),
    }
}

fn had(have: wire::Have) -> Have {
    Have {
        chunks: have.chunks,
        digest: have.digest.as_str().to_owned(),
    }
}

/// `None` when the digest is none: it names a file.
pub(crate) fn progress(store: &Path, folder: &str, of: &Digest) -> Option<PathBuf> {
    let digest = Digest::parse(of.as_str()).ok()?;
    Some(store.join(folder).join(format!("{digest}.json")))
}

pub(crate) fn read<T: DeserializeOwned>(dir: &Path) -> Result<T, CarryError> {
    let path = dir.join(SPEC_FILE);
    let read = fs::read(&path).and_then(|bytes| {
        let json = crate::store::opened(&bytes).map_err(io::Error::other)?;
        Ok(serde_json::from_slice(json)?)
    });
    read.map_err(|error| CarryError::Spec(path, error))
}

pub(crate) fn raw(paths: Vec<String>) -> Vec<Vec<u8>> {
    paths.into_iter().map(String::into_bytes).collect()
}

/// A deep tree and files that are read ahead need more descriptors than a process has at first.
pub(crate) fn raise_limit() {
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
        digesting: Digesting::File,
        have: asked.have.map(had),
    };
    pack_out(&spec)
}

pub(crate) fn pack_out(spec: &PackSpec) -> Result<(), CarryError> {
    let output = rustix::stdio::stdout().try_clone_to_owned();
    let mut output = File::from(output.map_err(CarryError::Result)?);
    // A larger pipe where it is allowed: fewer turns between the two processes.
    let _hint = rustix::pipe::fcntl_setpipe_size(&output, PIPE_BYTES);
    pack(spec, &mut output)?;
    Ok(())
}

/// The largest pipe that Linux gives to anybody.
pub(crate) const PIPE_BYTES: usize = 1024 * 1024;

/// What an unpacker says on standard output.
#[derive(Serialize)]
struct Said<'a> {
    entries: u64,
    content: u64,
    manifest: &'a str,
    made: bool,
    times_kept: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    stamps: &'a str,
}

/// Unpacks standard input as the attempt's directory says.
///
/// # Errors
/// When it cannot be unpacked, or is not what was packed.
pub fn run_unpack(dir: &Path, store: &Path) -> Result<(), CarryError> {
    raise_limit();
    let asked: Unpack = read(dir)?;
    let no_digest = || io::Error::from(io::ErrorKind::InvalidData);
    let progress = progress(store, RESTORES_DIR, &asked.sha256);
    let progress = progress.ok_or_else(|| CarryError::Spec(dir.to_owned(), no_digest()))?;
    let spec = UnpackSpec {
        base: BASE.into(),
        paths: raw(asked.paths),
        id: asked.sha256.as_str().to_owned(),
        existing: match asked.existing {
            Existing::Refuse => OnExisting::Refuse,
            Existing::SetAside => OnExisting::SetAside,
        },
        form: Form::Archive {
            from_chunk: asked.from_chunk,
        },
        progress: Some(progress),
    };
    unpack_in(&spec)
}

fn unpack_in(spec: &UnpackSpec) -> Result<(), CarryError> {
    let input = rustix::stdio::stdin().try_clone_to_owned();
    let input = File::from(input.map_err(CarryError::Result)?);
    let unpacked = unpack(spec, io::BufReader::with_capacity(PIPE_BYTES, input))?;
    say(&unpacked)
}

pub(crate) fn say(unpacked: &Unpacked) -> Result<(), CarryError> {
    let said = Said {
        entries: unpacked.trailer.entries,
        content: unpacked.trailer.content,
        manifest: &unpacked.trailer.manifest,
        made: unpacked.made,
        times_kept: unpacked.times_kept,
        digest: unpacked.digest.as_deref(),
        stamps: &unpacked.trailer.stamps,
    };
    let line = serde_json::to_string(&said).map_err(|e| CarryError::Result(e.into()))?;
    let mut output = io::stdout();
    writeln!(output, "{line}").map_err(CarryError::Result)
}
