//! A tree is read: once at the source, where it becomes records, and once at the destination, where it
//! must give the same digest.

use crate::content::{Content, PIECE_BYTES};
use crate::error::{MoverError, shown};
use crate::format::{Trailer, hex};
use crate::meta::Meta;
use crate::owners::Back;
use crate::records::{Record, TARGET_BYTES_MAX, put};
use crate::walk::{Body, Dir, Item, Leaf, is_same};
use rustix::fs::{Advice, SeekFrom, Stat, fadvise, fstat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::fd::OwnedFd;

/// Files with several names of which not all were met yet: some 200 MB of memory.
const LINKS_MAX: usize = 1_000_000;

/// Entries whose marks are kept, so that the first that differs can be named: 32 MB of memory.
const MARKS_MAX: usize = 4_000_000;

/// Takes what is read.
pub(crate) trait Emit {
    fn record(&mut self, record: &Record<'_>) -> Result<(), MoverError>;

    /// Gives room for at most `want` bytes of a file from `offset`, a multiple of [`PIECE_BYTES`]
    /// unless it is all that is wanted; `fill` tells how many came. Returns that.
    fn data(&mut self, offset: u64, want: u64, fill: &mut Fill<'_>) -> Result<usize, MoverError>;
}

/// Reads bytes into room.
pub(crate) type Fill<'a> = dyn FnMut(&mut [u8]) -> Result<usize, MoverError> + 'a;

/// Small digests of entries in their order.
#[derive(Default)]
pub(crate) struct Marks {
    all: DefaultHasher,
    list: Vec<u64>,
    count: usize,
}

impl Marks {
    pub(crate) fn push(&mut self, of: impl std::hash::Hash) {
        let mut hasher = DefaultHasher::new();
        of.hash(&mut hasher);
        self.push_mark(hasher.finish());
    }

    fn push_mark(&mut self, mark: u64) {
        mark.hash(&mut self.all);
        if self.list.len() < MARKS_MAX {
            self.list.push(mark);
        }
        self.count = self.count.saturating_add(1);
    }

    /// Whether the last that was pushed is another than its counterpart.
    fn last_differs(&self, other: &Self) -> bool {
        let place = self.count.saturating_sub(1);
        place < MARKS_MAX && self.list.get(place) != other.list.get(place)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.count == other.count && self.all.finish() == other.all.finish()
    }

    /// All of them in a word.
    pub(crate) fn word(&self) -> String {
        format!("{:016x}.{}", self.all.finish(), self.count)
    }

    pub(crate) fn meta(&mut self, meta: &Meta) {
        let Meta {
            mode,
            uid,
            gid,
            xattrs,
            ..
        } = meta;
        self.push((mode, uid, gid, xattrs));
    }
}

/// Reads the items of a tree in their order.
pub(crate) struct Reading<'a, E> {
    pub(crate) out: &'a mut E,
    live: bool,
    back: Back,
    hash: blake3::Hasher,
    times: blake3::Hasher,
    trailer: Trailer,
    scratch: Vec<u8>,
    /// Bytes of the path of the directory above each path of the tree.
    above: Vec<usize>,
    links: HashMap<(u64, u64), (u32, Vec<u8>, u64)>,
    /// What `stat` said of each entry.
    stamps: Marks,
    /// What each entry is, to be compared with what was to be.
    marks: Marks,
    wanted: Option<&'a Marks>,
}

impl<'a, E: Emit> Reading<'a, E> {
    pub(crate) fn new(out: &'a mut E, roots: &[Vec<u8>], live: bool) -> Self {
        let above = |path: &Vec<u8>| path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        Self {
            out,
            live,
            back: Back::default(),
            hash: blake3::Hasher::new(),
            times: blake3::Hasher::new(),
            trailer: Trailer {
                entries: 0,
                content: 0,
                left_out: 0,
                changed: 0,
                manifest: String::new(),
                times: String::new(),
                stamps: String::new(),
            },
            scratch: Vec::new(),
            above: roots.iter().map(above).collect(),
            links: HashMap::new(),
            stamps: Marks::default(),
            marks: Marks::default(),
            wanted: None,
        }
    }

    /// At the destination: with the owners of the source, and with what each entry is to be.
    pub(crate) fn against(mut self, back: Back, wanted: Option<&'a Marks>) -> Self {
        self.back = back;
        self.wanted = wanted;
        self
    }

    /// What was read, and the stamps of it.
    pub(crate) fn finish(mut self) -> (Trailer, Marks) {
        self.trailer.manifest = hex(self.hash.finalize().as_bytes());
        self.trailer.times = hex(self.times.finalize().as_bytes());
        (self.trailer, self.stamps)
    }

    pub(crate) fn item(&mut self, item: Item) -> Result<(), MoverError> {
        match item {
            Item::Root(index) => self.plain(&Record::Root(index)),
            Item::Enter(dir) => {
                stamp(&mut self.stamps, &dir.name, &dir.stat);
                self.marks.push(dir.name.as_slice());
                self.compare(&dir.path)?;
                self.plain(&Record::Enter(&dir.name))
            }
            Item::Leave(dir) => self.leave(&dir),
            Item::Leaf(leaf) => self.leaf(&leaf),
            Item::Left => {
                self.trailer.left_out = self.trailer.left_out.saturating_add(1);
                Ok(())
            }
        }
    }

    fn compare(&self, path: &[u8]) -> Result<(), MoverError> {
        let differs = self
            .wanted
            .is_some_and(|wanted| self.marks.last_differs(wanted));
        let what = || {
            let path = shown(path);
            MoverError::Differs(format!(
                "the first difference is at {path}, or there is more than was copied"
            ))
        };
        if differs { Err(what()) } else { Ok(()) }
    }

    fn plain(&mut self, record: &Record<'_>) -> Result<(), MoverError> {
        self.digest(record);
        self.out.record(record)
    }

    fn digest(&mut self, record: &Record<'_>) {
        self.scratch.clear();
        put(&mut self.scratch, record);
        self.hash.update(&self.scratch);
    }

    /// Metadata with the source's owners, and without the time, which has a digest of its own.
    fn known(&mut self, meta: &Meta) -> Meta {
        self.times.update(&meta.mtime_s.to_le_bytes());
        self.times.update(&meta.mtime_ns.to_le_bytes());
        self.trailer.entries = self.trailer.entries.saturating_add(1);
        let back = |map: &std::collections::BTreeMap<u32, u32>, number| {
            Ok(map.get(&number).copied().unwrap_or(number))
        };
        let users = |number| back(&self.back.users, number);
        let groups = |number| back(&self.back.groups, number);
        let mut known = meta
            .renumbered(users, groups)
            .unwrap_or_else(|_: String| meta.clone());
        (known.mtime_s, known.mtime_ns) = (0, 0);
        self.marks.meta(&known);
        known
    }

    fn leave(&mut self, dir: &Dir) -> Result<(), MoverError> {
        let after = fstat(&dir.fd).map_err(MoverError::io(&dir.path, "looked at"))?;
        if !is_same(&dir.stat, &after) {
            self.changed(&dir.path, "entries of it came or went")?;
        }
        let known = self.known(&dir.meta);
        self.compare(&dir.path)?;
        self.digest(&Record::Leave(known));
        self.out.record(&Record::Leave(dir.meta.clone()))
    }

    fn changed(&mut self, path: &[u8], what: &'static str) -> Result<(), MoverError> {
        if !self.live {
            let path = if path.is_empty() { b"/" } else { path };
            return Err(MoverError::Changed {
                path: shown(path),
                what,
            });
        }
        self.trailer.changed = self.trailer.changed.saturating_add(1);
        Ok(())
    }

    fn leaf(&mut self, leaf: &Leaf) -> Result<(), MoverError> {
        stamp(&mut self.stamps, &leaf.name, &leaf.stat);
        self.marks.push(leaf.name.as_slice());
        let path = leaf.path();
        self.compare(&path)?;
        if let Some((root, target)) = self.other_name(leaf, &path)? {
            self.trailer.entries = self.trailer.entries.saturating_add(1);
            return self.plain(&Record::Hardlink(&leaf.name, root, &target));
        }
        let Leaf {
            name,
            meta,
            body,
            stat,
            ..
        } = leaf;
        match body {
            Body::Small(content, same) => self.small(leaf, &path, content, *same),
            Body::Large(fd) => self.large(leaf, &path, fd, stat),
            Body::Symlink(target) => {
                if target.len() > TARGET_BYTES_MAX {
                    return Err(MoverError::refused(
                        &path,
                        "leads to a path that is too long",
                    ));
                }
                let known = self.known(meta);
                self.compare(&path)?;
                self.digest(&Record::Symlink(name, target, known));
                self.out
                    .record(&Record::Symlink(name, target, meta.clone()))
            }
            Body::Fifo => {
                let known = self.known(meta);
                self.compare(&path)?;
                self.digest(&Record::Fifo(name, known));
                self.out.record(&Record::Fifo(name, meta.clone()))
            }
            Body::Device {
                block,
                major,
                minor,
            } => {
                let known = self.known(meta);
                self.compare(&path)?;
                self.digest(&Record::Device(name, *block, *major, *minor, known));
                let record = Record::Device(name, *block, *major, *minor, meta.clone());
                self.out.record(&record)
            }
            Body::Seen => Err(MoverError::refused(&path, "was not read")),
        }
    }

    /// The earlier name of the same file. A file leaves the table with the last of its names.
    fn other_name(
        &mut self,
        leaf: &Leaf,
        path: &[u8],
    ) -> Result<Option<(u32, Vec<u8>)>, MoverError> {
        let stat = &leaf.stat;
        if stat.st_nlink < 2 {
            return Ok(None);
        }
        let key = (stat.st_dev, stat.st_ino);
        if let Some((root, target, left)) = self.links.get_mut(&key) {
            *left = left.saturating_sub(1);
            let found = (*root, target.clone());
            if *left == 0 {
                self.links.remove(&key);
            }
            return Ok(Some(found));
        }
        if self.links.len() >= LINKS_MAX {
            let why = format!("is one of more than {LINKS_MAX} files with several names at a time");
            return Err(MoverError::refused(path, why));
        }
        let root = leaf.dir.root;
        let above = usize::try_from(root)
            .ok()
            .and_then(|root| self.above.get(root));
        let start = above.copied().unwrap_or(0).saturating_add(1);
        let target = path.get(start..).unwrap_or_default().to_vec();
        if target.len() > TARGET_BYTES_MAX {
            return Err(MoverError::refused(
                path,
                "has several names and too long a path",
            ));
        }
        self.links
            .insert(key, (root, target, stat.st_nlink.saturating_sub(1)));
        Ok(None)
    }

    fn small(
        &mut self,
        leaf: &Leaf,
        path: &[u8],
        content: &[u8],
        same: bool,
    ) -> Result<(), MoverError> {
        if !same {
            self.changed(path, "it was written to")?;
        }
        self.out.record(&Record::File(&leaf.name))?;
        if !content.is_empty() {
            self.out.record(&Record::Data(0, content))?;
        }
        let mut digest = Content::new();
        digest.update(0, content);
        self.file_end(
            leaf,
            path,
            content.len() as u64,
            content.len() as u64,
            digest,
        )
    }

    fn large(
        &mut self,
        leaf: &Leaf,
        path: &[u8],
        fd: &OwnedFd,
        before: &Stat,
    ) -> Result<(), MoverError> {
        self.out.record(&Record::File(&leaf.name))?;
        // Only a hint; it may be refused.
        let _hint = fadvise(fd, 0, None, Advice::Sequential);
        let mut size = u64::try_from(before.st_size).unwrap_or(0);
        let mut digest = Content::new();
        let mut content: u64 = 0;
        let mut at = 0;
        'file: while let Some((start, end)) = next_data(fd, at, size, path)? {
            at = start;
            while at < end {
                let mut fill = |room: &mut [u8]| {
                    let length = read_whole(fd, room, at, path)?;
                    digest.update(at, room.get(..length).unwrap_or_default());
                    Ok(length)
                };
                let want = end.saturating_sub(at);
                let length = self.out.data(at, want, &mut fill)? as u64;
                content = content.saturating_add(length);
                at = at.saturating_add(length);
                if length == 0 || (at < end && at % PIECE_BYTES as u64 != 0) {
                    // It ends here by now.
                    size = at;
                    break 'file;
                }
            }
        }
        let after = fstat(fd).map_err(MoverError::io(path, "looked at"))?;
        if !is_same(before, &after) {
            self.changed(path, "it was written to")?;
        }
        self.file_end(leaf, path, size, content, digest)
    }

    fn file_end(
        &mut self,
        leaf: &Leaf,
        path: &[u8],
        size: u64,
        content: u64,
        digest: Content,
    ) -> Result<(), MoverError> {
        self.trailer.content = self.trailer.content.saturating_add(content);
        let known = self.known(&leaf.meta);
        self.compare(path)?;
        self.digest(&Record::File(&leaf.name));
        self.digest(&Record::FileEnd(size, known));
        self.hash.update(&digest.finish(size));
        self.out.record(&Record::FileEnd(size, leaf.meta.clone()))
    }
}

/// The next part of a file that holds data, widened to whole pieces.
fn next_data(
    fd: &OwnedFd,
    from: u64,
    size: u64,
    path: &[u8],
) -> Result<Option<(u64, u64)>, MoverError> {
    if from >= size {
        return Ok(None);
    }
    let start = match rustix::fs::seek(fd, SeekFrom::Data(from)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        // A file system that does not tell.
        Err(Errno::INVAL | Errno::NOTSUP) => return Ok(Some((from, size))),
        Err(error) => return Err(MoverError::io(path, "asked for its holes")(error)),
    };
    let end = match rustix::fs::seek(fd, SeekFrom::Hole(start)) {
        Ok(end) => end,
        Err(Errno::NXIO) => return Ok(None),
        Err(error) => return Err(MoverError::io(path, "asked for its holes")(error)),
    };
    let piece = PIECE_BYTES as u64;
    let start = start.saturating_sub(start % piece).max(from);
    let end = end.next_multiple_of(piece).min(size);
    Ok((start < size).then_some((start, end)))
}

fn read_whole(
    fd: &OwnedFd,
    room: &mut [u8],
    offset: u64,
    path: &[u8],
) -> Result<usize, MoverError> {
    let mut filled = 0;
    while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(fd, rest, offset.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(Errno::INTR) => {}
            Err(error) => return Err(MoverError::io(path, "read")(error)),
        }
    }
    Ok(filled)
}

pub(crate) fn stamp(stamps: &mut Marks, name: &[u8], stat: &Stat) {
    stamps.push((
        name,
        (stat.st_ino, stat.st_dev, stat.st_mode, stat.st_size),
        (
            stat.st_mtime,
            stat.st_mtime_nsec,
            stat.st_ctime,
            stat.st_ctime_nsec,
        ),
    ));
}

/// A later look at a source of which only the word of its stamps is known.
#[derive(Default)]
pub(crate) struct LaterLook(Marks);

impl LaterLook {
    pub(crate) fn item(&mut self, item: &Item) {
        match item {
            Item::Enter(dir) => stamp(&mut self.0, &dir.name, &dir.stat),
            Item::Leaf(leaf) => stamp(&mut self.0, &leaf.name, &leaf.stat),
            Item::Root(_) | Item::Leave(_) | Item::Left => {}
        }
    }

    pub(crate) fn word(&self) -> String {
        self.0.word()
    }
}

/// The second look at a source: whether all of it is as it was when it was read.
pub(crate) struct SecondLook<'a> {
    before: &'a Marks,
    now: Marks,
}

impl<'a> SecondLook<'a> {
    pub(crate) fn new(before: &'a Marks) -> Self {
        Self {
            before,
            now: Marks::default(),
        }
    }

    pub(crate) fn item(&mut self, item: &Item) -> Result<(), MoverError> {
        let path = match item {
            Item::Enter(dir) => {
                stamp(&mut self.now, &dir.name, &dir.stat);
                dir.path.clone()
            }
            Item::Leaf(leaf) => {
                stamp(&mut self.now, &leaf.name, &leaf.stat);
                leaf.path()
            }
            Item::Root(_) | Item::Leave(_) | Item::Left => return Ok(()),
        };
        if self.now.last_differs(self.before) {
            return Err(changed_since(&path));
        }
        Ok(())
    }

    pub(crate) fn finish(&self) -> Result<(), MoverError> {
        if self.now.is_same(self.before) {
            Ok(())
        } else {
            Err(changed_since(b"something"))
        }
    }
}

fn changed_since(path: &[u8]) -> MoverError {
    MoverError::Changed {
        path: shown(if path.is_empty() { b"/" } else { path }),
        what: "it is not as it was when it was read",
    }
}
