//! Both ends over one folder, and a look at a tree that shares nothing with the mover's own.

use overhaul_mover::{
    Digesting, Form, Keeping, Kept, MoverError, OnExisting, PackSpec, Packed, Sending, UnpackSpec,
    Unpacked, pack, unpack,
};
use rustix::fs::{lgetxattr, llistxattr};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A source, a controller and a destination.
pub struct Scene {
    folder: TempDir,
    pub paths: Vec<Vec<u8>>,
}

impl Scene {
    /// The path `/data` is to be carried; it exists and is empty.
    pub fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "these tests make owners and devices: run them as root"
        );
        let folder = tempfile::tempdir().unwrap();
        for name in ["from/data", "to", "kept"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        Self {
            folder,
            paths: vec![b"/data".to_vec()],
        }
    }

    pub fn from(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join("from").join(path)
    }

    pub fn to(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join("to").join(path)
    }

    pub fn archive(&self) -> PathBuf {
        self.folder.path().join("kept/host/data.ovh")
    }

    pub fn partial(&self) -> PathBuf {
        self.folder.path().join("kept/host/.data.ovh.partial")
    }

    pub fn progress(&self) -> PathBuf {
        self.folder.path().join("state/restores/it.json")
    }

    pub fn spec(&self) -> PackSpec {
        PackSpec {
            base: self.folder.path().join("from"),
            paths: self.paths.clone(),
            one_filesystem: false,
            exclude: Vec::new(),
            live: false,
            digesting: Digesting::File,
            have: None,
        }
    }

    pub fn packed(&self) -> Result<(Vec<u8>, Packed), MoverError> {
        let mut out = Vec::new();
        let packed = pack(&self.spec(), &mut out)?;
        Ok((out, packed))
    }

    pub fn persist(&self) -> Result<Kept, MoverError> {
        let mut keeping = Keeping::open(&self.archive())?;
        let spec = PackSpec {
            have: keeping.have(),
            ..self.spec()
        };
        let mut out = Vec::new();
        pack(&spec, &mut out)?;
        for piece in out.chunks(60_000) {
            keeping.take(piece)?;
        }
        keeping.finish()
    }

    pub fn unpack_spec(&self, id: &str) -> UnpackSpec {
        UnpackSpec {
            base: self.folder.path().join("to"),
            paths: self.paths.clone(),
            id: id.to_owned(),
            existing: OnExisting::Refuse,
            form: Form::Archive { from_chunk: 0 },
            progress: Some(self.progress()),
        }
    }

    pub fn sent(&self, kept: &Kept, from_chunk: u64) -> Result<Vec<u8>, MoverError> {
        let mut sending = Sending::open(&self.archive(), &kept.sha256, from_chunk)?;
        let mut out = Vec::new();
        while let Some(chunk) = sending.next_chunk()? {
            out.extend_from_slice(&chunk);
        }
        assert_eq!(sending.trailer(), Some(&kept.trailer));
        Ok(out)
    }

    pub fn restore(&self, kept: &Kept) -> Result<Unpacked, MoverError> {
        let stream = self.sent(kept, 0)?;
        unpack(&self.unpack_spec(&kept.sha256), stream.as_slice())
    }

    /// There and back, equal in every respect.
    pub fn carry(&self) -> Unpacked {
        let kept = self.persist().unwrap();
        assert!(!self.partial().exists());
        let unpacked = self.restore(&kept).unwrap();
        assert_eq!(look(&self.to("")), look(&self.from("")));
        unpacked
    }
}

/// Everything that a person could tell apart, as lines by path.
pub fn look(top: &Path) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut inodes = HashMap::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = fs::read_dir(&folder).unwrap().map(Result::unwrap).collect();
        entries.sort_by_key(fs::DirEntry::path);
        for entry in entries {
            let path = entry.path();
            let name = path.strip_prefix(top).unwrap().as_os_str();
            if path.symlink_metadata().unwrap().file_type().is_socket() {
                continue;
            }
            out.insert(escape(name), line(&path, name, &mut inodes));
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            }
        }
    }
    out
}

fn escape(name: &OsStr) -> String {
    name.as_bytes().escape_ascii().to_string()
}

fn line(path: &Path, name: &OsStr, inodes: &mut HashMap<(u64, u64), Vec<String>>) -> String {
    let meta = path.symlink_metadata().unwrap();
    let kind = meta.file_type();
    let mut line = format!(
        "{:o} {}:{} {}.{:09}",
        meta.mode(),
        meta.uid(),
        meta.gid(),
        meta.mtime(),
        meta.mtime_nsec()
    );
    if kind.is_file() {
        let content = fs::read(path).unwrap();
        line += &format!(" {} {}", meta.len(), blake3::hash(&content).to_hex());
        // Holes, to the nearest megabyte: file systems differ in how they lay out the rest.
        line += &format!(" {}M", meta.blocks() * 512 / (1 << 20));
    }
    if kind.is_symlink() {
        line += &format!(" -> {}", escape(fs::read_link(path).unwrap().as_os_str()));
    }
    if kind.is_char_device() || kind.is_block_device() {
        line += &format!(" device {}", meta.rdev());
    }
    if !kind.is_dir() && meta.nlink() > 1 {
        let names = inodes.entry((meta.dev(), meta.ino())).or_default();
        names.push(escape(name));
        line += &format!(" also {}", names[0]);
    }
    for (key, value) in xattrs(path) {
        line += &format!(" {key}={}", value.escape_ascii());
    }
    line
}

fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0_u8; 65_536];
    let length = llistxattr(path, &mut names).unwrap();
    let mut out = BTreeMap::new();
    for name in names[..length].split(|b| *b == 0).filter(|n| !n.is_empty()) {
        let mut value = vec![0_u8; 65_536];
        let length = lgetxattr(path, name, &mut value).unwrap();
        value.truncate(length);
        out.insert(String::from_utf8_lossy(name).into_owned(), value);
    }
    out
}
