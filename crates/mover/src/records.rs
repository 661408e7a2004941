//! The records of a body chunk. A record lies within one chunk, so that either end can go on after any.

use crate::error::MoverError;
use crate::meta::{Meta, XATTR_BYTES_MAX};

/// Longest name in a directory on Linux.
pub(crate) const NAME_BYTES_MAX: usize = 255;

/// Longest target of a symbolic link on Linux, and longest path to a hard link's other name that is kept.
pub(crate) const TARGET_BYTES_MAX: usize = 64 * 1024;

/// Most extended attributes of one file: a list of names holds no more.
const XATTRS_MAX: usize = XATTR_BYTES_MAX / 2;

/// Bytes of a record of data before the data themselves.
pub(crate) const DATA_HEAD_BYTES: usize = 13;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// The entries of this path of the head follow.
    Root(u32),
    /// A directory begins; what follows is in it.
    Enter(&'a [u8]),
    /// The directory ends.
    Leave(Meta),
    /// A file begins.
    File(&'a [u8]),
    /// Bytes of the file at an offset. What no record tells of is a hole.
    Data(u64, &'a [u8]),
    /// The file ends, with that size.
    FileEnd(u64, Meta),
    /// A symbolic link.
    Symlink(&'a [u8], &'a [u8], Meta),
    /// A further name of a file: the path of the head, and the path from the directory above that.
    Hardlink(&'a [u8], u32, &'a [u8]),
    /// A fifo.
    Fifo(&'a [u8], Meta),
    /// A device: whether it is a block device, its major and minor number.
    Device(&'a [u8], bool, u32, u32, Meta),
}

const ROOT: u8 = 1;
const ENTER: u8 = 2;
const LEAVE: u8 = 3;
const FILE: u8 = 4;
const DATA: u8 = 5;
const FILE_END: u8 = 6;
const SYMLINK: u8 = 7;
const HARDLINK: u8 = 8;
const FIFO: u8 = 9;
const DEVICE: u8 = 10;

/// Appends a record. Data are appended by the caller, after [`put_data_head`].
pub(crate) fn put(out: &mut Vec<u8>, record: &Record<'_>) {
    match record {
        Record::Root(index) => {
            out.push(ROOT);
            put_u32(out, *index);
        }
        Record::Enter(name) => {
            out.push(ENTER);
            put_bytes(out, name);
        }
        Record::Leave(meta) => {
            out.push(LEAVE);
            put_meta(out, meta);
        }
        Record::File(name) => {
            out.push(FILE);
            put_bytes(out, name);
        }
        Record::Data(offset, bytes) => {
            put_data_head(out, *offset, bytes.len());
            out.extend_from_slice(bytes);
        }
        Record::FileEnd(size, meta) => {
            out.push(FILE_END);
            out.extend_from_slice(&size.to_le_bytes());
            put_meta(out, meta);
        }
        Record::Symlink(name, target, meta) => {
            out.push(SYMLINK);
            put_bytes(out, name);
            put_bytes(out, target);
            put_meta(out, meta);
        }
        Record::Hardlink(name, root, path) => {
            out.push(HARDLINK);
            put_bytes(out, name);
            put_u32(out, *root);
            put_bytes(out, path);
        }
        Record::Fifo(name, meta) => {
            out.push(FIFO);
            put_bytes(out, name);
            put_meta(out, meta);
        }
        Record::Device(name, block, major, minor, meta) => {
            out.push(DEVICE);
            put_bytes(out, name);
            out.push(u8::from(*block));
            put_u32(out, *major);
            put_u32(out, *minor);
            put_meta(out, meta);
        }
    }
}

/// The beginning of a record of so many bytes of data.
pub(crate) fn put_data_head(out: &mut Vec<u8>, offset: u64, length: usize) {
    out.push(DATA);
    out.extend_from_slice(&offset.to_le_bytes());
    put_u32(out, u32::try_from(length).unwrap_or(u32::MAX));
}

fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(bytes);
}

/// Metadata as they are stored, and digested.
pub(crate) fn put_meta(out: &mut Vec<u8>, meta: &Meta) {
    for number in [meta.mode, meta.uid, meta.gid] {
        put_u32(out, number);
    }
    out.extend_from_slice(&meta.mtime_s.to_le_bytes());
    put_u32(out, meta.mtime_ns);
    put_u32(out, u32::try_from(meta.xattrs.len()).unwrap_or(u32::MAX));
    for (name, value) in &meta.xattrs {
        put_bytes(out, name);
        put_bytes(out, value);
    }
}

/// Reads the records of a chunk. Nothing in it is trusted.
pub(crate) struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    pub(crate) fn new(chunk: &'a [u8]) -> Self {
        Self { rest: chunk }
    }

    /// The next record; `None` at the end of the chunk.
    pub(crate) fn next(&mut self) -> Result<Option<Record<'a>>, MoverError> {
        let Some((tag, rest)) = self.rest.split_first() else {
            return Ok(None);
        };
        self.rest = rest;
        Ok(Some(match *tag {
            ROOT => Record::Root(self.u32()?),
            ENTER => Record::Enter(self.name()?),
            LEAVE => Record::Leave(self.meta()?),
            FILE => Record::File(self.name()?),
            DATA => {
                let offset = self.u64()?;
                let bytes = self.bytes(usize::MAX)?;
                let end = offset.checked_add(bytes.len() as u64);
                if end.is_none_or(|end| i64::try_from(end).is_err()) {
                    return Err(MoverError::archive("data beyond the end of any file"));
                }
                Record::Data(offset, bytes)
            }
            FILE_END => {
                let size = self.u64()?;
                if i64::try_from(size).is_err() {
                    return Err(MoverError::archive("a file that is too large"));
                }
                Record::FileEnd(size, self.meta()?)
            }
            SYMLINK => Record::Symlink(self.name()?, self.target()?, self.meta()?),
            HARDLINK => {
                let (name, root) = (self.name()?, self.u32()?);
                let path = self.bytes(TARGET_BYTES_MAX)?;
                if !path.split(|byte| *byte == b'/').all(is_name) {
                    return Err(MoverError::archive("a hard link to no plain path"));
                }
                Record::Hardlink(name, root, path)
            }
            FIFO => Record::Fifo(self.name()?, self.meta()?),
            DEVICE => {
                let name = self.name()?;
                let block = self.take(1)? == [1];
                Record::Device(name, block, self.u32()?, self.u32()?, self.meta()?)
            }
            other => return Err(MoverError::archive(format!("a record of kind {other}"))),
        }))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], MoverError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| MoverError::archive("a record that ends beyond its chunk"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MoverError> {
        let taken = self.take(N)?;
        taken
            .try_into()
            .map_err(|_| MoverError::archive("a record that is cut off"))
    }

    fn u32(&mut self) -> Result<u32, MoverError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, MoverError> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self, most: usize) -> Result<&'a [u8], MoverError> {
        let length = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if length > most {
            return Err(MoverError::archive("a name or value that is too long"));
        }
        self.take(length)
    }

    fn name(&mut self) -> Result<&'a [u8], MoverError> {
        let name = self.bytes(NAME_BYTES_MAX)?;
        // The root of all is the one directory without a name; who enters it looks at that.
        if name.is_empty() || is_name(name) {
            return Ok(name);
        }
        Err(MoverError::archive("a name that is no plain name"))
    }

    fn target(&mut self) -> Result<&'a [u8], MoverError> {
        let target = self.bytes(TARGET_BYTES_MAX)?;
        if target.is_empty() || target.contains(&0) {
            return Err(MoverError::archive("a symbolic link to no path"));
        }
        Ok(target)
    }

    fn meta(&mut self) -> Result<Meta, MoverError> {
        let (mode, uid, gid) = (self.u32()?, self.u32()?, self.u32()?);
        let mtime_s = i64::from_le_bytes(self.array()?);
        let mtime_ns = self.u32()?;
        let count = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if mode & !crate::meta::MODE_BITS != 0 || mtime_ns >= 1_000_000_000 || count > XATTRS_MAX {
            return Err(MoverError::archive("metadata that no file has"));
        }
        let mut xattrs = Vec::new();
        for _ in 0..count {
            let name = self.bytes(NAME_BYTES_MAX)?;
            if !crate::meta::is_kept(name) || name.contains(&0) {
                return Err(MoverError::archive(
                    "an extended attribute that is never kept",
                ));
            }
            xattrs.push((name.to_vec(), self.bytes(XATTR_BYTES_MAX)?.to_vec()));
        }
        Ok(Meta {
            mode,
            uid,
            gid,
            mtime_s,
            mtime_ns,
            xattrs,
        })
    }
}

/// Whether it is one plain component of a path.
pub(crate) fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name != b"."
        && name != b".."
        && !name.iter().any(|byte| *byte == 0 || *byte == b'/')
}
