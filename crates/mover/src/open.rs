//! Ways into directories that no symbolic link can lead astray.

use crate::error::{MoverError, shown};
use crate::records::is_name;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A directory's own flags, wherever one is opened.
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The directory that all paths are below, `/` but in tests.
pub(crate) fn base(path: &Path) -> Result<OwnedFd, MoverError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(MoverError::io(
        path.as_os_str().as_encoded_bytes(),
        "opened",
    ))
}

/// A directory in an open one. `path` is for people.
pub(crate) fn directory(
    dir: BorrowedFd<'_>,
    name: &[u8],
    path: &[u8],
) -> Result<OwnedFd, MoverError> {
    let name = if name.is_empty() { b"." } else { name };
    let quiet = rustix::fs::openat(dir, name, DIRECTORY | OFlags::NOATIME, Mode::empty());
    let opened = match quiet {
        Err(Errno::PERM) => rustix::fs::openat(dir, name, DIRECTORY, Mode::empty()),
        other => other,
    };
    opened.map_err(|error| match error {
        Errno::LOOP | Errno::NOTDIR => MoverError::refused(
            path,
            "is a symbolic link or no directory; name the path that it leads to",
        ),
        other => MoverError::io(path, "opened")(other),
    })
}

/// A file in an open directory, for reading. A fifo that takes its place blocks nobody.
pub(crate) fn file(dir: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<OwnedFd, MoverError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let quiet = rustix::fs::openat(dir, name, flags | OFlags::NOATIME, Mode::empty());
    match quiet {
        Err(Errno::PERM) => rustix::fs::openat(dir, name, flags, Mode::empty()),
        other => other,
    }
    .map_err(|error| match error {
        Errno::NOENT | Errno::LOOP => MoverError::Changed {
            path: shown(path),
            what: "it was replaced or removed",
        },
        other => MoverError::io(path, "opened")(other),
    })
}

/// What a name is, without following it; `None` when there is nothing.
pub(crate) fn look(
    dir: BorrowedFd<'_>,
    name: &[u8],
    path: &[u8],
) -> Result<Option<Stat>, MoverError> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(MoverError::io(path, "looked at")(error)),
    }
}

pub(crate) fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// The names of an absolute path; none for `/`.
pub(crate) fn components(path: &[u8]) -> Result<Vec<&[u8]>, MoverError> {
    let rest = path
        .strip_prefix(b"/")
        .ok_or_else(|| MoverError::refused(path, "is no absolute path"))?;
    let rest = rest.strip_suffix(b"/").unwrap_or(rest);
    if rest.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<_> = rest.split(|byte| *byte == b'/').collect();
    if names.iter().all(|name| is_name(name)) {
        Ok(names)
    } else {
        Err(MoverError::refused(path, "is no plain absolute path"))
    }
}

/// Opens the directories of a path one after the other.
pub(crate) fn descend(
    base: &OwnedFd,
    names: &[&[u8]],
    mut each: impl FnMut(BorrowedFd<'_>, &[u8], &[u8]) -> Result<(), MoverError>,
) -> Result<OwnedFd, MoverError> {
    let mut dir = directory(base.as_fd(), b"", b"/")?;
    let mut path = Vec::new();
    for name in names {
        path.push(b'/');
        path.extend_from_slice(name);
        each(dir.as_fd(), name, &path)?;
        dir = directory(dir.as_fd(), name, &path)?;
    }
    Ok(dir)
}

/// Opens the directories of a relative path one after the other.
pub(crate) fn descend_from(top: BorrowedFd<'_>, names: &[&[u8]]) -> Result<OwnedFd, MoverError> {
    let mut dir = directory(top, b"", b".")?;
    for name in names {
        dir = directory(dir.as_fd(), name, name)?;
    }
    Ok(dir)
}
