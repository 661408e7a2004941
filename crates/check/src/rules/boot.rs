//! Whether the host will boot again: its kernel, its boot loader, and what is still to come into force.

use super::packages::list;
use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::facts::{HostFacts, KernelFacts, Virtualisation};

/// A container has no kernel and no boot loader of its own.
fn is_container(facts: &HostFacts) -> bool {
    matches!(
        facts.machine.virtualisation.value(),
        Some(Virtualisation::Container { .. })
    )
}

pub(super) fn reboot_pending(view: &View<'_>) -> Vec<Complaint> {
    view.fresh_facts()
        .filter_map(|(host, facts)| {
            let parts: Vec<String> = [wanted(&facts.kernel), older_kernel(facts)]
                .into_iter()
                .flatten()
                .collect();
            if parts.is_empty() {
                return None;
            }
            let help = "reboot it before the upgrade: whether the old release still boots is better known now than in \
                        the middle of the outage";
            let subject = format!("host:{host}");
            Some(Complaint::warning(subject, parts.join("; "), help))
        })
        .collect()
}

fn wanted(kernel: &KernelFacts) -> Option<String> {
    let by = kernel.reboot_wanted_by.value()?;
    (!by.is_empty()).then(|| format!("a reboot is asked for by {}", list(by.clone())))
}

/// The running kernel is one of those installed, and not the newest of its flavour.
fn older_kernel(facts: &HostFacts) -> Option<String> {
    if is_container(facts) {
        return None;
    }
    let running = facts.kernel.running.value()?;
    let installed = facts.kernel.installed.value()?;
    let flavour = |release: &str| release.rsplit('-').next().map(str::to_owned);
    let newest = installed
        .iter()
        .rfind(|kernel| flavour(&kernel.release) == flavour(running))?;
    (newest.release != *running).then(|| {
        format!(
            "it runs kernel {running}, and {} is installed",
            newest.release
        )
    })
}

pub(super) fn kernel(view: &View<'_>) -> Vec<Complaint> {
    view.fresh_facts()
        .filter(|(_, facts)| !is_container(facts))
        .flat_map(|(host, facts)| {
            let subject = format!("host:{host}");
            let mut out = Vec::new();
            let kernels = facts.kernel.installed.value();
            let metapackages = facts.kernel.metapackages.value();
            let lacks = |all: Option<usize>| all == Some(0);
            if lacks(metapackages.map(Vec::len)) {
                let sentence = if lacks(kernels.map(Vec::len)) {
                    "its kernel comes from no package of Debian"
                } else {
                    "no metapackage brings it new kernels"
                };
                let help = "the upgrade brings no kernel: install the metapackage for its architecture, as \
                            linux-image-amd64, unless its kernel comes from elsewhere on purpose";
                out.push(Complaint::warning(subject.clone(), sentence.to_owned(), help));
            }
            out.extend(grub(facts).map(|sentence| {
                let help = "the new boot loader would be installed nowhere, and the old one may not start what the \
                            upgrade leaves: choose the disk with `dpkg-reconfigure grub-pc`";
                Complaint::warning(subject, sentence, help)
            }));
            out
        })
        .collect()
}

/// GRUB for BIOS that does not know its disk.
fn grub(facts: &HostFacts) -> Option<String> {
    let loader = facts.kernel.boot_loader.value()?;
    if loader.uefi || !loader.packages.iter().any(|package| package == "grub-pc") {
        return None;
    }
    let gone: Vec<String> = loader
        .grub_devices
        .iter()
        .filter(|device| !device.exists)
        .map(|device| device.path.clone())
        .collect();
    if loader.grub_devices.is_empty() {
        return Some("GRUB does not know which disk it is installed on".to_owned());
    }
    (!gone.is_empty())
        .then(|| format!("GRUB is set to install itself on {}: not there", list(gone)))
}
