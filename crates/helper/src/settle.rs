//! Puts what a work has written on the disk before its end is told.
//!
//! A command writes where it likes, and so do services that it asks; few of them sync. So every file system that is
//! written on this host is synced, each in a thread of its own: one whose server or disk does not answer holds up
//! neither the others nor, beyond a bound, the end.

use crate::facts::unescape_bytes;
use crate::views::is_view;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long the end of a work waits for the disk. What is older than half a minute is written by the kernel itself: a
/// disk that has not taken it by then is overloaded or ill, and the end says so.
const SYNC_S_MAX: u64 = 30;

/// File systems that are synced at a time: threads are few, and so are disks.
const SYNCS_AT_ONCE: usize = 8;

/// File systems that are named in one end.
const NAMED_MAX: usize = 4;

/// File systems with room of their own that lose nothing of a disk with the power: memory, and images that nobody writes.
const WITHOUT_DISK: [&str; 2] = ["squashfs", "tmpfs"];

/// Puts what was written until now on the disk. Gives what is not known to be there, in words; nothing when all of it
/// is.
pub(crate) fn put_on_disk() -> Option<String> {
    let places = match std::fs::read("/proc/self/mountinfo") {
        Ok(mounts) => places(&mounts),
        // Without `/proc` at least the root.
        Err(_) => vec![PathBuf::from("/")],
    };
    within(Duration::from_secs(SYNC_S_MAX), places, sync)
}

/// One place of each file system that can be written and lies on a disk, from a `mountinfo` file.
fn places(mounts: &[u8]) -> Vec<PathBuf> {
    let mut places: BTreeMap<&[u8], PathBuf> = BTreeMap::new();
    for line in mounts.split(|byte| *byte == b'\n') {
        if let Some((device, place)) = place(line) {
            places.entry(device).or_insert(place);
        }
    }
    places.into_values().collect()
}

/// Device and place of a mount that counts.
fn place(line: &[u8]) -> Option<(&[u8], PathBuf)> {
    let mut words = line.split(|byte| *byte == b' ');
    let device = words.nth(2)?;
    let place = words.nth(1)?;
    let mine = words.next()?;
    let mut of_all = words.skip_while(|word| *word != b"-").skip(1);
    let kind = of_all.next()?;
    let options = of_all.nth(1)?;
    let read_only = |options: &[u8]| options.split(|byte| *byte == b',').any(|one| one == b"ro");
    let place = PathBuf::from(OsString::from_vec(unescape_bytes(place)));
    // An overlay lies on file systems that are synced themselves, but where it is the root of all they may have no
    // name here.
    let lies_on_others = kind == b"overlay" && place != Path::new("/");
    let without_disk = is_view(kind) || WITHOUT_DISK.iter().any(|name| name.as_bytes() == kind);
    let counts = !without_disk && !lies_on_others && !read_only(mine) && !read_only(options);
    counts.then_some((device, place))
}

/// Syncs the file system that has this place.
fn sync(place: &Path) -> io::Result<()> {
    let opened = File::options()
        .read(true)
        // Whatever stands there, nobody is waited for.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(place);
    match opened {
        Ok(file) => Ok(rustix::fs::syncfs(&file)?),
        // Hidden behind another mount, or closed to this account: what asks for no place syncs all there is.
        Err(_) => {
            rustix::fs::sync();
            Ok(())
        }
    }
}

/// Syncs all of these, some at a time. Threads stay behind when the kernel does not answer; they hold nothing but the
/// process.
fn within(
    bound: Duration,
    places: Vec<PathBuf>,
    sync: impl Fn(&Path) -> io::Result<()> + Send + Sync + 'static,
) -> Option<String> {
    let until = Instant::now() + bound;
    let mut open: BTreeSet<PathBuf> = places.iter().cloned().collect();
    let (done, told) = channel();
    let work = Arc::new((Mutex::new(VecDeque::from(places)), sync));
    for _ in 0..SYNCS_AT_ONCE.min(open.len()) {
        let (work, done) = (Arc::clone(&work), done.clone());
        let one_by_one = move || {
            let (places, sync) = &*work;
            let next = || {
                let mut places = places.lock().unwrap_or_else(PoisonError::into_inner);
                places.pop_front()
            };
            while let Some(place) = next() {
                let result = sync(&place);
                // Nobody listens any more when the bound has passed.
                let _ = done.send((place, result));
            }
        };
        // Without a thread the others take its part; without any, nothing is known to be on the disk.
        let _ = thread::Builder::new().spawn(one_by_one);
    }
    drop(done);
    let mut lacking = Vec::new();
    while !open.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        let Ok((place, result)) = told.recv_timeout(left) else {
            break;
        };
        open.remove(&place);
        if let Err(error) = result {
            lacking.push(format!("{}: {error}", place.display()));
        }
    }
    let late =
        |place: PathBuf| format!("{}: not within {} s", place.display(), bound.as_secs_f32());
    lacking.extend(open.into_iter().map(late));
    words(lacking)
}

fn words(mut lacking: Vec<String>) -> Option<String> {
    let more = lacking.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        lacking.truncate(NAMED_MAX);
        lacking.push(format!("and {more} more"));
    }
    (!lacking.is_empty()).then(|| lacking.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_system_on_a_disk_is_named_once() {
        let mounts = b"\
22 27 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
27 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
28 27 254:1 /srv /bound rw,relatime - ext4 /dev/vda1 rw
29 27 254:2 / /seen ro,relatime - xfs /dev/vdb rw
30 27 254:2 / /srv/my\\040files rw,relatime shared:2 master:1 - xfs /dev/vdb rw
31 27 254:3 / /mnt rw - ext4 /dev/vdc ro
32 27 0:26 / /tmp rw - tmpfs tmpfs rw,size=1g
33 27 0:50 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw,lowerdir=/a,upperdir=/b
34 27 0:51 / /home rw - nfs4 server:/home rw,vers=4.2
35 27 0:52 / /r\\351sum\\351 rw - new-kind none rw
broken line
36 27 0:53
";
        let found: Vec<String> = places(mounts)
            .iter()
            .map(|place| place.to_string_lossy().into_owned())
            .collect();
        assert_eq!(
            found,
            ["/home", "/r\u{fffd}sum\u{fffd}", "/", "/srv/my files"]
        );
        let root = b"27 1 0:44 / / rw - overlay overlay rw,lowerdir=/a,upperdir=/b";
        assert_eq!(places(root), [Path::new("/")]);
    }

    fn told(bound_ms: u64, places: &[&str]) -> Option<String> {
        let places = places.iter().map(PathBuf::from).collect();
        within(
            Duration::from_millis(bound_ms),
            places,
            |place| match place.to_str() {
                Some("/ill") => Err(io::Error::from_raw_os_error(libc::EIO)),
                Some(hangs) if hangs.starts_with("/hangs") => {
                    thread::sleep(Duration::from_secs(60));
                    Ok(())
                }
                _ => Ok(()),
            },
        )
    }

    #[test]
    fn a_file_system_that_does_not_answer_is_named_and_holds_up_no_other() {
        let since = Instant::now();
        assert_eq!(told(60_000, &["/", "/srv"]), None);
        assert_eq!(told(60_000, &[]), None);
        assert_eq!(
            told(60_000, &["/", "/ill"]).as_deref(),
            Some("/ill: Input/output error (os error 5)")
        );
        assert_eq!(
            told(200, &["/hangs", "/", "/ill"]).as_deref(),
            Some("/ill: Input/output error (os error 5); /hangs: not within 0.2 s")
        );
        let many: Vec<String> = (10..16).map(|n| format!("/hangs{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(
            told(1, &many).as_deref(),
            Some(
                "/hangs10: not within 0.001 s; /hangs11: not within 0.001 s; \
                 /hangs12: not within 0.001 s; /hangs13: not within 0.001 s; and 2 more"
            )
        );
        assert!(since.elapsed() < Duration::from_secs(50));
    }

    #[test]
    fn a_place_that_cannot_be_opened_is_synced_with_all_others() {
        let folder = tempfile::tempdir().unwrap();
        assert!(sync(folder.path()).is_ok());
        assert!(sync(&folder.path().join("gone")).is_ok());
    }
}
