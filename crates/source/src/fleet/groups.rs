//! The groups of an INI inventory: who belongs to whom, and whose variables win.

use crate::problem::Sink;
use crate::words::suggestion;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

pub(super) use super::membership::{ALL, UNGROUPED};

/// A variable with the place of its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    pub(super) json: serde_json::Value,
    pub(super) span: Range<usize>,
}

/// Variables by name.
pub(super) type PlacedVars = BTreeMap<String, Placed>;

#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// Whether a section `[name]` or `[name:children]` stands in the file.
    pub(super) declared: bool,
    /// Where it is named first.
    pub(super) span: Range<usize>,
    pub(super) vars: PlacedVars,
    /// Groups inside it, each with the place where that is said.
    pub(super) children: Vec<(String, Range<usize>)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct InventoryHost {
    pub(super) span: Range<usize>,
    pub(super) vars: PlacedVars,
    pub(super) groups: BTreeSet<String>,
}

/// An INI inventory as it stands in the file.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) hosts: BTreeMap<String, InventoryHost>,
}

/// Groups with what follows from their nesting.
pub(super) struct Tree<'i> {
    inventory: &'i Inventory,
    /// All groups above a group, itself included, in the order in which their variables are laid over
    /// each other.
    above: BTreeMap<&'i str, Vec<&'i str>>,
    order: BTreeMap<&'i str, (usize, i64)>,
}

impl<'i> Tree<'i> {
    /// Works out the nesting; reports groups that are named and not there, and circles.
    pub(super) fn of(sink: &Sink, inventory: &'i Inventory) -> Option<Self> {
        let known = inventory.groups.iter().filter(|(_, group)| group.declared);
        let known: BTreeSet<&str> = known.map(|(name, _)| name.as_str()).collect();
        for (name, group) in &inventory.groups {
            for (child, span) in &group.children {
                if !known.contains(child.as_str()) {
                    undefined(sink, &known, child, span);
                }
            }
            if !group.declared && name != ALL && name != UNGROUPED {
                undefined(sink, &known, name, &group.span);
            }
        }
        let mut parents: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, group) in &inventory.groups {
            for (child, _) in &group.children {
                parents.entry(child).or_default().insert(name);
            }
        }
        let depths = depths(sink, inventory, &parents)?;
        let order = depths.iter().map(|(name, depth)| {
            let priority = inventory
                .groups
                .get(*name)
                .and_then(|group| group.vars.get("ansible_group_priority"))
                .and_then(|placed| placed.json.as_i64())
                .unwrap_or(1);
            (*name, (*depth, priority))
        });
        let mut tree = Self {
            inventory,
            above: BTreeMap::new(),
            order: order.collect(),
        };
        for name in inventory.groups.keys() {
            tree.above.insert(name, ancestors(name, &parents));
        }
        Some(tree)
    }

    /// The groups that a host belongs to, from the most general to the most particular.
    pub(super) fn groups_of(&self, host: &'i InventoryHost) -> Vec<&'i str> {
        let above = host
            .groups
            .iter()
            .filter_map(|name| self.above.get(name.as_str()));
        let names: BTreeSet<&str> = above.flatten().copied().chain([ALL]).collect();
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_by_key(|name| (self.order.get(name).copied().unwrap_or((0, 1)), *name));
        names
    }

    /// A host's variables: of all hosts, of parents, of children, its own.
    pub(super) fn vars_of(&self, host: &'i InventoryHost) -> BTreeMap<&'i str, &'i Placed> {
        let groups = self.groups_of(host).into_iter();
        groups
            .filter_map(|name| self.inventory.groups.get(name))
            .flat_map(|group| &group.vars)
            .chain(&host.vars)
            .map(|(name, placed)| (name.as_str(), placed))
            .collect()
    }
}

fn undefined(sink: &Sink, known: &BTreeSet<&str>, name: &str, span: &Range<usize>) {
    let message = format!("there is no group `{name}`");
    let help = suggestion(name, known.iter().copied(), "the groups are");
    sink.add_with_help(span, message, help);
}

fn ancestors<'i>(name: &'i str, parents: &BTreeMap<&'i str, BTreeSet<&'i str>>) -> Vec<&'i str> {
    let mut seen = BTreeSet::from([name]);
    let mut open = vec![name];
    while let Some(name) = open.pop() {
        for parent in parents.get(name).into_iter().flatten() {
            if seen.insert(parent) {
                open.push(parent);
            }
        }
    }
    seen.into_iter().collect()
}

/// The longest way from `all` to each group. Groups are settled once all their parents are; what is
/// never settled stands on or below a circle.
fn depths<'i>(
    sink: &Sink,
    inventory: &'i Inventory,
    parents: &BTreeMap<&'i str, BTreeSet<&'i str>>,
) -> Option<BTreeMap<&'i str, usize>> {
    let mut waits: BTreeMap<&str, usize> = inventory
        .groups
        .keys()
        .map(|name| {
            (
                name.as_str(),
                parents.get(name.as_str()).map_or(0, BTreeSet::len),
            )
        })
        .collect();
    let mut depths: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ready: Vec<&str> = waits
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(name, _)| *name)
        .collect();
    while let Some(name) = ready.pop() {
        let floor = usize::from(name != ALL);
        let depth = *depths.entry(name).or_insert(floor);
        let Some(group) = inventory.groups.get(name) else {
            continue;
        };
        let children: BTreeSet<&str> = group.children.iter().map(|(c, _)| c.as_str()).collect();
        for child in children {
            let below = depths.entry(child).or_insert(1);
            *below = (*below).max(depth.saturating_add(1));
            if let Some(count) = waits.get_mut(child) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    ready.push(child);
                }
            }
        }
    }
    let stuck: Vec<&str> = waits
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(name, _)| *name)
        .collect();
    if stuck.is_empty() {
        return Some(depths);
    }
    report_circle(sink, inventory, &stuck);
    None
}

fn report_circle(sink: &Sink, inventory: &Inventory, stuck: &[&str]) {
    // Walking up from a stuck group never leaves the stuck ones, so it must come back to one of them.
    let mut way: Vec<&str> = Vec::new();
    let mut at = stuck.first().copied();
    while let Some(name) = at {
        if let Some(first) = way.iter().position(|seen| *seen == name) {
            way.drain(..first);
            break;
        }
        way.push(name);
        at = stuck.iter().copied().find(|above| {
            let group = inventory.groups.get(*above);
            group.is_some_and(|group| group.children.iter().any(|(child, _)| child == name))
        });
    }
    let span = way.iter().find_map(|name| {
        let group = inventory.groups.get(*name)?;
        let inside = group.children.iter();
        let mut inside = inside.filter(|(child, _)| way.contains(&child.as_str()));
        inside.next().map(|(_, span)| span.clone())
    });
    let names: Vec<_> = way.iter().map(|name| format!("`{name}`")).collect();
    let message = format!(
        "groups stand inside each other in a circle: {}",
        names.join(", ")
    );
    sink.add(&span.unwrap_or(0..0), message);
}
