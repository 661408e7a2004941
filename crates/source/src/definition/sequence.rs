//! In which order roles change: as written, but none before those that it comes after.

use super::root::Names;
use crate::node::{Entry, Node, Tree, shortened};
use crate::problem::Sink;
use crate::reader;
use crate::words::suggestion;
use overhaul_model::definition::RoleUpgrade;
use overhaul_model::id::RoleName;
use std::collections::BTreeSet;

/// The roles that a role comes after.
pub(super) fn after(sink: &Sink, names: &Names, role: &str, node: &Node) -> Vec<RoleName> {
    let one = std::slice::from_ref(node);
    let written = match &node.tree {
        Tree::List(items) => items,
        _ => one,
    };
    let other = |node: &Node| {
        let name = known(sink, names, node)?;
        if name.as_str() == role {
            sink.add(&node.span, format!("`{role}` comes after itself"));
            return None;
        }
        Some(name)
    };
    written.iter().filter_map(other).collect()
}

/// A role that this file writes about.
fn known(sink: &Sink, names: &Names, node: &Node) -> Option<RoleName> {
    let name = reader::text(sink, node)?;
    if !names.roles.contains(&name) {
        let message = format!("there is no role `{}` in this file", shortened(&name));
        let roles = names.roles.iter().map(String::as_str);
        sink.add_with_help(
            &node.span,
            message,
            suggestion(&name, roles, "the roles are"),
        );
        return None;
    }
    Some(RoleName::new(name))
}

/// Groups of roles that move together: one list of roles, or several such lists.
pub(super) fn together(sink: &Sink, names: &Names, node: &Node) -> Vec<Vec<RoleName>> {
    let several = matches!(&node.tree, Tree::List(items) if items.iter().any(|item| matches!(item.tree, Tree::List(_))));
    let mut taken: BTreeSet<RoleName> = BTreeSet::new();
    let mut group = |node: &Node| {
        let roles = reader::list(sink, node, |node| {
            let role = known(sink, names, node)?;
            if !taken.insert(role.clone()) {
                sink.add(
                    &node.span,
                    format!("`{role}` moves together with others twice"),
                );
                return None;
            }
            Some(role)
        });
        if matches!(&node.tree, Tree::List(items) if items.len() < 2) {
            let message = "one role moves together with none";
            let help = "name the roles whose hosts change in step, like `together: [controller, database]`";
            sink.add_with_help(&node.span, message, help);
        }
        Some(roles)
    };
    if several {
        reader::list(sink, node, group)
    } else {
        group(node).into_iter().collect()
    }
}

/// Roles that move together have one order, and none of them comes after another.
pub(super) fn check_together(
    sink: &Sink,
    node: Option<&Node>,
    groups: &[Vec<RoleName>],
    roles: &[RoleUpgrade],
) {
    let Some(node) = node else {
        return;
    };
    for group in groups {
        let members: Vec<&RoleUpgrade> = roles
            .iter()
            .filter(|role| group.contains(&role.role))
            .collect();
        for role in &members {
            if let Some(before) = role.after.iter().find(|name| group.contains(name)) {
                let message = format!(
                    "`{}` moves together with `{before}`, and comes after it",
                    role.role
                );
                sink.add_with_help(
                    &node.span,
                    message,
                    "take its `after` away, or leave it out here",
                );
            }
        }
        let pairs = members.iter().zip(members.iter().skip(1));
        for (one, other) in pairs {
            if one.order != other.order {
                let message = format!(
                    "`{}` and `{}` move together, and have different orders",
                    one.role, other.role
                );
                sink.add_with_help(
                    &node.span,
                    message,
                    "write the same `order` in both: it is that of their ranks",
                );
            }
        }
    }
}

/// The roles in the order in which they change; those that move together stand side by side. Those in a circle
/// are reported, and left out.
pub(super) fn in_order(
    sink: &Sink,
    written: &[Entry],
    roles: Vec<RoleUpgrade>,
    together: &[Vec<RoleName>],
) -> Vec<RoleUpgrade> {
    let mut waiting = roles;
    let mut out: Vec<RoleUpgrade> = Vec::with_capacity(waiting.len());
    while let Some(unit) = next_unit(&waiting, together) {
        let (now, later): (Vec<RoleUpgrade>, Vec<RoleUpgrade>) = waiting
            .into_iter()
            .partition(|role| unit.contains(&role.role));
        out.extend(now);
        waiting = later;
    }
    if let Some(stuck) = waiting.first() {
        let names: Vec<String> = waiting
            .iter()
            .map(|role| format!("`{}`", role.role))
            .collect();
        let entry = written
            .iter()
            .find(|entry| entry.key == stuck.role.as_str());
        let span = entry.map_or(0..0, |entry| entry.key_span.clone());
        let message = format!("{} come after each other in a circle", names.join(", "));
        sink.add_with_help(&span, message, "take one `after` of them away");
    }
    out
}

/// The first roles that wait for none that has not had its turn: one, or all that move together with it.
fn next_unit(waiting: &[RoleUpgrade], together: &[Vec<RoleName>]) -> Option<Vec<RoleName>> {
    // A role that was not understood was reported; nothing waits for it.
    let is_waiting = |name: &RoleName| waiting.iter().any(|other| other.role == *name);
    let unit_of = |role: &RoleUpgrade| -> Vec<RoleName> {
        let group = together.iter().find(|group| group.contains(&role.role));
        group.cloned().unwrap_or_else(|| vec![role.role.clone()])
    };
    let free = |unit: &Vec<RoleName>| {
        let members = waiting.iter().filter(|role| unit.contains(&role.role));
        let mut afters = members.flat_map(|role| &role.after);
        afters.all(|name| unit.contains(name) || !is_waiting(name))
    };
    waiting.iter().map(unit_of).find(free)
}
