//! Disks with an end: a host's disk is a folder of this machine unless it is given a size; then it is a file system in memory, which can be
//! filled without filling this machine.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::command::{bounded, output_of, succeeds};
use super::error::{LabError, Named, Result};
use super::instance::Instance;

/// Mounts are made in milliseconds.
const MOUNT_S_MAX: u64 = 20;
/// What a full disk keeps free, in KiB: nothing that a package would fit into.
const LEFT_KIB: u64 = 64;

/// Puts a file system of so many megabytes below a host's folder, unless there is one. It outlives the host's power cuts, not `down`.
pub fn limit(folder: &Path, megabytes: u64) -> Result<()> {
    if is_limited(folder) {
        return Ok(());
    }
    let size = format!("size={megabytes}m,mode=0700");
    output_of(
        bounded(MOUNT_S_MAX, "mount")
            .args(["-t", "tmpfs", "-o", &size, "overhaul-lab"])
            .arg(folder),
    )?;
    Ok(())
}

fn is_limited(folder: &Path) -> bool {
    succeeds(
        bounded(MOUNT_S_MAX, "mountpoint")
            .arg("--quiet")
            .arg(folder),
    )
}

/// Takes the file system away again; that there is none is fine.
pub fn unlimit(folder: &Path) -> Result<()> {
    if is_limited(folder) {
        output_of(bounded(MOUNT_S_MAX, "umount").arg(folder))?;
    }
    Ok(())
}

/// Loop devices of volumes are let go; the kernel keeps those that are mounted until nobody has them.
pub fn let_go(volumes: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(volumes) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry.named(volumes)?.path();
        let told = output_of(
            bounded(MOUNT_S_MAX, "losetup")
                .args(["--noheadings", "--output", "NAME", "--associated"])
                .arg(&path),
        )?;
        for device in told.split_whitespace() {
            output_of(bounded(MOUNT_S_MAX, "losetup").args(["--detach", device]))?;
        }
    }
    Ok(())
}

/// Fills a host's disk for so many seconds: nothing can be written any more but what takes the place of something else.
pub fn fill(instance: &Instance, host: &str, seconds: u64) -> Result<()> {
    instance.host(host)?;
    let folder = instance.host_folder(host);
    if !is_limited(&folder) {
        return Err(LabError::State(format!(
            "{host} has no disk of its own size: bring it up with --disk {host}=MEGABYTES"
        )));
    }
    let told = output_of(
        bounded(MOUNT_S_MAX, "df")
            .args(["--block-size=1K", "--output=size,used"])
            .arg(&folder),
    )?;
    let (size, used) = sizes(&told)
        .ok_or_else(|| LabError::State(format!("the answer of df is not understood: {told}")))?;
    resize(&folder, used.saturating_add(LEFT_KIB))?;
    thread::sleep(Duration::from_secs(seconds));
    resize(&folder, size)
}

fn resize(folder: &Path, kib: u64) -> Result<()> {
    let size = format!("remount,size={kib}k");
    output_of(
        bounded(MOUNT_S_MAX, "mount")
            .args(["-o", &size])
            .arg(folder),
    )
    .map(drop)
}

/// Size and use, from the second line of df.
fn sizes(told: &str) -> Option<(u64, u64)> {
    let mut words = told.lines().nth(1)?.split_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_df() {
        assert_eq!(
            sizes("1K-blocks Used\n  6291456 1200\n"),
            Some((6_291_456, 1_200))
        );
        assert_eq!(sizes("1K-blocks Used\n"), None);
        assert_eq!(sizes("a\nb c\n"), None);
    }
}
