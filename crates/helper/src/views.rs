//! Kinds of file systems that are views of the kernel.

/// Neither have they room of their own, nor do they keep anything over the loss of power.
const VIEWS: [&str; 25] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];

/// Whether a file system of this kind is such a view.
pub(crate) fn is_view(kind: &[u8]) -> bool {
    VIEWS.iter().any(|view| view.as_bytes() == kind)
}
