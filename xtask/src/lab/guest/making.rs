//! A virtual machine's disk, keys and files, made anew; `lab down` takes them away.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::machine::Guest;
use crate::lab::command::{bounded_with_us, output_of};
use crate::lab::error::{LabError, Named, Result};
use crate::lab::host;
use crate::lab::images::lower_option;
use crate::lab::instance::Id;
use crate::lab::lifecycle;
use crate::lab::paths;

/// The topology with the machine.
const TOPOLOGY: &str = "kernel";
/// The machine.
pub const HOST: &str = "guest1";
/// The tree has 500 MB, and there must be room for a helper and receipts.
const DISK_MB: u64 = 1_024;
/// Copying the tree into a file system took 5 s on an idle machine.
const DISK_S_MAX: u64 = 300;
/// Where the machine's ssh server is reached: nothing but this machine sees it.
const ADDRESS: &str = "127.0.0.1";

/// Makes the machine of an instance; what an earlier command left of it is removed first.
///
/// # Errors
/// When images cannot be built, or a file cannot be written.
pub fn make(id: &str) -> Result<Guest> {
    let id = Id::new(id)?;
    lifecycle::down(&id)?;
    let instance = lifecycle::disks_alone(&id, TOPOLOGY)?;
    let folder = instance.host_folder(HOST);
    let disk = instance.file("disk.raw");
    let record = instance.host(HOST)?;
    let mut command = bounded_with_us(DISK_S_MAX, "sh");
    command
        .arg(paths::data().join("make-disk.sh"))
        .arg(lower_option(&record.lowers))
        .args(["tree", "work", "root"].map(|part| folder.join(part)))
        .arg(&disk)
        .arg(DISK_MB.to_string());
    output_of(&mut command)?;
    let port = free_port()?;
    let keys: String = host::public_keys(&instance, HOST)?
        .iter()
        .map(|key| format!("[{ADDRESS}]:{port} {key}\n"))
        .collect();
    let write =
        |name: &str, text: &str| paths::write_private(&instance.file(name), text.as_bytes());
    write("known_hosts", &keys)?;
    write(
        "fleet.yaml",
        &fleet_file(instance.folder(), port, &record.spec.roles),
    )?;
    Ok(Guest {
        folder: instance.folder().to_path_buf(),
        kernel: boot_file(&record.lowers, "vmlinuz-")?,
        initrd: boot_file(&record.lowers, "initrd.img-")?,
        disk,
        address: ADDRESS,
        port,
    })
}

/// Takes the machine of an instance away.
///
/// # Errors
/// When a file cannot be removed.
pub fn take_down(id: &str) -> Result<()> {
    lifecycle::down(&Id::new(id)?)
}

fn fleet_file(folder: &Path, port: u16, roles: &[String]) -> String {
    format!(
        "fleet: kernel\ndefaults: {{user: root, identity_file: \"{}\", known_hosts: \"{}\"}}\nhosts:\n  \
         {HOST}: {{address: {ADDRESS}, port: {port}, roles: [{}]}}\n",
        folder.join("ssh_key").display(),
        folder.join("known_hosts").display(),
        roles.join(", ")
    )
}

/// A port that nobody has now. The machine takes it a moment later, and keeps it over its boots.
fn free_port() -> Result<u16> {
    let place = Path::new(ADDRESS);
    let listener = TcpListener::bind((ADDRESS, 0)).named(place)?;
    Ok(listener.local_addr().named(place)?.port())
}

/// The only file of `/boot` in an image whose name begins so.
fn boot_file(lowers: &[PathBuf], prefix: &str) -> Result<PathBuf> {
    for tree in lowers {
        let boot = tree.join("boot");
        let Ok(entries) = fs::read_dir(&boot) else {
            continue;
        };
        for entry in entries {
            let entry = entry.named(&boot)?;
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                return Ok(entry.path());
            }
        }
    }
    Err(LabError::State(format!(
        "no image of the topology {TOPOLOGY} has a file /boot/{prefix}*"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_found_in_the_layer_that_has_one() {
        let folder = tempfile::tempdir().unwrap();
        let (upper, lower) = (folder.path().join("kernel"), folder.path().join("base"));
        fs::create_dir_all(upper.join("boot")).unwrap();
        fs::create_dir_all(&lower).unwrap();
        let trees = [lower, upper.clone()];
        assert!(boot_file(&trees, "vmlinuz-").is_err());
        let kernel = upper.join("boot/vmlinuz-6.1-cloud");
        fs::write(&kernel, "").unwrap();
        assert_eq!(boot_file(&trees, "vmlinuz-").unwrap(), kernel);
    }

    #[test]
    fn the_fleet_file_leads_to_the_machine() {
        let text = fleet_file(Path::new("/x"), 2_022, &["plain".to_owned()]);
        let fleet: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let host = serde_json::json!({"address": ADDRESS, "port": 2_022, "roles": ["plain"]});
        assert_eq!(fleet["hosts"][HOST], host);
        assert_eq!(fleet["defaults"]["known_hosts"], "/x/known_hosts");
    }
}
