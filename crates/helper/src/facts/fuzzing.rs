//! The parsers of what hosts say, for fuzzing alone: everything else asks for facts as a whole.

use super::memory::Memory;
use super::packages::Records;
use super::root::Root;
use super::{
    conffiles, indexes, kernel, lines, local, machine, mounts, names, next_release, postgresql,
    release, running, sock_diag, sockets, sources, storage, units,
};
use overhaul_model::version;
use std::fs;
use std::path::Path;

/// Reads the bytes of a file, in a tree that holds nothing else but `beside`.
struct OfFile {
    path: &'static str,
    beside: &'static [(&'static str, &'static str)],
    read: fn(&Root),
}

const fn alone(path: &'static str, read: fn(&Root)) -> OfFile {
    OfFile {
        path,
        beside: &[],
        read,
    }
}

const STATUS: &str = "/var/lib/dpkg/status";

const OF_FILES: [OfFile; 20] = [
    alone(STATUS, packages),
    alone("/etc/os-release", |root| {
        let _ = root
            .text("/etc/os-release")
            .map(|text| release::parse(&text));
    }),
    alone("/etc/apt/sources.list", lists),
    alone("/etc/apt/sources.list.d/x.sources", lists),
    alone("/etc/fstab", |root| {
        for entry in storage::fstab(root).unwrap_or_default() {
            assert!(!entry.options.iter().any(|o| o.starts_with("password=")));
        }
        let _ = names::kernel_disk_names(root);
    }),
    alone("/etc/crypttab", |root| {
        let _ = storage::encrypted(root);
    }),
    alone("/proc/swaps", |root| {
        let _ = storage::swap(root);
    }),
    alone("/etc/exports", |root| {
        let _ = storage::shared(root);
    }),
    alone("/etc/samba/smb.conf", |root| {
        let _ = storage::shared(root);
    }),
    OfFile {
        path: "/var/cache/debconf/config.dat",
        beside: &[(
            STATUS,
            "Package: grub-pc\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2\n",
        )],
        read: |root| {
            let _ = Records::of(root).map(|records| kernel::boot_loader(root, &records));
        },
    },
    OfFile {
        path: "/var/lib/apt/lists/deb.example_debian_dists_bookworm_main_binary-amd64_Packages",
        beside: &[
            (
                STATUS,
                "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5\n",
            ),
            (
                "/etc/apt/sources.list",
                "deb http://deb.example/debian bookworm main\n",
            ),
        ],
        read: |root| {
            let _ =
                Records::of(root).map(|records| indexes::obsolete(root, &records, &Memory::none()));
        },
    },
    alone("/etc/apt/preferences", |root| {
        let _ = local::pins(root);
    }),
    alone("/etc/apt/apt.conf", |root| {
        let _ = local::pins(root);
    }),
    alone("/var/lib/dpkg/diversions", |root| {
        let _ = local::diversions(root);
    }),
    alone("/var/lib/dpkg/statoverride", |root| {
        let _ = local::stat_overrides(root);
    }),
    alone("/proc/cmdline", |root| {
        let told = kernel::command_line(root).unwrap_or_default();
        let _ = names::naming(root, &told);
    }),
    alone("/etc/crontab", |root| {
        let _ = running::cron(root);
    }),
    alone("/etc/passwd", |root| {
        let _ = running::people(root);
    }),
    alone("/proc/meminfo", |root| {
        let _ = machine::memory_bytes(root);
    }),
    alone("/sys/devices/system/cpu/online", |root| {
        let _ = machine::cpus(root);
    }),
];

const OF_BYTES: [fn(&[u8]); 8] = [
    |bytes| {
        let _ = mounts::parse(&text(bytes));
    },
    |bytes| {
        for protocol in ["tcp", "tcp6"] {
            let _ = sockets::parse(protocol, &text(bytes));
        }
    },
    |bytes| {
        for family in [sock_diag::AF_INET, sock_diag::AF_INET6] {
            let _ = sock_diag::take(family, bytes, &mut Vec::new());
        }
    },
    |bytes| {
        let _ = units::parse(&text(bytes));
    },
    |bytes| {
        let text = text(bytes);
        let _ = postgresql::parse_clusters(&text);
        let _ = postgresql::parse_databases(&text);
        let _ = postgresql::parse_extensions(&text);
        let _ = postgresql::parse_replication(&text);
    },
    |bytes| {
        let text = text(bytes);
        let _ = next_release::Steps::of(&text);
        assert!(
            next_release::names_in(&text)
                .iter()
                .all(|name| !name.is_empty())
        );
    },
    |bytes| {
        let text = text(bytes);
        let (path, text) = text.split_once('\n').unwrap_or((&text, ""));
        let filters: Vec<_> = conffiles::filters_in(text).collect();
        let _ = conffiles::is_left_out(&filters, path);
        let _ = lines::stanzas(text);
    },
    |bytes| {
        let text = text(bytes);
        let (a, b) = text.split_once('\n').unwrap_or((&text, ""));
        assert_eq!(version::compare(a, b), version::compare(b, a).reverse());
    },
];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Gives bytes to one parser. The first byte says to which: `A` is the first, and so on. Files are put into `folder`.
///
/// # Panics
/// When a parser breaks a promise, or the folder cannot be written.
pub fn read(folder: &Path, bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else {
        return;
    };
    let at = usize::from(which.wrapping_sub(b'A'));
    if let Some(of_file) = OF_FILES.get(at) {
        let folder = folder.join(at.to_string());
        let put = |path: &str, bytes: &[u8]| {
            let path = folder.join(path.trim_start_matches('/'));
            let made = path.parent().map_or(Ok(()), fs::create_dir_all);
            let put = made.and_then(|()| fs::write(&path, bytes));
            assert!(put.is_ok(), "{}: {put:?}", path.display());
        };
        if !folder.exists() {
            for (path, text) in of_file.beside {
                put(path, text.as_bytes());
            }
        }
        put(of_file.path, bytes);
        (of_file.read)(&Root::new(&folder));
    } else if let Some(of_bytes) = OF_BYTES.get(at.wrapping_sub(OF_FILES.len())) {
        of_bytes(bytes);
    }
}

fn packages(root: &Root) {
    let Ok(records) = Records::of(root) else {
        return;
    };
    assert_eq!(records.told(|_| true).len(), records.installed().count());
    let _ = (
        records.broken(),
        records.held(),
        records.removed_not_purged(),
        records.foreign_architectures(root),
        kernel::installed(&records),
        kernel::metapackages(&records),
        kernel::initramfs_tools(&records),
    );
}

fn lists(root: &Root) {
    let Ok(all) = sources::configured(root) else {
        return;
    };
    for (_, source) in &all {
        let _ = (source.list_name(), sources::is_own(root, source, "debian"));
    }
    let _ = sources::foreign(root, "debian");
    for path in sources::files(root).unwrap_or_default() {
        let text = root.text(&path).unwrap_or_default();
        let next = |suite: &str| sources::next_suite(suite, "bookworm", "trixie");
        let _ = sources::rewritten_one_line(&text, |_| true, next);
        let _ = sources::rewritten_deb822(&text, |_| true, next);
    }
}

#[cfg(test)]
#[path = "../../../../fuzz/mutate.rs"]
mod mutate;

#[cfg(test)]
mod tests {
    use super::{mutate, read};
    use std::path::PathBuf;
    use std::sync::LazyLock;

    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| tempfile::tempdir().unwrap().keep());

    #[test]
    fn what_hosts_say_never_breaks_its_readers() {
        mutate::short("host_files", |bytes| read(&FOLDER, bytes), 6_000);
        std::fs::remove_dir_all(&*FOLDER).unwrap();
    }
}
