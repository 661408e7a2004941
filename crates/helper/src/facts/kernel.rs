//! Kernels, and how the host boots.

use super::packages::Records;
use super::root::{Root, TEXT_BYTES_MAX, each_line};
use overhaul_model::facts::{BootLoader, GrubDevice, InstalledKernel};
use overhaul_model::version;
use std::io::Read;

/// Largest database of debconf.
const DEBCONF_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Options of the kernel's command line that say something about names, disks and boot. Others may hold
/// secrets, and are nobody's business.
const TOLD_OPTIONS: [&str; 6] = [
    "root",
    "resume",
    "net.ifnames",
    "net.naming-scheme",
    "biosdevname",
    "systemd.unified_cgroup_hierarchy",
];

/// Packages that make initial file systems.
const INITRAMFS_TOOLS: [&str; 4] = ["initramfs-tools", "dracut", "tiny-initramfs", "booster"];

/// Packages of boot loaders.
const BOOT_LOADERS: [&str; 8] = [
    "grub-pc",
    "grub-efi-amd64",
    "grub-efi-arm64",
    "grub-cloud-amd64",
    "systemd-boot",
    "syslinux",
    "extlinux",
    "lilo",
];

const PREFIX: &str = "linux-image-";

pub(super) fn running(root: &Root) -> Result<String, String> {
    Ok(root.text("/proc/sys/kernel/osrelease")?.trim().to_owned())
}

/// Kernels of packages, the oldest first. Their names hold what `uname -r` says.
pub(super) fn installed(records: &Records) -> Vec<InstalledKernel> {
    let mut kernels: Vec<InstalledKernel> = images(records)
        .filter(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
        .map(|(package, rest)| InstalledKernel {
            package: package.to_owned(),
            release: rest.trim_end_matches("-unsigned").to_owned(),
        })
        .collect();
    kernels.sort_by(|a, b| version::compare(&a.release, &b.release));
    kernels
}

/// Metapackages that bring each new kernel.
pub(super) fn metapackages(records: &Records) -> Vec<String> {
    images(records)
        .filter(|(_, rest)| !rest.starts_with(|c: char| c.is_ascii_digit()))
        .map(|(package, _)| package.to_owned())
        .collect()
}

fn images(records: &Records) -> impl Iterator<Item = (&str, &str)> {
    records
        .installed()
        .filter_map(|(name, _)| Some((name, name.strip_prefix(PREFIX)?)))
        .filter(|(_, rest)| !rest.ends_with("-dbg"))
}

/// Who asked for a reboot, as Debian's packages do it.
pub(super) fn reboot_wanted_by(root: &Root) -> Result<Vec<String>, String> {
    if !root.exists("/run/reboot-required") {
        return Ok(Vec::new());
    }
    let text = root.optional("/run/reboot-required.pkgs", TEXT_BYTES_MAX)?;
    let mut names: Vec<String> = text
        .unwrap_or_default()
        .lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        names.push("a package that does not say its name".to_owned());
    }
    Ok(names)
}

fn of_these(records: &Records, names: &[&str]) -> Vec<String> {
    records
        .installed()
        .map(|(name, _)| name)
        .filter(|name| names.contains(name))
        .map(str::to_owned)
        .collect()
}

pub(super) fn initramfs_tools(records: &Records) -> Vec<String> {
    of_these(records, &INITRAMFS_TOOLS)
}

pub(super) fn boot_loader(root: &Root, records: &Records) -> Result<BootLoader, String> {
    let packages = of_these(records, &BOOT_LOADERS);
    let grub_devices = if packages.iter().any(|package| package == "grub-pc") {
        grub_devices(root)?
    } else {
        Vec::new()
    };
    Ok(BootLoader {
        packages,
        uefi: root.exists("/sys/firmware/efi"),
        grub_devices,
    })
}

/// The answer to `grub-pc/install_devices` in debconf's database, which root alone need not read: only
/// passwords are kept from others.
fn grub_devices(root: &Root) -> Result<Vec<GrubDevice>, String> {
    const DATABASE: &str = "/var/cache/debconf/config.dat";
    let file = root
        .open(DATABASE)
        .map_err(|error| format!("{DATABASE}: {error}"))?;
    let value = debconf_value(file, "grub-pc/install_devices")
        .map_err(|error| format!("{DATABASE}: {error}"))?;
    Ok(value
        .split(',')
        .map(str::trim)
        .filter(|path| path.starts_with("/dev/"))
        .map(|path| GrubDevice {
            path: path.to_owned(),
            exists: root.exists(path),
        })
        .collect())
}

/// The answer to a question in debconf's database; empty when there is none.
fn debconf_value(database: impl Read, question: &str) -> std::io::Result<String> {
    let (mut at_it, mut value) = (false, String::new());
    each_line(database.take(DEBCONF_BYTES_MAX), |line| {
        let line = String::from_utf8_lossy(line);
        if let Some(name) = line.strip_prefix("Name:") {
            at_it = name.trim() == question;
        } else if at_it && let Some(found) = line.strip_prefix("Value:") {
            found.trim().clone_into(&mut value);
        }
        true
    })?;
    Ok(value)
}

/// The options of the kernel's command line that may be told.
pub(super) fn command_line(root: &Root) -> Result<String, String> {
    Ok(told(&root.text("/proc/cmdline")?))
}

fn told(text: &str) -> String {
    text.split_ascii_whitespace()
        .filter(|word| {
            let key = word.split('=').next().unwrap_or_default();
            TOLD_OPTIONS.contains(&key)
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_options_of_names_and_disks_are_told() {
        assert_eq!(
            told("BOOT_IMAGE=/vmlinuz root=/dev/sda1 quiet net.ifnames=0 luks.key=secret\n"),
            "root=/dev/sda1 net.ifnames=0"
        );
    }

    #[test]
    fn kernels_and_boot_loader_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let installed_ones = [
            "linux-image-6.1.0-41-amd64",
            "linux-image-6.1.0-9-amd64",
            "linux-image-6.1.0-9-amd64-dbg",
            "linux-image-6.5.0-1-amd64-unsigned",
            "linux-image-amd64",
            "initramfs-tools",
            "grub-pc",
        ];
        let status: String = installed_ones
            .iter()
            .map(|name| format!("Package: {name}\nStatus: install ok installed\n\n"))
            .collect();
        put("var/lib/dpkg/status", &status);
        put(
            "var/cache/debconf/config.dat",
            "Name: grub-pc/install_devices\nValue: /dev/disk/by-id/x, /dev/sda\n\nName: y\nValue: /dev/no\n",
        );
        put("dev/sda", "");
        put("run/reboot-required", "");
        put(
            "run/reboot-required.pkgs",
            "libc6\nlinux-image-6.1.0-41-amd64\nlibc6\n",
        );
        let root = Root::new(dir.path());
        let records = Records::of(&root).unwrap();
        let releases: Vec<String> = installed(&records).into_iter().map(|k| k.release).collect();
        assert_eq!(
            releases,
            ["6.1.0-9-amd64", "6.1.0-41-amd64", "6.5.0-1-amd64"]
        );
        assert_eq!(metapackages(&records), ["linux-image-amd64"]);
        assert_eq!(initramfs_tools(&records), ["initramfs-tools"]);
        let loader = boot_loader(&root, &records).unwrap();
        let devices: Vec<(String, bool)> = loader
            .grub_devices
            .into_iter()
            .map(|device| (device.path, device.exists))
            .collect();
        assert_eq!(
            devices,
            [
                ("/dev/disk/by-id/x".to_owned(), false),
                ("/dev/sda".to_owned(), true)
            ]
        );
        assert_eq!(
            reboot_wanted_by(&root).unwrap(),
            ["libc6", "linux-image-6.1.0-41-amd64"]
        );
    }

    proptest! {
        #[test]
        fn the_answer_to_a_question_is_found_among_any_others(
            before in "((Name|Value|Owners): ?[a-z/]{0,6}\n|\n){0,8}", answer in "[a-z/,]{0,12}",
            after in "(Owners: ?[a-z]{0,6}\n){0,3}"
        ) {
            let text = format!("{before}Name: its/question\n{after}Value: {answer}\n\nName: next\nValue: other\n");
            prop_assert_eq!(debconf_value(text.as_bytes(), "its/question").unwrap(), answer);
        }

        #[test]
        fn any_database_is_read(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(debconf_value(bytes.as_slice(), "its/question").unwrap(), "");
        }
    }
}
