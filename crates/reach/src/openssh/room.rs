//! The private folder for the masters' sockets, and how many masters there may be.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rand::Rng as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Masters at one time. Each is a process of some 2 MB of its own; a fleet that needs more of them
/// should let most of its hosts be reached by our own client, which needs none.
pub(super) const MASTERS_MAX: usize = 1024;
/// Names of folders begin so, then come the process id and a random number.
const PREFIX: &str = "overhaul-ssh.";
/// The file in it by which a living controller is known.
const LOCK: &str = "lock";
/// A socket's address has room for 107 bytes and its end; ssh adds a dot and 16 characters while it
/// makes the socket.
const PATH_BYTES_MAX: usize = 107 - 17;

/// A folder that only we may enter. It goes when the last socket in it is given up.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Locked for as long as we live: the next controller tells by it what it may take away.
    _lock: File,
    next: AtomicU64,
}

/// A place for one master: its turn among the masters and its names in the folder.
#[derive(Debug)]
pub(super) struct Seat {
    folder: Arc<Folder>,
    number: u64,
    _turn: OwnedSemaphorePermit,
}

static FOLDER: Mutex<Weak<Folder>> = Mutex::new(Weak::new());
static TURNS: Mutex<Option<Arc<Semaphore>>> = Mutex::new(None);

impl Seat {
    /// Waits for a turn and takes names.
    pub(super) async fn take() -> io::Result<Self> {
        let turns = Arc::clone(
            TURNS
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert_with(|| Arc::new(Semaphore::new(MASTERS_MAX))),
        );
        let turn = turns.acquire_owned().await.map_err(io::Error::other)?;
        let folder = Folder::shared()?;
        Ok(Self {
            number: folder.next.fetch_add(1, Ordering::Relaxed),
            folder,
            _turn: turn,
        })
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path.join(self.number.to_string())
    }

    pub(super) fn config(&self) -> PathBuf {
        self.folder.path.join(format!("{}.conf", self.number))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // A master that ended by itself has taken its socket away.
        let _absent = fs::remove_file(self.socket());
        let _absent = fs::remove_file(self.config());
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _absent = fs::remove_file(self.path.join(LOCK));
        let _left = fs::remove_dir(&self.path);
    }
}

impl Folder {
    fn shared() -> io::Result<Arc<Self>> {
        let mut shared = FOLDER.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = shared.upgrade() {
            return Ok(folder);
        }
        let folder = Arc::new(Self::make()?);
        *shared = Arc::downgrade(&folder);
        Ok(folder)
    }

    fn locked(path: PathBuf) -> io::Result<Self> {
        let lock = File::create_new(path.join(LOCK))?;
        lock.try_lock().map_err(io::Error::other)?;
        Ok(Self {
            path,
            _lock: lock,
            next: AtomicU64::new(0),
        })
    }

    fn make() -> io::Result<Self> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let mut refusal = io::Error::from(io::ErrorKind::NotFound);
        for parent in runtime
            .into_iter()
            .chain([std::env::temp_dir(), "/tmp".into()])
        {
            sweep(&parent);
            let name = format!(
                "{PREFIX}{}.{:08x}",
                std::process::id(),
                rand::rng().random::<u32>()
            );
            let path = parent.join(name);
            // Room for a number and ".conf" as well.
            if !parent.is_absolute() || path.as_os_str().len() + 16 > PATH_BYTES_MAX {
                continue;
            }
            // Fails where something of that name is there already.
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Self::locked(path),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }
}

/// Takes away what controllers that were killed have left: their masters end with them and take
/// their sockets along, the folders stay.
fn sweep(parent: &Path) {
    let Ok(own) = fs::metadata("/proc/self").map(|own| own.uid()) else {
        return;
    };
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let named = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let is_ours = |data: fs::Metadata| data.is_dir() && data.uid() == own;
        if !named || !entry.metadata().is_ok_and(is_ours) {
            continue;
        }
        let path = entry.path();
        // One without a lock is being made at this moment.
        let lock = File::open(path.join(LOCK));
        if !lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            continue;
        }
        for file in fs::read_dir(&path).into_iter().flatten().flatten() {
            let _left = fs::remove_file(file.path());
        }
        let _left = fs::remove_dir(path);
    }
}
