//! Paths become an archive.

use crate::content::PIECE_BYTES;
use crate::error::MoverError;
use crate::format::{
    CHUNK_BYTES, CHUNK_BYTES_MAX, Digesting, Form, Have, Head, Kind, MAGIC, Root, Running, Stored,
    Trailer, hex,
};
use crate::manifest::{Emit, Fill, LaterLook, Reading, SecondLook};
use crate::open;
use crate::owners;
use crate::records::{DATA_HEAD_BYTES, Record, put, put_data_head};
use crate::walk::{Look, Tree, walk};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Threads that compress: beyond this the disk or the network is slower.
const COMPRESSORS_MAX: usize = 4;

/// Chunks that wait for a compressor or for the writer.
const WAITING_MAX: usize = 8;

/// zstd's fastest usual level: some 400 MB/s of text per processor, more than most networks take.
const LEVEL: i32 = 1;

/// Samples of a chunk that tell whether it is worth compressing, and bytes of each.
const SAMPLES: usize = 8;
const SAMPLE_BYTES: usize = 2048;

/// What is packed.
#[derive(Clone, Debug)]
pub struct PackSpec {
    /// What all paths are below: `/`, but in tests.
    pub base: PathBuf,
    /// Absolute paths.
    pub paths: Vec<Vec<u8>>,
    /// Whether what is mounted below them is left out.
    pub one_filesystem: bool,
    /// Absolute paths that are left out.
    pub exclude: Vec<Vec<u8>>,
    /// Whether the source may change meanwhile.
    pub live: bool,
    /// How all of it is told in one digest.
    pub digesting: Digesting,
    /// What the other end has already.
    pub have: Option<Have>,
}

/// What was packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// What stands at the end of the archive.
    pub trailer: Trailer,
    /// The digest of the archive or stream.
    pub digest: String,
}

/// Whether a source that was packed is still as it was then: nothing of it is read but what `stat` says.
///
/// # Errors
/// When it is not, or cannot be looked at.
pub fn untouched(spec: &PackSpec, stamps: &str) -> Result<(), MoverError> {
    disjoint(&spec.paths)?;
    let mut look = LaterLook::default();
    walk(&tree(spec), Look::Stat, |item| {
        look.item(&item);
        Ok(())
    })?;
    if look.word() == stamps {
        return Ok(());
    }
    let first = spec.paths.first().map(Vec::as_slice).unwrap_or_default();
    Err(MoverError::refused(
        first,
        "is not as it was when it was copied: something has written there since",
    ))
}

/// Writes the archive, and after it the digest of all of it. Chunks that the other end has are made
/// again and left out; if they are others by now, it hears so and gets all of them.
///
/// # Errors
/// When the source cannot be read or changes, or nobody takes the archive.
pub fn pack(spec: &PackSpec, out: &mut (impl Write + Send)) -> Result<Packed, MoverError> {
    disjoint(&spec.paths)?;
    let mut have = spec.have.clone();
    loop {
        let mut writer = Writer::new(out, have.clone(), spec.digesting);
        let packed = once(spec, &mut writer);
        if writer.outdated {
            have = None;
            let again = Stored::plain(Kind::Again, b"");
            writer
                .out
                .write_all(&again.bytes)
                .map_err(MoverError::Stream)?;
            continue;
        }
        return packed;
    }
}

/// A path below another would be in the archive twice.
fn disjoint(paths: &[Vec<u8>]) -> Result<(), MoverError> {
    for (place, path) in paths.iter().enumerate() {
        let names = open::components(path)?;
        for other in paths.iter().take(place) {
            let others = open::components(other)?;
            if names.starts_with(&others) || others.starts_with(&names) {
                let other = crate::error::shown(other);
                return Err(MoverError::refused(path, format!("and {other} overlap")));
            }
        }
    }
    if paths.is_empty() {
        return Err(MoverError::archive("no paths are named"));
    }
    Ok(())
}

fn tree(spec: &PackSpec) -> Tree {
    Tree {
        base: spec.base.clone(),
        roots: spec.paths.clone(),
        one_filesystem: spec.one_filesystem,
        exclude: spec.exclude.iter().cloned().collect(),
    }
}

fn once<W: Write + Send>(
    spec: &PackSpec,
    writer: &mut Writer<'_, W>,
) -> Result<Packed, MoverError> {
    let tree = tree(spec);
    let head = head(spec)?;
    let (raw, queue) = sync_channel::<(u64, Vec<u8>)>(WAITING_MAX);
    let (made, stored) = sync_channel::<(u64, Stored)>(WAITING_MAX);
    // With the last compressor its end goes, and whoever makes chunks hears of it.
    let queue = Arc::new(Mutex::new(queue));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers.min(COMPRESSORS_MAX) {
            let made = made.clone();
            let queue = Arc::clone(&queue);
            scope.spawn(move || compress(&queue, &made));
        }
        drop((made, queue));
        let trailer = scope.spawn(move || {
            let mut chunks = Chunks {
                raw,
                next: 0,
                chunk: Vec::new(),
            };
            read(&tree, spec, &mut chunks)
        });
        let written = writer.begin(&head).and_then(|()| writer.run(&stored));
        // Whoever still makes chunks finds nobody who takes them, and ends.
        drop(stored);
        let trailer = trailer
            .join()
            .unwrap_or_else(|_| Err(MoverError::archive("the reader ended early")));
        written?;
        let trailer = trailer?;
        let digest = writer.finish(&trailer)?;
        Ok(Packed { trailer, digest })
    })
}

fn read(tree: &Tree, spec: &PackSpec, chunks: &mut Chunks) -> Result<Trailer, MoverError> {
    let mut reading = Reading::new(chunks, &tree.roots, spec.live);
    walk(tree, Look::Whole, |item| reading.item(item))?;
    let (mut trailer, stamps) = reading.finish();
    if spec.digesting == Digesting::Chain {
        trailer.stamps = stamps.word();
    }
    chunks.close()?;
    if !spec.live {
        let mut second = SecondLook::new(&stamps);
        walk(tree, Look::Stat, |item| second.item(&item))?;
        second.finish()?;
    }
    Ok(trailer)
}

fn head(spec: &PackSpec) -> Result<Stored, MoverError> {
    let base = open::base(&spec.base)?;
    let (users, groups) = owners::tables(&spec.base);
    let mut roots = Vec::new();
    for path in &spec.paths {
        let names = open::components(path)?;
        let mut above = Vec::new();
        if let Some((_, parents)) = names.split_last() {
            open::descend(&base, parents, |dir, name, path| {
                let stat = open::look(dir, name, path)?
                    .ok_or_else(|| MoverError::refused(path, "does not exist"))?;
                let mode = stat.st_mode & crate::meta::MODE_BITS;
                above.push((mode, stat.st_uid, stat.st_gid));
                Ok(())
            })?;
        }
        roots.push(Root {
            path: path.clone(),
            above,
        });
    }
    let head = Head {
        roots,
        one_filesystem: spec.one_filesystem,
        exclude: spec.exclude.clone(),
        users,
        groups,
    };
    Stored::json(Kind::Head, &head)
}

/// Records gathered into chunks.
struct Chunks {
    raw: SyncSender<(u64, Vec<u8>)>,
    next: u64,
    chunk: Vec<u8>,
}

impl Chunks {
    fn room(&self) -> usize {
        CHUNK_BYTES.saturating_sub(self.chunk.len())
    }

    fn close(&mut self) -> Result<(), MoverError> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let fresh = Vec::with_capacity(CHUNK_BYTES);
        let chunk = std::mem::replace(&mut self.chunk, fresh);
        let sent = self.raw.send((self.next, chunk));
        self.next = self.next.saturating_add(1);
        // The writer has failed and says why.
        sent.map_err(|_| MoverError::Stream(std::io::ErrorKind::BrokenPipe.into()))
    }
}

impl Emit for Chunks {
    fn record(&mut self, record: &Record<'_>) -> Result<(), MoverError> {
        put(&mut self.chunk, record);
        if self.chunk.len() > CHUNK_BYTES_MAX {
            return Err(MoverError::archive(
                "a file has too many extended attributes",
            ));
        }
        if self.room() == 0 {
            self.close()
        } else {
            Ok(())
        }
    }

    fn data(&mut self, offset: u64, want: u64, fill: &mut Fill<'_>) -> Result<usize, MoverError> {
        let least = DATA_HEAD_BYTES.saturating_add(PIECE_BYTES);
        if self.room() < least {
            self.close()?;
        }
        let room = self.room().saturating_sub(DATA_HEAD_BYTES);
        let whole = room.saturating_sub(room % PIECE_BYTES);
        let length = usize::try_from(want).unwrap_or(usize::MAX).min(whole);
        let start = self.chunk.len();
        put_data_head(&mut self.chunk, offset, length);
        let data = self.chunk.len();
        self.chunk.resize(data.saturating_add(length), 0);
        let filled = fill(self.chunk.get_mut(data..).unwrap_or_default())?;
        if filled < length {
            // The file is shorter than it was: the record says how much there is.
            let kept = self.chunk.split_off(data);
            self.chunk.truncate(start);
            if filled > 0 {
                put_data_head(&mut self.chunk, offset, filled);
                self.chunk
                    .extend_from_slice(kept.get(..filled).unwrap_or_default());
            }
        }
        Ok(filled)
    }
}

fn compress(queue: &Mutex<Receiver<(u64, Vec<u8>)>>, made: &SyncSender<(u64, Stored)>) {
    let Ok(mut zstd) = zstd::bulk::Compressor::new(LEVEL) else {
        return;
    };
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, raw)) = next else { return };
        let smaller = is_compressible(&mut zstd, &raw)
            .then(|| zstd.compress(&raw).ok())
            .flatten()
            .filter(|packed| packed.len() < raw.len());
        let stored = match smaller {
            Some(packed) => Stored::new(Kind::Body, Form::Zstd, raw.len(), &packed),
            None => Stored::plain(Kind::Body, &raw),
        };
        if made.send((number, stored)).is_err() {
            return;
        }
    }
}

/// A look at samples: what was compressed or encrypted before costs time and gains nothing.
fn is_compressible(zstd: &mut zstd::bulk::Compressor<'_>, raw: &[u8]) -> bool {
    let step = raw.len() / SAMPLES;
    if step < SAMPLE_BYTES {
        return true;
    }
    let samples = raw.chunks(step).filter_map(|part| part.get(..SAMPLE_BYTES));
    let sample: Vec<u8> = samples.flatten().copied().collect();
    let small = sample.len().saturating_sub(sample.len() / 16);
    zstd.compress(&sample)
        .is_ok_and(|packed| packed.len() < small)
}

/// Puts chunks into their order and out.
struct Writer<'a, W> {
    out: &'a mut W,
    have: Option<Have>,
    /// Whether what the other end has is of another source.
    outdated: bool,
    count: u64,
    running: Running,
}

impl<'a, W: Write> Writer<'a, W> {
    fn new(out: &'a mut W, have: Option<Have>, digesting: Digesting) -> Self {
        Self {
            out,
            have: have.filter(|have| have.chunks > 0),
            outdated: false,
            count: 0,
            running: Running::new(digesting),
        }
    }

    fn begin(&mut self, head: &Stored) -> Result<(), MoverError> {
        if self.have.is_none() {
            self.out.write_all(MAGIC).map_err(MoverError::Stream)?;
        }
        self.chunk(head)
    }

    fn run(&mut self, stored: &Receiver<(u64, Stored)>) -> Result<(), MoverError> {
        let mut next = 0_u64;
        let mut early = BTreeMap::new();
        for (number, chunk) in stored {
            early.insert(number, chunk);
            while let Some(chunk) = early.remove(&next) {
                next = next.saturating_add(1);
                self.chunk(&chunk)?;
            }
        }
        Ok(())
    }

    fn chunk(&mut self, chunk: &Stored) -> Result<(), MoverError> {
        self.running.take(chunk);
        self.count = self.count.saturating_add(1);
        let Some(have) = &self.have else {
            return self.out.write_all(&chunk.bytes).map_err(MoverError::Stream);
        };
        if self.count == have.chunks {
            if hex(&self.running.digest()) != have.digest {
                self.outdated = true;
                return Err(MoverError::archive("the source is another by now"));
            }
            self.have = None;
        }
        Ok(())
    }

    fn finish(&mut self, trailer: &Trailer) -> Result<String, MoverError> {
        self.chunk(&Stored::json(Kind::End, trailer)?)?;
        if self.have.is_some() {
            self.outdated = true;
            return Err(MoverError::archive("the source is smaller by now"));
        }
        let digest = self.running.digest();
        let seal = Stored::plain(Kind::Seal, &digest);
        self.out
            .write_all(&seal.bytes)
            .map_err(MoverError::Stream)?;
        self.out.flush().map_err(MoverError::Stream)?;
        Ok(hex(&digest))
    }
}
