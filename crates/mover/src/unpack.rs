//! An archive becomes paths again. Its bytes are foreign: whatever it says, nothing outside of the paths
//! that were asked for is touched, and no symbolic link is followed.

use crate::decode::{self, Chunk, Course};
use crate::error::MoverError;
use crate::format::{Chain, Head, Kind, Trailer, hex};
use crate::manifest::{Emit, Fill, Marks, Reading};
use crate::meta::Meta;
use crate::open;
use crate::owners::{self, Owners};
use crate::place::{Intent, Place, Progress, prepare, received, sync};
use crate::records::{Record, Records};
use crate::walk::{DEPTH_MAX, Look, Tree, join, walk};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::io::Read;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

/// Between two points from which a restore can go on: each costs a wait for the disk.
const CHECKPOINT_BYTES: u64 = 1024 * 1024 * 1024;

/// Room into which files are read back.
const READ_BACK_BYTES: usize = 1024 * 1024;

/// What becomes of what is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExisting {
    /// It stays, and nothing is done.
    Refuse,
    /// It is kept beside.
    SetAside,
}

/// In which form it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// From an archive whose digest whoever sends it has verified: with its head, and then from this
    /// chunk on, as [`crate::resume_point`] told; 0 for all.
    Archive {
        /// The first chunk after the head that comes.
        from_chunk: u64,
    },
    /// As it is made: whole, or after the chunks that [`crate::received`] told.
    Stream,
}

/// What is unpacked, and where.
#[derive(Clone, Debug)]
pub struct UnpackSpec {
    /// What all paths are below: `/`, but in tests and for people.
    pub base: PathBuf,
    /// The paths that the archive must have.
    pub paths: Vec<Vec<u8>>,
    /// The archive's digest, or another word of at most 64 characters by which it is known again.
    pub id: String,
    /// What becomes of what is in the way.
    pub existing: OnExisting,
    /// In which form it comes.
    pub form: Form,
    /// Where the progress is kept. Without it there are no marks either, and nothing can be resumed.
    pub progress: Option<PathBuf>,
}

/// What was unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// What stands at the end of the archive; what was read back agrees with it.
    pub trailer: Trailer,
    /// Whether anything was made; otherwise it was there already.
    pub made: bool,
    /// Whether the file system keeps modification times as finely as the source's.
    pub times_kept: bool,
    /// Of a stream: the digest of all of it, equal at both ends.
    pub digest: Option<String>,
}

/// Unpacks an archive, makes it durable and reads it back.
///
/// # Errors
/// When the archive is not sound or not of these paths, something is in the way, the file system says
/// no, or what is read back is not what was packed. What was made so far stays, marked.
pub fn unpack(spec: &UnpackSpec, input: impl Read + Send) -> Result<Unpacked, MoverError> {
    let unfinished = match spec.form {
        Form::Archive { .. } => None,
        Form::Stream => unfinished(spec),
    };
    let course = match (spec.form, &unfinished) {
        (Form::Archive { .. }, _) => Course::Archive,
        (Form::Stream, None) => Course::Stream,
        (Form::Stream, Some(_)) => Course::Rest,
    };
    std::thread::scope(|scope| {
        let chunks = decode::chunks(scope, input, course);
        let ended = || MoverError::archive("it ends before its end");
        let next = || chunks.recv().unwrap_or_else(|_| Err(ended()));
        match spec.form {
            Form::Archive { from_chunk } => archive(spec, from_chunk, &next),
            Form::Stream => stream(spec, unfinished, &next),
        }
    })
}

/// What an earlier attempt at this stream left: the same that [`crate::received`] tells of.
fn unfinished(spec: &UnpackSpec) -> Option<(Progress, Head)> {
    let path = spec.progress.as_deref()?;
    received(&spec.base, path, &spec.id)?;
    let mut progress = Progress::read(path, &spec.id)?;
    let head = progress.head.take()?;
    Some((progress, head))
}

type Next<'n> = &'n dyn Fn() -> Result<Chunk, MoverError>;

fn parsed<T: serde::de::DeserializeOwned>(content: &[u8]) -> Result<T, MoverError> {
    serde_json::from_slice(content)
        .map_err(|e| MoverError::archive(format!("its head or end cannot be read: {e}")))
}

fn archive(spec: &UnpackSpec, from_chunk: u64, next: Next<'_>) -> Result<Unpacked, MoverError> {
    let first = next()?;
    if first.kind != Kind::Head {
        return Err(MoverError::archive("it does not begin with a head"));
    }
    let mut work = Work::new(spec, parsed(&first.content)?, from_chunk, None)?;
    loop {
        let chunk = work.next(next)?;
        match chunk.kind {
            Kind::Body => work.chunk(&chunk)?,
            Kind::End => return work.finish(parsed(&chunk.content)?),
            _ => return Err(MoverError::archive("a chunk at the wrong place")),
        }
    }
}

fn stream(
    spec: &UnpackSpec,
    unfinished: Option<(Progress, Head)>,
    next: Next<'_>,
) -> Result<Unpacked, MoverError> {
    let mut work = None;
    if let Some((progress, head)) = unfinished {
        let chain = Chain::of_hex(&progress.chain);
        work = Some(Work::new(spec, head, progress.next, chain)?);
    }
    loop {
        let chunk = match &mut work {
            Some(work) => work.next(next)?,
            None => next()?,
        };
        match (chunk.kind, &mut work) {
            // The source is another by now: what there is of it goes.
            (Kind::Again, _) => work = None,
            (Kind::Head, None) => {
                let mut chain = Chain::new();
                chain.add(&chunk.header);
                work = Some(Work::new(spec, parsed(&chunk.content)?, 0, Some(chain))?);
            }
            (Kind::Body, Some(work)) => work.chunk(&chunk)?,
            (Kind::End, Some(_)) => {
                break work.map_or_else(
                    || Err(MoverError::archive("it ends before its head")),
                    |work| sealed(work, &chunk, next),
                );
            }
            _ => return Err(MoverError::archive("a chunk at the wrong place")),
        }
    }
}

/// The end of a stream: the source's digest of all of it, then what is at the paths.
fn sealed(mut work: Work<'_>, end: &Chunk, next: Next<'_>) -> Result<Unpacked, MoverError> {
    let trailer = parsed(&end.content)?;
    // Where the stream breaks off here, its end comes again.
    let seal = work.next(next)?;
    work.count(end);
    let own = work.chain.as_ref().map(Chain::hex);
    let theirs = hex(&seal.content);
    let begin_again = Progress {
        next: 0,
        ..work.progress(false)
    };
    let spec = work.spec;
    let finished = if seal.kind == Kind::Seal && own.as_ref() == Some(&theirs) {
        work.finish(trailer)
    } else {
        let own = own.unwrap_or_default();
        let why = format!("the digest of the stream is {own} here and {theirs} at its source");
        Err(MoverError::Differs(why))
    };
    if let (Err(MoverError::Differs(_)), Some(path)) = (&finished, &spec.progress) {
        // The next attempt takes nothing of this one for good.
        begin_again.write(path)?;
    }
    finished.map(|unpacked| Unpacked {
        digest: Some(theirs),
        ..unpacked
    })
}

/// A directory that is being filled.
struct Open {
    fd: OwnedFd,
    name: Vec<u8>,
    path: Vec<u8>,
}

struct Work<'a> {
    spec: &'a UnpackSpec,
    head: Head,
    owners: Owners,
    places: Vec<Place>,
    intent: Intent,
    root: Option<usize>,
    dirs: Vec<Open>,
    file: Option<Open>,
    /// The first chunk that came after the head; 0 when all came.
    from: u64,
    next: u64,
    /// Of a stream: the digest of all that came.
    chain: Option<Chain>,
    since_checkpoint: u64,
    /// None for a restore that goes on in the middle.
    marks: Option<Marks>,
}

impl<'a> Work<'a> {
    fn new(
        spec: &'a UnpackSpec,
        head: Head,
        from: u64,
        chain: Option<Chain>,
    ) -> Result<Self, MoverError> {
        let paths: Vec<_> = head.roots.iter().map(|root| root.path.clone()).collect();
        if paths != spec.paths {
            return Err(MoverError::archive(
                "it holds other paths than those that are wanted",
            ));
        }
        let (users, groups) = owners::tables(&spec.base);
        let owners = Owners::new((&head.users, &head.groups), (&users, &groups));
        let owner = |uid, gid| Ok((owners.users.map(uid)?, owners.groups.map(gid)?));
        let (places, intent) = prepare(spec, &head, from > 0, owner)?;
        let mut work = Self {
            spec,
            head,
            owners,
            places,
            intent,
            root: None,
            dirs: Vec::new(),
            file: None,
            from,
            next: from.max(1),
            chain,
            since_checkpoint: 0,
            marks: (from == 0).then(Marks::default),
        };
        if from > 0 {
            work.go_on()?;
        } else if let (Intent::Make, Some(path)) = (intent, &spec.progress) {
            work.progress(false).write(path)?;
        }
        Ok(work)
    }

    /// Opens again what was open at the last checkpoint.
    fn go_on(&mut self) -> Result<(), MoverError> {
        let progress = self.spec.progress.as_deref();
        let progress = progress
            .and_then(|path| Progress::read(path, &self.spec.id))
            .filter(|progress| progress.next == self.from && !progress.done)
            .ok_or_else(|| MoverError::archive("it cannot go on from there: begin it again"))?;
        if progress.next <= 1 && progress.dirs.is_empty() {
            return Ok(());
        }
        let root = usize::try_from(progress.root).unwrap_or(usize::MAX);
        self.root = Some(root);
        for name in &progress.dirs {
            let (fd, path) = self.here(name)?;
            let fd = open::directory(fd, name, &path)?;
            self.dirs.push(Open {
                fd,
                name: name.clone(),
                path,
            });
        }
        if !progress.file.is_empty() {
            let (dir, path) = self.here(&progress.file)?;
            let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(dir, progress.file.as_slice(), flags, Mode::empty())
                .map_err(MoverError::io(&path, "opened"))?;
            self.file = Some(Open {
                fd,
                name: progress.file.clone(),
                path,
            });
        }
        Ok(())
    }

    fn progress(&self, done: bool) -> Progress {
        Progress {
            id: self.spec.id.clone(),
            next: if self.next > 1 { self.next } else { 0 },
            paths: self.spec.paths.clone(),
            root: self
                .root
                .and_then(|root| u32::try_from(root).ok())
                .unwrap_or(0),
            dirs: self.dirs.iter().map(|dir| dir.name.clone()).collect(),
            file: self
                .file
                .as_ref()
                .map(|file| file.name.clone())
                .unwrap_or_default(),
            done,
            chain: self.chain.as_ref().map(Chain::hex).unwrap_or_default(),
            head: self.chain.as_ref().map(|_| self.head.clone()),
        }
    }

    /// The next chunk. Where the stream breaks off, what came is made durable first, so that the next
    /// attempt goes on from here.
    fn next(&mut self, next: Next<'_>) -> Result<Chunk, MoverError> {
        let chunk = next();
        if matches!(chunk, Err(MoverError::Stream(_))) && self.intent == Intent::Make {
            self.checkpoint()?;
        }
        chunk
    }

    fn count(&mut self, chunk: &Chunk) {
        self.next = self.next.saturating_add(1);
        if let Some(chain) = &mut self.chain {
            chain.add(&chunk.header);
        }
    }

    /// The directory in which a name is to be made, and its path for people. Directly above a path of
    /// the archive only that path's own name may be made.
    fn here(&self, name: &[u8]) -> Result<(std::os::fd::BorrowedFd<'_>, Vec<u8>), MoverError> {
        if let Some(dir) = self.dirs.last() {
            if name.is_empty() {
                return Err(MoverError::archive("an entry without a name"));
            }
            return Ok((dir.fd.as_fd(), join(&dir.path, name)));
        }
        let place = self.root.and_then(|root| self.places.get(root));
        match place {
            Some(place) if place.name == name => Ok((place.parent.as_fd(), place.path.clone())),
            _ => Err(MoverError::archive("an entry outside of its paths")),
        }
    }

    fn chunk(&mut self, chunk: &Chunk) -> Result<(), MoverError> {
        self.count(chunk);
        let mut records = Records::new(&chunk.content);
        while let Some(record) = records.next()? {
            if self.intent == Intent::Make {
                self.record(record)?;
            }
        }
        self.since_checkpoint = self
            .since_checkpoint
            .saturating_add(chunk.content.len() as u64);
        if self.since_checkpoint >= CHECKPOINT_BYTES && self.intent == Intent::Make {
            self.checkpoint()?;
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), MoverError> {
        self.since_checkpoint = 0;
        let Some(path) = &self.spec.progress else {
            return Ok(());
        };
        for place in &self.places {
            self.sync(place)?;
        }
        self.progress(false).write(path)
    }

    /// The path's own file system, which need not be that of the directory above it.
    fn sync(&self, place: &Place) -> Result<(), MoverError> {
        if let Ok(dir) = open::directory(place.parent.as_fd(), &place.name, &place.path) {
            sync(dir.as_fd(), &place.path)?;
        }
        sync(place.parent.as_fd(), &place.path)
    }

    fn record(&mut self, record: Record<'_>) -> Result<(), MoverError> {
        let in_file = matches!(record, Record::Data(..) | Record::FileEnd(..));
        if in_file != self.file.is_some() {
            return Err(MoverError::archive(
                "data outside of a file, or an entry within one",
            ));
        }
        match record {
            Record::Root(index) => self.begin_root(index),
            Record::Enter(name) => self.enter(name),
            Record::Leave(meta) => self.leave(&meta),
            Record::File(name) => self.begin_file(name),
            Record::Data(offset, bytes) => self.data(offset, bytes),
            Record::FileEnd(size, meta) => self.end_file(size, &meta),
            Record::Symlink(name, target, meta) => {
                let (dir, path) = self.fresh(name)?;
                rustix::fs::symlinkat(target, dir, name).map_err(MoverError::io(&path, "made"))?;
                self.mapped(&meta, &path)?
                    .apply_at(dir, name, &path, true)?;
                self.mark(name, Some(&meta));
                Ok(())
            }
            Record::Hardlink(name, root, target) => self.hard_link(name, root, target),
            Record::Fifo(name, meta) => self.node(name, FileType::Fifo, 0, &meta),
            Record::Device(name, block, major, minor, meta) => {
                let kind = if block {
                    FileType::BlockDevice
                } else {
                    FileType::CharacterDevice
                };
                self.node(name, kind, rustix::fs::makedev(major, minor), &meta)
            }
        }
    }

    fn mark(&mut self, name: &[u8], meta: Option<&Meta>) {
        if let Some(marks) = &mut self.marks {
            marks.push(name);
            if let Some(meta) = meta {
                marks.meta(meta);
            }
        }
    }

    fn mapped(&self, meta: &Meta, path: &[u8]) -> Result<Meta, MoverError> {
        let (users, groups) = (&self.owners.users, &self.owners.groups);
        meta.renumbered(|number| users.map(number), |number| groups.map(number))
            .map_err(|why| MoverError::refused(path, why))
    }

    /// Where a name is to be made; what an interrupted attempt made there is taken away.
    fn fresh(&self, name: &[u8]) -> Result<(std::os::fd::BorrowedFd<'_>, Vec<u8>), MoverError> {
        let (dir, path) = self.here(name)?;
        if self.from > 0 {
            match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(MoverError::io(&path, "made again")(error)),
            }
        }
        Ok((dir, path))
    }

    fn begin_root(&mut self, index: u32) -> Result<(), MoverError> {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        if !self.dirs.is_empty() || index >= self.places.len() {
            return Err(MoverError::archive("a path at the wrong place"));
        }
        self.root = Some(index);
        Ok(())
    }

    fn enter(&mut self, name: &[u8]) -> Result<(), MoverError> {
        if self.dirs.len() > DEPTH_MAX {
            return Err(MoverError::archive(
                "directories that are nested too deeply",
            ));
        }
        let (dir, path) = self.here(name)?;
        let may_exist = self.dirs.is_empty() || self.from > 0;
        if !name.is_empty() {
            match rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(0o700)) {
                Err(Errno::EXIST) if may_exist => {}
                made => made.map_err(MoverError::io(&path, "made"))?,
            }
        }
        let fd = open::directory(dir, name, &path)?;
        self.dirs.push(Open {
            fd,
            name: name.to_vec(),
            path,
        });
        self.mark(name, None);
        Ok(())
    }

    fn leave(&mut self, meta: &Meta) -> Result<(), MoverError> {
        let outside = || MoverError::archive("the end of a directory that did not begin");
        let dir = self.dirs.pop().ok_or_else(outside)?;
        self.mapped(meta, &dir.path)?
            .apply(dir.fd.as_fd(), &dir.path)?;
        if let Some(marks) = &mut self.marks {
            marks.meta(meta);
        }
        Ok(())
    }

    fn begin_file(&mut self, name: &[u8]) -> Result<(), MoverError> {
        let (dir, path) = self.fresh(name)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o600))
            .map_err(MoverError::io(&path, "made"))?;
        self.file = Some(Open {
            fd,
            name: name.to_vec(),
            path,
        });
        self.mark(name, None);
        Ok(())
    }

    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), MoverError> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            match rustix::io::pwrite(&file.fd, rest, at) {
                Ok(0) => {
                    let error = std::io::Error::from(std::io::ErrorKind::WriteZero);
                    return Err(MoverError::io(&file.path, "written")(error));
                }
                Ok(count) => {
                    at = at.saturating_add(count as u64);
                    rest = rest.get(count..).unwrap_or_default();
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(MoverError::io(&file.path, "written")(error)),
            }
        }
        Ok(())
    }

    fn end_file(&mut self, size: u64, meta: &Meta) -> Result<(), MoverError> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let now = rustix::fs::fstat(&file.fd).map_err(MoverError::io(&file.path, "looked at"))?;
        if u64::try_from(now.st_size) != Ok(size) {
            rustix::fs::ftruncate(&file.fd, size)
                .map_err(MoverError::io(&file.path, "given its size"))?;
        }
        self.mapped(meta, &file.path)?
            .apply(file.fd.as_fd(), &file.path)?;
        if let Some(marks) = &mut self.marks {
            marks.meta(meta);
        }
        Ok(())
    }

    fn hard_link(&mut self, name: &[u8], root: u32, target: &[u8]) -> Result<(), MoverError> {
        let place = usize::try_from(root)
            .ok()
            .and_then(|root| self.places.get(root));
        let mut parts: Vec<&[u8]> = target.split(|byte| *byte == b'/').collect();
        let (Some(place), Some(last)) = (place, parts.pop()) else {
            return Err(MoverError::archive("a hard link to nothing"));
        };
        if parts.first().unwrap_or(&last) != &place.name.as_slice() && !place.name.is_empty() {
            return Err(MoverError::archive("a hard link to outside of its paths"));
        }
        let above = open::descend_from(place.parent.as_fd(), &parts)?;
        let (dir, path) = self.fresh(name)?;
        rustix::fs::linkat(&above, last, dir, name, AtFlags::empty())
            .map_err(MoverError::io(&path, "linked"))?;
        self.mark(name, None);
        Ok(())
    }

    fn node(
        &mut self,
        name: &[u8],
        kind: FileType,
        device: u64,
        meta: &Meta,
    ) -> Result<(), MoverError> {
        let (dir, path) = self.fresh(name)?;
        rustix::fs::mknodat(dir, name, kind, Mode::from_raw_mode(0o600), device)
            .map_err(MoverError::io(&path, "made"))?;
        self.mapped(meta, &path)?
            .apply_at(dir, name, &path, false)?;
        self.mark(name, Some(meta));
        Ok(())
    }

    fn finish(mut self, trailer: Trailer) -> Result<Unpacked, MoverError> {
        if !self.dirs.is_empty() || self.file.is_some() {
            return Err(MoverError::archive("it ends within a directory or file"));
        }
        let made = self.intent == Intent::Make;
        if made {
            for place in &self.places {
                self.sync(place)?;
            }
        }
        let found = self.read_back()?;
        if found.manifest != trailer.manifest {
            let why = format!(
                "its manifest is {} instead of {}, in {} entries instead of {}",
                found.manifest, trailer.manifest, found.entries, trailer.entries
            );
            if made {
                return Err(MoverError::Differs(why));
            }
            let path = self
                .spec
                .paths
                .first()
                .map(Vec::as_slice)
                .unwrap_or_default();
            let why = format!(
                "exists on this host and is another than the copy ({why}); nothing was changed"
            );
            return Err(MoverError::refused(path, why));
        }
        if let (true, Some(path)) = (made, &self.spec.progress) {
            self.root = None;
            self.progress(true).write(path)?;
            for place in &self.places {
                place.clear_mark()?;
            }
        }
        let times_kept = found.times == trailer.times;
        Ok(Unpacked {
            trailer,
            made,
            times_kept,
            digest: None,
        })
    }

    fn read_back(&self) -> Result<Trailer, MoverError> {
        let tree = Tree {
            base: self.spec.base.clone(),
            roots: self.spec.paths.clone(),
            one_filesystem: self.head.one_filesystem,
            exclude: self.head.exclude.iter().cloned().collect(),
        };
        let mut room = Room(vec![0; READ_BACK_BYTES]);
        let reading = Reading::new(&mut room, &tree.roots, false);
        let wanted = self.marks.as_ref().filter(|_| self.intent == Intent::Make);
        let mut reading = reading.against(self.owners.back(), wanted);
        walk(&tree, Look::Whole, |item| reading.item(item))?;
        Ok(reading.finish().0)
    }
}

/// Room that is read into and forgotten.
struct Room(Vec<u8>);

impl Emit for Room {
    fn record(&mut self, _: &Record<'_>) -> Result<(), MoverError> {
        Ok(())
    }

    fn data(&mut self, _: u64, want: u64, fill: &mut Fill<'_>) -> Result<usize, MoverError> {
        let length = usize::try_from(want)
            .unwrap_or(usize::MAX)
            .min(self.0.len());
        fill(self.0.get_mut(..length).unwrap_or_default())
    }
}
