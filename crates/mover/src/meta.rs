//! What belongs to a file beside its content: mode, owner, times, extended attributes.

use crate::error::MoverError;
use rustix::fs::{AtFlags, Gid, Mode, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Longest value of an extended attribute, and longest list of their names, that Linux has.
pub(crate) const XATTR_BYTES_MAX: usize = 64 * 1024;

/// Permission bits and the three above them.
pub(crate) const MODE_BITS: u32 = 0o7777;

/// Access lists.
const ACLS: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];

/// Extended attributes: names and values.
pub(crate) type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// What of a file is kept beside its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime_s: i64,
    pub(crate) mtime_ns: u32,
    /// Sorted by name.
    pub(crate) xattrs: Xattrs,
}

impl Meta {
    pub(crate) fn new(stat: &Stat, xattrs: Xattrs) -> Self {
        Self {
            mode: stat.st_mode & MODE_BITS,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime_s: stat.st_mtime,
            mtime_ns: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            xattrs,
        }
    }

    /// With other owners, in access lists too.
    pub(crate) fn renumbered(
        &self,
        users: impl Fn(u32) -> Result<u32, String>,
        groups: impl Fn(u32) -> Result<u32, String>,
    ) -> Result<Self, String> {
        let mut out = self.clone();
        out.uid = users(self.uid)?;
        out.gid = groups(self.gid)?;
        for (name, value) in &mut out.xattrs {
            if ACLS.contains(&name.as_slice()) {
                renumber_acl(value, &users, &groups)?;
                sort_acl(value);
            }
        }
        Ok(out)
    }

    fn times(&self) -> Timestamps {
        Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
            last_modification: Timespec {
                tv_sec: self.mtime_s,
                tv_nsec: i64::from(self.mtime_ns),
            },
        }
    }

    /// Onto an open file or directory. Owner first: it takes away set-id bits and capabilities.
    pub(crate) fn apply(&self, file: BorrowedFd<'_>, path: &[u8]) -> Result<(), MoverError> {
        self.apply_owner(file, path)?;
        for (name, value) in &self.xattrs {
            rustix::fs::fsetxattr(file, name.as_slice(), value, XattrFlags::empty())
                .map_err(MoverError::io(path, "given its extended attributes"))?;
        }
        rustix::fs::futimens(file, &self.times()).map_err(MoverError::io(path, "given its time"))
    }

    /// Owner and mode alone.
    pub(crate) fn apply_owner(&self, file: BorrowedFd<'_>, path: &[u8]) -> Result<(), MoverError> {
        let owner = (Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)));
        rustix::fs::fchown(file, owner.0, owner.1)
            .map_err(MoverError::io(path, "given its owner"))?;
        rustix::fs::fchmod(file, Mode::from_raw_mode(self.mode))
            .map_err(MoverError::io(path, "given its mode"))
    }

    /// Onto a name that must not be opened: a link, a device, a fifo.
    pub(crate) fn apply_at(
        &self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        path: &[u8],
        is_link: bool,
    ) -> Result<(), MoverError> {
        let owner = (Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(dir, name, owner.0, owner.1, flags)
            .map_err(MoverError::io(path, "given its owner"))?;
        if !is_link {
            // The name was made by us a moment ago in a directory that nobody else can write.
            rustix::fs::chmodat(dir, name, Mode::from_raw_mode(self.mode), AtFlags::empty())
                .map_err(MoverError::io(path, "given its mode"))?;
        }
        let by_name = by_descriptor(dir, name);
        for (key, value) in &self.xattrs {
            let flags = XattrFlags::empty();
            rustix::fs::lsetxattr(by_name.as_slice(), key.as_slice(), value, flags)
                .map_err(MoverError::io(path, "given its extended attributes"))?;
        }
        rustix::fs::utimensat(dir, name, &self.times(), flags)
            .map_err(MoverError::io(path, "given its time"))
    }
}

/// Linux has no call for the attributes of a name in an open directory; this is the way round.
fn by_descriptor(dir: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

/// Whether an attribute is the file's own. Labels and measurements of `security.` are the host's policy.
pub(crate) fn is_kept(name: &[u8]) -> bool {
    name.starts_with(b"user.")
        || name.starts_with(b"trusted.")
        || name == b"security.capability"
        || ACLS.contains(&name)
}

pub(crate) fn xattrs(file: BorrowedFd<'_>, path: &[u8]) -> Result<Xattrs, MoverError> {
    let list = |buffer: &mut [u8]| rustix::fs::flistxattr(file, buffer);
    let get = |name: &[u8], buffer: &mut [u8]| rustix::fs::fgetxattr(file, name, buffer);
    gather(path, list, get)
}

pub(crate) fn xattrs_at(
    dir: BorrowedFd<'_>,
    name: &[u8],
    path: &[u8],
) -> Result<Xattrs, MoverError> {
    let by_name = by_descriptor(dir, name);
    let list = |buffer: &mut [u8]| rustix::fs::llistxattr(by_name.as_slice(), buffer);
    let get =
        |key: &[u8], buffer: &mut [u8]| rustix::fs::lgetxattr(by_name.as_slice(), key, buffer);
    gather(path, list, get)
}

fn gather(
    path: &[u8],
    list: impl Fn(&mut [u8]) -> Result<usize, Errno>,
    get: impl Fn(&[u8], &mut [u8]) -> Result<usize, Errno>,
) -> Result<Xattrs, MoverError> {
    let mut small = [0_u8; 1024];
    let mut large = Vec::new();
    let names = match list(&mut small) {
        Ok(length) => small.get(..length).unwrap_or_default(),
        // A file system without them.
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Err(Errno::RANGE) => {
            large.resize(XATTR_BYTES_MAX, 0);
            let length = list(&mut large).map_err(MoverError::io(path, "asked its attributes"))?;
            large.get(..length).unwrap_or_default()
        }
        Err(error) => return Err(MoverError::io(path, "asked its attributes")(error)),
    };
    let mut out = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| is_kept(name)) {
        let mut value = vec![0_u8; XATTR_BYTES_MAX];
        let length = get(name, &mut value).map_err(MoverError::io(path, "asked an attribute"))?;
        value.truncate(length);
        value.shrink_to_fit();
        if ACLS.contains(&name) {
            sort_acl(&mut value);
        }
        out.push((name.to_vec(), value));
    }
    out.sort();
    Ok(out)
}

/// The form of an access list in an attribute: a version, then entries of tag, permissions and id.
fn renumber_acl(
    value: &mut [u8],
    users: impl Fn(u32) -> Result<u32, String>,
    groups: impl Fn(u32) -> Result<u32, String>,
) -> Result<(), String> {
    const USER: u16 = 0x02;
    const GROUP: u16 = 0x08;
    for entry in value.get_mut(4..).unwrap_or_default().chunks_exact_mut(8) {
        let [tag0, tag1, _, _, id @ ..] = entry else {
            continue;
        };
        let Ok(number) = <[u8; 4]>::try_from(&*id).map(u32::from_le_bytes) else {
            continue;
        };
        let mapped = match u16::from_le_bytes([*tag0, *tag1]) {
            USER => users(number)?,
            GROUP => groups(number)?,
            _ => continue,
        };
        id.copy_from_slice(&mapped.to_le_bytes());
    }
    Ok(())
}

/// Entries by tag and number: the same list is the same bytes, whoever wrote it.
fn sort_acl(value: &mut [u8]) {
    let Some(entries) = value.get_mut(4..) else {
        return;
    };
    let key = |entry: &[u8]| match entry {
        [tag0, tag1, _, _, a, b, c, d] => (
            u16::from_le_bytes([*tag0, *tag1]),
            u32::from_le_bytes([*a, *b, *c, *d]),
        ),
        _ => (u16::MAX, u32::MAX),
    };
    let mut sorted: Vec<Vec<u8>> = entries.chunks(8).map(<[u8]>::to_vec).collect();
    sorted.sort_by_key(|entry| key(entry));
    for (place, entry) in entries.chunks_mut(8).zip(sorted) {
        if place.len() == entry.len() {
            place.copy_from_slice(&entry);
        }
    }
}
