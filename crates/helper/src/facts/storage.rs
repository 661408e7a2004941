//! How filesystems are mounted, encrypted and shared.

use super::mounts::unescape;
use super::root::{Root, TEXT_BYTES_MAX};
use super::sources::without_login;
use overhaul_model::facts::{EncryptedDisk, FstabEntry, SharedFolder, Swap};

/// Options of which the value is a secret.
const SECRET_OPTIONS: [&str; 5] = ["password", "pass", "passwd", "password2", "secret"];

/// Sections of `smb.conf` that are no share of a folder of their own.
const NO_SHARES: [&str; 3] = ["global", "homes", "printers"];

pub(super) fn fstab(root: &Root) -> Result<Vec<FstabEntry>, String> {
    let text = root.optional("/etc/fstab", TEXT_BYTES_MAX)?;
    Ok(parse_fstab(&text.unwrap_or_default()))
}

fn parse_fstab(text: &str) -> Vec<FstabEntry> {
    lines(text)
        .filter_map(|(line, words)| {
            let [source, path, kind, rest @ ..] = words.as_slice() else {
                return None;
            };
            Some(FstabEntry {
                line,
                source: unescape(&without_any_login(source)),
                path: unescape(path),
                kind: (*kind).to_owned(),
                options: options(rest.first().copied().unwrap_or("defaults")),
            })
        })
        .collect()
}

/// Lines that say something, with their numbers and words.
fn lines(text: &str) -> impl Iterator<Item = (u32, Vec<&str>)> {
    (1_u32..).zip(text.lines()).filter_map(|(number, line)| {
        let line = line.trim();
        (!line.is_empty() && !line.starts_with('#'))
            .then(|| (number, line.split_ascii_whitespace().collect()))
    })
}

fn options(list: &str) -> Vec<String> {
    list.split(',')
        .filter(|option| {
            let key = option.split('=').next().unwrap_or_default();
            !option.is_empty() && !SECRET_OPTIONS.contains(&key.to_ascii_lowercase().as_str())
        })
        .map(str::to_owned)
        .collect()
}

/// An address of a server without what stands before its `@`.
fn without_any_login(source: &str) -> String {
    match source.strip_prefix("//") {
        Some(rest) => match rest.split_once('@') {
            Some((login, rest)) if !login.contains('/') => format!("//{rest}"),
            _ => source.to_owned(),
        },
        None => without_login(source),
    }
}

/// `/etc/crypttab`; where its keys are is nobody's business.
pub(super) fn encrypted(root: &Root) -> Result<Vec<EncryptedDisk>, String> {
    let text = root.optional("/etc/crypttab", TEXT_BYTES_MAX)?;
    Ok(crypttab(&text.unwrap_or_default()))
}

fn crypttab(text: &str) -> Vec<EncryptedDisk> {
    lines(text)
        .filter_map(|(_, words)| {
            let [name, device, rest @ ..] = words.as_slice() else {
                return None;
            };
            Some(EncryptedDisk {
                name: (*name).to_owned(),
                device: (*device).to_owned(),
                options: options(rest.get(1).copied().unwrap_or_default()),
            })
        })
        .collect()
}

/// `/proc/swaps`.
pub(super) fn swap(root: &Root) -> Result<Vec<Swap>, String> {
    Ok(swaps(&root.text("/proc/swaps")?))
}

fn swaps(text: &str) -> Vec<Swap> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let kib: u64 = words.get(2)?.parse().ok()?;
            Some(Swap {
                path: unescape(words.first()?),
                kind: (*words.get(1)?).to_owned(),
                size_bytes: kib.saturating_mul(1024),
            })
        })
        .collect()
}

/// NFS exports and Samba shares.
pub(super) fn shared(root: &Root) -> Result<Vec<SharedFolder>, String> {
    let mut files = vec!["/etc/exports".to_owned()];
    files.extend(root.files("/etc/exports.d", ".exports")?);
    let mut out = Vec::new();
    for file in files {
        let text = root.optional(&file, TEXT_BYTES_MAX)?.unwrap_or_default();
        out.extend(exports(&text));
    }
    let text = root.optional("/etc/samba/smb.conf", TEXT_BYTES_MAX)?;
    out.extend(shares(&text.unwrap_or_default()));
    Ok(out)
}

fn exports(text: &str) -> Vec<SharedFolder> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| {
            let path = match line.strip_prefix('"') {
                Some(rest) => rest.split('"').next()?,
                None => line.split_ascii_whitespace().next()?,
            };
            path.starts_with('/').then(|| SharedFolder {
                by: "nfs".to_owned(),
                name: String::new(),
                path: unescape(path),
            })
        })
        .collect()
}

fn shares(text: &str) -> Vec<SharedFolder> {
    let mut section = String::new();
    let mut out = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            name.trim().clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once('=') {
            let is_path = matches!(
                key.trim().to_ascii_lowercase().as_str(),
                "path" | "directory"
            );
            let is_share = !NO_SHARES.contains(&section.to_ascii_lowercase().as_str());
            if is_path && is_share && !section.is_empty() {
                out.push(SharedFolder {
                    by: "samba".to_owned(),
                    name: section.clone(),
                    path: value.trim().to_owned(),
                });
            }
        }
    }
    out
}

/// Whether the top folders of programs are links into `/usr`, which Debian 12 and later ask for.
pub(super) fn usr_merged(root: &Root) -> Result<bool, String> {
    if !root.exists("/usr") {
        return Err("there is no /usr".to_owned());
    }
    Ok(["bin", "sbin", "lib"].iter().all(|name| {
        let target = root.link(&format!("/{name}")).unwrap_or_default();
        target.trim_start_matches('/').trim_end_matches('/') == format!("usr/{name}")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tables_are_read_without_secrets() {
        let fstab = "\
# comment
UUID=1234 / ext4 errors=remount-ro 0 1
/dev/sdb1 /srv/my\\040files xfs
//ada:pw@files/share /mnt cifs username=ada,password=pw,credentials=/root/c
short
";
        let read: Vec<String> = parse_fstab(fstab)
            .into_iter()
            .map(|e| {
                format!(
                    "{} {} {} {} {}",
                    e.line,
                    e.source,
                    e.path,
                    e.kind,
                    e.options.join(",")
                )
            })
            .collect();
        assert_eq!(
            read,
            [
                "2 UUID=1234 / ext4 errors=remount-ro",
                "3 /dev/sdb1 /srv/my files xfs defaults",
                "4 //files/share /mnt cifs username=ada,credentials=/root/c",
            ]
        );
    }

    #[test]
    fn encrypted_disks_and_swap_are_read_without_keys() {
        let text = "# name device key options\ndata UUID=1 /root/key luks,discard\nswap /dev/sdb2 /dev/urandom\nshort\n";
        let read: Vec<String> = crypttab(text)
            .into_iter()
            .map(|disk| format!("{} {} {}", disk.name, disk.device, disk.options.join(",")))
            .collect();
        assert_eq!(read, ["data UUID=1 luks,discard", "swap /dev/sdb2 "]);
        let text = "Filename Type Size Used Priority\n/my\\040swap file 2048 0 -2\n/dev/sdb2 partition x 0 -3\n";
        let expected = Swap {
            path: "/my swap".to_owned(),
            kind: "file".to_owned(),
            size_bytes: 2 << 20,
        };
        assert_eq!(swaps(text), [expected]);
    }

    #[test]
    fn shares_are_read() {
        let words = |all: Vec<SharedFolder>| -> Vec<String> {
            all.into_iter()
                .map(|s| format!("{} {} {}", s.by, s.name, s.path))
                .collect()
        };
        let text = "# no\n/srv/files *(ro) 10.0.0.0/8(rw)\n\"/srv/my files\" *(ro)\nrubbish\n";
        assert_eq!(
            words(exports(text)),
            ["nfs  /srv/files", "nfs  /srv/my files"]
        );
        let text = "[global]\npath = /no\n[data]\n  Path = /srv/data\n[homes]\npath=/x\n; [c]\n";
        assert_eq!(words(shares(text)), ["samba data /srv/data"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(/|[a-z]|@|,|=|\"|\\\\[0-9]{3}|\\[|\\]|#|[ \n\t]){0,80}") {
            for entry in parse_fstab(&text) {
                prop_assert!(!entry.options.iter().any(|o| o.starts_with("password=")));
            }
            let _shared = (exports(&text), shares(&text));
        }

        #[test]
        fn where_keys_lie_is_never_told(
            lines in prop::collection::vec("[a-z]{0,3} ?[a-z/=]{0,6} ?(/keys/[a-z]{1,4})? ?[a-z,=]{0,8}", 0..5)
        ) {
            let text = lines.join("\n");
            let disks = crypttab(&text);
            prop_assert!(disks.len() <= lines.len());
            for disk in disks.iter().filter(|disk| !disk.device.starts_with("/keys/")) {
                prop_assert!(!disk.options.iter().any(|option| option.contains("/keys/")));
            }
        }

        #[test]
        fn any_table_of_swap_is_read(
            text in "([a-z/]{1,6}|\\\\[0-9]{0,3}|[0-9]{1,25}|[ \t\n]){0,60}"
        ) {
            prop_assert!(swaps(&text).len() <= text.lines().count().saturating_sub(1));
        }
    }
}
