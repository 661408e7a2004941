//! What follows from the nesting of groups: circles, depths, and the order of hosts.

use super::book::Book;
use super::inventory::{ALL_AT, Inventory, InventoryHost};
use std::collections::HashSet;

/// Works out the longest way down from `all` to each group. Groups are settled once all their parents
/// are; what is never settled stands on or below a circle, which is reported.
pub(super) fn depths(inventory: &mut Inventory, book: &Book) -> bool {
    let mut waits: Vec<usize> = inventory.groups.iter().map(|g| g.parents.len()).collect();
    let mut ready: Vec<usize> = (0..waits.len())
        .filter(|at| waits.get(*at) == Some(&0))
        .collect();
    let mut settled: usize = 0;
    while let Some(at) = ready.pop() {
        settled = settled.saturating_add(1);
        let Some(group) = inventory.groups.get(at) else {
            continue;
        };
        let below = group.depth.saturating_add(1);
        for child in group.children.clone() {
            if let Some(child) = inventory.groups.get_mut(child) {
                child.depth = child.depth.max(below);
            }
            if let Some(count) = waits.get_mut(child) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    ready.push(child);
                }
            }
        }
    }
    if settled == inventory.groups.len() {
        return true;
    }
    let stuck: Vec<usize> = (0..waits.len())
        .filter(|at| waits.get(*at).is_some_and(|count| *count > 0))
        .collect();
    report_circle(inventory, book, &stuck);
    false
}

fn report_circle(inventory: &Inventory, book: &Book, stuck: &[usize]) {
    // Walking up from a stuck group never leaves the stuck ones, so it must come back to one of them.
    let mut way: Vec<usize> = Vec::new();
    let mut at = stuck.first().copied();
    while let Some(here) = at {
        if let Some(first) = way.iter().position(|seen| *seen == here) {
            way.drain(..first);
            break;
        }
        way.push(here);
        let group = inventory.groups.get(here);
        let parents = group
            .map(|group| group.parents.as_slice())
            .unwrap_or_default();
        at = parents
            .iter()
            .copied()
            .find(|parent| stuck.contains(parent));
    }
    let groups = || way.iter().filter_map(|at| inventory.groups.get(*at));
    let names: Vec<_> = groups().map(|group| format!("`{}`", group.name)).collect();
    let message = format!(
        "groups stand inside each other in a circle: {}",
        names.join(", ")
    );
    let help = "take one of them out of the other";
    let edges = groups()
        .filter(|group| group.name != "all")
        .flat_map(|group| {
            let pairs = group.children.iter().zip(&group.child_places);
            let inside = pairs.filter(|(child, _)| way.contains(child));
            inside.map(|(_, place)| *place)
        });
    let place = edges
        .min()
        .or_else(|| groups().map(|group| group.place).next());
    if let Some(place) = place {
        book.problem(place, message, help.to_owned());
    }
}

/// The hosts of a group and of all groups below it, level by level, each once.
///
/// Ansible's own order below the second level goes by memory addresses where several groups of a level
/// have children; here it goes by the order of those groups.
pub(super) fn hosts_of(inventory: &Inventory, group: usize) -> Vec<usize> {
    let mut groups_seen = HashSet::from([group]);
    let mut hosts_seen = HashSet::new();
    let mut out = Vec::new();
    let mut level = vec![group];
    while !level.is_empty() {
        let mut next = Vec::new();
        for group in level.iter().filter_map(|at| inventory.groups.get(*at)) {
            out.extend(
                group
                    .hosts
                    .iter()
                    .copied()
                    .filter(|host| hosts_seen.insert(*host)),
            );
            let new = group.children.iter().copied();
            next.extend(new.filter(|child| groups_seen.insert(*child)));
        }
        level = next;
    }
    out
}

/// A host's groups with all groups above them but `all`, in the order in which their variables are laid
/// over each other: by depth, priority and name.
pub(super) fn groups_of(inventory: &Inventory, host: &InventoryHost) -> Vec<usize> {
    let mut seen = HashSet::from([ALL_AT]);
    let mut open: Vec<usize> = Vec::new();
    let mut out = Vec::new();
    open.extend(host.groups.iter().copied());
    while let Some(at) = open.pop() {
        if !seen.insert(at) {
            continue;
        }
        out.push(at);
        if let Some(group) = inventory.groups.get(at) {
            open.extend(group.parents.iter().copied());
        }
    }
    out.sort_by_key(|at| {
        let group = inventory.groups.get(*at);
        group.map(|group| (group.depth, group.priority, group.name.as_str()))
    });
    out
}
