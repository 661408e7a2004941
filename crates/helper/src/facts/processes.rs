//! Processes: who listens, and who runs what is no longer on the disk.

use super::root::{Root, each_line};
use super::sockets::Socket;
use overhaul_model::facts::{Listener, OldCode};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::time::{Duration, Instant};

/// Most processes that are looked at, and longest time for one look at all of them.
const PROCESSES_MAX: usize = 20_000;
const LOOK_MS_MAX: u64 = 4_000;

/// Most open files of one process that are looked at.
const FILES_MAX: usize = 50_000;

/// Largest table of a process's memory that is read; a line has about 100 bytes.
const MAPS_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Folders of programs and libraries.
const CODE: [&str; 6] = ["/usr/", "/lib/", "/lib64/", "/bin/", "/sbin/", "/opt/"];

const DELETED: &str = " (deleted)";

/// The numbers of all processes, the oldest first by number.
fn pids(root: &Root) -> Result<Vec<u32>, String> {
    let entries = fs::read_dir(root.path("/proc")).map_err(|error| format!("/proc: {error}"))?;
    let mut pids: Vec<u32> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    if pids.len() > PROCESSES_MAX {
        return Err(format!("more than {PROCESSES_MAX} processes"));
    }
    pids.sort_unstable();
    Ok(pids)
}

fn program(root: &Root, pid: u32) -> String {
    let name = root.hint(&format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim().to_owned()
}

fn unit(root: &Root, pid: u32) -> String {
    let groups = root
        .hint(&format!("/proc/{pid}/cgroup"))
        .unwrap_or_default();
    unit_of(&groups)
}

/// The unit in the path of a control group: its last part that is named like one.
fn unit_of(groups: &str) -> String {
    let is_unit = |part: &&str| {
        part.ends_with(".service") || part.ends_with(".scope") || part.ends_with(".socket")
    };
    groups
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .find_map(|path| path.split('/').rfind(is_unit))
        .unwrap_or_default()
        .to_owned()
}

/// Names program and unit behind each socket. The oldest of several processes counts. A plain account (`of`; `None`
/// for root) can look into its own processes alone, and so sockets that others made are not looked for: on a host with
/// many processes of that account the search would go through all of their files for nothing.
pub(super) fn name_owners(
    root: &Root,
    sockets: Vec<Socket>,
    of: Option<u32>,
) -> Result<Vec<Listener>, String> {
    let until = Instant::now() + Duration::from_millis(LOOK_MS_MAX);
    let can_be_found = |socket: &&Socket| match (of, socket.account) {
        (Some(account), Some(made_by)) => account == made_by,
        _ => true,
    };
    let mut open: BTreeMap<u64, Option<(String, String)>> = sockets
        .iter()
        .filter(can_be_found)
        .map(|socket| (socket.inode, None))
        .collect();
    let mut missing = open.len();
    // With nothing to look for the kernel is not asked for the list of all processes, which takes it a while.
    let sought = (missing > 0).then(|| pids(root)).transpose()?;
    for pid in sought.unwrap_or_default() {
        if missing == 0 || Instant::now() > until {
            break;
        }
        // Without root only our own can be looked into.
        let Ok(files) = fs::read_dir(root.path(&format!("/proc/{pid}/fd"))) else {
            continue;
        };
        let mut owner = None;
        for file in files.filter_map(Result::ok).take(FILES_MAX) {
            let inode = fs::read_link(file.path())
                .ok()
                .and_then(|link| inode(&link.to_string_lossy()));
            let Some(found @ None) = inode.and_then(|inode| open.get_mut(&inode)) else {
                continue;
            };
            let owner = owner.get_or_insert_with(|| (program(root, pid), unit(root, pid)));
            *found = Some(owner.clone());
            missing = missing.saturating_sub(1);
        }
    }
    Ok(sockets
        .into_iter()
        .map(|socket| {
            let Socket {
                mut listener,
                inode,
                ..
            } = socket;
            if let Some(Some((program, unit))) = open.get(&inode) {
                program.clone_into(&mut listener.program);
                unit.clone_into(&mut listener.unit);
            }
            listener
        })
        .collect())
}

fn inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

/// Processes that run a program or library that is no longer on the disk. Those of containers are left
/// out: what is deleted for us is there for them.
pub(super) fn old_code(root: &Root) -> Result<Vec<OldCode>, String> {
    let ours = root
        .link("/proc/self/ns/mnt")
        .ok_or("/proc/self/ns/mnt cannot be read")?;
    let closed = || "processes of other accounts may be looked into by root alone".to_owned();
    // What is found of the others would not be all. Process 1 says so before they are listed.
    if namespace(root, 1).is_none() && root.exists("/proc/1") {
        return Err(closed());
    }
    let until = Instant::now() + Duration::from_millis(LOOK_MS_MAX);
    let mut out = Vec::new();
    for pid in pids(root)? {
        if Instant::now() > until {
            return Err("looking into all processes took too long".to_owned());
        }
        match namespace(root, pid) {
            Some(other) if other == ours => {}
            Some(_) => continue,
            None if root.exists(&format!("/proc/{pid}")) => return Err(closed()),
            // Over meanwhile.
            None => continue,
        }
        if let Some(file) = deleted_file(root, pid) {
            out.push(OldCode {
                pid,
                program: program(root, pid),
                unit: unit(root, pid),
                file,
            });
        }
    }
    Ok(out)
}

/// The mounts that a process sees; `None` when it may not be looked into, or is over.
fn namespace(root: &Root, pid: u32) -> Option<String> {
    root.link(&format!("/proc/{pid}/ns/mnt"))
}

fn deleted_file(root: &Root, pid: u32) -> Option<String> {
    let program = root.link(&format!("/proc/{pid}/exe")).unwrap_or_default();
    if let Some(file) = deleted_code(&program) {
        return Some(file);
    }
    let maps = root.open(&format!("/proc/{pid}/maps")).ok()?;
    let mut found = None;
    // One that ended meanwhile has no memory.
    let _read = each_line(maps.take(MAPS_BYTES_MAX), |line| {
        if line.ends_with(DELETED.as_bytes()) {
            let line = String::from_utf8_lossy(line);
            found = line.find('/').and_then(|at| deleted_code(line.get(at..)?));
        }
        found.is_none()
    });
    found
}

/// A file of code that is deleted; other deleted files that processes hold are their own affair.
fn deleted_code(shown: &str) -> Option<String> {
    let file = shown.strip_suffix(DELETED)?;
    CODE.iter()
        .any(|folder| file.starts_with(folder))
        .then(|| file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn process(root: &Path, pid: u32, comm: &str, unit: &str) -> std::path::PathBuf {
        let dir = root.join(format!("proc/{pid}"));
        fs::create_dir_all(dir.join("fd")).unwrap();
        fs::create_dir_all(dir.join("ns")).unwrap();
        fs::write(dir.join("comm"), format!("{comm}\n")).unwrap();
        fs::write(dir.join("cgroup"), format!("0::/system.slice/{unit}\n")).unwrap();
        symlink("mnt:[1]", dir.join("ns/mnt")).unwrap();
        dir
    }

    #[test]
    fn owners_and_old_code_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let nginx = process(dir.path(), 10, "nginx", "nginx.service");
        let worker = process(dir.path(), 11, "nginx", "nginx.service");
        symlink("socket:[77]", nginx.join("fd/6")).unwrap();
        symlink("socket:[77]", worker.join("fd/6")).unwrap();
        symlink("/usr/sbin/nginx (deleted)", nginx.join("exe")).unwrap();
        symlink("/usr/sbin/nginx", worker.join("exe")).unwrap();
        fs::write(
            worker.join("maps"),
            "7f-8f rw-s 0 00:01 5 /dev/zero (deleted)\n7f-8f r-xp 0 fe:01 9    /usr/lib/libssl.so.3 (deleted)\n",
        )
        .unwrap();
        symlink("10", dir.path().join("proc/self")).unwrap();
        let root = Root::new(dir.path());
        let listener = |port| Listener {
            protocol: "tcp".to_owned(),
            address: "0.0.0.0".to_owned(),
            port,
            program: String::new(),
            unit: String::new(),
        };
        let socket = |port, inode, account| Socket {
            listener: listener(port),
            inode,
            account,
        };
        let named = |account: Option<u32>, of| {
            let sockets = vec![socket(80, 77, account), socket(81, 78, account)];
            let named = name_owners(&root, sockets, of).unwrap().into_iter();
            let words = named.map(|l| format!("{} {} {}", l.port, l.program, l.unit));
            words.collect::<Vec<_>>().join(", ")
        };
        for (account, of, expected) in [
            (Some(0), None, "80 nginx nginx.service, 81  "),
            (Some(33), Some(33), "80 nginx nginx.service, 81  "),
            (None, Some(33), "80 nginx nginx.service, 81  "),
            (Some(0), Some(33), "80  , 81  "),
        ] {
            assert_eq!(named(account, of), expected, "{account:?} {of:?}");
        }
        let old: Vec<String> = old_code(&root)
            .unwrap()
            .into_iter()
            .map(|o| format!("{} {} {} {}", o.pid, o.program, o.unit, o.file))
            .collect();
        assert_eq!(
            old,
            [
                "10 nginx nginx.service /usr/sbin/nginx",
                "11 nginx nginx.service /usr/lib/libssl.so.3"
            ]
        );
    }

    #[test]
    fn units_are_read_from_control_groups() {
        for (groups, expected) in [
            ("0::/system.slice/nginx.service\n", "nginx.service"),
            (
                "0::/system.slice/system-postgresql.slice/postgresql@15-main.service",
                "postgresql@15-main.service",
            ),
            (
                "0::/user.slice/user-0.slice/session-1.scope",
                "session-1.scope",
            ),
            ("1:name=systemd:/a.service/x\n0::/\n", "a.service"),
            ("0::/init.scope/../x", "init.scope"),
            ("0::/\n", ""),
            ("", ""),
        ] {
            assert_eq!(unit_of(groups), expected, "{groups}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(socket:\\[|[0-9]|\\]|/usr/| \\(deleted\\)|:|\\PC|\n){0,30}") {
            let _read = (inode(&text), unit_of(&text), deleted_code(&text));
        }
    }
}
