//! Where the lab keeps things, and how it writes them.

use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::error::{LabError, Named, Result};

/// The checkout's folder of lab data.
pub fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab")
}

/// The checkout itself; the default instance id is derived from it.
pub fn checkout() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    path.canonicalize().unwrap_or(path)
}

/// Whether this runs in continuous integration, where nothing from an earlier run may help.
pub fn in_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true")
}

/// The root of everything kept between runs, outside the checkout.
pub fn cache() -> Result<PathBuf> {
    if let Some(path) = env::var_os("OVERHAUL_LAB_CACHE") {
        return absolute(PathBuf::from(path));
    }
    let name = if in_ci() {
        "overhaul-lab-ci"
    } else {
        "overhaul-lab"
    };
    let root = match env::var_os("XDG_CACHE_HOME") {
        Some(path) if Path::new(&path).is_absolute() => PathBuf::from(path),
        _ => {
            let home = env::var_os("HOME").ok_or_else(|| {
                LabError::State("neither OVERHAUL_LAB_CACHE nor HOME is set".into())
            })?;
            PathBuf::from(home).join(".cache")
        }
    };
    absolute(root.join(name))
}

/// The folder of one instance.
pub fn instance(id: &str) -> Result<PathBuf> {
    match env::var_os("OVERHAUL_LAB_DIR") {
        Some(path) => absolute(PathBuf::from(path)),
        None => Ok(cache()?.join("instances").join(id)),
    }
}

fn absolute(path: PathBuf) -> Result<PathBuf> {
    // Overlay options separate paths with these characters.
    if path.to_string_lossy().contains([':', ',', '\\']) {
        return Err(LabError::State(format!(
            "{}: a lab path must not contain ':', ',' or '\\'",
            path.display()
        )));
    }
    std::path::absolute(&path).named(&path)
}

/// Makes a folder that only its owner can look into.
pub fn make_private_folder(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .named(path)
}

/// Replaces a file in one step; nobody but the owner can read it.
pub fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .named(&temporary)?;
    file.write_all(content).named(&temporary)?;
    fs::rename(&temporary, path).named(path)
}

/// What a killed command started ends a moment after it, and may still write into a tree that is being removed.
const REMOVE_WAIT_S_MAX: u64 = 5;
/// How often a removal is tried again.
const REMOVE_POLL_MS: u64 = 50;

/// Removes a tree; that there is none is fine.
pub fn remove_tree(path: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(REMOVE_WAIT_S_MAX);
    loop {
        match fs::remove_dir_all(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !path.exists() => {
                return Ok(());
            }
            Err(error) if Instant::now() > deadline => return Err(error).named(path),
            Err(_) => thread::sleep(Duration::from_millis(REMOVE_POLL_MS)),
        }
    }
}

/// How long a command waits for another one on the same thing: a cold image build, the longest holder, takes two minutes on a small machine.
const LOCK_WAIT_S_MAX: u64 = 900;
/// How often a held lock is tried again.
const LOCK_POLL_MS: u64 = 100;

/// An exclusive lock that lasts as long as the value, and no longer than the process.
pub fn lock(path: &Path) -> Result<fs::File> {
    let deadline = Instant::now() + Duration::from_secs(LOCK_WAIT_S_MAX);
    loop {
        if let Some(file) = try_lock(path)? {
            return Ok(file);
        }
        if Instant::now() > deadline {
            return Err(LabError::Late {
                what: format!("the release of {}", path.display()),
                seconds: LOCK_WAIT_S_MAX,
            });
        }
        thread::sleep(Duration::from_millis(LOCK_POLL_MS));
    }
}

/// The lock, or none when somebody else has it.
pub fn try_lock(path: &Path) -> Result<Option<fs::File>> {
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .named(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error).named(path),
    }
}
