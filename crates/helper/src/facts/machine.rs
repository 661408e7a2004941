//! The machine below the system, by files alone.

use super::root::{Root, TEXT_BYTES_MAX};
use overhaul_model::facts::Virtualisation;

/// Largest `/proc/cpuinfo` of which the start is enough: the first processor.
const CPUINFO_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What firmware of virtual machines says of itself: a part of its maker's or model's name, and whose it is.
const VIRTUAL: [(&str, &str); 12] = [
    ("QEMU", "qemu"),
    ("KVM", "kvm"),
    ("VMware", "vmware"),
    ("VirtualBox", "virtualbox"),
    ("innotek", "virtualbox"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("OpenStack", "openstack"),
    ("Google Compute Engine", "google"),
    ("DigitalOcean", "digitalocean"),
    ("Hetzner", "hetzner"),
];

/// Whether it is a container or a virtual machine.
pub(super) fn virtualisation(root: &Root) -> Result<Virtualisation, String> {
    if let Some(by) = container(root) {
        return Ok(Virtualisation::Container { by });
    }
    let maker = firmware(root, "sys_vendor");
    let model = firmware(root, "product_name");
    let cpus = root
        .optional("/proc/cpuinfo", CPUINFO_BYTES_MAX)?
        .unwrap_or_default();
    if let Some(by) = machine(&maker, &model, &cpus) {
        return Ok(Virtualisation::Machine { by });
    }
    if maker.is_empty() && cpus.is_empty() {
        return Err("neither firmware nor processors say anything".to_owned());
    }
    Ok(Virtualisation::None)
}

/// As systemd and the makers of containers leave word.
fn container(root: &Root) -> Option<String> {
    if let Some(by) = root.hint("/run/systemd/container") {
        return Some(by.trim().to_owned());
    }
    // Of process 1; only root may read it.
    if let Some(environment) = root.hint("/proc/1/environ") {
        let by = environment
            .split('\0')
            .find_map(|variable| variable.strip_prefix("container="));
        if let Some(by) = by {
            return Some(by.to_owned());
        }
    }
    let left = [("/run/.containerenv", "podman"), ("/.dockerenv", "docker")];
    left.into_iter()
        .find(|(file, _)| root.exists(file))
        .map(|(_, by)| by.to_owned())
}

fn machine(maker: &str, model: &str, cpus: &str) -> Option<String> {
    // A machine of Amazon's without anybody between calls itself so.
    if maker == "Amazon EC2" {
        return (!model.ends_with(".metal")).then(|| "amazon".to_owned());
    }
    if maker == "Microsoft Corporation" && model == "Virtual Machine" {
        return Some("hyper-v".to_owned());
    }
    let named = VIRTUAL
        .iter()
        .find(|(part, _)| maker.contains(part) || model.contains(part));
    if let Some((_, by)) = named {
        return Some((*by).to_owned());
    }
    let hypervisor = cpus
        .lines()
        .find(|line| line.starts_with("flags"))
        .is_some_and(|line| {
            line.split_ascii_whitespace()
                .any(|flag| flag == "hypervisor")
        });
    hypervisor.then(String::new)
}

fn firmware(root: &Root, name: &str) -> String {
    root.hint(&format!("/sys/class/dmi/id/{name}"))
        .unwrap_or_default()
        .trim()
        .to_owned()
}

pub(super) fn model(root: &Root) -> Result<String, String> {
    let words = format!(
        "{} {}",
        firmware(root, "sys_vendor"),
        firmware(root, "product_name")
    );
    match words.trim() {
        "" => Err("its firmware says nothing".to_owned()),
        words => Ok(words.to_owned()),
    }
}

pub(super) fn memory_bytes(root: &Root) -> Result<u64, String> {
    let text = root.text("/proc/meminfo")?;
    text.lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
        .map(|kib| kib.saturating_mul(1024))
        .ok_or_else(|| "/proc/meminfo names no total".to_owned())
}

pub(super) fn cpus(root: &Root) -> Result<u32, String> {
    const ONLINE: &str = "/sys/devices/system/cpu/online";
    let text = root.text(ONLINE)?;
    count(text.trim()).ok_or_else(|| format!("{ONLINE} holds {:?}", text.trim()))
}

/// How many numbers are in a list like `0-3,8`.
fn count(list: &str) -> Option<u32> {
    let mut sum = 0_u32;
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        sum = sum.checked_add(last.checked_sub(first)?.checked_add(1)?)?;
    }
    Some(sum)
}

pub(super) fn time_zone(root: &Root) -> Result<String, String> {
    let target = root.link("/etc/localtime").unwrap_or_default();
    if let Some((_, zone)) = target.split_once("zoneinfo/") {
        return Ok(zone.to_owned());
    }
    match root.optional("/etc/timezone", TEXT_BYTES_MAX)? {
        Some(zone) if !zone.trim().is_empty() => Ok(zone.trim().to_owned()),
        // Without either, times are in UTC.
        _ if !root.exists("/etc/localtime") => Ok("Etc/UTC".to_owned()),
        _ => Err("/etc/localtime is a copy, and nothing says of what".to_owned()),
    }
}

pub(super) fn locale(root: &Root) -> Result<String, String> {
    for file in ["/etc/locale.conf", "/etc/default/locale"] {
        let text = root.optional(file, TEXT_BYTES_MAX)?.unwrap_or_default();
        let lang = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("LANG="))
            .next_back();
        if let Some(lang) = lang {
            return Ok(lang.trim_matches(['"', '\'']).to_owned());
        }
    }
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn machines_are_told_from_metal() {
        let guest = "processor : 0\nflags\t\t: fpu vme hypervisor\n";
        for (maker, model, cpus, expected) in [
            (
                "QEMU",
                "Standard PC (i440FX + PIIX, 1996)",
                "",
                Some("qemu"),
            ),
            ("Amazon EC2", "m5.large", guest, Some("amazon")),
            ("Amazon EC2", "m5.metal", "", None),
            (
                "Microsoft Corporation",
                "Virtual Machine",
                "",
                Some("hyper-v"),
            ),
            ("Microsoft Corporation", "Surface", "", None),
            ("", "", guest, Some("")),
            ("Dell Inc.", "PowerEdge R640", "flags : fpu\n", None),
        ] {
            assert_eq!(
                machine(maker, model, cpus).as_deref(),
                expected,
                "{maker} {model}"
            );
        }
    }

    #[test]
    fn processors_are_counted() {
        assert_eq!(count("0-3"), Some(4));
        assert_eq!(count("0"), Some(1));
        assert_eq!(count("0-1,4-5,7"), Some(5));
        assert_eq!(count("3-0"), None);
        assert_eq!(count(""), None);
    }

    proptest! {
        #[test]
        fn any_list_is_counted_or_refused(list in "[0-9,-]{0,30}") {
            let _count = count(&list);
        }
    }
}
