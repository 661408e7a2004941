//! Folders that hold data of services, and how much.

use super::root::Root;
use overhaul_model::facts::{DataFolder, Mount};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

/// Folders of which each child is a candidate, as the Filesystem Hierarchy Standard places data.
const PARENTS: [&str; 6] = [
    "/srv",
    "/opt",
    "/home",
    "/var/lib",
    "/var/www",
    "/var/spool",
];

/// Of these, the ones that hold what people put there: the smallest file counts, and so does a file beside the folders.
const OF_PEOPLE: [&str; 4] = ["/srv", "/opt", "/home", "/var/www"];

/// What is in a home before its owner puts anything there: an account that is made anew has them again.
const LOGIN_FILES: [&str; 6] = [
    ".bash_history",
    ".bash_logout",
    ".bashrc",
    ".hushlogin",
    ".lesshst",
    ".profile",
];
const LOGIN_KEYS: [&str; 2] = ["authorized_keys", "known_hosts"];

/// Folders below them that hold no data of services: what the system keeps for itself.
const OF_THE_SYSTEM: [&str; 9] = [
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/systemd",
    "/var/lib/ucf",
    "/var/lib/overhaul",
    "/var/lib/overhaul-apt",
    "/var/lib/initramfs-tools",
    "/var/lib/man-db",
    "/var/lib/polkit-1",
];

/// Longest time for all folders, and for one of them.
const ALL_MS_MAX: u64 = 8_000;
const ONE_MS_MAX: u64 = 2_000;

/// Most entries of one folder that are counted.
const ENTRIES_MAX: u64 = 200_000;

/// Longest time for all paths that are asked for by name, and their most entries: somebody waits for these
/// figures, and a file server holds millions of files.
const NAMED_MS_MAX: u64 = 20_000;
const NAMED_ENTRIES_MAX: u64 = 5_000_000;

/// Smallest folder that is told where programs keep what they make again; packages leave many there.
const BYTES_MIN: u64 = 1 << 20;

/// Most folders that are told: the largest, and the last of them is told as cut when there are more.
const FOLDERS_MAX: usize = 100;

/// Filesystems behind a network, whose server may be gone, or behind a program: asking them may never end.
fn is_remote(kind: &str) -> bool {
    kind.starts_with("nfs")
        || kind.starts_with("fuse")
        || [
            "cifs",
            "smb3",
            "ceph",
            "glusterfs",
            "9p",
            "lustre",
            "afs",
            "autofs",
            "beegfs",
        ]
        .contains(&kind)
}

/// The folders with their sizes, the largest first; `mounts` are those of this tree, by path.
pub(super) fn folders(root: &Root, mounts: &[Mount]) -> Result<Vec<DataFolder>, String> {
    let borders: BTreeSet<String> = mounts.iter().map(|mount| mount.path.to_string()).collect();
    let remote: BTreeSet<&str> = mounts
        .iter()
        .filter(|mount| is_remote(&mount.kind))
        .map(|mount| mount.path.as_str())
        .collect();
    let until = Instant::now() + Duration::from_millis(ALL_MS_MAX);
    let mut out = Vec::new();
    for parent in PARENTS {
        if remote.contains(parent) {
            continue;
        }
        let of_people = OF_PEOPLE.contains(&parent);
        let mut beside = empty(parent);
        for name in root.names(parent)? {
            let path = format!("{parent}/{name}");
            let skipped = OF_THE_SYSTEM.contains(&path.as_str()) || remote.contains(path.as_str());
            if skipped || (parent == "/home" && only_login_files(root, &path)) {
                continue;
            }
            if root.link(&path).is_some() {
                if of_people {
                    // What it leads to is not looked at.
                    let complete = false;
                    out.push(DataFolder {
                        complete,
                        ..empty(&path)
                    });
                }
                continue;
            }
            if !root.path(&path).is_dir() {
                beside.entries = beside.entries.saturating_add(1);
                let bytes = fs::metadata(root.path(&path)).map_or(0, |about| about.len());
                beside.size_bytes = beside.size_bytes.saturating_add(bytes);
                continue;
            }
            let one = Instant::now() + Duration::from_millis(ONE_MS_MAX);
            let folder = measured(root, path, &borders, until.min(one), ENTRIES_MAX);
            let told = folder.size_bytes >= BYTES_MIN || (of_people && folder.entries > 0);
            if told || !folder.complete {
                out.push(folder);
            }
        }
        if of_people && beside.entries > 0 {
            out.push(beside);
        }
    }
    Ok(largest(out))
}

/// Paths that were asked for by name, with everything mounted below them; what is not there is left out. What a
/// remote filesystem below a path holds is not counted, and then the figure is not complete.
pub(super) fn named(root: &Root, paths: &[String], mounts: &[Mount]) -> Vec<DataFolder> {
    let remote: BTreeSet<String> = mounts
        .iter()
        .filter(|mount| is_remote(&mount.kind))
        .map(|mount| mount.path.to_string())
        .collect();
    let until = Instant::now() + Duration::from_millis(NAMED_MS_MAX);
    let mut out = Vec::new();
    for path in paths {
        if root.link(path).is_some() || remote.iter().any(|mount| lies_below(path, mount)) {
            // What it leads to is not looked at.
            let complete = false;
            out.push(DataFolder {
                complete,
                ..empty(path)
            });
            continue;
        }
        let Ok(about) = fs::symlink_metadata(root.path(path)) else {
            continue;
        };
        if about.is_dir() {
            let mut folder = measured(root, path.clone(), &remote, until, NAMED_ENTRIES_MAX);
            folder.complete &= !remote.iter().any(|mount| lies_below(mount, path));
            out.push(folder);
        } else {
            out.push(DataFolder {
                size_bytes: about.len(),
                entries: 1,
                ..empty(path)
            });
        }
    }
    out
}

/// Whether `inner` is `outer`, or below it.
fn lies_below(inner: &str, outer: &str) -> bool {
    inner
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn largest(mut folders: Vec<DataFolder>) -> Vec<DataFolder> {
    folders.sort_by(|a, b| b.size_bytes.cmp(&a.size_bytes).then(a.path.cmp(&b.path)));
    if folders.len() > FOLDERS_MAX {
        folders.truncate(FOLDERS_MAX);
        if let Some(last) = folders.last_mut() {
            last.complete = false;
        }
    }
    folders
}

fn empty(path: &str) -> DataFolder {
    DataFolder {
        path: path.to_owned(),
        size_bytes: 0,
        entries: 0,
        complete: true,
    }
}

/// Whether a home holds nothing but what logging in needs and leaves.
fn only_login_files(root: &Root, home: &str) -> bool {
    let all = |folder: &str, known: &dyn Fn(&str) -> bool| {
        root.link(folder).is_none()
            && root
                .names(folder)
                .is_ok_and(|names| names.iter().all(|name| known(name)))
    };
    all(home, &|name| {
        LOGIN_FILES.contains(&name)
            || (name == ".ssh" && all(&format!("{home}/.ssh"), &|key| LOGIN_KEYS.contains(&key)))
    })
}

/// Adds up a folder without what is mounted below it; each file counts once, however many names it has.
fn measured(
    root: &Root,
    path: String,
    borders: &BTreeSet<String>,
    until: Instant,
    entries_max: u64,
) -> DataFolder {
    let mut folder = empty(&path);
    let mut several_names = BTreeSet::new();
    let mut open = vec![path];
    while let Some(dir) = open.pop() {
        let Ok(entries) = fs::read_dir(root.path(&dir)) else {
            folder.complete = false;
            continue;
        };
        for entry in entries.filter_map(Result::ok) {
            if folder.entries >= entries_max || Instant::now() > until {
                folder.complete = false;
                return folder;
            }
            folder.entries = folder.entries.saturating_add(1);
            let inside = format!("{dir}/{}", entry.file_name().to_string_lossy());
            // Not even asked: what is mounted there may be gone.
            if borders.contains(&inside) {
                continue;
            }
            let Ok(about) = entry.metadata() else {
                continue;
            };
            if about.is_dir() {
                open.push(inside);
            } else if about.nlink() > 1 && !several_names.insert((about.dev(), about.ino())) {
                continue;
            }
            let bytes = about.blocks().saturating_mul(512);
            folder.size_bytes = folder.size_bytes.saturating_add(bytes);
        }
    }
    folder
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host's folders, and what is mounted in them.
    fn host() -> (tempfile::TempDir, [Mount; 2]) {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, bytes: usize| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![1_u8; bytes]).unwrap();
        };
        put("srv/files/a", 3 << 20);
        put("srv/files/deep/b", 1 << 20);
        fs::hard_link(
            dir.path().join("srv/files/a"),
            dir.path().join("srv/files/c"),
        )
        .unwrap();
        put("srv/files/mounted/x", 9 << 20);
        put("srv/small/a", 10);
        put("srv/beside", 10);
        put("home/ada/.bashrc", 10);
        put("home/ada/.ssh/authorized_keys", 10);
        put("home/bob/.ssh/id_ed25519", 10);
        put("var/lib/small/a", 10);
        put("srv/nfs/a", 9 << 20);
        put("var/lib/apt/lists", 9 << 20);
        put("var/lib/shop/data", 2 << 20);
        std::os::unix::fs::symlink("files", dir.path().join("srv/link")).unwrap();
        let mount = |path: &str, kind: &str| Mount {
            path: path.into(),
            source: "".into(),
            kind: kind.into(),
            size_bytes: 0,
            free_bytes: 0,
            exec: true,
            read_only: false,
        };
        let mounts = [
            mount("/srv/files/mounted", "ext4"),
            mount("/srv/nfs", "nfs4"),
        ];
        (dir, mounts)
    }

    #[test]
    fn folders_are_added_up_and_cut() {
        let (dir, mounts) = host();
        let root = Root::new(dir.path());
        let read: Vec<(String, u64, u64, bool)> = folders(&root, &mounts)
            .unwrap()
            .into_iter()
            .map(|f| (f.path, f.size_bytes >> 20, f.entries, f.complete))
            .collect();
        assert_eq!(
            read,
            [
                ("/srv/files".to_owned(), 4, 5, true),
                ("/var/lib/shop".to_owned(), 2, 1, true),
                ("/home/bob".to_owned(), 0, 2, true),
                ("/srv/small".to_owned(), 0, 1, true),
                ("/srv".to_owned(), 0, 1, true),
                ("/srv/link".to_owned(), 0, 0, false),
            ]
        );
        let asked = [
            "/srv/files",
            "/srv/beside",
            "/srv/link",
            "/srv/gone",
            "/srv",
            "/srv/nfs/a",
        ];
        let asked = asked.map(str::to_owned);
        let told: Vec<(String, u64, bool)> = named(&root, &asked, &mounts)
            .into_iter()
            .map(|f| (f.path, f.size_bytes >> 20, f.complete))
            .collect();
        assert_eq!(
            told,
            [
                ("/srv/files".to_owned(), 13, true),
                ("/srv/beside".to_owned(), 0, true),
                ("/srv/link".to_owned(), 0, false),
                ("/srv".to_owned(), 13, false),
                ("/srv/nfs/a".to_owned(), 0, false),
            ]
        );
        let soon = Instant::now() + Duration::from_secs(60);
        let cut = measured(&root, "/srv/files".to_owned(), &BTreeSet::new(), soon, 2);
        assert_eq!((cut.entries, cut.complete), (2, false));
    }
}
