//! The store's directory: made once, with an identity of its own.

use super::durable;
use super::error::StoreError;
use super::lock::{Held, Locked};
use super::seal::{opened, sealed};
use overhaul_model::event::Generation;
use overhaul_model::id::{AttemptKey, InstallId};
use overhaul_model::receipt::STORE_FORMAT;
use std::fs::{self, DirBuilder};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Permission bits of the store and of every directory in it.
pub(super) const DIR_MODE: u32 = 0o700;

/// Longest key of an attempt: a file name may have 255 bytes, and units of systemd are named by it too.
const KEY_BYTES_MAX: usize = 128;

/// Largest of the small text files `format`, `install-id` and `sequence`.
const TEXT_BYTES_MAX: u64 = 4 * 1024;

/// An opened store. It keeps no file open: every question is answered from the disk, because other
/// helpers work on the same store.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
    install_id: InstallId,
}

impl Store {
    /// Opens the store in this directory, and makes it when there is none.
    ///
    /// # Errors
    /// When it cannot be made or read, is newer than this helper, or others could write into it.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        DirBuilder::new()
            .recursive(true)
            .mode(DIR_MODE)
            .create(dir)
            .map_err(StoreError::io("created", dir))?;
        secure(dir)?;
        let mut store = Self {
            dir: dir.to_owned(),
            install_id: InstallId::new(""),
        };
        // Before the lock: a newer helper may lock in another way.
        store.check_format()?;
        let locked = Locked::take(&store)?;
        let install_id = match store.check_format()? {
            Some(STORE_FORMAT) => store.read_install_id()?,
            // What is written from now on, helpers of that format cannot read.
            Some(_) => store.read_install_id().and_then(|id| {
                store.write_format()?;
                Ok(id)
            })?,
            None => store.make()?,
        };
        drop(locked);
        store.install_id = install_id;
        Ok(store)
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its identity.
    pub fn install_id(&self) -> &InstallId {
        &self.install_id
    }

    /// The generation that holds the host.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn holder(&self) -> Result<Option<Generation>, StoreError> {
        Ok(self.held()?.holder)
    }

    /// Who holds the host, and who did last.
    pub(super) fn held(&self) -> Result<Held, StoreError> {
        Ok(durable::read_json(&self.path("generation.json"))?.unwrap_or_default())
    }

    /// The highest sequence number that was given to a receipt.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn sequence(&self) -> Result<u64, StoreError> {
        let path = self.path("sequence");
        let text = self.text("sequence")?.ok_or_else(|| {
            StoreError::damaged(&path)("it is missing, so that receipts may be, too")
        })?;
        text.parse().map_err(StoreError::damaged(&path))
    }

    /// Waits until nobody else changes the store.
    ///
    /// # Errors
    /// When that takes too long, the lock cannot be had at all, or the store is not the one that was opened.
    pub fn lock(&self) -> Result<Locked<'_>, StoreError> {
        let locked = Locked::take(self)?;
        // Who was greeted by a store that is gone must not act by the next one, which knows nothing of what was
        // told before.
        let found = self.read_install_id()?;
        if found != self.install_id {
            return Err(StoreError::Replaced);
        }
        Ok(locked)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The directory of an attempt. Keys come from outside: none may lead out of the store.
    pub(super) fn attempt_dir(&self, key: &AttemptKey) -> Result<PathBuf, StoreError> {
        let key = key.as_str();
        let plain = key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if plain && !key.is_empty() && key.len() <= KEY_BYTES_MAX {
            Ok(self.path("receipts").join(key))
        } else {
            Err(StoreError::Key)
        }
    }

    /// The form of the store, one that this helper knows; `None` when there is no store yet.
    fn check_format(&self) -> Result<Option<u32>, StoreError> {
        let path = self.path("format");
        let Some(text) = self.text("format")? else {
            return Ok(None);
        };
        let found: u32 = text.parse().map_err(StoreError::damaged(&path))?;
        if found > STORE_FORMAT {
            Err(StoreError::Newer { found })
        } else {
            Ok(Some(found))
        }
    }

    fn write_format(&self) -> Result<(), StoreError> {
        durable::replace(&self.path("format"), format!("{STORE_FORMAT}\n").as_bytes())
    }

    /// Makes the store; `format` comes last, so that a store that was cut off in the making is made anew.
    fn make(&self) -> Result<InstallId, StoreError> {
        let receipts = self.path("receipts");
        DirBuilder::new()
            .recursive(true)
            .mode(DIR_MODE)
            .create(&receipts)
            .map_err(StoreError::io("created", &receipts))?;
        let id = random_id()?;
        let id_text = sealed(format!("{id}\n").into_bytes());
        durable::replace(&self.path("install-id"), &id_text)?;
        durable::replace(&self.path("sequence"), &sequence_text(0))?;
        self.write_format()?;
        if let Some(parent) = self.dir.parent().filter(|p| !p.as_os_str().is_empty()) {
            durable::sync_dir(parent)?;
        }
        Ok(InstallId::new(id))
    }

    fn read_install_id(&self) -> Result<InstallId, StoreError> {
        let path = self.path("install-id");
        match self.text("install-id")? {
            Some(id) if !id.is_empty() => Ok(InstallId::new(id)),
            _ => Err(StoreError::damaged(&path)("it is missing or empty")),
        }
    }

    fn text(&self, name: &str) -> Result<Option<String>, StoreError> {
        let path = self.path(name);
        let bytes = match durable::read_capped(&path, TEXT_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("read", &path)(error)),
        };
        let text = opened(&bytes).map_err(StoreError::damaged(&path))?;
        let text = std::str::from_utf8(text).map_err(StoreError::damaged(&path))?;
        match text.trim() {
            text if text.contains('\n') => Err(StoreError::damaged(&path)("it has several lines")),
            text => Ok(Some(text.to_owned())),
        }
    }
}

/// The file `sequence`. It always has the same length.
pub(super) fn sequence_text(number: u64) -> Vec<u8> {
    sealed(format!("{number:020}\n").into_bytes())
}

/// The directory must be ours alone. Too open permission bits of our own directory are closed.
fn secure(dir: &Path) -> Result<(), StoreError> {
    let meta = fs::symlink_metadata(dir).map_err(StoreError::io("read", dir))?;
    let not_safe = |why| StoreError::Unsafe {
        path: dir.to_owned(),
        why,
    };
    if !meta.is_dir() {
        return Err(not_safe("it is not a directory of its own"));
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(not_safe("it belongs to another account"));
    }
    let mode = meta.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(not_safe("others may write into it"));
    }
    if mode != DIR_MODE {
        fs::set_permissions(dir, fs::Permissions::from_mode(DIR_MODE))
            .map_err(StoreError::io("closed to others", dir))?;
    }
    Ok(())
}

/// 128 random bits as hexadecimal digits.
fn random_id() -> Result<String, StoreError> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0_u8; 16];
    fs::File::open(path)
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(StoreError::io("read", path))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
