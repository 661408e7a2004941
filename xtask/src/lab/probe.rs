//! Can this machine carry the lab? Every need is tried, not guessed, and what is lacking is named.

use std::fs;
use std::path::Path;

use crate::say::say;

use super::cgroup;
use super::command::{bounded, output_of};
use super::error::{LabError, Result};
use super::lifecycle::{INOTIFY_INSTANCES, INOTIFY_LIMIT};
use super::paths;
use super::sources;

/// All checks together stay below ten seconds even when one of them hangs.
const CHECK_S_MAX: u64 = 5;
/// Images take 1 GB, the mirror's cache 0.5 GB, an upgraded host with 200 MB of data 2 GB.
const FREE_MB_MIN: u64 = 4_096;
/// Programs that `lab/install.sh` brings.
const PROGRAMS: [&str; 14] = [
    "curl",
    "ip",
    "losetup",
    "mkfs.ext4",
    "mmdebstrap",
    "mount",
    "nsenter",
    "setpriv",
    "setsid",
    "ssh",
    "ssh-keygen",
    "systemd-nspawn",
    "timeout",
    "unshare",
];

/// What a check found: a word on what is there, or on what is not.
type Finding = std::result::Result<String, String>;

type Check = fn() -> Finding;

/// Runs all checks, one line each; an error names everything that is lacking.
pub fn probe() -> Result<()> {
    let checks: [(&str, Check); 11] = [
        ("root", root),
        ("programs", programs),
        ("mounts and overlay", overlay),
        ("namespaces", namespaces),
        ("cgroups", cgroups),
        ("bridge and veth", bridge),
        ("loop devices", loop_devices),
        ("nspawn", nspawn),
        ("inotify instances", inotify),
        ("disk space", disk),
        ("debian mirror", mirror),
    ];
    let mut lacking = Vec::new();
    for (name, check) in checks {
        match check() {
            Ok(found) => say(format_args!("ok       {name}: {found}")),
            Err(reason) => {
                say(format_args!("lacking  {name}: {reason}"));
                lacking.push(name.to_owned());
            }
        }
    }
    if lacking.is_empty() {
        Ok(())
    } else {
        Err(LabError::Lacking(lacking))
    }
}

fn shell(script: &str) -> Finding {
    let mut command = bounded(CHECK_S_MAX, "sh");
    command.args(["-euc", script]);
    output_of(&mut command)
        .map(|text| text.trim().to_owned())
        .map_err(|error| match error {
            LabError::Failed { status, output, .. } => format!("{status}: {output}"),
            other => other.to_string(),
        })
}

fn root() -> Finding {
    if rustix::process::geteuid().is_root() {
        Ok("yes".into())
    } else {
        Err("run as root".into())
    }
}

fn programs() -> Finding {
    let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let absent: Vec<&str> = PROGRAMS
        .into_iter()
        .filter(|name| {
            !folders
                .iter()
                .any(|folder| Path::new(folder).join(name).exists())
        })
        .collect();
    if absent.is_empty() {
        Ok(format!("all {}", PROGRAMS.len()))
    } else {
        Err(format!(
            "{} not found; lab/install.sh installs them",
            absent.join(", ")
        ))
    }
}

fn overlay() -> Finding {
    let cache = paths::cache().map_err(|error| error.to_string())?;
    paths::make_private_folder(&cache).map_err(|error| error.to_string())?;
    let folder = tempfile::Builder::new()
        .prefix("probe-")
        .tempdir_in(&cache)
        .map_err(|error| error.to_string())?;
    let script = "cd \"$0\"; mkdir low up work root; echo old >low/file; mount -t overlay overlay -o lowerdir=low,upperdir=up,workdir=work root
        echo new >root/file; test \"$(cat low/file up/file | tr '\\n' ' ')\" = 'old new '; mount -t tmpfs tmpfs low; umount low";
    let mut command = bounded(CHECK_S_MAX, "unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-euc", script])
        .arg(folder.path());
    output_of(&mut command)
        .map(|_| format!("on {}", cache.display()))
        .map_err(|error| error.to_string())
}

fn namespaces() -> Finding {
    shell("unshare --mount --pid --net --uts --ipc --fork true")
        .map(|_| "mount, pid, net, uts, ipc".into())
}

fn cgroups() -> Finding {
    let found = cgroup::hierarchies().map_err(|error| error.to_string())?;
    let group = found
        .unified
        .join(format!("overhaul-lab-probe-{}", std::process::id()));
    fs::create_dir(&group).map_err(|error| format!("{}: {error}", group.display()))?;
    let has_kill = group.join("cgroup.kill").exists();
    fs::remove_dir(&group).map_err(|error| format!("{}: {error}", group.display()))?;
    if !has_kill {
        return Err("the kernel has no cgroup.kill (Linux 5.14 or later has)".into());
    }
    shell(
        "unshare --mount --propagation private sh -euc 'umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup'",
    )?;
    let layout = if found.accounting.is_empty() {
        "unified alone".to_owned()
    } else {
        format!("unified beside {} of version 1", found.accounting.len())
    };
    Ok(format!("{layout}, at {}", found.unified.display()))
}

fn bridge() -> Finding {
    shell(
        "unshare --net sh -euc 'ip link add probe0 type bridge; ip link add probe1 type veth peer name probe2; ip link set probe1 master probe0; ip link set probe0 up'",
    )
    .map(|_| "yes".into())
}

fn loop_devices() -> Finding {
    shell(
        "f=$(mktemp); trap 'rm -f $f' EXIT; truncate -s 1M $f; l=$(losetup -f --show $f); losetup -d $l; echo $l",
    )
}

fn nspawn() -> Finding {
    // A container of the machine's own /usr: it starts everything that a host needs of nspawn but systemd itself.
    shell(
        "unshare --mount --propagation private sh -euc 'mkdir -p /run/systemd/nspawn; mount -t tmpfs tmpfs /run/systemd/nspawn
        umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup
        exec systemd-nspawn --quiet --register=no --keep-unit --settings=no --volatile=yes --private-network --resolv-conf=off --timezone=off \
        --link-journal=no --console=pipe --machine=overhaul-probe --directory=/ /usr/bin/true'",
    )?;
    shell("systemd-nspawn --version | head -n 1")
}

fn inotify() -> Finding {
    let text =
        fs::read_to_string(INOTIFY_LIMIT).map_err(|error| format!("{INOTIFY_LIMIT}: {error}"))?;
    let limit: u32 = text
        .trim()
        .parse()
        .map_err(|error| format!("{INOTIFY_LIMIT}: {error}"))?;
    if limit >= INOTIFY_INSTANCES {
        return Ok(limit.to_string());
    }
    fs::OpenOptions::new()
        .write(true)
        .open(INOTIFY_LIMIT)
        .map(|_| format!("{limit}, `up` raises it to {INOTIFY_INSTANCES}"))
        .map_err(|error| format!("{limit} is too little and cannot be raised: {error}"))
}

fn disk() -> Finding {
    let cache = paths::cache().map_err(|error| error.to_string())?;
    let existing = cache
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"));
    let about = rustix::fs::statvfs(existing).map_err(|error| error.to_string())?;
    let free_mb = about.f_bavail.saturating_mul(about.f_frsize) / (1024 * 1024);
    if free_mb >= FREE_MB_MIN {
        Ok(format!("{free_mb} MB at {}", existing.display()))
    } else {
        Err(format!(
            "{free_mb} MB at {}, {FREE_MB_MIN} are needed",
            existing.display()
        ))
    }
}

fn mirror() -> Finding {
    let mirror = sources::of_this_machine().map_err(|error| error.to_string())?;
    let mut command = bounded(CHECK_S_MAX, "curl");
    command.args([
        "-q",
        "-sS",
        "-f",
        "-L",
        "-I",
        "--connect-timeout",
        "3",
        "-o",
        "/dev/null",
        "--parallel",
        "--parallel-immediate",
    ]);
    let mut count = 0;
    for release in ["bookworm", "trixie"] {
        for (folder, suite) in mirror.suites(release) {
            let archive = match (folder, &mirror.security) {
                ("debian-security", Some(security)) => security,
                _ => &mirror.archive,
            };
            if count > 0 {
                command.args(["-o", "/dev/null"]);
            }
            command.arg(format!("{archive}/dists/{suite}/InRelease"));
            count += 1;
        }
    }
    output_of(&mut command)
        .map(|_| format!("{count} suites of bookworm and trixie"))
        .map_err(|error| error.to_string())
}
