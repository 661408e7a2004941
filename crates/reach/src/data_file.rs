//! Files below a run's data folder: written whole or not at all.

use overhaul_model::id::Digest;
use sha2::{Digest as _, Sha256};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Component, Path, PathBuf};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, BufWriter};

/// Gathered before a write: few system calls for a dump of gigabytes.
const BUFFER_BYTES: usize = 1 << 20;
/// Longest name of a file below the data folder; with the folder before it, it stays below PATH_MAX.
const NAME_BYTES_MAX: usize = 1024;

/// A file of the controller cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The name leads elsewhere.
    #[error("`{0}` is no plain relative path below the run's data folder")]
    NotPlain(String),
    /// The file system says no.
    #[error("on the controller, {} cannot be {doing}: {error}", .path.display())]
    Io {
        path: PathBuf,
        doing: &'static str,
        error: io::Error,
    },
}

fn io_error(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |error| FileError::Io { path, doing, error }
}

/// The path of a file below the data folder. Its name may come from an inventory: only plain
/// components are taken.
pub(crate) fn path_of(data: &Path, name: &str) -> Result<PathBuf, FileError> {
    let plain = |part: &str| {
        let first = part.chars().next();
        first.is_some_and(|c| c != '.') && !part.chars().any(|c| c.is_control() || c == '\\')
    };
    let good = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.split('/').all(plain)
        && Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
    if good {
        Ok(data.join(name))
    } else {
        Err(FileError::NotPlain(
            name.chars()
                .take(80)
                .flat_map(char::escape_default)
                .collect(),
        ))
    }
}

/// A file that is being received. Dropped before [`Incoming::finish`] it leaves nothing behind.
pub(crate) struct Incoming {
    path: PathBuf,
    partial: Partial,
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

/// Removes the file on its way out.
struct Partial(Option<PathBuf>);

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // Nothing can be done about it here; its name says what it is.
            let _left = std::fs::remove_file(path);
        }
    }
}

impl Incoming {
    /// Makes the folders (0700) and an empty file (0600) beside the one that is to be.
    pub(crate) async fn create(data: &Path, name: &str) -> Result<Self, FileError> {
        let path = path_of(data, name)?;
        let folder = path.parent().unwrap_or(data).to_owned();
        let made = folder.clone();
        tokio::task::spawn_blocking(move || {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(made)
        })
        .await
        .map_err(io::Error::other)
        .and_then(|made| made)
        .map_err(io_error(&folder, "made"))?;
        let last = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = folder.join(format!(".{last}.partial"));
        // What an earlier attempt left; it may have been ended without a chance to tidy up.
        let _none = tokio::fs::remove_file(&partial).await;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)
            .await
            .map_err(io_error(&partial, "made"))?;
        Ok(Self {
            path,
            partial: Partial(Some(partial)),
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            hash: Sha256::new(),
            bytes: 0,
        })
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.hash.update(bytes);
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        self.file
            .write_all(bytes)
            .await
            .map_err(io_error(&self.path, "written"))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::from_raw(&self.hash.clone().finalize())
    }

    /// Makes it durable and gives it its name.
    pub(crate) async fn finish(mut self) -> Result<(), FileError> {
        let written = |doing| io_error(&self.path, doing);
        self.file.flush().await.map_err(written("written"))?;
        self.file
            .get_ref()
            .sync_all()
            .await
            .map_err(written("written"))?;
        let partial = self.partial.0.clone().unwrap_or_default();
        tokio::fs::rename(&partial, &self.path)
            .await
            .map_err(written("named"))?;
        self.partial.0 = None;
        let folder = self.path.parent().unwrap_or(&self.path);
        let opened = File::open(folder).await.map_err(written("named"))?;
        opened.sync_all().await.map_err(written("named"))
    }
}

/// A file that is read from its start, with the digest of what was read.
pub(crate) struct Outgoing {
    path: PathBuf,
    file: BufReader<File>,
    hash: Sha256,
}

impl Outgoing {
    pub(crate) async fn open(path: PathBuf) -> Result<Self, FileError> {
        let file = File::open(&path).await.map_err(io_error(&path, "opened"))?;
        Ok(Self {
            path,
            file: BufReader::with_capacity(BUFFER_BYTES, file),
            hash: Sha256::new(),
        })
    }

    /// The next bytes; none at the end.
    pub(crate) async fn read<'a>(&mut self, buffer: &'a mut [u8]) -> Result<&'a [u8], FileError> {
        let length = self
            .file
            .read(buffer)
            .await
            .map_err(io_error(&self.path, "read"))?;
        let bytes = buffer.get(..length).unwrap_or_default();
        self.hash.update(bytes);
        Ok(bytes)
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::from_raw(&self.hash.clone().finalize())
    }
}

/// The digest and size of a whole file.
pub(crate) async fn digest_of(path: PathBuf) -> Result<(Digest, u64), FileError> {
    let mut file = Outgoing::open(path).await?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut size: u64 = 0;
    loop {
        let length = file.read(&mut buffer).await?.len();
        if length == 0 {
            return Ok((file.digest(), size));
        }
        size = size.saturating_add(length as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn only_plain_relative_names_are_taken() {
        let data = Path::new("/data");
        assert_eq!(
            path_of(data, "db-1/app/dump.pgc").unwrap(),
            Path::new("/data/db-1/app/dump.pgc")
        );
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for name in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            ".hidden",
            "a/.b",
            "a\0b",
            "a\nb",
            &long,
        ] {
            assert!(path_of(data, name).is_err(), "{name:?}");
        }
    }

    #[tokio::test]
    async fn a_file_comes_whole_or_not_at_all() {
        let data = tempfile::tempdir().unwrap();
        let names = || {
            let folder = data.path().join("host/set");
            let mut names: Vec<_> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        let mut file = Incoming::create(data.path(), "host/set/dump")
            .await
            .unwrap();
        file.write(b"half").await.unwrap();
        assert_eq!(names(), [".dump.partial"]);
        drop(file);
        assert_eq!(names(), [""; 0]);

        let mut file = Incoming::create(data.path(), "host/set/dump")
            .await
            .unwrap();
        file.write(b"whole").await.unwrap();
        assert_eq!((file.digest(), file.bytes()), (Digest::of("whole"), 5));
        file.finish().await.unwrap();
        assert_eq!(names(), ["dump"]);
        let path = data.path().join("host/set/dump");
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&path), mode(&data.path().join("host/set"))),
            (0o600, 0o700)
        );
        assert_eq!(digest_of(path).await.unwrap(), (Digest::of("whole"), 5));
    }
}
