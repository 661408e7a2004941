//! YAML inventories: groups with `hosts`, `children` and `vars`.

use super::address::hosts_of;
use super::book::{Book, Place};
use super::common::{check_host, set_group_variable};
use super::data::{Data, DataEntry, DataTree};
use super::inventory::Inventory;
use super::short::HOSTS_MAX;
use super::value::{Value, Var};
use crate::node::shortened;
use crate::words::suggestion;

const SECTIONS: [&str; 3] = ["hosts", "children", "vars"];

/// Reads what a file holds into the inventory; problems go to the book.
pub(super) fn read(book: &Book, inventory: &mut Inventory, source: &str, groups: Vec<DataEntry>) {
    let mut reader = Reader {
        book,
        inventory,
        source,
    };
    for entry in groups {
        reader.group(entry);
    }
}

struct Reader<'r> {
    book: &'r Book,
    inventory: &'r mut Inventory,
    source: &'r str,
}

impl Reader<'_> {
    /// The group, if the entry is one.
    fn group(&mut self, entry: DataEntry) -> Option<usize> {
        let name = &entry.key;
        if !entry.is_text || name.is_empty() {
            let message = format!("the name of a group is a text, not `{}`", shortened(name));
            let help = "put quotes around it";
            self.book.problem(entry.key_place, message, help.to_owned());
            return None;
        }
        let sections = match entry.value.tree {
            DataTree::Map(sections) => sections,
            DataTree::Leaf(Value::Null) => Vec::new(),
            DataTree::Leaf(_) | DataTree::List(_) => {
                let message = format!(
                    "`{}` is passed over: a group holds {}",
                    shortened(name),
                    KEYS
                );
                self.book.note(entry.key_place, message, None);
                return None;
            }
        };
        let group = self.inventory.group(name, entry.key_place);
        for section in sections {
            self.section(group, section);
        }
        Some(group)
    }

    fn section(&mut self, group: usize, section: DataEntry) {
        let key = section.key.as_str();
        if !SECTIONS.contains(&key) {
            let message = format!(
                "`{}` is passed over: a group holds {}",
                shortened(key),
                KEYS
            );
            let help = suggestion(key, SECTIONS, "the keys are");
            return self.book.note(section.key_place, message, help);
        }
        let what = section.value.what();
        let place = section.value.place;
        let entries = match section.value.tree {
            DataTree::Map(entries) => entries,
            DataTree::Leaf(Value::Null) => return,
            DataTree::Leaf(Value::Text(name)) => vec![named(name, place)],
            DataTree::Leaf(_) | DataTree::List(_) => {
                let message = format!("`{key}` is written as names with values, not {what}");
                let help = "write `NAME:` on a line of its own, without a `-`";
                return self.book.problem(place, message, help.to_owned());
            }
        };
        for entry in entries {
            match key {
                "vars" => {
                    let var = Var::new(entry.value.clone().into_value(), entry.value.place);
                    set_group_variable(self.book, self.inventory, group, &entry.key, var);
                }
                "children" => self.child(group, entry),
                _ => self.host(group, entry),
            }
        }
    }

    fn child(&mut self, group: usize, entry: DataEntry) {
        let place = entry.key_place;
        let is_group = entry.value.is_null() || matches!(entry.value.tree, DataTree::Map(_));
        if !is_group {
            let message = format!("a group holds {KEYS}, not {}", entry.value.what());
            return self.book.problem(entry.value.place, message, None);
        }
        if let Some(child) = self.group(entry) {
            self.inventory.join(group, child, place);
        }
    }

    fn host(&mut self, group: usize, entry: DataEntry) {
        let place = entry.key_place;
        if !entry.is_text {
            let message = format!(
                "the name of a host is a text, not `{}`",
                shortened(&entry.key)
            );
            let help = "put quotes around it";
            return self.book.problem(place, message, help.to_owned());
        }
        let room = HOSTS_MAX.saturating_sub(self.inventory.hosts.len());
        let (names, port) = match hosts_of(&entry.key, room) {
            Ok(found) => found,
            Err(fault) => return self.book.problem(place, fault.to_string(), None),
        };
        let Some(vars) = host_variables(self.book, entry.value) else {
            return;
        };
        for name in names {
            if !check_host(self.book, &name, place) {
                return;
            }
            let port = port
                .filter(|port| *port > 0)
                .map(|port| Var::new(Value::Number(port.into()), place));
            let host = self.inventory.host(&name, group, port, place, self.source);
            if let Some(host) = self.inventory.hosts.get_mut(host) {
                host.vars.extend(vars.iter().cloned());
            }
        }
    }
}

const KEYS: &str = "`hosts`, `children` and `vars`";

/// A section that is one name instead of names with values.
fn named(name: String, place: Place) -> DataEntry {
    DataEntry {
        key: name,
        is_text: true,
        key_place: place,
        value: Data {
            place,
            tree: DataTree::Leaf(Value::Null),
        },
    }
}

/// The variables of a host; reports what is no variables.
pub(super) fn host_variables(book: &Book, data: Data) -> Option<Vec<(String, Var)>> {
    if data.is_empty() {
        return Some(Vec::new());
    }
    let what = data.what();
    let DataTree::Map(entries) = data.tree else {
        let message = format!("a host's variables are written as names with values, not {what}");
        book.problem(data.place, message, None);
        return None;
    };
    let vars = entries.into_iter().map(|entry| {
        let place = entry.value.place;
        (entry.key, Var::new(entry.value.into_value(), place))
    });
    Some(vars.collect())
}
