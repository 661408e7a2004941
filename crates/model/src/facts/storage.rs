//! Where data is, and how it is mounted, encrypted and shared.

use super::group::fact_group;
use serde::{Deserialize, Serialize};

fact_group! {
    /// Storage beyond the mounted filesystems.
    StorageFacts {
        /// `/etc/fstab`.
        fstab: Vec<FstabEntry>,
        /// `/etc/crypttab`, without keys.
        encrypted: Vec<EncryptedDisk>,
        /// Swap in use.
        swap: Vec<Swap>,
        /// What other hosts can mount: NFS exports and Samba shares.
        shared: Vec<SharedFolder>,
        /// Whether `/bin`, `/sbin` and `/lib` are links into `/usr`.
        usr_merged: bool,
        /// Folders that hold data of services, and paths that were asked for by name, with their size.
        data: Vec<DataFolder>,
    }
}

/// A line of `/etc/fstab`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FstabEntry {
    /// The line, counted from 1.
    pub line: u32,
    /// The device or source, without any login or password.
    pub source: String,
    /// Where.
    pub path: String,
    /// `ext4`, `nfs`, ...
    pub kind: String,
    /// Its options, but those that hold a secret.
    pub options: Vec<String>,
}

/// A disk that is decrypted at boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptedDisk {
    /// The name it gets below `/dev/mapper`.
    pub name: String,
    /// The encrypted device.
    pub device: String,
    /// Its options.
    pub options: Vec<String>,
}

/// Swap space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    /// Device or file.
    pub path: String,
    /// `partition` or `file`.
    pub kind: String,
    /// Size in bytes.
    pub size_bytes: u64,
}

/// A folder that other hosts can mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedFolder {
    /// `nfs` or `samba`.
    pub by: String,
    /// The share's name; empty for NFS.
    pub name: String,
    /// The folder.
    pub path: String,
}

/// A folder that holds data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFolder {
    /// The folder.
    pub path: String,
    /// Bytes on disk of what is in it, on its own filesystem.
    pub size_bytes: u64,
    /// Files and folders in it.
    pub entries: u64,
    /// Whether it was counted to the end; otherwise the figures are the least that there is.
    pub complete: bool,
}
