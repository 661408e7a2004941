//! What an archive holds, told to people: entry by entry, without making anything.

use crate::decode::{self, Course};
use crate::error::MoverError;
use crate::format::{Head, Kind, Stored, Trailer, hex};
use crate::meta::Meta;
use crate::records::{Record, Records};
use crate::walk::{DEPTH_MAX, join};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;

/// Zeros that are written at once for a hole.
const HOLE_BYTES: usize = 64 * 1024;

/// What one entry of an archive is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A directory. It comes after all that is in it.
    Directory,
    /// A file of so many bytes, holes counted.
    File(u64),
    /// A symbolic link, and where it leads.
    Symlink(Vec<u8>),
    /// A further name of the file at this path.
    Hardlink(Vec<u8>),
    /// A fifo.
    Fifo,
    /// A device: whether it is a block device, its major and minor number.
    Device(bool, u32, u32),
}

/// One entry of an archive, as it was at its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its absolute path.
    pub path: Vec<u8>,
    /// What it is.
    pub entry: Entry,
    /// What belongs to it; a further name of a file has none of its own.
    pub about: Option<About>,
}

/// What belongs to an entry beside its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Permission bits and the three above them.
    pub mode: u32,
    /// Its owner's number, and name at the source.
    pub user: (u32, Option<String>),
    /// Its group's number, and name at the source.
    pub group: (u32, Option<String>),
    /// Modified, in seconds since 1970.
    pub modified_s: i64,
    /// Names of its extended attributes.
    pub attributes: Vec<Vec<u8>>,
}

/// An archive as a whole, once all of it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The paths that were copied.
    pub paths: Vec<Vec<u8>>,
    /// What stands at its end.
    pub trailer: Trailer,
    /// SHA-256 of the archive's bytes.
    pub sha256: String,
}

/// Reads an archive and tells each entry; all digests of chunks are verified on the way. `None` when `each`
/// broke off.
///
/// # Errors
/// When the archive is not sound, or its stream fails.
pub fn list(
    input: impl Read + Send,
    mut each: impl FnMut(&Listed) -> ControlFlow<()>,
) -> Result<Option<Contents>, MoverError> {
    let mut hashing = Hashing::new(input);
    let read = read(&mut hashing, |reader, record| {
        Ok(reader
            .entry(&record)?
            .map_or(ControlFlow::Continue(()), |listed| each(&listed)))
    })?;
    let Some((head, trailer)) = read else {
        return Ok(None);
    };
    if Stored::read(&mut hashing)?.is_some() {
        return Err(MoverError::archive("something after its end"));
    }
    Ok(Some(Contents {
        paths: head.roots.into_iter().map(|root| root.path).collect(),
        trailer,
        sha256: hex(&hashing.sha256.finalize()),
    }))
}

/// Writes the content of one file of an archive, holes as zeros. What follows it is not read.
///
/// # Errors
/// When there is no such file, the archive is not sound, or the bytes cannot be written.
pub fn extract(
    input: impl Read + Send,
    path: &[u8],
    mut out: impl Write,
) -> Result<(), MoverError> {
    let mut written = None;
    let failed = || MoverError::io::<io::Error>(path, "written out");
    let read = read(input, |reader, record| {
        let is_it = reader.file.as_deref() == Some(path);
        match &record {
            Record::File(name) if reader.within(name)? == path => written = Some(0),
            Record::Data(offset, bytes) if is_it => {
                let at = written.unwrap_or(0);
                zeros(&mut out, at, *offset)
                    .and_then(|()| out.write_all(bytes))
                    .map_err(failed())?;
                written = Some(offset.saturating_add(bytes.len() as u64));
            }
            Record::FileEnd(size, _) if is_it => {
                zeros(&mut out, written.unwrap_or(0), *size)
                    .and_then(|()| out.flush())
                    .map_err(failed())?;
                return Ok(ControlFlow::Break(()));
            }
            _ => {}
        }
        match reader.entry(&record)? {
            Some(listed) if listed.path == path => Err(no_file(&listed)),
            _ => Ok(ControlFlow::Continue(())),
        }
    })?;
    match read {
        None => Ok(()),
        Some(_) => Err(MoverError::refused(path, "is not in the archive")),
    }
}

/// Why an entry has no content to be written.
fn no_file(listed: &Listed) -> MoverError {
    let shown = |path: &Vec<u8>| crate::error::shown(path);
    let why = match &listed.entry {
        Entry::Hardlink(of) => format!("is a further name of {}: ask for that one", shown(of)),
        Entry::Symlink(to) => format!("is a symbolic link to {}", shown(to)),
        Entry::Directory => "is a directory".to_owned(),
        Entry::Fifo => "is a fifo".to_owned(),
        Entry::Device(..) => "is a device".to_owned(),
        Entry::File(_) => "came twice".to_owned(),
    };
    MoverError::refused(&listed.path, why)
}

/// A hole from one place of a file to another. Data never goes back.
fn zeros(out: &mut impl Write, from: u64, to: u64) -> io::Result<()> {
    let mut left = to
        .checked_sub(from)
        .ok_or_else(|| io::Error::other("the archive has its data out of order"))?;
    let hole = [0_u8; HOLE_BYTES];
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(HOLE_BYTES).min(HOLE_BYTES);
        out.write_all(hole.get(..now).unwrap_or_default())?;
        left = left.saturating_sub(now as u64);
    }
    Ok(())
}

/// Reads all records. `None` when `each` broke off.
fn read(
    input: impl Read + Send,
    mut each: impl FnMut(&mut Reader, Record<'_>) -> Result<ControlFlow<()>, MoverError>,
) -> Result<Option<(Head, Trailer)>, MoverError> {
    std::thread::scope(|scope| {
        let chunks = decode::chunks(scope, input, Course::Archive);
        let ended = || MoverError::archive("it ends before its end");
        let next = || {
            let chunk = chunks.recv().unwrap_or_else(|_| Err(ended()))?;
            Ok::<_, MoverError>((chunk.kind, chunk.content))
        };
        let (kind, content) = next()?;
        if kind != Kind::Head {
            return Err(MoverError::archive("it does not begin with a head"));
        }
        let mut reader = Reader::new(parsed(&content)?);
        loop {
            match next()? {
                (Kind::Body, content) => {
                    let mut records = Records::new(&content);
                    while let Some(record) = records.next()? {
                        if each(&mut reader, record)?.is_break() {
                            return Ok(None);
                        }
                    }
                }
                (Kind::End, content) => {
                    let trailer: Trailer = parsed(&content)?;
                    reader.finish(&trailer)?;
                    return Ok(Some((reader.head, trailer)));
                }
                _ => return Err(MoverError::archive("a chunk at the wrong place")),
            }
        }
    })
}

fn parsed<T: for<'de> serde::Deserialize<'de>>(content: &[u8]) -> Result<T, MoverError> {
    serde_json::from_slice(content)
        .map_err(|e| MoverError::archive(format!("its head or end cannot be read: {e}")))
}

/// Where in the tree the records are.
struct Reader {
    head: Head,
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
    /// Which path of the head is under way.
    root: Option<usize>,
    dirs: Vec<Vec<u8>>,
    file: Option<Vec<u8>>,
    entries: u64,
}

impl Reader {
    fn new(head: Head) -> Self {
        let names = |table: &[(u32, String)]| table.iter().cloned().collect();
        Self {
            users: names(&head.users),
            groups: names(&head.groups),
            head,
            root: None,
            dirs: Vec::new(),
            file: None,
            entries: 0,
        }
    }

    /// The path of a name that comes now; empty for `/`.
    fn within(&self, name: &[u8]) -> Result<Vec<u8>, MoverError> {
        if let Some(dir) = self.dirs.last() {
            return match name {
                b"" => Err(MoverError::archive("an entry without a name")),
                _ => Ok(join(dir, name)),
            };
        }
        let top = self.root.and_then(|root| self.head.roots.get(root));
        let outside = || MoverError::archive("an entry outside of its paths");
        let top = top.map(|root| root.path.as_slice()).ok_or_else(outside)?;
        if name == last(top) {
            Ok(top.strip_suffix(b"/").unwrap_or(top).to_vec())
        } else {
            Err(outside())
        }
    }

    /// Goes on by a record; gives the entry that is whole by it.
    fn entry(&mut self, record: &Record<'_>) -> Result<Option<Listed>, MoverError> {
        let in_file = matches!(record, Record::Data(..) | Record::FileEnd(..));
        if in_file != self.file.is_some() {
            return Err(MoverError::archive(
                "data outside of a file, or an entry within one",
            ));
        }
        let (path, entry, meta) = match record {
            Record::Root(index) => {
                let index = usize::try_from(*index).unwrap_or(usize::MAX);
                if !self.dirs.is_empty() || index >= self.head.roots.len() {
                    return Err(MoverError::archive("a path at the wrong place"));
                }
                self.root = Some(index);
                return Ok(None);
            }
            Record::Enter(name) => {
                if self.dirs.len() > DEPTH_MAX {
                    let why = "directories that are nested too deeply";
                    return Err(MoverError::archive(why));
                }
                self.dirs.push(self.within(name)?);
                return Ok(None);
            }
            Record::Leave(meta) => {
                let outside = || MoverError::archive("the end of a directory that did not begin");
                let path = self.dirs.pop().ok_or_else(outside)?;
                (path, Entry::Directory, Some(meta))
            }
            Record::File(name) => {
                self.file = Some(self.within(name)?);
                return Ok(None);
            }
            Record::Data(..) => return Ok(None),
            Record::FileEnd(size, meta) => {
                let path = self.file.take().unwrap_or_default();
                (path, Entry::File(*size), Some(meta))
            }
            Record::Symlink(name, to, meta) => {
                (self.within(name)?, Entry::Symlink(to.to_vec()), Some(meta))
            }
            Record::Hardlink(name, root, of) => {
                let of = join(self.above(*root)?, of);
                (self.within(name)?, Entry::Hardlink(of), None)
            }
            Record::Fifo(name, meta) => (self.within(name)?, Entry::Fifo, Some(meta)),
            Record::Device(name, block, major, minor, meta) => {
                let entry = Entry::Device(*block, *major, *minor);
                (self.within(name)?, entry, Some(meta))
            }
        };
        self.entries = self.entries.saturating_add(1);
        let path = if path.is_empty() { b"/".to_vec() } else { path };
        Ok(Some(Listed {
            about: meta.map(|meta| self.about(meta)),
            path,
            entry,
        }))
    }

    /// The directory above one of the paths.
    fn above(&self, root: u32) -> Result<&[u8], MoverError> {
        let root = usize::try_from(root)
            .ok()
            .and_then(|root| self.head.roots.get(root));
        let path = root.ok_or_else(|| MoverError::archive("a hard link to nothing"))?;
        let end = path.path.len().saturating_sub(last(&path.path).len());
        let above = path.path.get(..end).unwrap_or_default();
        Ok(above.strip_suffix(b"/").unwrap_or(above))
    }

    fn about(&self, meta: &Meta) -> About {
        let attributes = meta.xattrs.iter().map(|(name, _)| name.clone());
        About {
            mode: meta.mode,
            user: (meta.uid, self.users.get(&meta.uid).cloned()),
            group: (meta.gid, self.groups.get(&meta.gid).cloned()),
            modified_s: meta.mtime_s,
            attributes: attributes.collect(),
        }
    }

    fn finish(&self, trailer: &Trailer) -> Result<(), MoverError> {
        if !self.dirs.is_empty() || self.file.is_some() {
            return Err(MoverError::archive("it ends within a directory or file"));
        }
        if self.entries != trailer.entries {
            let why = format!(
                "it has {} entries, and says that it has {}",
                self.entries, trailer.entries
            );
            return Err(MoverError::archive(why));
        }
        Ok(())
    }
}

/// The last name of a path; empty for `/`.
fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Takes the digest of what goes through it.
struct Hashing<R> {
    inner: R,
    sha256: Sha256,
}

impl<R> Hashing<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            sha256: Sha256::new(),
        }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.sha256.update(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}
