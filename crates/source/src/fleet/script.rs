//! What inventory programs say: JSON with groups, and the variables of hosts under `_meta`.

use super::book::{Book, FileId, Place};
use super::common::{check_host, set_group_variable};
use super::data::{Data, DataEntry, DataTree};
use super::inventory::Inventory;
use super::value::{Value, Var};
use super::yaml::host_variables;
use crate::node::shortened;
use std::collections::HashSet;

/// Hosts of one program that are asked for one by one: each takes a start of the program.
pub(super) const ASKED_MAX: usize = 2_000;

/// Whether a file holds what a program would say, as `ansible-inventory --list` writes it.
pub(super) fn looks_like(groups: &[DataEntry]) -> bool {
    let hosts_listed = |entry: &DataEntry| match &entry.value.tree {
        DataTree::Map(sections) => sections.iter().any(|section| {
            let names = matches!(section.key.as_str(), "hosts" | "children");
            names && matches!(section.value.tree, DataTree::List(_))
        }),
        DataTree::Leaf(_) | DataTree::List(_) => false,
    };
    groups
        .iter()
        .any(|entry| entry.key == "_meta" || hosts_listed(entry))
}

/// What a program said to `--list`.
pub(super) struct Said {
    /// The hosts that it named, in their order.
    pub(super) hosts: Vec<String>,
    /// Whether it said the hosts' variables at once.
    pub(super) has_variables: bool,
}

/// Reads groups and hosts into the inventory; problems go to the book.
pub(super) fn read(
    book: &Book,
    inventory: &mut Inventory,
    file: FileId,
    source: &str,
    groups: Vec<DataEntry>,
) -> Said {
    let mut reader = Reader {
        book,
        inventory,
        source,
        whole: file.whole(),
        hosts: Vec::new(),
        known: HashSet::new(),
    };
    let mut variables = None;
    for entry in groups {
        match entry.key.as_str() {
            "_meta" => variables = Some(reader.meta(entry.value)),
            _ => reader.group(entry),
        }
    }
    let has_variables = variables.is_some();
    for entry in variables.into_iter().flatten() {
        reader.variables(&entry.key, entry.value);
    }
    Said {
        hosts: reader.hosts,
        has_variables,
    }
}

/// Takes over what the program said to `--host NAME`.
pub(super) fn read_host(book: &Book, inventory: &mut Inventory, host: &str, said: Data) {
    if let (Some(at), Some(vars)) = (
        inventory.host_places.get(host).copied(),
        host_variables(book, said),
    ) && let Some(host) = inventory.hosts.get_mut(at)
    {
        host.vars.extend(vars);
    }
}

struct Reader<'r> {
    book: &'r Book,
    inventory: &'r mut Inventory,
    source: &'r str,
    whole: Place,
    hosts: Vec<String>,
    known: HashSet<String>,
}

impl Reader<'_> {
    fn wrong(&self, place: Place, message: String) {
        self.book.problem(place, message, None);
    }

    fn meta(&self, meta: Data) -> Vec<DataEntry> {
        let place = meta.place;
        let hostvars = match meta.tree {
            DataTree::Map(entries) => entries.into_iter().find(|e| e.key == "hostvars"),
            DataTree::Leaf(_) | DataTree::List(_) => None,
        };
        match hostvars.map(|entry| entry.value.tree) {
            Some(DataTree::Map(entries)) => entries,
            _ => {
                let message = "`_meta` holds no `hostvars` with hosts and their variables";
                self.wrong(place, message.to_owned());
                Vec::new()
            }
        }
    }

    fn variables(&mut self, host: &str, said: Data) {
        // Variables of hosts that stand in no group are passed over, as Ansible does.
        if self.known.contains(host) {
            read_host(self.book, self.inventory, host, said);
        }
    }

    fn group(&mut self, entry: DataEntry) {
        let name = entry.key;
        if name.is_empty() {
            return self.wrong(entry.key_place, "a group has no name".to_owned());
        }
        let group = self.inventory.group(&name, entry.key_place);
        let place = entry.value.place;
        let sections = match entry.value.tree {
            DataTree::Map(sections) => sections,
            tree => vec![section("hosts", Data { place, tree })],
        };
        let known = ["hosts", "vars", "children"];
        if !sections.iter().any(|s| known.contains(&s.key.as_str())) {
            let message = format!(
                "the group `{}` has neither `hosts` nor `vars` nor `children`",
                shortened(&name)
            );
            return self.wrong(place, message);
        }
        for section in sections {
            match section.key.as_str() {
                "hosts" => self.hosts_of(group, &name, section.value),
                "vars" => self.group_variables(group, &name, section.value),
                "children" => self.children(group, &name, section.value),
                _ => {}
            }
        }
    }

    fn hosts_of(&mut self, group: usize, name: &str, data: Data) {
        let place = data.place;
        let DataTree::List(items) = data.tree else {
            let message = format!("the hosts of `{}` are no list", shortened(name));
            return self.wrong(place, message);
        };
        for item in items {
            let DataTree::Leaf(Value::Text(host)) = item.tree else {
                let message = format!("a host of `{}` is no text", shortened(name));
                self.wrong(item.place, message);
                continue;
            };
            if !check_host(self.book, &host, item.place) {
                continue;
            }
            self.inventory
                .host(&host, group, None, item.place, self.source);
            if self.known.insert(host.clone()) {
                self.hosts.push(host);
            }
        }
    }

    fn group_variables(&mut self, group: usize, name: &str, data: Data) {
        let place = data.place;
        let DataTree::Map(entries) = data.tree else {
            let message = format!("the variables of `{}` have no names", shortened(name));
            return self.wrong(place, message);
        };
        for entry in entries {
            let var = Var::new(entry.value.clone().into_value(), entry.value.place);
            set_group_variable(self.book, self.inventory, group, &entry.key, var);
        }
    }

    fn children(&mut self, group: usize, name: &str, data: Data) {
        let place = data.place;
        let names: Vec<Data> = match data.tree {
            DataTree::List(items) => items,
            DataTree::Map(entries) => {
                let keys = entries.into_iter().map(|entry| Data {
                    place: entry.key_place,
                    tree: DataTree::Leaf(Value::Text(entry.key)),
                });
                keys.collect()
            }
            DataTree::Leaf(_) => {
                let message = format!("the children of `{}` are no list", shortened(name));
                return self.wrong(place, message);
            }
        };
        for child in names {
            match child.tree {
                DataTree::Leaf(Value::Text(child_name)) if !child_name.is_empty() => {
                    let child = self.inventory.group(&child_name, self.whole);
                    self.inventory.join(group, child, place);
                }
                _ => {
                    let message = format!("a child of `{}` is no text", shortened(name));
                    self.wrong(place, message);
                }
            }
        }
    }
}

fn section(key: &str, value: Data) -> DataEntry {
    DataEntry {
        key: key.to_owned(),
        is_text: true,
        key_place: value.place,
        value,
    }
}
