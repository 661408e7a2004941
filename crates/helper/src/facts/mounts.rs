//! Mounted filesystems and their room.

use crate::views::is_view;
use overhaul_model::facts::Mount;
use overhaul_model::word::Word;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// How long one filesystem may take to tell its room: one whose server is gone never does.
const ROOM_MS_MAX: u64 = 2_000;

/// Reads a `mountinfo` file; the room is not in it. Where several are mounted on one place, the last
/// one counts, since it hides the others.
pub(super) fn parse(text: &str) -> Vec<Mount> {
    let mut mounts: BTreeMap<Word, Mount> = BTreeMap::new();
    for mount in text.lines().filter_map(mount) {
        if is_view(mount.kind.as_bytes()) {
            mounts.remove(&mount.path);
        } else {
            mounts.insert(mount.path.clone(), mount);
        }
    }
    mounts.into_values().collect()
}

fn mount(line: &str) -> Option<Mount> {
    let (mine, filesystem) = line.split_once(" - ")?;
    let mine: Vec<&str> = mine.split(' ').collect();
    let filesystem: Vec<&str> = filesystem.split(' ').collect();
    let has = |options: &str, wanted: &str| options.split(',').any(|option| option == wanted);
    let options = mine.get(5)?;
    let of_all = filesystem.get(2)?;
    Some(Mount {
        path: unescape(mine.get(4)?).into(),
        source: unescape(filesystem.get(1)?).into(),
        kind: (*filesystem.first()?).into(),
        size_bytes: 0,
        free_bytes: 0,
        exec: !has(options, "noexec"),
        read_only: has(options, "ro") || has(of_all, "ro"),
    })
}

/// As text, whatever it is.
pub(super) fn unescape(text: &str) -> String {
    String::from_utf8_lossy(&unescape_bytes(text.as_bytes())).into_owned()
}

/// The kernel writes blanks, line breaks and backslashes as three octal digits.
pub(crate) fn unescape_bytes(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        if let (b'\\', Some(escaped)) = (byte, digits) {
            out.push(escaped);
            rest = after.get(3..).unwrap_or_default();
        } else {
            out.push(*byte);
            rest = after;
        }
    }
    out
}

/// The same with their room. One that does not answer in time counts as full: nothing can be put there.
pub(super) fn with_room(mut mounts: Vec<Mount>) -> Vec<Mount> {
    for mount in &mut mounts {
        let (to, from) = channel();
        let path = PathBuf::from(mount.path.as_str());
        // The thread stays behind when the kernel does not answer; it holds nothing.
        let asked = thread::Builder::new().spawn(move || {
            let _ = to.send(rustix::fs::statvfs(&path));
        });
        let told = asked.map(|_| from.recv_timeout(Duration::from_millis(ROOM_MS_MAX)));
        if let Ok(Ok(Ok(room))) = told {
            let unit = if room.f_frsize > 0 {
                room.f_frsize
            } else {
                room.f_bsize
            };
            mount.size_bytes = room.f_blocks.saturating_mul(unit);
            mount.free_bytes = room.f_bavail.saturating_mul(unit);
        }
    }
    mounts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_mounts_are_read() {
        let text = "\
22 27 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
27 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
30 27 0:26 / /tmp rw,nosuid,nodev,noexec - tmpfs tmpfs rw,size=1g
31 27 254:2 / /srv/my\\040files ro,relatime shared:2 master:1 - xfs /dev/vdb rw
32 27 254:3 / /mnt rw - ext4 /dev/vdc ro
33 27 0:50 / /mnt rw - overlay overlay rw,lowerdir=/a
broken line
";
        let read: Vec<String> = parse(text)
            .into_iter()
            .map(|m| {
                format!(
                    "{} {} {} exec={} ro={}",
                    m.path, m.source, m.kind, m.exec, m.read_only
                )
            })
            .collect();
        assert_eq!(
            read,
            [
                "/ /dev/vda1 ext4 exec=true ro=false",
                "/mnt overlay overlay exec=true ro=false",
                "/srv/my files /dev/vdb xfs exec=true ro=true",
                "/tmp tmpfs tmpfs exec=false ro=false",
            ]
        );
    }

    #[test]
    fn this_hosts_root_has_room() {
        let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mut mounts = parse(&text);
        mounts.retain(|mount| mount.path == "/");
        let root = with_room(mounts).remove(0);
        assert!(
            root.size_bytes > root.free_bytes && root.free_bytes > 0,
            "{root:?}"
        );
    }
}
