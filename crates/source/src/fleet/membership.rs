//! Who belongs to whom, in the order in which Ansible tells it: what patterns are evaluated on.

use indexmap::IndexMap;

/// Hosts and groups of an inventory, by name.
///
/// Orders count: `web*[0]` is the first host of the first group whose name fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// All hosts, in the order in which they were first named. The group `all` has an order of its own.
    pub hosts: Vec<String>,
    /// The hosts of every group, those of its children included, in Ansible's order of both: groups as
    /// they were first named, `all` and `ungrouped` before the others. These two are always there; so
    /// are groups without hosts.
    pub groups: IndexMap<String, Vec<String>>,
}

impl Membership {
    /// The membership of hosts whose inventory is not at hand: their roles and their zones are the groups.
    pub fn of_plan<'h>(hosts: impl Iterator<Item = &'h overhaul_model::fleet::Host>) -> Self {
        Self::of_hosts(hosts.map(|host| {
            let roles = host.roles.iter().map(|role| role.as_str());
            let zone = host.zone.iter().map(|zone| zone.as_str());
            (host.name.as_str(), roles.chain(zone).collect())
        }))
    }

    /// The membership of hosts that stand in an order of their own, each with its groups.
    pub(super) fn of_hosts<'h>(hosts: impl Iterator<Item = (&'h str, Vec<&'h str>)>) -> Self {
        let mut out = Self::default();
        out.groups.insert(ALL.to_owned(), Vec::new());
        out.groups.insert(UNGROUPED.to_owned(), Vec::new());
        for (host, groups) in hosts {
            out.hosts.push(host.to_owned());
            let alone = [UNGROUPED];
            let named = if groups.is_empty() {
                &alone
            } else {
                groups.as_slice()
            };
            for group in named.iter().chain([&ALL]) {
                let members = out.groups.entry((*group).to_owned()).or_default();
                members.push(host.to_owned());
            }
        }
        out
    }
}

/// The group that every host belongs to.
pub(super) const ALL: &str = "all";

/// The group of hosts without another one.
pub(super) const UNGROUPED: &str = "ungrouped";
