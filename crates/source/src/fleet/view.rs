//! An inventory as it is asked: the variables that count for a host, and a picture of the whole.

use super::inventory::{ALL_AT, Inventory, InventoryHost, Variables};
use super::layers::Layer;
use super::order::groups_of;
use super::value::Var;
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, HashMap};

/// Variables by name, borrowed from the places where they were written.
pub type Merged<'i> = BTreeMap<&'i str, &'i Var>;

/// Names that Ansible sets itself, and never prints as variables.
const ANSIBLES_OWN: &[&str] = &[
    "ansible_async_path",
    "ansible_collection_name",
    "ansible_config_file",
    "ansible_dependent_role_names",
    "ansible_diff_mode",
    "ansible_facts",
    "ansible_forks",
    "ansible_inventory_sources",
    "ansible_limit",
    "ansible_play_batch",
    "ansible_play_hosts",
    "ansible_play_hosts_all",
    "ansible_play_role_names",
    "ansible_playbook_python",
    "ansible_role_name",
    "ansible_role_names",
    "ansible_run_tags",
    "ansible_skip_tags",
    "ansible_verbosity",
    "ansible_version",
    "group_names",
    "groups",
    "hostvars",
    "inventory_dir",
    "inventory_file",
    "inventory_hostname",
    "inventory_hostname_short",
    "play_hosts",
    "playbook_dir",
    "role_name",
    "role_names",
    "role_path",
    "role_uuid",
];

/// Whether Ansible sets a variable itself, whatever an inventory says.
pub(super) fn is_ansibles_own(name: &str) -> bool {
    ANSIBLES_OWN.contains(&name)
}

/// Merges variables; hosts with the same groups share the work.
pub(super) struct Merger<'i> {
    inventory: &'i Inventory,
    shared: HashMap<Vec<usize>, Merged<'i>>,
}

impl<'i> Merger<'i> {
    pub(super) fn new(inventory: &'i Inventory) -> Self {
        Self {
            inventory,
            shared: HashMap::new(),
        }
    }

    /// The variables of all hosts.
    pub(super) fn of_all(&self) -> Merged<'i> {
        of_groups(self.inventory, &[])
    }

    /// A host's variables with Ansible's precedence: of all hosts, of groups by depth, priority and
    /// name, and of the host; within each the inventory, then files beside it, then beside the definition.
    pub(super) fn of(&mut self, at: usize, host: &'i InventoryHost) -> Merged<'i> {
        let groups = groups_of(self.inventory, host);
        let inventory = self.inventory;
        let mut out = self
            .shared
            .entry(groups)
            .or_insert_with_key(|groups| of_groups(inventory, groups))
            .clone();
        lay(&mut out, Some(&host.vars));
        for layer in &inventory.layers {
            lay(&mut out, layer.hosts.get(&at));
        }
        out
    }
}

fn of_groups<'i>(inventory: &'i Inventory, groups: &[usize]) -> Merged<'i> {
    let mut out = Merged::new();
    for at in std::iter::once(&ALL_AT).chain(groups) {
        lay(&mut out, inventory.groups.get(*at).map(|group| &group.vars));
    }
    let layers = |beside_definition: bool| {
        let all = inventory.layers.iter();
        all.filter(move |layer: &&Layer| layer.beside_definition == beside_definition)
    };
    for layer in layers(false).chain(layers(true)) {
        lay(&mut out, layer.groups.get(&ALL_AT));
    }
    for layer in layers(false).chain(layers(true)) {
        for at in groups {
            lay(&mut out, layer.groups.get(at));
        }
    }
    out
}

fn lay<'i>(out: &mut Merged<'i>, vars: Option<&'i Variables>) {
    for (name, var) in vars.into_iter().flatten() {
        out.insert(name, var);
    }
}

impl Inventory {
    /// A picture of the whole, as far as Ansible has one to compare it with: the hosts in the order in
    /// which they are first named, every group with its own hosts and children, and the merged variables of every host, raw.
    /// Encrypted values stay encrypted, and are marked as Ansible marks them.
    pub fn to_json(&self) -> Json {
        let host = |at: &usize| {
            self.hosts
                .get(*at)
                .map(|host| Json::from(host.name.as_str()))
        };
        let group = |at: &usize| self.groups.get(*at).map(|g| Json::from(g.name.as_str()));
        let groups: Map<String, Json> = self
            .groups
            .iter()
            .map(|of| {
                let hosts: Vec<_> = of.hosts.iter().filter_map(host).collect();
                let children: Vec<_> = of.children.iter().filter_map(group).collect();
                let shown = json!({"hosts": hosts, "children": children, "priority": of.priority, "depth": of.depth});
                (of.name.clone(), shown)
            })
            .collect();
        let mut merger = Merger::new(self);
        let hostvars: Map<String, Json> = self
            .hosts
            .iter()
            .enumerate()
            .map(|(at, host)| {
                let merged = merger.of(at, host).into_iter();
                let shown = merged.filter(|(name, _)| !is_ansibles_own(name));
                let shown = shown.map(|(name, var)| (name.to_owned(), var.value.to_json()));
                (host.name.clone(), Json::Object(shown.collect()))
            })
            .collect();
        json!({"hosts": self.membership().hosts, "groups": groups, "hostvars": hostvars})
    }
}
