//! In which order roles change: as written, but none before those that it comes after.

use super::root::Names;
use crate::node::{Entry, Node, Tree, shortened};
use crate::problem::Sink;
use crate::reader;
use crate::words::suggestion;
use overhaul_model::definition::RoleUpgrade;
use overhaul_model::id::RoleName;

/// The roles that a role comes after.
pub(super) fn after(sink: &Sink, names: &Names, role: &str, node: &Node) -> Vec<RoleName> {
    let one = std::slice::from_ref(node);
    let written = match &node.tree {
        Tree::List(items) => items,
        _ => one,
    };
    let known = |node: &Node| {
        let name = reader::text(sink, node)?;
        if name == role {
            sink.add(&node.span, format!("`{role}` comes after itself"));
            return None;
        }
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
    };
    written.iter().filter_map(known).collect()
}

/// The roles in the order in which they change. Those in a circle are reported, and left out.
pub(super) fn in_order(
    sink: &Sink,
    written: &[Entry],
    roles: Vec<RoleUpgrade>,
) -> Vec<RoleUpgrade> {
    let mut waiting = roles;
    let mut out: Vec<RoleUpgrade> = Vec::with_capacity(waiting.len());
    loop {
        // A role that was not understood was reported; nothing waits for it.
        let free = |role: &RoleUpgrade| {
            let is_waiting = |name: &RoleName| waiting.iter().any(|other| other.role == *name);
            !role.after.iter().any(is_waiting)
        };
        let Some(next) = waiting.iter().position(free) else {
            break;
        };
        out.push(waiting.remove(next));
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
