//! A tree in one order, names sorted by their bytes, while several threads read what comes next: on a
//! cold disk the time is spent in waiting for it.

use crate::error::MoverError;
use crate::meta::{Meta, xattrs, xattrs_at};
use crate::open;
use rustix::fs::{Dir as Listing, FileType, Stat, fstat};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Entries that are being read ahead; each may hold [`SMALL_BYTES`] and a descriptor.
const AHEAD_MAX: usize = 128;

/// Threads that read ahead: they wait for the disk more than they work.
const READERS: usize = 8;

/// A file of at most so many bytes is read whole ahead of its turn.
pub(crate) const SMALL_BYTES: u64 = 64 * 1024;

/// Deepest nesting: each level holds a descriptor.
pub(crate) const DEPTH_MAX: usize = 500;

/// What mkfs puts into a file system: an empty one holds it, and it is nobody's data.
pub(crate) const LOST_AND_FOUND: &[u8] = b"lost+found";

/// Bytes of a block in `st_blocks`.
const STAT_BLOCK_BYTES: u64 = 512;

/// What is walked.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// What all paths are below: `/`, but in tests.
    pub(crate) base: PathBuf,
    pub(crate) roots: Vec<Vec<u8>>,
    pub(crate) one_filesystem: bool,
    pub(crate) exclude: BTreeSet<Vec<u8>>,
}

/// How closely it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// With content.
    Whole,
    /// What `stat` says.
    Stat,
}

/// A directory on the way.
pub(crate) struct Dir {
    pub(crate) fd: OwnedFd,
    /// Absolute, below the base.
    pub(crate) path: Vec<u8>,
    /// Empty for `/` alone.
    pub(crate) name: Vec<u8>,
    /// The path of the tree that it belongs to.
    pub(crate) root: u32,
    pub(crate) stat: Stat,
    pub(crate) meta: Meta,
}

/// An entry that is no directory.
pub(crate) struct Leaf {
    pub(crate) dir: Arc<Dir>,
    pub(crate) name: Vec<u8>,
    pub(crate) stat: Stat,
    pub(crate) meta: Meta,
    pub(crate) body: Body,
}

impl Leaf {
    pub(crate) fn path(&self) -> Vec<u8> {
        join(&self.dir.path, &self.name)
    }
}

/// What an entry holds.
pub(crate) enum Body {
    /// A small file without holes, and whether it stayed the same while it was read.
    Small(Vec<u8>, bool),
    /// A file that is read when its turn comes.
    Large(OwnedFd),
    Symlink(Vec<u8>),
    Fifo,
    Device {
        block: bool,
        major: u32,
        minor: u32,
    },
    /// Nobody looked.
    Seen,
}

/// One thing after the other.
pub(crate) enum Item {
    Root(u32),
    Enter(Arc<Dir>),
    Leave(Arc<Dir>),
    Leaf(Box<Leaf>),
    /// Something that is left out.
    Left,
}

enum Ticket {
    Now(Result<Item, MoverError>),
    Soon(Receiver<Result<Item, MoverError>>),
}

struct Job {
    dir: Arc<Dir>,
    name: Vec<u8>,
    done: SyncSender<Result<Item, MoverError>>,
}

/// Calls `visit` for everything, in order, until it fails.
pub(crate) fn walk(
    tree: &Tree,
    look: Look,
    mut visit: impl FnMut(Item) -> Result<(), MoverError>,
) -> Result<(), MoverError> {
    let (tickets, taken) = sync_channel(AHEAD_MAX);
    let (jobs, queue) = sync_channel::<Job>(AHEAD_MAX);
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                while let Some(job) = next_job(&queue) {
                    // Whoever waited for it may have given up.
                    let _unheard = job.done.send(leaf(job.dir, job.name, look));
                }
            });
        }
        scope.spawn(move || {
            let walker = Walker {
                tree,
                tickets,
                jobs,
            };
            if let Err(Stop::Failed(error)) = walker.roots() {
                let _unheard = walker.tickets.send(Ticket::Now(Err(error)));
            }
        });
        // Taken apart when this ends, so that the walker ends as well.
        let taken = taken;
        for ticket in taken.iter() {
            let item = match ticket {
                Ticket::Now(item) => item,
                Ticket::Soon(soon) => soon
                    .recv()
                    .unwrap_or_else(|_| Err(MoverError::archive("a reader ended early"))),
            };
            visit(item?)?;
        }
        Ok(())
    })
}

fn next_job(queue: &Mutex<Receiver<Job>>) -> Option<Job> {
    queue
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .recv()
        .ok()
}

/// Why the walker ends.
enum Stop {
    Failed(MoverError),
    /// Nobody takes what it finds.
    Unwanted,
}

impl From<MoverError> for Stop {
    fn from(error: MoverError) -> Self {
        Self::Failed(error)
    }
}

struct Walker<'a> {
    tree: &'a Tree,
    tickets: SyncSender<Ticket>,
    jobs: SyncSender<Job>,
}

/// A directory whose names are gone through.
struct Frame {
    dir: Arc<Dir>,
    names: std::vec::IntoIter<(Vec<u8>, FileType)>,
}

impl Walker<'_> {
    fn tell(&self, item: Item) -> Result<(), Stop> {
        let sent = self.tickets.send(Ticket::Now(Ok(item)));
        sent.map_err(|_| Stop::Unwanted)
    }

    fn roots(&self) -> Result<(), Stop> {
        let base = open::base(&self.tree.base)?;
        for (index, path) in (0..).zip(&self.tree.roots) {
            self.tell(Item::Root(index))?;
            let names = open::components(path)?;
            let Some((last, above)) = names.split_last() else {
                let fd = open::directory(base.as_fd(), b"", path)?;
                self.descend(dir(fd, Vec::new(), Vec::new(), index)?)?;
                continue;
            };
            let fd = open::descend(&base, above, |_, _, _| Ok(()))?;
            let prefix = above.iter().flat_map(|name| [b"/".as_slice(), name]);
            let parent = dir(fd, prefix.flatten().copied().collect(), Vec::new(), index)?;
            let parent = Arc::new(parent);
            let stat = open::look(parent.fd.as_fd(), last, path)?
                .ok_or_else(|| MoverError::refused(path, "does not exist"))?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    let fd = open::directory(parent.fd.as_fd(), last, path)?;
                    self.descend(dir(fd, join(&parent.path, last), last.to_vec(), index)?)?;
                }
                FileType::RegularFile => self.leaf(&parent, last.to_vec())?,
                FileType::Symlink => {
                    let why = "is a symbolic link; name the path that it leads to";
                    return Err(MoverError::refused(path, why).into());
                }
                _ => {
                    let why = "is neither a directory nor a file";
                    return Err(MoverError::refused(path, why).into());
                }
            }
        }
        Ok(())
    }

    /// Everything below a directory, without a call within a call: a tree may be deep.
    fn descend(&self, top: Dir) -> Result<(), Stop> {
        let device = top.stat.st_dev;
        let mut frames = vec![self.enter(top)?];
        while let Some(frame) = frames.last_mut() {
            let Some((name, kind)) = frame.names.next() else {
                let dir = Arc::clone(&frame.dir);
                frames.pop();
                self.tell(Item::Leave(dir))?;
                continue;
            };
            let above = Arc::clone(&frame.dir);
            let path = join(&above.path, &name);
            let kind = match kind {
                FileType::Unknown => match open::look(above.fd.as_fd(), &name, &path)? {
                    Some(stat) => FileType::from_raw_mode(stat.st_mode),
                    None => return Err(vanished(&path).into()),
                },
                known => known,
            };
            if frames.len() == 1 && name == LOST_AND_FOUND {
                self.tell(Item::Left)?;
                continue;
            }
            if kind != FileType::Directory {
                if kind == FileType::Socket || self.tree.exclude.contains(&path) {
                    self.tell(Item::Left)?;
                } else {
                    self.leaf(&above, name)?;
                }
                continue;
            }
            if frames.len() >= DEPTH_MAX {
                let why = format!("is nested deeper than {DEPTH_MAX} directories");
                return Err(MoverError::refused(&path, why).into());
            }
            let fd = open::directory(above.fd.as_fd(), &name, &path)?;
            let found = dir(fd, path, name, above.root)?;
            let mounted = found.stat.st_dev != above.stat.st_dev;
            let elsewhere = self.tree.one_filesystem && found.stat.st_dev != device;
            let is_left = elsewhere
                || self.tree.exclude.contains(&found.path)
                || (mounted && is_pseudo(&found.fd));
            if is_left {
                let found = Arc::new(found);
                self.tell(Item::Enter(Arc::clone(&found)))?;
                self.tell(Item::Left)?;
                self.tell(Item::Leave(found))?;
            } else {
                frames.push(self.enter(found)?);
            }
        }
        Ok(())
    }

    fn enter(&self, dir: Dir) -> Result<Frame, Stop> {
        let mut names = if self.tree.exclude.contains(&dir.path) {
            Vec::new()
        } else {
            names(&dir.fd, &dir.path)?
        };
        names.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let dir = Arc::new(dir);
        self.tell(Item::Enter(Arc::clone(&dir)))?;
        Ok(Frame {
            dir,
            names: names.into_iter(),
        })
    }

    fn leaf(&self, dir: &Arc<Dir>, name: Vec<u8>) -> Result<(), Stop> {
        let (done, soon) = sync_channel(1);
        let ticket = self.tickets.send(Ticket::Soon(soon));
        ticket.map_err(|_| Stop::Unwanted)?;
        let dir = Arc::clone(dir);
        let job = self.jobs.send(Job { dir, name, done });
        job.map_err(|_| Stop::Unwanted)
    }
}

fn dir(fd: OwnedFd, path: Vec<u8>, name: Vec<u8>, root: u32) -> Result<Dir, MoverError> {
    let stat = fstat(&fd).map_err(MoverError::io(&path, "looked at"))?;
    let meta = Meta::new(&stat, xattrs(fd.as_fd(), &path)?);
    Ok(Dir {
        fd,
        path,
        name,
        root,
        stat,
        meta,
    })
}

pub(crate) fn names(fd: &OwnedFd, path: &[u8]) -> Result<Vec<(Vec<u8>, FileType)>, MoverError> {
    let listing = Listing::read_from(fd).map_err(MoverError::io(path, "listed"))?;
    let mut out = Vec::new();
    for entry in listing {
        let entry = entry.map_err(MoverError::io(path, "listed"))?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            out.push((name.to_vec(), entry.file_type()));
        }
    }
    Ok(out)
}

/// File systems that hold no data: the kernel's own.
fn is_pseudo(fd: &OwnedFd) -> bool {
    /// Their magic numbers in linux/magic.h: proc, sysfs, cgroup, cgroup2, devpts, debugfs, tracefs,
    /// securityfs, bpf, pstore, efivarfs, mqueue, configfs, fusectl, binfmt_misc, autofs, rpc_pipefs, nsfs.
    const MAGIC: [i64; 18] = [
        0x9fa0,
        0x6265_6572,
        0x0027_e0eb,
        0x6367_7270,
        0x1cd1,
        0x6462_6720,
        0x7472_6163,
        0x7363_6673,
        0xcafe_4a11,
        0x6165_676c,
        0xde5e_81e4,
        0x1980_0202,
        0x6265_6570,
        0x6573_5543,
        0x4249_4e4d,
        0x0187,
        0x6759_6969,
        0x6e73_6673,
    ];
    rustix::fs::fstatfs(fd).is_ok_and(|at| MAGIC.contains(&at.f_type))
}

fn vanished(path: &[u8]) -> MoverError {
    MoverError::Changed {
        path: crate::error::shown(path),
        what: "it is gone",
    }
}

fn leaf(dir: Arc<Dir>, name: Vec<u8>, look: Look) -> Result<Item, MoverError> {
    let path = join(&dir.path, &name);
    let fd = dir.fd.as_fd();
    let stat = open::look(fd, &name, &path)?.ok_or_else(|| vanished(&path))?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if look == Look::Stat {
        let meta = Meta::default();
        return Ok(Item::Leaf(Box::new(Leaf {
            dir,
            name,
            stat,
            meta,
            body: Body::Seen,
        })));
    }
    let (stat, meta, body) = match kind {
        FileType::RegularFile => regular(fd, &name, &path)?,
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(fd, name.as_slice(), Vec::new())
                .map_err(MoverError::io(&path, "read"))?;
            let meta = Meta::new(&stat, xattrs_at(fd, &name, &path)?);
            (stat, meta, Body::Symlink(target.into_bytes()))
        }
        FileType::Fifo => (
            stat,
            Meta::new(&stat, xattrs_at(fd, &name, &path)?),
            Body::Fifo,
        ),
        FileType::CharacterDevice | FileType::BlockDevice => {
            let body = Body::Device {
                block: kind == FileType::BlockDevice,
                major: rustix::fs::major(stat.st_rdev),
                minor: rustix::fs::minor(stat.st_rdev),
            };
            (stat, Meta::new(&stat, xattrs_at(fd, &name, &path)?), body)
        }
        FileType::Socket | FileType::Directory | FileType::Unknown => {
            return Err(MoverError::Changed {
                path: crate::error::shown(&path),
                what: "it became something else",
            });
        }
    };
    Ok(Item::Leaf(Box::new(Leaf {
        dir,
        name,
        stat,
        meta,
        body,
    })))
}

fn regular(
    dir: BorrowedFd<'_>,
    name: &[u8],
    path: &[u8],
) -> Result<(Stat, Meta, Body), MoverError> {
    let fd = open::file(dir, name, path)?;
    let stat = fstat(&fd).map_err(MoverError::io(path, "looked at"))?;
    let meta = Meta::new(&stat, xattrs(fd.as_fd(), path)?);
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let blocks = u64::try_from(stat.st_blocks).unwrap_or(0);
    let has_holes = blocks.saturating_mul(STAT_BLOCK_BYTES) < size;
    if size > SMALL_BYTES || has_holes {
        return Ok((stat, meta, Body::Large(fd)));
    }
    // One byte more than there should be: a file that grows is noticed.
    let mut content = vec![0_u8; usize::try_from(size).unwrap_or(0).saturating_add(1)];
    let length = read_at_most(&fd, &mut content, path)?;
    content.truncate(length);
    let after = fstat(&fd).map_err(MoverError::io(path, "looked at"))?;
    let is_same = is_same(&stat, &after) && length as u64 == size;
    Ok((stat, meta, Body::Small(content, is_same)))
}

fn read_at_most(fd: &OwnedFd, buffer: &mut [u8], path: &[u8]) -> Result<usize, MoverError> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::read(fd, rest) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(Errno::INTR) => {}
            Err(error) => return Err(MoverError::io(path, "read")(error)),
        }
    }
    Ok(filled)
}

/// Whether nothing was written to a file between two looks.
pub(crate) fn is_same(one: &Stat, other: &Stat) -> bool {
    let key = |stat: &Stat| {
        (
            (stat.st_ino, stat.st_dev, stat.st_mode, stat.st_size),
            (
                stat.st_mtime,
                stat.st_mtime_nsec,
                stat.st_ctime,
                stat.st_ctime_nsec,
            ),
        )
    };
    key(one) == key(other)
}

pub(crate) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(dir.len().saturating_add(name.len()).saturating_add(1));
    path.extend_from_slice(dir);
    path.push(b'/');
    path.extend_from_slice(name);
    path
}
