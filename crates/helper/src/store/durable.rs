//! Writes that survive a power cut, and reads of files of any size.

use super::error::StoreError;
use super::seal::{opened, sealed};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Permission bits of every file of the store: output and reasons are nobody else's business.
pub const FILE_MODE: u32 = 0o600;

/// Largest JSON file that is read back from the store; the helper writes some kilobytes.
const JSON_BYTES_MAX: u64 = 1024 * 1024;

/// Puts these bytes in the file's place: whoever reads it, even after a power cut, finds the old
/// content or the new one. Durable when it returns.
///
/// # Errors
/// When the file system says no; the old content is then still there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let fresh = path.with_extension("new");
    let written = write_synced(&fresh, bytes)
        .and_then(|()| fs::rename(&fresh, path).map_err(StoreError::io("written", path)));
    if let Err(error) = written {
        // On a full disk the half-written file is what would fill it further.
        let _ = fs::remove_file(&fresh);
        return Err(error);
    }
    path.parent().map_or(Ok(()), sync_dir)
}

/// As [`replace`], with a value as JSON and its checksum.
///
/// # Errors
/// As for [`replace`].
pub fn replace_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    replace(path, &json(path, value)?)
}

/// Writes a new file and syncs it, but not the directory that it stands in.
///
/// # Errors
/// When the file system says no.
pub fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = create(path)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(StoreError::io("written", path))
}

/// As [`write_synced`], with a value as JSON and its checksum.
///
/// # Errors
/// As for [`write_synced`].
pub fn write_json_synced<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    write_synced(path, &json(path, value)?)
}

fn json<T: Serialize>(path: &Path, value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value)
        .map(sealed)
        .map_err(StoreError::damaged(path))
}

/// Opens a file of the store for writing, empty.
///
/// # Errors
/// When the file system says no.
pub fn create(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(StoreError::io("created", path))
}

/// Makes renames and new names in a directory durable.
///
/// # Errors
/// When the file system says no.
pub fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(StoreError::io("synced", dir))
}

/// Reads a JSON file of the store; `None` when there is none.
///
/// # Errors
/// When it cannot be read, or holds something else than what was written.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    match read_capped(path, JSON_BYTES_MAX) {
        Ok(bytes) => {
            let json = opened(&bytes).map_err(StoreError::damaged(path))?;
            serde_json::from_slice(json)
                .map(Some)
                .map_err(StoreError::damaged(path))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read", path)(error)),
    }
}

/// Reads a file that must not be larger than so many bytes.
///
/// # Errors
/// When it cannot be read or is larger.
pub fn read_capped(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size <= bytes_max) {
        Ok(bytes)
    } else {
        Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {bytes_max} bytes"),
        ))
    }
}
