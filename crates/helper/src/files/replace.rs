//! Puts a new content in a file's place, with owner, mode and extended attributes of the old one.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Largest list of extended attributes, and largest value of one: the kernel's own bound.
const XATTR_BYTES_MAX: usize = 64 * 1024;

/// What a temporary name ends in. A left-over of a power cut is written over by the next try.
const FRESH_SUFFIX: &str = ".overhaul-new";

/// What the name of a kept old content ends in.
const BACKUP_SUFFIX: &str = ".overhaul-before";

/// Permission bits of a new file when none are named.
const DEFAULT_MODE: u32 = 0o644;

/// A content that is written and synced beside the file, but is not in its place yet.
#[derive(Debug)]
pub(super) struct Fresh {
    target: PathBuf,
    path: PathBuf,
}

impl Fresh {
    /// Writes the content beside the target.
    pub(super) fn write(target: &Path, content: &[u8], mode: Option<u32>) -> io::Result<Self> {
        let path = beside(target, FRESH_SUFFIX);
        let fresh = Self {
            target: target.to_owned(),
            path,
        };
        // A left-over may belong to anybody; a name that is there now was not made by us.
        match fs::remove_file(&fresh.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh.path)?;
        let filled = file
            .write_all(content)
            .and_then(|()| take_after(&file, target, mode))
            .and_then(|()| file.sync_all());
        if let Err(error) = filled {
            fresh.discard();
            return Err(error);
        }
        Ok(fresh)
    }

    /// Where it is now.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes it away again.
    pub(super) fn discard(self) {
        // What cannot be removed is written over by the next try.
        let _ = fs::remove_file(&self.path);
    }

    /// Puts it in the file's place, durably.
    pub(super) fn put(self) -> io::Result<()> {
        if let Err(error) = fs::rename(&self.path, &self.target) {
            self.discard();
            return Err(error);
        }
        sync_parent(&self.target)
    }
}

/// Owner, permission bits and attributes of the file that is to be replaced, if there is one.
fn take_after(file: &File, target: &Path, mode: Option<u32>) -> io::Result<()> {
    let old = match fs::metadata(target) {
        Ok(meta) => Some(meta),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if let Some(old) = &old {
        let ours = file.metadata()?;
        if (old.uid(), old.gid()) != (ours.uid(), ours.gid()) {
            fchown(file, Some(old.uid()), Some(old.gid()))?;
        }
        copy_attributes(file, target)?;
    }
    let kept = old.map(|old| old.mode() & 0o7777);
    let mode = mode.or(kept).unwrap_or(DEFAULT_MODE);
    // After the attributes: an access control list and the mode change each other.
    file.set_permissions(Permissions::from_mode(mode & 0o7777))
}

/// Access control lists are attributes, too. What the file system does not know or an account may not
/// set (like `security.selinux`, which the kernel gives by itself) is left out.
fn copy_attributes(file: &File, target: &Path) -> io::Result<()> {
    let mut list = vec![0_u8; XATTR_BYTES_MAX];
    let length = match rustix::fs::listxattr(target, list.as_mut_slice()) {
        Ok(length) => length,
        Err(rustix::io::Errno::NOTSUP | rustix::io::Errno::NOSYS) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut value = vec![0_u8; XATTR_BYTES_MAX];
    let names = list.get(..length).unwrap_or_default();
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let Ok(size) = rustix::fs::getxattr(target, name, value.as_mut_slice()) else {
            continue;
        };
        let value = value.get(..size).unwrap_or_default();
        let _ = rustix::fs::fsetxattr(file, name, value, rustix::fs::XattrFlags::empty());
    }
    Ok(())
}

/// Keeps the old content beside the file, once: what stands there already is older still.
pub(super) fn back_up(target: &Path, content: &[u8]) -> io::Result<()> {
    let path = beside(target, BACKUP_SUFFIX);
    if fs::symlink_metadata(&path).is_ok() {
        return Ok(());
    }
    let meta = fs::metadata(target)?;
    let fresh = Fresh::write(&path, content, Some(meta.mode() & 0o7777))?;
    let file = File::open(fresh.path())?;
    if meta.uid() != rustix::process::geteuid().as_raw() {
        fchown(&file, Some(meta.uid()), Some(meta.gid()))?;
    }
    fresh.put()
}

/// Makes a new or a removed name durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent()
        .map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
