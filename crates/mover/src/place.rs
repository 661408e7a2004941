//! Where an archive is put back: what is in the way, what an earlier attempt left, and the marks by
//! which it is known.

use crate::error::MoverError;
use crate::format::{Have, Head, name, names};
use crate::open;
use crate::unpack::{Form, OnExisting, UnpackSpec};
use crate::walk::{LOST_AND_FOUND, join, names as listed};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Longest part of a name that is taken over into a mark's name.
const MARK_NAME_BYTES_MAX: usize = 200;

/// Largest file of progress that is read: a path of the greatest depth, and a head.
const PROGRESS_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How far a restore is, as the host's disk has it for certain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The archive's digest.
    pub(crate) id: String,
    /// The first chunk that is wanted.
    pub(crate) next: u64,
    #[serde(with = "names")]
    pub(crate) paths: Vec<Vec<u8>>,
    /// Which of the paths is under way.
    pub(crate) root: u32,
    /// The directories that are open, from the path's own.
    #[serde(with = "names")]
    pub(crate) dirs: Vec<Vec<u8>>,
    /// The file that is under way; empty when none is.
    #[serde(with = "name")]
    pub(crate) file: Vec<u8>,
    /// Whether it is over.
    pub(crate) done: bool,
    /// Of a stream: the chain of its chunks before `next`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) chain: String,
    /// Of a stream: its first chunk, which does not come again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) head: Option<Head>,
}

impl Progress {
    pub(crate) fn read(path: &Path, id: &str) -> Option<Self> {
        let small = fs::metadata(path).is_ok_and(|meta| meta.len() <= PROGRESS_BYTES_MAX);
        let bytes = if small {
            fs::read(path).ok()?
        } else {
            return None;
        };
        let progress: Self = serde_json::from_slice(&bytes).ok()?;
        (progress.id == id).then_some(progress)
    }

    /// Whole or not at all, and durable.
    pub(crate) fn write(&self, path: &Path) -> Result<(), MoverError> {
        let shown = path.as_os_str().as_encoded_bytes();
        let failed = || MoverError::io::<std::io::Error>(shown, "written");
        let folder = path.parent().unwrap_or(path);
        let aside = path.with_extension("new");
        fs::create_dir_all(folder).map_err(failed())?;
        let json = serde_json::to_vec(self).map_err(|e| MoverError::archive(e.to_string()))?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&aside).map_err(failed())?;
        file.write_all(&json).map_err(failed())?;
        file.sync_all().map_err(failed())?;
        fs::rename(&aside, path).map_err(failed())?;
        let folder = fs::File::open(folder).map_err(failed())?;
        folder.sync_all().map_err(failed())
    }
}

/// The first chunk of an archive that a host wants after the head: 0 when it has nothing for certain.
pub fn resume_point(base: &Path, progress: &Path, id: &str) -> u64 {
    unfinished(base, progress, id).map_or(0, |progress| progress.next)
}

/// The chunks of a stream that a host has for certain; `None` when it wants all of them.
pub fn received(base: &Path, progress: &Path, id: &str) -> Option<Have> {
    let progress = unfinished(base, progress, id)?;
    let known = progress.next > 0 && !progress.chain.is_empty() && progress.head.is_some();
    known.then_some(Have {
        chunks: progress.next,
        digest: progress.chain,
    })
}

/// The digest of a stream that was received whole and read back.
pub fn complete(progress: &Path, id: &str) -> Option<String> {
    let progress = Progress::read(progress, id).filter(|progress| progress.done)?;
    Some(progress.chain).filter(|chain| !chain.is_empty())
}

/// What is known of a restore that is not over and whose paths have its marks.
fn unfinished(base: &Path, progress: &Path, id: &str) -> Option<Progress> {
    let progress = Progress::read(progress, id).filter(|progress| !progress.done)?;
    let is_marked = |path: &Vec<u8>| -> Result<bool, MoverError> {
        let Some(place) = Place::find(&open::base(base)?, path)? else {
            return Ok(false);
        };
        Ok(place.mark()? == Some(id.to_owned()))
    };
    let marked = progress
        .paths
        .iter()
        .all(|path| is_marked(path).unwrap_or(false));
    marked.then_some(progress)
}

/// One path of an archive at the destination.
pub(crate) struct Place {
    /// The directory above it.
    pub(crate) parent: OwnedFd,
    /// Empty for `/`.
    pub(crate) name: Vec<u8>,
    pub(crate) path: Vec<u8>,
}

/// What is at a path before it is put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Free,
    /// An earlier attempt at the same archive.
    Own,
    Taken,
}

/// What is to be done with an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    Make,
    /// All is there already: it is only compared.
    Compare,
}

impl Place {
    /// `None` when a directory above it does not exist.
    fn find(base: &OwnedFd, path: &[u8]) -> Result<Option<Self>, MoverError> {
        let names = open::components(path)?;
        let (last, above) = match names.split_last() {
            Some((last, above)) => (last.to_vec(), above),
            None => (Vec::new(), [].as_slice()),
        };
        let missing = std::cell::Cell::new(false);
        let found = open::descend(base, above, |dir, name, path| {
            missing.set(open::look(dir, name, path)?.is_none());
            Ok(())
        });
        match found {
            Ok(parent) => Ok(Some(Self {
                parent,
                name: last,
                path: path.to_vec(),
            })),
            Err(_) if missing.get() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// With the directories above it, made where they are missing.
    fn make(
        base: &OwnedFd,
        path: &[u8],
        above: &[(u32, u32, u32)],
        owner: impl Fn(u32, u32) -> Result<(u32, u32), String>,
    ) -> Result<Self, MoverError> {
        let names = open::components(path)?;
        let (last, parents) = match names.split_last() {
            Some((last, parents)) => (last.to_vec(), parents),
            None => (Vec::new(), [].as_slice()),
        };
        let mut metas = above.iter();
        let parent = open::descend(base, parents, |dir, name, path| {
            let meta = metas.next().copied().unwrap_or((0o755, 0, 0));
            if open::look(dir, name, path)?.is_some() {
                return Ok(());
            }
            rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(0o700))
                .map_err(MoverError::io(path, "made"))?;
            let made = open::directory(dir, name, path)?;
            let (uid, gid) = owner(meta.1, meta.2).map_err(|why| MoverError::refused(path, why))?;
            let meta = crate::meta::Meta {
                mode: meta.0 & crate::meta::MODE_BITS,
                uid,
                gid,
                ..crate::meta::Meta::default()
            };
            meta.apply_owner(made.as_fd(), path)
        })?;
        Ok(Self {
            parent,
            name: last,
            path: path.to_vec(),
        })
    }

    fn mark_name(&self) -> Vec<u8> {
        let part = self.name.get(..MARK_NAME_BYTES_MAX).unwrap_or(&self.name);
        [b".", part, b".overhaul-restoring"].concat()
    }

    /// The archive that is being put back here.
    fn mark(&self) -> Result<Option<String>, MoverError> {
        let name = self.mark_name();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.parent, name.as_slice(), flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(MoverError::io(&name, "opened")(error)),
        };
        let mut text = [0_u8; 64];
        let length = rustix::io::read(&file, &mut text).map_err(MoverError::io(&name, "read"))?;
        let text = text.get(..length).unwrap_or_default();
        Ok(Some(String::from_utf8_lossy(text).into_owned()))
    }

    fn set_mark(&self, id: &str) -> Result<(), MoverError> {
        let name = self.mark_name();
        let path = join(self.path.get(..0).unwrap_or_default(), &name);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o600);
        let file = rustix::fs::openat(&self.parent, name.as_slice(), flags, mode)
            .map_err(MoverError::io(&path, "made"))?;
        let mut file = fs::File::from(file);
        file.write_all(id.as_bytes())
            .map_err(MoverError::io(&path, "written"))?;
        file.sync_all().map_err(MoverError::io(&path, "written"))?;
        rustix::fs::fsync(&self.parent).map_err(MoverError::io(&path, "written"))
    }

    pub(crate) fn clear_mark(&self) -> Result<(), MoverError> {
        let name = self.mark_name();
        match rustix::fs::unlinkat(&self.parent, name.as_slice(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(MoverError::io(&name, "removed")(error)),
        }
        rustix::fs::fsync(&self.parent).map_err(MoverError::io(&self.path, "made durable"))
    }

    fn stat(&self) -> Result<Option<Stat>, MoverError> {
        let name = if self.name.is_empty() {
            b"."
        } else {
            self.name.as_slice()
        };
        open::look(self.parent.as_fd(), name, &self.path)
    }

    fn way(&self, id: &str) -> Result<Way, MoverError> {
        let Some(stat) = self.stat()? else {
            return Ok(Way::Free);
        };
        match self.mark()? {
            Some(mark) if mark == id => return Ok(Way::Own),
            Some(_) => {
                let why = "holds an unfinished restore of another archive; finish that one, or remove \
                           the path and .NAME.overhaul-restoring beside it";
                return Err(MoverError::refused(&self.path, why));
            }
            None => {}
        }
        if !open::is_directory(&stat) {
            return Ok(Way::Taken);
        }
        let dir = open::directory(self.parent.as_fd(), &self.name, &self.path)?;
        let empty = listed(&dir, &self.path)?
            .iter()
            .all(|(name, _)| name == LOST_AND_FOUND);
        Ok(if empty { Way::Free } else { Way::Taken })
    }

    fn is_mount_point(&self, stat: &Stat) -> Result<bool, MoverError> {
        let above = rustix::fs::fstat(&self.parent);
        let above = above.map_err(MoverError::io(&self.path, "looked at"))?;
        Ok(above.st_dev != stat.st_dev || above.st_ino == stat.st_ino)
    }

    fn set_aside(&self) -> Result<(), MoverError> {
        let Some(stat) = self.stat()? else {
            return Ok(());
        };
        if self.is_mount_point(&stat)? {
            let why = "is a mount point that is not empty, and cannot be set aside; empty it first";
            return Err(MoverError::refused(&self.path, why));
        }
        let kept = [self.name.as_slice(), b".overhaul-before"].concat();
        let (dir, flags) = (self.parent.as_fd(), RenameFlags::NOREPLACE);
        rustix::fs::renameat_with(dir, self.name.as_slice(), dir, kept.as_slice(), flags).map_err(
            |error| match error {
                Errno::EXIST => {
                    let why = "cannot be set aside: PATH.overhaul-before exists already";
                    MoverError::refused(&self.path, why)
                }
                other => MoverError::io(&self.path, "set aside")(other),
            },
        )
    }

    /// Takes away what an earlier attempt left.
    fn clear(&self) -> Result<(), MoverError> {
        let Some(stat) = self.stat()? else {
            return Ok(());
        };
        if open::is_directory(&stat) {
            let dir = open::directory(self.parent.as_fd(), &self.name, &self.path)?;
            return clear(&dir, &self.path, stat.st_dev);
        }
        rustix::fs::unlinkat(&self.parent, self.name.as_slice(), AtFlags::empty())
            .map_err(MoverError::io(&self.path, "removed"))
    }
}

fn clear(dir: &OwnedFd, path: &[u8], device: u64) -> Result<(), MoverError> {
    for (name, kind) in listed(dir, path)? {
        let below = join(path, &name);
        let mut flags = AtFlags::empty();
        if kind == FileType::Directory {
            let found = open::directory(dir.as_fd(), &name, &below)?;
            let stat = rustix::fs::fstat(&found).map_err(MoverError::io(&below, "looked at"))?;
            if stat.st_dev != device {
                return Err(MoverError::refused(
                    &below,
                    "is mounted there since; unmount it first",
                ));
            }
            clear(&found, &below, device)?;
            flags = AtFlags::REMOVEDIR;
        }
        rustix::fs::unlinkat(dir, name.as_slice(), flags)
            .map_err(MoverError::io(&below, "removed"))?;
    }
    Ok(())
}

/// The places of an archive's paths, ready to be filled, and what is to be done.
pub(crate) fn prepare(
    spec: &UnpackSpec,
    head: &Head,
    goes_on: bool,
    owner: impl Fn(u32, u32) -> Result<(u32, u32), String>,
) -> Result<(Vec<Place>, Intent), MoverError> {
    let base = open::base(&spec.base)?;
    let mut ways = Vec::new();
    for root in &head.roots {
        ways.push(match Place::find(&base, &root.path)? {
            Some(place) => place.way(&spec.id)?,
            None => Way::Free,
        });
    }
    let taken = |way: &Way| *way == Way::Taken;
    let done = || {
        let progress = spec
            .progress
            .as_deref()
            .and_then(|path| Progress::read(path, &spec.id));
        progress.is_some_and(|progress| progress.done)
    };
    // What a stream brings is not known before its end: nothing else than itself can be equal to it.
    let may_be_equal = spec.existing == OnExisting::Refuse && spec.form != Form::Stream;
    let compare = ways.iter().all(taken) && (may_be_equal || done());
    let mut places = Vec::new();
    for (root, way) in head.roots.iter().zip(&ways) {
        let in_the_way = taken(way) && !compare && spec.existing == OnExisting::Refuse;
        if in_the_way {
            let why = "exists on this host and is not empty; nothing was changed";
            return Err(MoverError::refused(&root.path, why));
        }
    }
    for (root, way) in head.roots.iter().zip(&ways) {
        let place = Place::make(&base, &root.path, &root.above, &owner)?;
        if !compare {
            if taken(way) {
                place.set_aside()?;
            }
            if spec.progress.is_some() {
                place.set_mark(&spec.id)?;
            }
            if *way == Way::Own && !goes_on {
                place.clear()?;
            }
        }
        places.push(place);
    }
    let intent = if compare {
        Intent::Compare
    } else {
        Intent::Make
    };
    Ok((places, intent))
}

/// Makes what is below a descriptor durable, with all of its file system.
pub(crate) fn sync(fd: BorrowedFd<'_>, path: &[u8]) -> Result<(), MoverError> {
    rustix::fs::syncfs(fd).map_err(MoverError::io(path, "made durable"))
}
