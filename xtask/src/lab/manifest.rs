//! A tree of a host in all respects that a copy must keep, read from outside: neither the host's programs nor the product have a part in it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{SeekFrom, lgetxattr, llistxattr, seek};
use sha2::{Digest, Sha256};

use super::error::{LabError, Named, Result, malformed};
use super::instance::Instance;

/// Attributes of one file fit: the kernel allows no list and no value that is longer (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const ATTRIBUTES_BYTES_MAX: usize = 65_536;
/// Files are read in pieces.
const PIECE_BYTES: usize = 1 << 16;
/// Directories within each other: beyond this a tree is a loop.
const DEPTH_MAX: usize = 1_000;

/// A line for each entry below `path` on a host, in the order of their names' bytes.
///
/// # Errors
/// When the host is off, or something in the tree cannot be read.
pub fn of_host(instance: &Instance, host: &str, path: &Path) -> Result<String> {
    let leader = instance
        .member_group(host)?
        .leader()
        .ok_or_else(|| LabError::State(format!("{host} is not running")))?;
    let plain = path.is_absolute()
        && path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !plain {
        return Err(malformed(
            path.display().to_string(),
            "an absolute path without `..` is needed",
        ));
    }
    // The kernel's own view of that host's disk.
    let root = PathBuf::from(format!("/proc/{leader}/root"));
    of_tree(&root.join(path.strip_prefix("/").unwrap_or(path)))
}

/// A line for each entry of a tree, itself included.
///
/// # Errors
/// When something in it cannot be read.
pub fn of_tree(root: &Path) -> Result<String> {
    let mut lister = Lister {
        root: root.to_path_buf(),
        out: String::new(),
        first_names: BTreeMap::new(),
    };
    lister.entry(root, 0)?;
    Ok(lister.out)
}

struct Lister {
    root: PathBuf,
    out: String,
    /// The name under which a file with several names was met first.
    first_names: BTreeMap<(u64, u64), String>,
}

impl Lister {
    fn entry(&mut self, path: &Path, depth: usize) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(malformed(path.display().to_string(), "too deep"));
        }
        let line = self.line(path).named(path)?;
        self.out.push_str(&line);
        self.out.push('\n');
        if fs::symlink_metadata(path).named(path)?.is_dir() {
            let mut names = Vec::new();
            for entry in fs::read_dir(path).named(path)? {
                names.push(entry.named(path)?.file_name().into_vec());
            }
            names.sort();
            for name in names {
                self.entry(&path.join(OsStr::from_bytes(&name)), depth + 1)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, path: &Path) -> io::Result<String> {
        let meta = fs::symlink_metadata(path)?;
        let name = shown(
            path.strip_prefix(&self.root)
                .unwrap_or(path)
                .as_os_str()
                .as_bytes(),
        );
        let kind = meta.file_type();
        let mut line = format!(
            "\"{name}\" mode {:o} owner {}:{} modified {}.{:09}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec()
        );
        for (attribute, value) in attributes(path)? {
            let _ = write!(line, " {attribute}=\"{value}\"");
        }
        if !kind.is_dir() && meta.nlink() > 1 {
            let first = self
                .first_names
                .entry((meta.dev(), meta.ino()))
                .or_insert_with(|| name.clone());
            let _ = write!(line, " links {} first \"{first}\"", meta.nlink());
        }
        if kind.is_symlink() {
            let target = fs::read_link(path)?;
            let _ = write!(line, " to \"{}\"", shown(target.as_os_str().as_bytes()));
        } else if kind.is_char_device() || kind.is_block_device() {
            let (major, minor) = (
                rustix::fs::major(meta.rdev()),
                rustix::fs::minor(meta.rdev()),
            );
            let _ = write!(line, " device {major}:{minor}");
        } else if kind.is_file() {
            let _ = write!(line, " size {} {}", meta.size(), content(path)?);
        }
        Ok(line)
    }
}

/// Extended attributes with their values, access lists and capabilities among them.
fn attributes(path: &Path) -> io::Result<Vec<(String, String)>> {
    let mut names = vec![0_u8; ATTRIBUTES_BYTES_MAX];
    let count = llistxattr(path, names.as_mut_slice())?;
    names.truncate(count);
    let mut found = Vec::new();
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0_u8; ATTRIBUTES_BYTES_MAX];
        let count = lgetxattr(path, name, value.as_mut_slice())?;
        value.truncate(count);
        found.push((shown(name), shown(&value)));
    }
    found.sort();
    Ok(found)
}

/// Where data is and where holes are, and a digest over both.
fn content(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.size();
    let mut hash = Sha256::new();
    let mut extents = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match seek(&file, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole from here on.
            Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = seek(&file, SeekFrom::Hole(start))?;
        seek(&file, SeekFrom::Start(start))?;
        hash.update(start.to_le_bytes());
        hash.update(end.to_le_bytes());
        let mut rest = end - start;
        let mut piece = vec![0_u8; PIECE_BYTES];
        while rest > 0 {
            let room = usize::try_from(rest).map_or(PIECE_BYTES, |rest| rest.min(PIECE_BYTES));
            let count = file.read(piece.get_mut(..room).unwrap_or_default())?;
            if count == 0 {
                return Err(io::Error::other("it became shorter while it was read"));
            }
            hash.update(piece.get(..count).unwrap_or_default());
            rest -= u64::try_from(count).unwrap_or(rest);
        }
        extents.push((start, end));
        at = end;
    }
    let whole = extents == [(0, size)] || size == 0;
    let digest: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let data = if whole {
        String::new()
    } else {
        let parts: Vec<String> = extents
            .iter()
            .map(|(start, end)| format!("{start}-{end}"))
            .collect();
        format!("data [{}] ", parts.join(" "))
    };
    Ok(format!("{data}sha256 {digest}"))
}

/// Bytes as a text of one line that is different for different bytes.
fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::{PermissionsExt, symlink};

    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

    /// The manifest of a small tree in which one thing was changed.
    fn listed(change: impl Fn(&Path)) -> String {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("tree");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("a"), "same").unwrap();
        fs::write(root.join(OsStr::from_bytes(b"odd\n\xff")), "x").unwrap();
        File::create(root.join("hole"))
            .unwrap()
            .set_len(1 << 20)
            .unwrap();
        symlink("a", root.join("link")).unwrap();
        change(&root);
        let fixed = Timespec {
            tv_sec: 1,
            tv_nsec: 7,
        };
        let times = Timestamps {
            last_access: fixed,
            last_modification: fixed,
        };
        let entries = fs::read_dir(&root).unwrap();
        for path in entries
            .map(|entry| entry.unwrap().path())
            .chain([root.clone()])
        {
            utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        }
        of_tree(&root).unwrap()
    }

    #[test]
    fn each_respect_shows() {
        let same = listed(|_| {});
        assert_eq!(same, listed(|_| {}));
        type Change = fn(&Path);
        let changes: [(&str, Change); 7] = [
            ("mode", |root| {
                fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o4755)).unwrap();
            }),
            ("content", |root| fs::write(root.join("a"), "diff").unwrap()),
            ("hole", |root| {
                fs::write(root.join("hole"), vec![0_u8; 1 << 20]).unwrap();
            }),
            ("target", |root| {
                fs::remove_file(root.join("link")).unwrap();
                symlink("b", root.join("link")).unwrap();
            }),
            ("hard link", |root| {
                fs::hard_link(root.join("a"), root.join("b")).unwrap();
            }),
            ("attribute", |root| {
                rustix::fs::lsetxattr(
                    root.join("a"),
                    "user.k",
                    b"\0v",
                    rustix::fs::XattrFlags::empty(),
                )
                .unwrap();
            }),
            ("name", |root| {
                fs::rename(
                    root.join(OsStr::from_bytes(b"odd\n\xff")),
                    root.join("odd\\n\\xff"),
                )
                .unwrap();
            }),
        ];
        for (respect, change) in changes {
            assert_ne!(listed(change), same, "{respect}");
        }
    }

    #[test]
    fn a_line_says_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        fs::write(&file, "abc").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        File::open(&file)
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_nanos(1_000_000_007))
            .unwrap();
        let owner = fs::symlink_metadata(&file).unwrap();
        let line = of_tree(&file).unwrap();
        let digest = line.rsplit(' ').next().unwrap().trim();
        assert_eq!(digest.len(), 64);
        assert_eq!(
            line,
            format!(
                "\"\" mode 100640 owner {}:{} modified 1.000000007 size 3 sha256 {digest}\n",
                owner.uid(),
                owner.gid()
            )
        );
    }
}
