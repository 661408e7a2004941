//! Programs of the controller that a run depends on: only those that nobody else can have changed.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The program's own place, links followed, when nobody but its owner, who is us or root, can change it.
///
/// # Errors
/// In a sentence, when somebody else could have changed it or it cannot be read.
pub fn trusted(program: &Path) -> Result<PathBuf, String> {
    let wrong = |error: std::io::Error| format!("the program cannot be read: {error}");
    let path = std::fs::canonicalize(program).map_err(wrong)?;
    let me = rustix::process::geteuid().as_raw();
    let folder = path.parent().unwrap_or(Path::new("/"));
    for (place, what) in [
        (path.as_path(), "the program"),
        (folder, "the program's folder"),
    ] {
        let found = std::fs::metadata(place).map_err(wrong)?;
        if found.uid() != me && found.uid() != 0 {
            return Err(format!("{what} belongs to somebody else, so it is not run"));
        }
        // In a folder like /tmp nobody can rename what belongs to others.
        let sticky = what != "the program" && found.mode() & 0o1000 != 0;
        if found.mode() & 0o022 != 0 && !sticky {
            return Err(format!(
                "others may write to {what} (mode {:04o}), so it is not run",
                found.mode() & 0o7777
            ));
        }
    }
    Ok(path)
}
