//! Host keys that a provider proved, for this run alone: one file for each such host in the run's folder,
//! never a file of the operator.

use overhaul_model::id::{Digest, HostName};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The file with a host's proven keys.
pub(crate) fn file(folder: &Path, host: &HostName) -> PathBuf {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let name: String = host
        .as_str()
        .chars()
        .filter(|c| plain(*c))
        .take(60)
        .collect();
    folder.join(format!("{name}-{}", Digest::of(host.as_str()).short()))
}

/// Writes it. The file is for one host, so that its keys hold by whatever name or address that is reached.
pub(crate) fn write(folder: &Path, host: &HostName, keys: &[String]) -> io::Result<PathBuf> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let path = file(folder, host);
    let new = path.with_extension("new");
    let mut out = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    let mut text = String::from("# Host keys that the provider of this machine told.\n");
    for key in keys {
        text.push_str(&format!("* {key}\n"));
    }
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    std::fs::rename(&new, &path)?;
    Ok(path)
}
