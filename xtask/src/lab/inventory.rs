//! The files with which a client reaches the hosts: our own fleet file, and an Ansible inventory as an operator would keep one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::error::Result;
use super::host;
use super::instance::Instance;
use super::paths;

/// The file of host keys that the lab itself goes by.
pub const OWN_KEYS: &str = "lab_known_hosts";
/// The group of all hosts that are reached through others.
const INNER: &str = "inner";

/// Writes the fleet file, the host keys and the inventory.
///
/// # Errors
/// When a file cannot be written, or a host has no keys yet.
pub fn write(instance: &Instance) -> Result<()> {
    write_own_keys(instance)?;
    let mut files = vec![
        ("known_hosts".to_owned(), known_hosts(instance)?),
        ("fleet.yaml".to_owned(), fleet_file(instance)),
        ("ssh_config".to_owned(), ssh_config(instance)),
        ("inventory/hosts.ini".to_owned(), hosts_ini(instance)),
        (
            "inventory/group_vars/all.yml".to_owned(),
            all_vars(instance),
        ),
    ];
    if instance
        .hosts
        .values()
        .any(|host| host.spec.behind.is_some())
    {
        let text = inner_vars(instance);
        files.push((format!("inventory/group_vars/{INNER}.yml"), text));
    }
    paths::make_private_folder(&instance.file("inventory"))?;
    paths::make_private_folder(&instance.file("inventory/group_vars"))?;
    for (name, text) in files {
        paths::write_private(&instance.file(&name), text.as_bytes())?;
    }
    Ok(())
}

fn known_hosts(instance: &Instance) -> Result<String> {
    let names = instance.hosts.keys();
    names
        .map(|name| host::known_host_lines(instance, name))
        .collect()
}

/// Writes the host keys that the lab itself goes by; the operator's file is another one, which a new machine leaves alone.
///
/// # Errors
/// When a host has no keys yet, or the file cannot be written.
pub fn write_own_keys(instance: &Instance) -> Result<()> {
    let path = instance.file(OWN_KEYS);
    paths::write_private(&path, known_hosts(instance)?.as_bytes())
}

fn fleet_file(instance: &Instance) -> String {
    let mut text = format!(
        "fleet: lab-{}\ndefaults: {{user: root, identity_file: \"{}\", known_hosts: \"{}\"}}\nhosts:\n",
        instance.id.as_str(),
        instance.file("ssh_key").display(),
        instance.file("known_hosts").display()
    );
    for (name, record) in &instance.hosts {
        let zone = record.spec.zone.as_ref();
        let zone = zone.map_or(String::new(), |zone| format!(", zone: {zone}"));
        let _ = writeln!(
            text,
            "  {name}: {{address: {}, roles: [{}]{zone}}}",
            instance.address(record),
            record.spec.roles.join(", ")
        );
    }
    text
}

/// Names of groups have no hyphens: Ansible would rename them.
fn group(role: &str) -> String {
    role.replace('-', "_")
}

fn hosts_ini(instance: &Instance) -> String {
    let mut text = String::new();
    let mut groups: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (name, record) in &instance.hosts {
        let zone = record.spec.zone.as_ref();
        let zone = zone.map_or(String::new(), |zone| format!(" zone={zone}"));
        let address = instance.address(record);
        let _ = writeln!(text, "{name} ansible_host={address}{zone}");
        let inner = record.spec.behind.iter().map(|_| INNER.to_owned());
        let roles = record.spec.roles.iter().map(|role| group(role));
        for group in roles.chain(inner) {
            groups.entry(group).or_default().insert(name);
        }
    }
    for (group, hosts) in groups {
        let _ = write!(text, "\n[{group}]\n");
        for host in hosts {
            let _ = writeln!(text, "{host}");
        }
    }
    text
}

fn all_vars(instance: &Instance) -> String {
    let mut text = format!(
        "overhaul_fleet: lab-{}\nansible_user: root\nansible_ssh_private_key_file: {}\nansible_ssh_common_args: -o UserKnownHostsFile={} -o IdentitiesOnly=yes\n",
        instance.id.as_str(),
        instance.file("ssh_key").display(),
        instance.file("known_hosts").display()
    );
    for (name, address) in instance.moving_addresses() {
        let _ = writeln!(text, "{name}_address: {address}");
    }
    text
}

/// The way to inner hosts. The jump host is named as in the client's own configuration, which knows its key.
fn inner_vars(instance: &Instance) -> String {
    let jumps: BTreeSet<&String> = instance
        .hosts
        .values()
        .filter_map(|host| host.spec.behind.as_ref())
        .collect();
    let jump = jumps.into_iter().next().map_or("", String::as_str);
    format!(
        "ansible_ssh_common_args: -F {} -o ProxyJump={jump}\n",
        instance.file("ssh_config").display()
    )
}

/// For `ssh -F`: all hosts by name, with the way to inner ones.
fn ssh_config(instance: &Instance) -> String {
    let mut text = String::new();
    for (name, record) in &instance.hosts {
        let _ = write!(
            text,
            "Host {name}\n    HostName {}\n",
            instance.address(record)
        );
        if let Some(jump) = &record.spec.behind {
            let _ = writeln!(text, "    ProxyJump {jump}");
        }
    }
    let _ = write!(
        text,
        "Host *\n    User root\n    IdentityFile {}\n    IdentitiesOnly yes\n    UserKnownHostsFile {}\n    StrictHostKeyChecking yes\n    BatchMode yes\n",
        instance.file("ssh_key").display(),
        instance.file("known_hosts").display()
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::instance::Id;
    use crate::lab::topology::Topology;

    fn instance(topology: &str) -> Instance {
        let topology = Topology::parse(topology).unwrap();
        Instance::new(Id::new("t").unwrap(), "/lab/t".into(), 5, "x", topology)
    }

    #[test]
    fn the_fleet_file_names_what_a_client_needs() {
        let one = instance(
            "hosts: {db1: {release: bookworm, layers: [base, db], roles: [database, web]}}",
        );
        assert_eq!(
            fleet_file(&one),
            "fleet: lab-t\n\
             defaults: {user: root, identity_file: \"/lab/t/ssh_key\", known_hosts: \"/lab/t/known_hosts\"}\n\
             hosts:\n  db1: {address: 10.77.5.11, roles: [database, web]}\n"
        );
    }

    #[test]
    fn the_inventory_has_groups_and_the_way_to_inner_hosts() {
        let two = instance(
            "{addresses: {site: 200}, hosts: {a: {release: bookworm, layers: [base], roles: [ceph-mon], behind: j, zone: z}, j: {release: bookworm, layers: [base]}}}",
        );
        assert!(all_vars(&two).ends_with("\nsite_address: 10.77.5.200\n"));
        assert_eq!(
            hosts_ini(&two),
            "a ansible_host=10.77.5.11 zone=z\nj ansible_host=10.77.5.12\n\n[ceph_mon]\na\n\n[inner]\na\n"
        );
        assert_eq!(
            inner_vars(&two),
            "ansible_ssh_common_args: -F /lab/t/ssh_config -o ProxyJump=j\n"
        );
        let config = ssh_config(&two);
        assert!(config.contains("Host a\n    HostName 10.77.5.11\n    ProxyJump j\n"));
        assert!(config.ends_with("BatchMode yes\n"), "{config}");
    }
}
