//! The kernel, and how the host boots.

use super::group::fact_group;
use serde::{Deserialize, Serialize};

fact_group! {
    /// Kernel and boot.
    KernelFacts {
        /// The running kernel, as `uname -r` has it.
        running: String,
        /// Kernels of packages, the oldest first; empty in a container.
        installed: Vec<InstalledKernel>,
        /// Metapackages that bring each new kernel, like `linux-image-amd64`.
        metapackages: Vec<String>,
        /// Why packages ask for a reboot; empty when none does.
        reboot_wanted_by: Vec<String>,
        /// Packages that make initial file systems: `initramfs-tools`, `dracut`, ...
        initramfs_tools: Vec<String>,
        /// The boot loader.
        boot_loader: BootLoader,
        /// Options of the kernel's command line that name disks and interfaces; others may hold secrets.
        command_line: String,
    }
}

/// A kernel that a package brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledKernel {
    /// The package.
    pub package: String,
    /// What `uname -r` says when it runs.
    pub release: String,
}

/// The boot loader, as packages and debconf tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootLoader {
    /// Installed packages of boot loaders.
    pub packages: Vec<String>,
    /// Whether the machine was started by UEFI.
    pub uefi: bool,
    /// Where GRUB for BIOS installs itself at every upgrade, from debconf; empty when nothing is set.
    pub grub_devices: Vec<GrubDevice>,
}

/// A disk that GRUB installs itself to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrubDevice {
    /// Its name, like `/dev/disk/by-id/...`.
    pub path: String,
    /// Whether there is such a device.
    pub exists: bool,
}
