//! Names that the new release may give to something else.

use super::packages::list;
use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::facts::{HostFacts, Interface, NamedBy, NamedPlace};
use std::collections::BTreeSet;

pub(super) fn interfaces(view: &View<'_>) -> Vec<Complaint> {
    view.fresh_facts()
        .flat_map(|(host, facts)| {
            let subject = format!("host:{host}");
            [by_kernel(facts), by_place(facts)]
                .into_iter()
                .flatten()
                .map(move |(sentence, help)| Complaint::warning(subject.clone(), sentence, help))
        })
        .collect()
}

/// Devices of this host that files name.
fn relied_on(facts: &HostFacts, named_by: NamedBy) -> Vec<&Interface> {
    let interfaces = facts.names.interfaces.value();
    interfaces
        .into_iter()
        .flatten()
        .filter(|one| one.is_device() && one.named_by == named_by && !one.used_in.is_empty())
        .collect()
}

/// Names in the order of finding: a new kernel may find in another order. One device alone is the first in
/// any order.
fn by_kernel(facts: &HostFacts) -> Option<(String, &'static str)> {
    let all = facts.names.interfaces.value()?;
    let counted = |one: &&Interface| one.is_device() && one.named_by == NamedBy::Kernel;
    let relied_on = relied_on(facts, NamedBy::Kernel);
    if relied_on.is_empty() || all.iter().filter(counted).count() < 2 {
        return None;
    }
    let sentence = format!(
        "interfaces are numbered in the order in which the kernel finds them, and a new kernel may find them in another: {}",
        with_places(&relied_on)
    );
    let help = "give each a name by its hardware address, in a file /etc/systemd/network/10-NAME.link with \
                [Match] MACAddress= and [Link] Name=, and see that a console works without the network";
    Some((sentence, help))
}

/// Names by place: each release of systemd may read places in another way, unless it is told which to keep.
fn by_place(facts: &HostFacts) -> Option<(String, &'static str)> {
    let naming = facts.names.naming.value()?;
    let relied_on = relied_on(facts, NamedBy::Place);
    if relied_on.is_empty() || naming.scheme.is_some() {
        return None;
    }
    let sentence = format!(
        "interfaces are named by their place, which the new release may name in another way: {}",
        with_places(&relied_on)
    );
    let help = "keep the scheme with net.naming-scheme= on the kernel's command line, or name each by its hardware \
                address in a file /etc/systemd/network/10-NAME.link; see that a console works without the network";
    Some((sentence, help))
}

fn with_places(interfaces: &[&Interface]) -> String {
    let words = |one: &&Interface| {
        let files: BTreeSet<&str> = one.used_in.iter().map(|at| at.file.as_str()).collect();
        let files: Vec<&str> = files.into_iter().collect();
        format!("{} {} (in {})", one.name, one.mac, files.join(" and "))
    };
    list(interfaces.iter().map(words).collect())
}

pub(super) fn disks(view: &View<'_>) -> Vec<Complaint> {
    view.fresh_facts()
        .filter_map(|(host, facts)| {
            let places = facts.names.kernel_disk_names.value();
            let mut names: Vec<String> = places.into_iter().flatten().map(place).collect();
            names.extend(root_of(facts));
            names.extend(grub_disks(facts));
            if names.is_empty() {
                return None;
            }
            let sentence = format!(
                "disks are named in the order in which the kernel finds them, and a new kernel may find them in another: {}",
                list(names)
            );
            let help = "name them by UUID= or /dev/disk/by-id/ (blkid and `ls -l /dev/disk/by-id` tell them); for GRUB \
                        with `dpkg-reconfigure grub-pc`";
            Some(Complaint::warning(format!("host:{host}"), sentence, help))
        })
        .collect()
}

fn place(place: &NamedPlace) -> String {
    format!("{} ({}:{})", place.name, place.file, place.line)
}

/// The root filesystem on the kernel's command line.
fn root_of(facts: &HostFacts) -> Option<String> {
    let line = facts.kernel.command_line.value()?;
    let root = line
        .split_ascii_whitespace()
        .find_map(|word| word.strip_prefix("root=/dev/"))?;
    let numbered = ["sd", "hd", "vd", "xvd", "nvme", "mmcblk"];
    numbered
        .iter()
        .any(|kind| root.starts_with(kind))
        .then(|| format!("/dev/{root} (the kernel's command line)"))
}

fn grub_disks(facts: &HostFacts) -> Vec<String> {
    let loader = facts.kernel.boot_loader.value();
    let devices = loader.into_iter().flat_map(|loader| &loader.grub_devices);
    devices
        .filter(|device| {
            !device.path.starts_with("/dev/disk/") && !device.path.starts_with("/dev/mapper/")
        })
        .map(|device| format!("{} (GRUB)", device.path))
        .collect()
}
