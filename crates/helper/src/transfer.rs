//! The two ends of a transfer between hosts, each a process of its own.

use crate::carry::{self, CarryError, PIPE_BYTES, packing, progress, raise_limit, raw, read, say};
use crate::channel::{self, Identity, Leash, Offer};
use overhaul_model::id::Digest;
use overhaul_model::wire::{Peer, Receiving, Sending, Word};
use overhaul_mover::{Form, OnExisting, UnpackSpec, pack, unpack};
use rustix::fs::FlockOperation;
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the progress of transfers lies in a store.
pub(crate) const TRANSFERS_DIR: &str = "transfers";

/// How long an earlier attempt may take to make durable what came, before this one gives up.
const ALONE_S_MAX: u64 = 30;

/// Pause between two tries.
const ALONE_LOOK_MS: u64 = 50;

/// Longest line by which the controller names the other end.
const LINE_BYTES_MAX: usize = 16 * 1024;

fn tell(word: &Word) -> Result<(), CarryError> {
    let line = serde_json::to_string(word).map_err(|e| CarryError::Result(e.into()))?;
    let mut output = io::stdout();
    writeln!(output, "{line}").map_err(CarryError::Result)?;
    output.flush().map_err(CarryError::Result)
}

/// One line, and nothing of what follows it.
fn line<T: DeserializeOwned>(input: &mut File) -> Result<T, CarryError> {
    let mut text = Vec::new();
    let mut byte = [0_u8; 1];
    loop {
        input.read_exact(&mut byte).map_err(CarryError::Input)?;
        if byte == *b"\n" {
            return serde_json::from_slice(&text).map_err(|e| CarryError::Input(e.into()));
        }
        text.extend_from_slice(&byte);
        if text.len() > LINE_BYTES_MAX {
            return Err(CarryError::Input(io::ErrorKind::InvalidData.into()));
        }
    }
}

fn input() -> Result<File, CarryError> {
    let input = rustix::stdio::stdin().try_clone_to_owned();
    Ok(File::from(input.map_err(CarryError::Result)?))
}

/// Two attempts never write at one time: an earlier one may still be making durable what came.
fn alone(progress: &Path) -> Result<File, CarryError> {
    let path = progress.with_extension("lock");
    let failed = |error: io::Error| CarryError::Spec(path.clone(), error);
    let folder = path.parent().unwrap_or(&path);
    fs::create_dir_all(folder).map_err(failed)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(&path).map_err(failed)?;
    let since = Instant::now();
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(_) if since.elapsed() < Duration::from_secs(ALONE_S_MAX) => {
                std::thread::sleep(Duration::from_millis(ALONE_LOOK_MS));
            }
            Err(error) => return Err(failed(error.into())),
        }
    }
}

fn progress_of(store: &Path, transfer: &Digest, dir: &Path) -> Result<PathBuf, CarryError> {
    let no_digest = || io::Error::from(io::ErrorKind::InvalidData);
    progress(store, TRANSFERS_DIR, transfer)
        .ok_or_else(|| CarryError::Spec(dir.to_owned(), no_digest()))
}

/// Packs for another host what the attempt's directory says, to standard output.
///
/// # Errors
/// When it cannot be packed or nobody takes it.
pub fn run_send(dir: &Path) -> Result<(), CarryError> {
    raise_limit();
    let asked: Sending = read(dir)?;
    carry::pack_out(&packing(asked.data, asked.have))
}

/// Packs for another host that comes for it and proves to be the one that the controller named on standard input.
///
/// # Errors
/// When nobody comes, it cannot be packed, or the connection breaks.
pub fn run_offer(dir: &Path) -> Result<(), CarryError> {
    raise_limit();
    let asked: Sending = read(dir)?;
    let mut input = input()?;
    let peer: Peer = line(&mut input)?;
    let identity = Identity::new()?;
    let offer = Offer::open()?;
    tell(&Word {
        key: Some(identity.public().to_owned()),
        port: Some(offer.port()?),
        ..Word::default()
    })?;
    let leash = Leash::of(input)?;
    let mut channel = offer.accept(&identity, &peer, &leash)?;
    pack(&packing(asked.data, asked.have), &mut channel)?;
    channel.conn.send_close_notify();
    channel.flush().map_err(CarryError::Result)
}

/// Unpacks what another host packs: from that host itself where it is reached, else from standard input.
///
/// # Errors
/// When it cannot be unpacked, or is not what was packed.
pub fn run_receive(dir: &Path, store: &Path) -> Result<(), CarryError> {
    raise_limit();
    let asked: Receiving = read(dir)?;
    let progress = progress_of(store, &asked.transfer, dir)?;
    let _alone = alone(&progress)?;
    let spec = UnpackSpec {
        base: carry::BASE.into(),
        paths: raw(asked.data.paths),
        id: asked.transfer.as_str().to_owned(),
        existing: OnExisting::Refuse,
        form: Form::Stream,
        progress: Some(progress),
    };
    let mut input = input()?;
    if !asked.direct {
        return say(&unpack(&spec, BufReader::with_capacity(PIPE_BYTES, input))?);
    }
    let identity = Identity::new()?;
    tell(&Word {
        key: Some(identity.public().to_owned()),
        ..Word::default()
    })?;
    let peer: Peer = line(&mut input)?;
    let unpacked = match channel::connect(&identity, &peer) {
        Ok((channel, address)) => {
            tell(&Word {
                at: Some(address.to_string()),
                ..Word::default()
            })?;
            Leash::of(input)?.hold(&channel.sock)?;
            unpack(&spec, BufReader::with_capacity(PIPE_BYTES, channel))?
        }
        Err(error) => {
            tell(&Word {
                why: Some(error.to_string()),
                ..Word::default()
            })?;
            unpack(&spec, BufReader::with_capacity(PIPE_BYTES, input))?
        }
    };
    say(&unpacked)
}
