//! Guests, cron jobs and people.

use super::root::{Root, TEXT_BYTES_MAX};
use overhaul_model::facts::{Account, CronFile, GuestManager};
use std::os::unix::fs::PermissionsExt as _;

/// Where a manager keeps a folder or file for each guest, and where there is one for each that runs.
struct Manager {
    name: &'static str,
    /// Folder, ending of the names, and what must be in a folder for it to be a guest.
    known: &'static [(&'static str, &'static str, &'static str)],
    /// Folder, beginning and ending of the names.
    running: &'static [(&'static str, &'static str, &'static str)],
}

const MANAGERS: [Manager; 7] = [
    Manager {
        name: "docker",
        known: &[("/var/lib/docker/containers", "", "config.v2.json")],
        running: &[
            ("/sys/fs/cgroup/system.slice", "docker-", ".scope"),
            ("/sys/fs/cgroup/docker", "", ""),
        ],
    },
    Manager {
        name: "podman",
        known: &[(
            "/var/lib/containers/storage/overlay-containers",
            "",
            "userdata",
        )],
        running: &[("/sys/fs/cgroup/machine.slice", "libpod-", ".scope")],
    },
    Manager {
        name: "lxc",
        known: &[("/var/lib/lxc", "", "config")],
        running: &[],
    },
    Manager {
        name: "lxd",
        known: &[
            ("/var/lib/lxd/containers", "", "rootfs"),
            ("/var/lib/lxd/virtual-machines", "", "config"),
            ("/var/snap/lxd/common/lxd/containers", "", "rootfs"),
            ("/var/snap/lxd/common/lxd/virtual-machines", "", "config"),
        ],
        running: &[],
    },
    Manager {
        name: "incus",
        known: &[
            ("/var/lib/incus/containers", "", "rootfs"),
            ("/var/lib/incus/virtual-machines", "", "config"),
        ],
        running: &[],
    },
    Manager {
        name: "nspawn",
        known: &[("/var/lib/machines", "", "etc")],
        running: &[(
            "/sys/fs/cgroup/machine.slice",
            "systemd-nspawn@",
            ".service",
        )],
    },
    Manager {
        name: "libvirt",
        known: &[
            ("/etc/libvirt/qemu", ".xml", ""),
            ("/etc/libvirt/lxc", ".xml", ""),
        ],
        running: &[
            ("/run/libvirt/qemu", "", ".xml"),
            ("/run/libvirt/lxc", "", ".xml"),
        ],
    },
];

/// Control groups of containers that liblxc runs, whoever asked it to: `lxc.payload.NAME`, with a project
/// before the name in those of LXD and Incus.
const LXC_PAYLOAD: &str = "lxc.payload.";

/// Managers with guests.
pub(super) fn guests(root: &Root) -> Result<Vec<GuestManager>, String> {
    let payloads: Vec<String> = root
        .names("/sys/fs/cgroup")?
        .into_iter()
        .filter_map(|name| Some(name.strip_prefix(LXC_PAYLOAD)?.to_owned()))
        .collect();
    let mut out = Vec::new();
    for manager in &MANAGERS {
        let mut known = Vec::new();
        for (folder, ending, inside) in manager.known {
            known.extend(root.names(folder)?.into_iter().filter(|name| {
                let is_guest =
                    inside.is_empty() || root.exists(&format!("{folder}/{name}/{inside}"));
                name.ends_with(ending) && is_guest
            }));
        }
        let mut running = 0_usize;
        for (folder, start, end) in manager.running {
            running = running.saturating_add(
                root.names(folder)?
                    .iter()
                    .filter(|name| name.starts_with(start) && name.ends_with(end))
                    // A control group has files of its own besides.
                    .filter(|name| {
                        *end == ".xml" || root.path(&format!("{folder}/{name}")).is_dir()
                    })
                    .count(),
            );
        }
        running = running.saturating_add(
            payloads
                .iter()
                .filter(|payload| known.contains(payload) && manager.running.is_empty())
                .count(),
        );
        if !known.is_empty() || running > 0 {
            out.push(GuestManager {
                manager: manager.name.to_owned(),
                known: u32::try_from(known.len()).unwrap_or(u32::MAX),
                running: u32::try_from(running).unwrap_or(u32::MAX),
            });
        }
    }
    Ok(out)
}

/// Files with cron jobs, and folders of scripts that cron runs.
pub(super) fn cron(root: &Root) -> Result<Vec<CronFile>, String> {
    let mut files = vec!["/etc/crontab".to_owned()];
    // As cron does: a name with a dot is none of its files.
    files.extend(
        root.files("/etc/cron.d", "")?
            .into_iter()
            .filter(|file| !file.rsplit('/').next().unwrap_or_default().contains('.')),
    );
    files.extend(root.files("/var/spool/cron/crontabs", "")?);
    let mut out = Vec::new();
    for path in files {
        let text = root.optional(&path, TEXT_BYTES_MAX)?.unwrap_or_default();
        out.push(CronFile {
            path,
            jobs: jobs(&text),
        });
    }
    for period in ["hourly", "daily", "weekly", "monthly"] {
        let path = format!("/etc/cron.{period}");
        let scripts = root.files(&path, "")?;
        let jobs = scripts.iter().filter(|file| is_script(root, file)).count();
        out.push(CronFile {
            path,
            jobs: u32::try_from(jobs).unwrap_or(u32::MAX),
        });
    }
    out.retain(|file| file.jobs > 0);
    Ok(out)
}

fn is_script(root: &Root, path: &str) -> bool {
    let about = root.path(path).metadata();
    about.is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

/// Lines that are neither comments nor settings of variables.
fn jobs(text: &str) -> u32 {
    let is_job = |line: &&str| {
        let word = line.split_ascii_whitespace().next().unwrap_or_default();
        word.starts_with(|c: char| c.is_ascii_digit() || c == '*' || c == '@')
    };
    u32::try_from(text.lines().filter(is_job).count()).unwrap_or(u32::MAX)
}

/// Accounts with a shell to log in with.
pub(super) fn people(root: &Root) -> Result<Vec<Account>, String> {
    Ok(accounts(&root.text("/etc/passwd")?))
}

fn accounts(text: &str) -> Vec<Account> {
    const NO_LOGIN: [&str; 5] = ["nologin", "false", "sync", "halt", "shutdown"];
    text.lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, uid, _, _, home, shell] = fields.as_slice() else {
                return None;
            };
            let shell = if shell.is_empty() { "/bin/sh" } else { shell };
            let program = shell.rsplit('/').next().unwrap_or_default();
            (!NO_LOGIN.contains(&program)).then_some(())?;
            Some(Account {
                name: (*name).to_owned(),
                uid: uid.parse().ok()?,
                shell: shell.to_owned(),
                home: (*home).to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    #[test]
    fn a_tree_with_guests_jobs_and_people_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("var/lib/docker/containers/aa/config.v2.json", "");
        put("var/lib/docker/containers/bb/config.v2.json", "");
        put("sys/fs/cgroup/system.slice/docker-aa.scope/x", "");
        put("sys/fs/cgroup/system.slice/cron.service/x", "");
        put("sys/fs/cgroup/docker/cgroup.procs", "");
        put("var/lib/lxc/web/config", "");
        put("var/lib/lxc/lxc-monitord.log", "");
        put("sys/fs/cgroup/lxc.payload.web/x", "");
        put("sys/fs/cgroup/lxc.payload.other/x", "");
        put("etc/libvirt/qemu/vm1.xml", "");
        put("etc/libvirt/qemu/networks/default.xml", "");
        put(
            "etc/crontab",
            "# m h\nSHELL=/bin/sh\n17 * * * * root x\n@daily root y\n\n",
        );
        put("etc/cron.d/e2scrub", "30 3 * * 0 root x\n");
        put("etc/cron.d/.placeholder", "1 1 1 1 1 x\n");
        put("etc/cron.daily/readme", "text\n");
        put(
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\nwww:x:33:33::/var/www:/usr/sbin/nologin\nada:x:1000:1000::/home/ada:\nbroken\n",
        );
        let root = Root::new(dir.path());
        insta::assert_json_snapshot!((
            guests(&root).unwrap(),
            cron(&root).unwrap(),
            people(&root).unwrap(),
        ));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(:|/|[a-z0-9*@ ]|\n|\\PC){0,80}") {
            let _read = (jobs(&text), accounts(&text));
        }
    }
}
