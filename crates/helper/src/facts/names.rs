//! Names of interfaces and disks, and the files that rely on them.

use super::root::{Root, TEXT_BYTES_MAX};
use overhaul_model::facts::{Interface, InterfaceNaming, NamedBy, NamedPlace};

/// Most interfaces: a host of containers has some hundred virtual ones.
const INTERFACES_MAX: usize = 500;

/// Most files that are searched for names.
const FILES_MAX: usize = 400;

/// Most places that are told of one name.
const PLACES_MAX: usize = 20;

/// Files and folders in which interfaces are named; of a folder the files with this ending.
const NETWORK_FILES: [(&str, &str); 20] = [
    ("/etc/network/interfaces", ""),
    ("/etc/network/interfaces.d", ""),
    ("/etc/systemd/network", ".network"),
    ("/etc/systemd/network", ".netdev"),
    ("/etc/netplan", ".yaml"),
    ("/etc/NetworkManager/system-connections", ""),
    ("/etc/nftables.conf", ""),
    ("/etc/nftables.d", ""),
    ("/etc/iptables", ""),
    ("/etc/ufw", ".rules"),
    ("/etc/firewalld/zones", ".xml"),
    ("/etc/shorewall", ""),
    ("/etc/default/isc-dhcp-server", ""),
    ("/etc/dnsmasq.conf", ""),
    ("/etc/dnsmasq.d", ""),
    ("/etc/keepalived", ".conf"),
    ("/etc/dhcp", ".conf"),
    ("/etc/hostapd", ".conf"),
    ("/etc/radvd.conf", ""),
    ("/etc/sysctl.d", ".conf"),
];

/// Files and folders in which disks are named.
const DISK_FILES: [(&str, &str); 12] = [
    ("/etc/fstab", ""),
    ("/etc/crypttab", ""),
    ("/etc/default/grub", ""),
    ("/etc/default/grub.d", ".cfg"),
    ("/etc/lvm/lvm.conf", ""),
    ("/etc/lvm/lvmlocal.conf", ""),
    ("/etc/mdadm/mdadm.conf", ""),
    ("/etc/initramfs-tools/conf.d", ""),
    ("/etc/multipath.conf", ""),
    ("/etc/smartd.conf", ""),
    ("/etc/hdparm.conf", ""),
    ("/boot/grub/device.map", ""),
];

const CLASS: &str = "/sys/class/net";

/// The network interfaces of this tree.
pub(super) fn interfaces(root: &Root) -> Result<Vec<Interface>, String> {
    let mut names = root.names(CLASS)?;
    names.retain(|name| name != "lo" && root.exists(&format!("{CLASS}/{name}/ifindex")));
    if names.len() > INTERFACES_MAX {
        return Err(format!("more than {INTERFACES_MAX} interfaces"));
    }
    let texts = texts(root, &NETWORK_FILES)?;
    Ok(names
        .into_iter()
        .map(|name| interface(root, &texts, name))
        .collect())
}

fn interface(root: &Root, texts: &[(String, String)], name: String) -> Interface {
    let at = format!("{CLASS}/{name}");
    let value = |file: &str| {
        let text = root.hint(&format!("{at}/{file}")).unwrap_or_default();
        text.trim().to_owned()
    };
    let udev = root
        .hint(&format!("/run/udev/data/n{}", value("ifindex")))
        .unwrap_or_default();
    let bus_path = root.link_name(&format!("{at}/device")).unwrap_or_default();
    let named_by = named_by(&name, &bus_path, &value("name_assign_type"), &udev);
    let mut used_in = places(texts, |line| names_word(line, &name).then(|| name.clone()));
    used_in.truncate(PLACES_MAX);
    Interface {
        mac: value("address"),
        driver: root
            .link_name(&format!("{at}/device/driver"))
            .unwrap_or_default(),
        bus_path,
        named_by,
        used_in,
        name,
    }
}

/// Who named it: by the kernel's own word on it (`name_assign_type`: 1 in order of finding, 2 firmly,
/// 3 by its maker, 4 renamed), by what udev keeps of it, and by the form of its name.
fn named_by(name: &str, bus_path: &str, assigned: &str, udev: &str) -> NamedBy {
    if bus_path.is_empty() {
        return NamedBy::Maker;
    }
    let property = |key: &str| {
        udev.lines()
            .filter_map(|line| line.strip_prefix("E:")?.split_once('='))
            .filter(|(found, _)| *found == key)
            .map(|(_, value)| value)
            .next_back()
    };
    let by_place = [
        "ONBOARD",
        "SLOT",
        "PATH",
        "MAC",
        "LABEL_ONBOARD",
        "FROM_DATABASE",
    ]
    .iter()
    .any(|kind| property(&format!("ID_NET_NAME_{kind}")) == Some(name));
    let link_file = property("ID_NET_LINK_FILE").unwrap_or_default();
    if link_file.starts_with("/etc/") && !by_place {
        return NamedBy::Rule;
    }
    if by_place || has_place_form(name) {
        return NamedBy::Place;
    }
    if assigned == "1" || has_kernel_form(name) {
        return NamedBy::Kernel;
    }
    NamedBy::Rule
}

/// As the kernel counts: `eth0`, `wlan1`, `usb0`, `ib0`, `wwan0`.
fn has_kernel_form(name: &str) -> bool {
    let word = name.trim_end_matches(|c: char| c.is_ascii_digit());
    word.len() < name.len() && ["eth", "wlan", "usb", "ib", "wwan"].contains(&word)
}

/// As udev names by place (systemd.net-naming-scheme(7)): a kind of two letters, then what is counted.
fn has_place_form(name: &str) -> bool {
    let Some(rest) = ["en", "ib", "sl", "wl", "ww"]
        .iter()
        .find_map(|kind| name.strip_prefix(kind))
    else {
        return false;
    };
    let mut rest = rest.chars();
    let kind = rest.next();
    let next = rest.next();
    match kind {
        Some('o' | 's' | 'p' | 'b' | 'c' | 'a' | 'v' | 'd' | 'i') => {
            next.is_some_and(|c| c.is_ascii_hexdigit())
        }
        // Any domain of PCI: `enP2p1s0`.
        Some('P') => next.is_some_and(|c| c.is_ascii_digit()),
        Some('x') => name.len() == 15,
        _ => false,
    }
}

/// What decides how interfaces are named.
pub(super) fn naming(root: &Root, command_line: &str) -> Result<InterfaceNaming, String> {
    let option = |key: &str| {
        command_line
            .split_ascii_whitespace()
            .filter_map(|word| word.split_once('='))
            .filter(|(found, _)| *found == key)
            .map(|(_, value)| value.to_owned())
            .next_back()
    };
    let mut rules = root.files("/etc/systemd/network", ".link")?;
    rules.retain(|file| {
        let text = root.hint(file).unwrap_or_default();
        text.lines()
            .any(|line| line.trim_start().starts_with("Name="))
    });
    rules.extend(
        root.files("/etc/udev/rules.d", ".rules")?
            .into_iter()
            .filter(|file| {
                let text = root.hint(file).unwrap_or_default();
                let mut lines = text
                    .lines()
                    .filter(|line| !line.trim_start().starts_with('#'));
                lines.any(|line| line.contains("\"net\"") && line.contains("NAME"))
            }),
    );
    // A link to /dev/null, or an empty file, in place of the shipped one.
    let masked = root.link("/etc/systemd/network/99-default.link").as_deref() == Some("/dev/null");
    Ok(InterfaceNaming {
        scheme: option("net.naming-scheme"),
        kernel_names: masked || option("net.ifnames").as_deref() == Some("0"),
        rules,
    })
}

/// Places that name a disk by what the kernel calls it.
pub(super) fn kernel_disk_names(root: &Root) -> Result<Vec<NamedPlace>, String> {
    Ok(places(&texts(root, &DISK_FILES)?, kernel_disk))
}

/// The contents of these files, as far as they are there.
fn texts(root: &Root, files: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
    let mut out = Vec::new();
    for (path, ending) in files {
        let inside = if root.path(path).is_dir() {
            root.files(path, ending)?
        } else {
            vec![(*path).to_owned()]
        };
        for file in inside {
            if root.path(&file).is_dir() {
                continue;
            }
            let Some(text) = root.optional(&file, TEXT_BYTES_MAX)? else {
                continue;
            };
            if out.len() >= FILES_MAX {
                return Err(format!(
                    "more than {FILES_MAX} files name interfaces or disks"
                ));
            }
            out.push((file, text));
        }
    }
    Ok(out)
}

/// Lines, but comments, in which `find` finds a name.
fn places(texts: &[(String, String)], find: impl Fn(&str) -> Option<String>) -> Vec<NamedPlace> {
    let mut out = Vec::new();
    for (file, text) in texts {
        for (line, number) in text.lines().zip(1_u32..) {
            if line.trim_start().starts_with(['#', ';']) {
                continue;
            }
            out.extend(find(line).map(|name| NamedPlace {
                file: file.clone(),
                line: number,
                name,
            }));
        }
    }
    out
}

/// Whether a name stands in a line as a word of its own. `eth0.5` and `eth0:1` are words that rely on it.
fn names_word(line: &str, name: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    line.match_indices(name).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line
            .get(at.saturating_add(name.len())..)
            .and_then(|text| text.chars().next());
        !before.is_some_and(inside) && !after.is_some_and(inside)
    })
}

/// The first disk in a line that is named in the order of finding.
fn kernel_disk(line: &str) -> Option<String> {
    line.match_indices("/dev/").find_map(|(at, prefix)| {
        let word = line.get(at.saturating_add(prefix.len())..)?;
        let end = word
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(word.len());
        let word = word.get(..end)?;
        is_kernel_disk(word).then(|| format!("{prefix}{word}"))
    })
}

/// `sda1`, `vdb`, `xvda`, `hda`, `nvme0n1p2`, `mmcblk0p1`.
fn is_kernel_disk(word: &str) -> bool {
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let lettered = ["sd", "vd", "xvd", "hd"].iter().any(|kind| {
        word.strip_prefix(kind).is_some_and(|disk| {
            (1..=3).contains(&disk.len()) && disk.bytes().all(|c| c.is_ascii_lowercase())
        })
    });
    let counted = |kind: &str, then: &[&str]| {
        word.strip_prefix(kind).is_some_and(|rest| {
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            then.contains(&rest)
                || then.iter().any(|then| {
                    rest.strip_prefix(then).is_some_and(|rest| {
                        rest.trim_start_matches(|c: char| c.is_ascii_digit()) == "p"
                    })
                })
        })
    };
    lettered || counted("nvme", &["n"]) || counted("mmcblk", &["", "p"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_named_an_interface_is_seen() {
        let path = "E:ID_NET_NAME_PATH=enp0s3\nE:ID_NET_LINK_FILE=/usr/lib/systemd/network/99-default.link\n";
        let rule =
            "E:ID_NET_NAME_PATH=enp0s3\nE:ID_NET_LINK_FILE=/etc/systemd/network/10-lan.link\n";
        for (name, bus, assigned, udev, expected) in [
            ("enp0s3", "0000:00:03.0", "4", path, NamedBy::Place),
            ("lan", "0000:00:03.0", "4", rule, NamedBy::Rule),
            ("eth0", "0000:00:03.0", "4", rule, NamedBy::Rule),
            ("eth0", "virtio0", "1", "", NamedBy::Kernel),
            ("eth0", "virtio0", "", "", NamedBy::Kernel),
            ("ens3", "virtio0", "", "", NamedBy::Place),
            ("enx001122334455", "1-1", "4", "", NamedBy::Place),
            ("lan", "virtio0", "4", "", NamedBy::Rule),
            ("br0", "", "3", "", NamedBy::Maker),
            ("eth0", "", "", "", NamedBy::Maker),
        ] {
            assert_eq!(named_by(name, bus, assigned, udev), expected, "{name}");
        }
    }

    #[test]
    fn names_are_found_as_words() {
        for (line, expected) in [
            ("auto eth0", true),
            ("iface eth0.5 inet static", true),
            ("iifname \"eth0\" accept", true),
            ("net.ipv4.conf.eth0.rp_filter = 0", true),
            ("auto eth01", false),
            ("auto veth0", false),
            ("auto eth0-lan", false),
            ("", false),
        ] {
            assert_eq!(names_word(line, "eth0"), expected, "{line}");
        }
    }

    #[test]
    fn disks_of_the_kernels_naming_are_found() {
        for (line, expected) in [
            ("/dev/sda1 / ext4 defaults 0 1", Some("/dev/sda1")),
            ("filter = [ \"a|^/dev/sdb$|\" ]", Some("/dev/sdb")),
            ("data /dev/nvme0n1p3 none luks", Some("/dev/nvme0n1p3")),
            ("/dev/nvme1n1 /srv xfs", Some("/dev/nvme1n1")),
            ("/dev/mmcblk0p1 /boot", Some("/dev/mmcblk0p1")),
            ("RESUME=/dev/vda5", Some("/dev/vda5")),
            ("/dev/xvdf /data", Some("/dev/xvdf")),
            ("/dev/mapper/vg-root /", None),
            ("/dev/disk/by-id/ata-x-part1 /", None),
            ("/dev/md0 /", None),
            ("/dev/sdcard /", None),
            ("/dev/nvme0 x", None),
            ("UUID=1 /", None),
        ] {
            assert_eq!(kernel_disk(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn a_whole_tree_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let link = |from: &str, to: &str| {
            let from = dir.path().join(from);
            std::fs::create_dir_all(from.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(to, from).unwrap();
        };
        put("sys/class/net/lo/ifindex", "1\n");
        put("sys/class/net/eth0/ifindex", "2\n");
        put("sys/class/net/eth0/address", "52:54:00:12:34:56\n");
        put("sys/class/net/eth0/name_assign_type", "1\n");
        put("sys/devices/x/0000:00:03.0/vendor", "");
        link(
            "sys/class/net/eth0/device",
            "../../../devices/x/0000:00:03.0",
        );
        link(
            "sys/devices/x/0000:00:03.0/driver",
            "../../bus/drivers/e1000",
        );
        put("sys/class/net/br0/ifindex", "3\n");
        put(
            "etc/network/interfaces",
            "# eth0\nauto eth0\niface br0 inet dhcp\n  bridge_ports eth0\n",
        );
        put("etc/network/interfaces.d/nested/x", "auto eth0\n");
        put(
            "etc/systemd/network/10-lan.link",
            "[Match]\nMACAddress=x\n[Link]\nName=lan\n",
        );
        put(
            "etc/systemd/network/20-wol.link",
            "[Link]\nWakeOnLan=magic\n",
        );
        put(
            "etc/udev/rules.d/70-persistent-net.rules",
            "SUBSYSTEM==\"net\", NAME=\"eth0\"\n",
        );
        link("etc/systemd/network/99-default.link", "/dev/null");
        put("etc/fstab", "UUID=1 / ext4\n/dev/sdb1 /srv xfs\n");
        let root = Root::new(dir.path());
        insta::assert_json_snapshot!((
            interfaces(&root).unwrap(),
            naming(&root, "root=/dev/sda1 net.naming-scheme=v252").unwrap(),
            kernel_disk_names(&root).unwrap(),
        ));
    }

    proptest! {
        #[test]
        fn any_text_is_read(line in "(/dev/|sd|nvme|n|p|[a-z0-9 é]){0,20}", name in "[a-z]{1,3}[0-9]") {
            let _word = names_word(&line, &name);
            if let Some(found) = kernel_disk(&line) {
                prop_assert!(line.contains(&found));
            }
            let _form = (has_place_form(&name), has_kernel_form(&name));
        }
    }
}
