//! A cgroup for each host: without one, hosts would share the caller's and stop each other's units. It is also what makes cleaning up certain:
//! whatever is in a group of ours was started by us.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::error::{LabError, Named, Result, malformed};

/// Killed processes of a host with a busy database were gone within a second; this leaves room for a machine under load.
const KILL_WAIT_S_MAX: u64 = 20;
/// How often it is looked whether they are gone.
const KILL_POLL_MS: u64 = 10;
/// Version 1 controllers that account for what a host uses, where a machine still has them.
const ACCOUNTING: [&str; 3] = ["memory", "pids", "cpuacct"];

/// Where the hierarchies are mounted.
#[derive(Debug, PartialEq, Eq)]
pub struct Hierarchies {
    /// The unified one.
    pub unified: PathBuf,
    /// Version 1 hierarchies with an accounting controller.
    pub accounting: Vec<PathBuf>,
}

/// Finds the mounted hierarchies.
pub fn hierarchies() -> Result<Hierarchies> {
    let path = Path::new("/proc/self/mounts");
    parse_mounts(&fs::read_to_string(path).named(path)?)
        .ok_or_else(|| malformed("cgroups", "no unified hierarchy (cgroup2) is mounted"))
}

fn parse_mounts(mounts: &str) -> Option<Hierarchies> {
    let mut unified = None;
    let mut accounting = Vec::new();
    for line in mounts.lines() {
        let mut fields = line.split_whitespace().skip(1);
        let (Some(target), Some(kind), Some(options)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if kind == "cgroup2" {
            unified.get_or_insert_with(|| PathBuf::from(target));
        } else if kind == "cgroup"
            && options
                .split(',')
                .any(|option| ACCOUNTING.contains(&option))
        {
            accounting.push(PathBuf::from(target));
        }
    }
    unified.map(|unified| Hierarchies {
        unified,
        accounting,
    })
}

/// One group, in all hierarchies that matter.
#[derive(Debug)]
pub struct Group {
    unified: PathBuf,
    all: Vec<PathBuf>,
}

impl Group {
    /// The group of this name, whether it exists or not.
    pub fn named(name: &str) -> Result<Self> {
        let Hierarchies {
            unified,
            accounting,
        } = hierarchies()?;
        let unified = unified.join(name);
        let all = accounting
            .into_iter()
            .map(|root| root.join(name))
            .chain([unified.clone()])
            .collect();
        Ok(Self { unified, all })
    }

    /// Moves the present process into the group.
    pub fn join(&self) -> Result<()> {
        for folder in &self.all {
            fs::create_dir_all(folder).named(folder)?;
            let members = folder.join("cgroup.procs");
            fs::write(&members, std::process::id().to_string()).named(&members)?;
        }
        Ok(())
    }

    /// The host's first process: the one member that is number one in a namespace directly below ours.
    pub fn leader(&self) -> Option<u32> {
        members(&self.unified).into_iter().find(|pid| {
            fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| is_leader(&status))
        })
    }

    /// Kills every process of the group and of those below at once, and waits until none is left.
    pub fn kill(&self) -> Result<()> {
        if !self.unified.exists() {
            return Ok(());
        }
        let switch = self.unified.join("cgroup.kill");
        fs::write(&switch, "1").named(&switch)?;
        let deadline = Instant::now() + Duration::from_secs(KILL_WAIT_S_MAX);
        while !members(&self.unified).is_empty() {
            if Instant::now() > deadline {
                return Err(LabError::Late {
                    what: format!("the end of all processes in {}", self.unified.display()),
                    seconds: KILL_WAIT_S_MAX,
                });
            }
            thread::sleep(Duration::from_millis(KILL_POLL_MS));
        }
        Ok(())
    }

    /// Removes the group, which must be empty, and those below.
    pub fn remove(&self) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(KILL_WAIT_S_MAX);
        for folder in &self.all {
            remove_groups(folder, until)?;
        }
        Ok(())
    }
}

fn members(folder: &Path) -> Vec<u32> {
    let mut pids: Vec<u32> = fs::read_to_string(folder.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect();
    for below in folders_in(folder) {
        pids.extend(members(&below));
    }
    pids
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// A group whose last process ended a moment ago may still be busy.
fn remove_groups(folder: &Path, until: Instant) -> Result<()> {
    for below in folders_in(folder) {
        remove_groups(&below, until)?;
    }
    loop {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy && Instant::now() < until => {
                thread::sleep(Duration::from_millis(KILL_POLL_MS));
            }
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).named(folder),
            _ => return Ok(()),
        }
    }
}

fn is_leader(status: &str) -> bool {
    let Some(line) = status.lines().find_map(|line| line.strip_prefix("NSpid:")) else {
        return false;
    };
    let numbers: Vec<&str> = line.split_whitespace().collect();
    matches!(numbers.as_slice(), [_, "1"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_are_understood() {
        let hybrid = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
            cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n\
            cgroup /sys/fs/cgroup/devices cgroup rw,devices 0 0\n\
            cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(
            parse_mounts(hybrid),
            Some(Hierarchies {
                unified: "/sys/fs/cgroup/unified".into(),
                accounting: vec!["/sys/fs/cgroup/memory".into()],
            })
        );
        let unified = "cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n";
        assert_eq!(
            parse_mounts(unified),
            Some(Hierarchies {
                unified: "/sys/fs/cgroup".into(),
                accounting: Vec::new(),
            })
        );
        assert_eq!(parse_mounts("proc /proc proc rw 0 0\n"), None);
    }

    #[test]
    fn only_number_one_one_level_down_is_a_leader() {
        assert!(is_leader("Name:\tsystemd\nNSpid:\t4242\t1\n"));
        assert!(!is_leader("NSpid:\t1\n"));
        assert!(!is_leader("NSpid:\t4242\t17\n"));
        assert!(!is_leader("NSpid:\t4242\t9\t1\n"));
        assert!(!is_leader("Name:\tx\n"));
    }
}
