//! What programs are: which keep data, which keep none, which belong to every system.
//!
//! Data, one line for each program. What does not stand here is unknown, and whatever is unknown may hold data.

/// What a program keeps on its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nature {
    /// Part of every system: it keeps nothing that a new machine would not have.
    Base,
    /// It serves from its configuration and keeps nothing of its own.
    Stateless,
    /// It keeps data.
    Stateful,
}

/// A program that is recognised by its units and ports.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// How people call it.
    pub name: &'static str,
    /// What it keeps.
    pub nature: Nature,
    /// Its units without `.service`; `*` at the end stands for any ending.
    pub units: &'static [&'static str],
    /// The kind of cluster that its members make, when they can.
    pub cluster: Option<&'static str>,
    /// Where it keeps its data, as Debian sets it up.
    pub paths: &'static [&'static str],
}

const fn base(name: &'static str, units: &'static [&'static str]) -> Program {
    Program {
        name,
        nature: Nature::Base,
        units,
        cluster: None,
        paths: &[],
    }
}

const fn stateless(name: &'static str, units: &'static [&'static str]) -> Program {
    Program {
        name,
        nature: Nature::Stateless,
        units,
        cluster: None,
        paths: &[],
    }
}

const fn stateful(
    name: &'static str,
    units: &'static [&'static str],
    paths: &'static [&'static str],
) -> Program {
    Program {
        name,
        nature: Nature::Stateful,
        units,
        cluster: None,
        paths,
    }
}

const fn clustered(
    name: &'static str,
    units: &'static [&'static str],
    cluster: &'static str,
    paths: &'static [&'static str],
) -> Program {
    Program {
        name,
        nature: Nature::Stateful,
        units,
        cluster: Some(cluster),
        paths,
    }
}

/// All programs that are known. The first that fits counts.
pub const PROGRAMS: &[Program] = &[
    base(
        "systemd",
        &[
            "systemd-*",
            "user@*",
            "user-runtime-dir@*",
            "modprobe@*",
            "init.scope",
        ],
    ),
    base(
        "console",
        &[
            "getty@*",
            "serial-getty@*",
            "console-getty",
            "container-getty@*",
            "autovt@*",
        ],
    ),
    base(
        "console set-up",
        &[
            "console-setup",
            "keyboard-setup",
            "kmod-static-nodes",
            "initrd-*",
            "plymouth*",
        ],
    ),
    base("D-Bus", &["dbus", "dbus-broker", "dbus-org.*"]),
    base(
        "OpenSSH",
        &[
            "ssh",
            "sshd",
            "ssh@*",
            "sshd@*",
            "sshd-keygen",
            "rescue-ssh",
            "regenerate-ssh-host-keys",
        ],
    ),
    base("cron", &["cron", "anacron", "atd"]),
    base("logging", &["rsyslog", "syslog", "logrotate", "auditd"]),
    base(
        "network",
        &[
            "networking",
            "ifup@*",
            "ifupdown-*",
            "NetworkManager*",
            "wpa_supplicant*",
            "nftables",
            "resolvconf",
            "rpcbind",
            "dhcpcd*",
        ],
    ),
    base(
        "time",
        &[
            "chrony", "chronyd", "ntp", "ntpsec*", "ntpsec-*", "openntpd",
        ],
    ),
    base(
        "packages",
        &[
            "apt-*",
            "dpkg-*",
            "unattended-upgrades",
            "packagekit",
            "needrestart*",
        ],
    ),
    base(
        "hardware",
        &[
            "acpid",
            "irqbalance",
            "smartmontools",
            "smartd",
            "udisks2",
            "upower",
            "fwupd*",
            "rng-tools*",
            "haveged",
            "thermald",
            "e2scrub*",
            "fstrim",
            "hwclock*",
            "alsa-*",
        ],
    ),
    base(
        "guest agents",
        &[
            "qemu-guest-agent",
            "open-vm-tools",
            "vgauth",
            "cloud-init*",
            "cloud-config",
            "cloud-final",
            "lxd-agent*",
        ],
    ),
    base(
        "disks",
        &[
            "lvm2-*",
            "blk-availability",
            "mdmonitor*",
            "mdadm*",
            "multipathd",
            "dm-event",
            "zfs-*",
            "quotaon",
            "quotarpc",
        ],
    ),
    base(
        "accounts",
        &[
            "polkit",
            "accounts-daemon",
            "nscd",
            "sssd*",
            "nslcd",
            "sudo",
        ],
    ),
    base("security", &["apparmor", "fail2ban", "selinux-*"]),
    base(
        "desktop left-overs",
        &["avahi-daemon", "ModemManager", "bluetooth", "colord"],
    ),
    base(
        "rc scripts",
        &[
            "rc-local",
            "emergency",
            "rescue",
            "procps",
            "sysstat*",
            "man-db",
            "exim4-base",
            "ldconfig",
        ],
    ),
    base("Overhaul", &["overhaul-*"]),
    stateless("nginx", &["nginx"]),
    stateless("Apache", &["apache2", "apache2@*", "apache-htcacheclean*"]),
    stateless("lighttpd", &["lighttpd"]),
    stateless("HAProxy", &["haproxy"]),
    stateless("PHP-FPM", &["php*-fpm", "phpsessionclean"]),
    stateless("memcached", &["memcached", "memcached@*"]),
    stateless("Varnish", &["varnish*"]),
    stateless("keepalived", &["keepalived"]),
    stateless("Unbound", &["unbound*"]),
    stateless("dnsmasq", &["dnsmasq*"]),
    stateless(
        "node exporter",
        &["prometheus-node-exporter*", "node_exporter"],
    ),
    stateless("snmpd", &["snmpd"]),
    clustered(
        "PostgreSQL",
        &["postgresql", "postgresql@*"],
        "postgresql-replicas",
        &["/var/lib/postgresql"],
    ),
    clustered(
        "MariaDB",
        &["mariadb*", "mysql*", "mysqld*", "garb"],
        "galera",
        &["/var/lib/mysql"],
    ),
    clustered(
        "Ceph monitor",
        &["ceph-mon*"],
        "ceph-mon",
        &["/var/lib/ceph"],
    ),
    stateful("Ceph", &["ceph-*", "radosgw*"], &["/var/lib/ceph"]),
    clustered("etcd", &["etcd*"], "etcd", &["/var/lib/etcd"]),
    stateful("RabbitMQ", &["rabbitmq*", "epmd*"], &["/var/lib/rabbitmq"]),
    stateful(
        "Redis or Valkey",
        &["redis*", "valkey*", "keydb*"],
        &["/var/lib/redis", "/var/lib/valkey"],
    ),
    stateful("MongoDB", &["mongod*", "mongodb*"], &["/var/lib/mongodb"]),
    stateful(
        "Elasticsearch or OpenSearch",
        &["elasticsearch*", "opensearch*"],
        &["/var/lib/elasticsearch"],
    ),
    stateful("InfluxDB", &["influxdb*"], &["/var/lib/influxdb"]),
    stateful("Prometheus", &["prometheus*"], &["/var/lib/prometheus"]),
    stateful("Grafana", &["grafana*"], &["/var/lib/grafana"]),
    stateful(
        "NFS server",
        &["nfs-*", "nfsdcld", "rpc-statd*", "nfsd*"],
        &["/srv"],
    ),
    stateful(
        "Samba",
        &["smbd", "nmbd", "samba*", "winbind"],
        &["/srv", "/var/lib/samba"],
    ),
    stateful("rsync server", &["rsync"], &["/srv"]),
    stateful("FTP server", &["vsftpd*", "proftpd*"], &["/srv"]),
    stateful("GlusterFS", &["gluster*"], &["/var/lib/glusterd"]),
    stateful(
        "iSCSI target",
        &["tgt", "rtslib-fb-targetctl", "target"],
        &[],
    ),
    stateful("DRBD", &["drbd*"], &[]),
    stateful(
        "Docker",
        &["docker*", "containerd*"],
        &["/var/lib/docker", "/var/lib/containerd"],
    ),
    stateful("Podman", &["podman*"], &["/var/lib/containers"]),
    stateful("LXC", &["lxc*"], &["/var/lib/lxc"]),
    stateful(
        "LXD or Incus",
        &["lxd*", "incus*", "snap.lxd*"],
        &["/var/lib/lxd", "/var/lib/incus"],
    ),
    stateful("Kubernetes", &["kubelet*", "k3s*"], &["/var/lib/kubelet"]),
    stateful(
        "libvirt",
        &["libvirt*", "virtqemud*", "virtlogd*", "virtlockd*"],
        &["/var/lib/libvirt"],
    ),
    stateful(
        "Pacemaker",
        &["pacemaker*", "corosync*", "pcsd"],
        &["/var/lib/pacemaker"],
    ),
    stateful(
        "Postfix",
        &["postfix", "postfix@*"],
        &["/var/spool/postfix"],
    ),
    stateful("Exim", &["exim4"], &["/var/spool/exim4"]),
    stateful("Dovecot", &["dovecot"], &["/var/mail", "/var/vmail"]),
    stateful("OpenLDAP", &["slapd"], &["/var/lib/ldap"]),
    stateful(
        "Kerberos KDC",
        &["krb5-kdc", "krb5-admin-server"],
        &["/var/lib/krb5kdc"],
    ),
    stateful(
        "BIND",
        &["named", "bind9"],
        &["/var/cache/bind", "/var/lib/bind"],
    ),
    stateful("PowerDNS", &["pdns*"], &["/var/lib/powerdns"]),
    stateful(
        "DHCP server",
        &["isc-dhcp-server*", "kea-*"],
        &["/var/lib/dhcp", "/var/lib/kea"],
    ),
    stateful("Jenkins", &["jenkins*"], &["/var/lib/jenkins"]),
    stateful(
        "GitLab or Gitea",
        &["gitlab*", "gitea*", "forgejo*"],
        &["/var/opt/gitlab", "/var/lib/gitea"],
    ),
    stateful("Bacula", &["bacula*", "bareos*"], &["/var/lib/bacula"]),
    stateful(
        "Tomcat",
        &["tomcat*"],
        &["/var/lib/tomcat9", "/var/lib/tomcat10"],
    ),
    stateful("Squid", &["squid*"], &["/var/spool/squid"]),
    stateful(
        "Vault or Consul",
        &["vault*", "consul*"],
        &["/opt/vault", "/opt/consul"],
    ),
    stateful(
        "WireGuard or OpenVPN",
        &["wg-quick@*", "openvpn*"],
        &["/etc/wireguard", "/etc/openvpn"],
    ),
];

/// The program that a unit belongs to; `None` when nobody knows.
pub fn of_unit(unit: &str) -> Option<&'static Program> {
    let name = unit
        .strip_suffix(".service")
        .or_else(|| unit.strip_suffix(".socket"));
    let name = name.unwrap_or(unit);
    PROGRAMS
        .iter()
        .find(|program| program.units.iter().any(|pattern| fits(pattern, name)))
}

/// `*` stands for any text, once.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => {
            name.len() >= head.len().saturating_add(tail.len())
                && name.starts_with(head)
                && name.ends_with(tail)
        }
    }
}

/// Folders that hold plain files, which can be taken along as they are.
pub const CARRIED: [&str; 4] = ["/srv", "/var/www", "/home", "/opt"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_recognised_and_strangers_are_not() {
        let seen = |unit| of_unit(unit).map(|p| (p.name, p.nature));
        for (unit, expected) in [
            (
                "postgresql@15-main.service",
                Some(("PostgreSQL", Nature::Stateful)),
            ),
            ("ssh.service", Some(("OpenSSH", Nature::Base))),
            ("php8.2-fpm.service", Some(("PHP-FPM", Nature::Stateless))),
            (
                "ceph-mon@a.service",
                Some(("Ceph monitor", Nature::Stateful)),
            ),
            ("ceph-osd@3.service", Some(("Ceph", Nature::Stateful))),
            ("shop-backend.service", None),
            ("mysql-is-not-here", Some(("MariaDB", Nature::Stateful))),
            ("", None),
        ] {
            assert_eq!(seen(unit), expected, "{unit}");
        }
    }
}
