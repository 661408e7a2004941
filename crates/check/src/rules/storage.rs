//! Disks and filesystems that the new release treats in another way.

use super::packages::list;
use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::facts::HostFacts;

/// Fewer bytes than these on a `/boot` of its own, and the next kernel with its initial file system does not
/// fit: the release notes of Debian 13 ask for a size of 768 MB and for room of 300 MB.
const BOOT_FREE_MIN: u64 = 300 * 1000 * 1000;

pub(super) fn boot_room(view: &View<'_>) -> Vec<Complaint> {
    view.fresh_facts()
        .filter_map(|(host, facts)| {
            let boot = facts.mounts.value()?.iter().find(|mount| mount.path == "/boot")?;
            if boot.free_bytes >= BOOT_FREE_MIN {
                return None;
            }
            let sentence = format!("/boot has {} MB free, and new kernels with their initial file systems are larger than old ones", boot.free_bytes / 1_000_000);
            let help = "remove kernels that are no longer used (`apt-get autoremove --purge`), or enlarge /boot; 300 MB are enough";
            Some(Complaint::warning(format!("host:{host}"), sentence, help))
        })
        .collect()
}

pub(super) fn layout(view: &View<'_>) -> Vec<Complaint> {
    view.fresh_facts()
        .flat_map(|(host, facts)| {
            let subject = format!("host:{host}");
            [unmerged(facts), not_mounted(facts)]
                .into_iter()
                .flatten()
                .map(move |(sentence, help)| Complaint::warning(subject.clone(), sentence, help))
        })
        .collect()
}

fn unmerged(facts: &HostFacts) -> Option<(String, &'static str)> {
    let merged = facts.storage.usr_merged.value()?;
    let help = "install the package usrmerge before the upgrade; see its documentation for what it may refuse";
    (!merged).then(|| {
        let sentence =
            "/bin, /sbin and /lib are not all links into /usr, which the new release needs";
        (sentence.to_owned(), help)
    })
}

/// Lines of `/etc/fstab` that mount at boot and are not mounted: the reboot would be their first trial.
fn not_mounted(facts: &HostFacts) -> Option<(String, &'static str)> {
    let mounts = facts.mounts.value()?;
    let waiting: Vec<String> = facts
        .storage
        .fstab
        .value()?
        .iter()
        .filter(|entry| {
            let when_wanted = ["noauto", "nofail", "x-systemd.automount"];
            entry.path.starts_with('/')
                && !["proc", "sysfs", "devpts", "swap", "autofs"].contains(&entry.kind.as_str())
                && !entry
                    .options
                    .iter()
                    .any(|option| when_wanted.contains(&option.as_str()))
        })
        .filter(|entry| {
            !mounts.iter().any(|mount| {
                mount.path == entry.path.trim_end_matches('/') || mount.path == entry.path
            })
        })
        .map(|entry| format!("{} (/etc/fstab:{})", entry.path, entry.line))
        .collect();
    let help = "a filesystem that is missing at boot stops it: mount them now, add the option nofail, or take the lines out";
    (!waiting.is_empty()).then(|| {
        let sentence = format!(
            "filesystems are to be mounted at boot, and are not mounted: {}",
            list(waiting)
        );
        (sentence, help)
    })
}

pub(super) fn encrypted(view: &View<'_>) -> Vec<Complaint> {
    let (os, to) = (&view.plan.to.os, &view.plan.to.release);
    view.fresh_facts()
        .filter_map(|(host, facts)| {
            let disks = facts.storage.encrypted.value()?;
            if disks.is_empty() {
                return None;
            }
            let names = disks.iter().map(|disk| format!("{} on {}", disk.name, disk.device)).collect();
            let mut sentence = format!("disks are opened at boot: {}", list(names));
            if os == "debian" && to == "13" {
                sentence.push_str("; from Debian 13 on the package systemd-cryptsetup does that, and plain mode has another default cipher and hash");
            }
            let help = "somebody or something must give the keys at the reboot: see that it can; for plain mode write cipher= and \
                        hash= into /etc/crypttab before the upgrade";
            Some(Complaint::warning(format!("host:{host}"), sentence, help))
        })
        .collect()
}
