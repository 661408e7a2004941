//! What an inventory says: hosts, groups and variables, with Ansible's order and precedence.

use super::book::{Book, Place};
use super::layers::Layer;
use super::membership::{ALL, Membership, UNGROUPED};
use super::value::Var;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Variables by name.
pub type Variables = BTreeMap<String, Var>;

/// A host.
#[derive(Debug)]
pub struct InventoryHost {
    /// Its name.
    pub name: String,
    /// Where it is named first.
    pub place: Place,
    /// The file or program that named it first, and the folder of that.
    pub(super) source: String,
    /// What its inventory says of it, without groups and `host_vars`.
    pub vars: Variables,
    /// The groups that it stands in itself.
    pub(super) groups: Vec<usize>,
}

/// A group.
#[derive(Debug)]
pub struct InventoryGroup {
    /// Its name.
    pub name: String,
    /// Where it is named first.
    pub place: Place,
    /// Hosts that stand in it themselves, in their order; places in the inventory's hosts.
    pub(super) hosts: Vec<usize>,
    members: HashSet<usize>,
    /// Groups inside it, in their order; places in the inventory's groups.
    pub(super) children: Vec<usize>,
    /// Where each of them is named.
    pub(super) child_places: Vec<Place>,
    pub(super) parents: Vec<usize>,
    /// What its inventory says of it, without `group_vars`.
    pub vars: Variables,
    /// `ansible_group_priority`, 1 as a rule.
    pub priority: i64,
    /// The longest way down from `all`.
    pub depth: usize,
}

/// Hosts, groups and variables.
#[derive(Debug)]
pub struct Inventory {
    /// Hosts in the order in which they are named first.
    pub hosts: Vec<InventoryHost>,
    /// Groups in the order in which they are named first; `all` and `ungrouped` come first.
    pub groups: Vec<InventoryGroup>,
    pub(super) host_places: HashMap<String, usize>,
    pub(super) group_places: HashMap<String, usize>,
    /// Variables from `group_vars` and `host_vars`.
    pub(super) layers: Vec<Layer>,
}

/// Where `all` and `ungrouped` stand.
pub(super) const ALL_AT: usize = 0;
pub(super) const UNGROUPED_AT: usize = 1;

impl Inventory {
    /// Without a host; the place is that of groups which nobody wrote.
    pub(super) fn new(nowhere: Place) -> Self {
        let mut out = Self {
            hosts: Vec::new(),
            groups: Vec::new(),
            host_places: HashMap::new(),
            group_places: HashMap::new(),
            layers: Vec::new(),
        };
        let all = out.group(ALL, nowhere);
        let ungrouped = out.group(UNGROUPED, nowhere);
        out.join(all, ungrouped, nowhere);
        out
    }

    pub(super) fn find_group(&self, name: &str) -> Option<usize> {
        self.group_places.get(name).copied()
    }

    /// The group of this name, made where it is missing.
    pub(super) fn group(&mut self, name: &str, place: Place) -> usize {
        if let Some(at) = self.group_places.get(name) {
            return *at;
        }
        let at = self.groups.len();
        self.groups.push(InventoryGroup {
            name: name.to_owned(),
            place,
            hosts: Vec::new(),
            members: HashSet::new(),
            children: Vec::new(),
            child_places: Vec::new(),
            parents: Vec::new(),
            vars: Variables::new(),
            priority: 1,
            depth: 0,
        });
        self.group_places.insert(name.to_owned(), at);
        at
    }

    /// The host of this name in a group, made where it is missing. Only a new host takes the port that
    /// stands behind its name.
    pub(super) fn host(
        &mut self,
        name: &str,
        group: usize,
        port: Option<Var>,
        place: Place,
        source: &str,
    ) -> usize {
        let at = match self.host_places.get(name) {
            Some(at) => *at,
            None => {
                let port = port.map(|port| ("ansible_port".to_owned(), port));
                self.hosts.push(InventoryHost {
                    name: name.to_owned(),
                    place,
                    source: source.to_owned(),
                    vars: port.into_iter().collect(),
                    groups: Vec::new(),
                });
                let at = self.hosts.len().saturating_sub(1);
                self.host_places.insert(name.to_owned(), at);
                at
            }
        };
        self.put(group, at);
        at
    }

    fn put(&mut self, group: usize, host: usize) {
        if let Some(into) = self.groups.get_mut(group)
            && into.members.insert(host)
        {
            into.hosts.push(host);
            if let Some(host) = self.hosts.get_mut(host) {
                host.groups.push(group);
            }
        }
    }

    /// Puts a group into another one. Circles are looked for at the end.
    pub(super) fn join(&mut self, parent: usize, child: usize, place: Place) {
        let Some(above) = self.groups.get_mut(parent) else {
            return;
        };
        if above.children.contains(&child) {
            return;
        }
        above.children.push(child);
        above.child_places.push(place);
        if let Some(below) = self.groups.get_mut(child) {
            below.parents.push(parent);
        }
    }

    /// What holds once all sources are read: every group stands below `all`, and a host without a group
    /// is in `ungrouped`. False when groups stand in a circle.
    pub(super) fn settle(&mut self, book: &Book) -> bool {
        self.check_names(book);
        let tops: Vec<usize> = (1..self.groups.len())
            .filter(|at| {
                let group = self.groups.get(*at);
                group.is_some_and(|group| group.parents.is_empty())
            })
            .collect();
        for top in tops {
            if let Some(place) = self.groups.get(top).map(|group| group.place) {
                self.join(ALL_AT, top, place);
            }
        }
        if !super::order::depths(self, book) {
            return false;
        }
        for at in 0..self.hosts.len() {
            let of_host = |host: &InventoryHost| {
                let named = |group: &usize| *group != ALL_AT && *group != UNGROUPED_AT;
                (
                    host.groups.iter().any(named),
                    host.groups.contains(&UNGROUPED_AT),
                )
            };
            let (grouped, ungrouped) = self.hosts.get(at).map(of_host).unwrap_or_default();
            match (grouped, ungrouped) {
                (true, true) => self.take_out_of_ungrouped(at),
                (false, false) => self.put(UNGROUPED_AT, at),
                _ => {}
            }
        }
        true
    }

    fn take_out_of_ungrouped(&mut self, host: usize) {
        if let Some(group) = self.groups.get_mut(UNGROUPED_AT)
            && group.members.remove(&host)
        {
            group.hosts.retain(|at| *at != host);
        }
        if let Some(host) = self.hosts.get_mut(host) {
            host.groups.retain(|group| *group != UNGROUPED_AT);
        }
    }

    fn check_names(&self, book: &Book) {
        for host in &self.hosts {
            if let Some(group) = self
                .find_group(&host.name)
                .and_then(|at| self.groups.get(at))
            {
                let message = format!(
                    "`{}` is the name of a host and of a group ({})",
                    host.name,
                    book.say(group.place)
                );
                let help = "Ansible would mix up their variables; give one of them another name";
                book.problem(host.place, message, help.to_owned());
            }
        }
        let below = self.groups.get(UNGROUPED_AT);
        if below.is_some_and(|group| group.parents.len() > 1) {
            let place = below.map(|group| group.place);
            let message = "`ungrouped` stands inside another group than `all`";
            let help =
                "hosts in it would belong to no group at all; give them a group of their own";
            if let Some(place) = place {
                book.problem(place, message, help.to_owned());
            }
        }
    }

    /// Who belongs to whom.
    pub fn membership(&self) -> Membership {
        let names = |hosts: Vec<usize>| -> Vec<String> {
            let hosts = hosts.into_iter().filter_map(|at| self.hosts.get(at));
            hosts.map(|host| host.name.clone()).collect()
        };
        let groups = self.groups.iter().enumerate();
        Membership {
            hosts: self.hosts.iter().map(|host| host.name.clone()).collect(),
            groups: groups
                .map(|(at, group)| (group.name.clone(), names(super::order::hosts_of(self, at))))
                .collect(),
        }
    }
}
