//! Roles: a strategy with what is placed in its slots.

use super::belonging;
use super::block::BlockReader;
use super::near::rebuild;
use super::order::order;
use super::role_shapes::ROLE;
use super::root::Names;
use super::sequence::after as after_roles;
use super::step::guards;
use super::strategy::strategy;
use crate::node::{Entry, Node, Tree, shortened};
use crate::problem::Sink;
use crate::reader::{self, Fields};
use crate::templates::Desk;
use crate::words::suggestion;
use overhaul_model::definition::{Dataset, Origin, RoleUpgrade, Slot, WrittenAction, WrittenBlock};
use overhaul_model::id::{RoleName, ServiceName};
use std::collections::BTreeMap;
use std::ops::Range;

/// The upgrader when none is named.
const UPGRADER_DEFAULT: &str = "apt";

/// How a role changes.
pub(super) fn role(desk: &Desk, names: &Names, entry: &Entry) -> Option<RoleUpgrade> {
    let sink = desk.sink;
    let good_name = reader::check_name(sink, &entry.key, &entry.key_span);
    let fields = Fields::open(sink, &entry.value, &ROLE)?;
    let chosen = strategy(desk, &fields);
    let replace = fields.get("replace");
    let replace = replace.and_then(|node| belonging::replace(desk, node));
    let order = order(desk, fields.get("order"));
    let after = fields.get("after");
    let after = after.map(|node| after_roles(sink, names, &entry.key, node));
    let upgrader = upgrader(desk, names, &fields, entry);
    let rebuild = fields
        .get("rebuild")
        .and_then(|node| rebuild(desk, names, node));
    let guards = fields.get("guards").map(|node| guards(desk, node));
    let mut reader = BlockReader::new(desk, names, &entry.key);
    let mut slots = BTreeMap::new();
    let mut backup = Vec::new();
    for slot in Slot::ALL {
        let Some(node) = fields.get(slot.word()) else {
            continue;
        };
        let steps = match (slot, &node.tree) {
            // `change: rebuild` is the point of the strategy, which was read above.
            (Slot::Change, Tree::Scalar { .. }) => Vec::new(),
            (Slot::Backup, _) => reader.backup(node, &mut backup),
            _ => reader.list(node),
        };
        if !steps.is_empty() {
            slots.insert(slot, steps);
        }
    }
    let who = [("by-strategy", false), ("by-steps", true)];
    let by_steps = fields.word("services", &who).unwrap_or(false);
    let stay_up = fields.get("stay_up");
    let stay_up = stay_up.map(|node| stay_up_of(sink, names, node, &slots));
    fields.done();
    if !good_name {
        return None;
    }
    let chosen = chosen?;
    Some(RoleUpgrade {
        role: RoleName::new(entry.key.clone()),
        strategy: chosen.strategy,
        order,
        after: after.unwrap_or_default(),
        upgrader,
        carry: chosen.carry,
        volumes: chosen.volumes,
        replace: replace.unwrap_or_default(),
        backup,
        rebuild,
        guards: guards.unwrap_or_default(),
        by_steps,
        stay_up: stay_up.unwrap_or_default(),
        slots,
        origin: Origin {
            file: sink.file.name.clone(),
            line: sink.line(&entry.key_span),
        },
    })
}

/// Services that stay up, each with the step that ends it: one that stops or holds a unit.
fn stay_up_of(
    sink: &Sink,
    names: &Names,
    node: &Node,
    slots: &BTreeMap<Slot, Vec<WrittenBlock>>,
) -> BTreeMap<ServiceName, Option<String>> {
    let known = |name: &str, span: &Range<usize>| {
        let is_known = names.services.contains(name);
        if !is_known {
            let message = format!("there is no service `{}`", shortened(name));
            let services = names.services.iter().map(String::as_str);
            sink.add_with_help(
                span,
                message,
                suggestion(name, services, "the services are"),
            );
        }
        is_known
    };
    if let Tree::List(_) = &node.tree {
        let listed = reader::list(sink, node, |node| {
            let name = reader::text(sink, node)?;
            known(&name, &node.span).then(|| (ServiceName::new(name), None))
        });
        return listed.into_iter().collect();
    }
    let stops = |action: &WrittenAction| {
        use overhaul_model::action::ServiceOp::{Hold, Stop};
        matches!(
            action,
            WrittenAction::Service {
                op: Hold | Stop,
                ..
            }
        )
    };
    let steps = slots.values().flatten().flat_map(WrittenBlock::steps);
    let ends: Vec<&str> = steps
        .filter(|step| stops(&step.action))
        .map(|step| step.name.as_str())
        .collect();
    let mut out = BTreeMap::new();
    for entry in reader::map(sink, node, "services that stay up") {
        let Some(end) = reader::text(sink, &entry.value) else {
            continue;
        };
        if !ends.contains(&end.as_str()) {
            let message = format!("no step `{}` of this role stops a service", shortened(&end));
            let help = suggestion(&end, ends.iter().copied(), "the steps that stop one are");
            sink.add_with_help(&entry.value.span, message, help);
        }
        if known(&entry.key, &entry.key_span) {
            out.insert(ServiceName::new(entry.key.clone()), Some(end));
        }
    }
    out
}

fn upgrader(desk: &Desk, names: &Names, fields: &Fields, entry: &Entry) -> String {
    let node = fields.get("upgrader");
    let name = match node {
        Some(node) => reader::text(desk.sink, node),
        None => Some(UPGRADER_DEFAULT.to_owned()),
    };
    let Some(name) = name else {
        return UPGRADER_DEFAULT.to_owned();
    };
    if !names.upgraders.contains(&name) {
        let span = node.map_or(&entry.key_span, |node| &node.span);
        let message = format!("there is no upgrader `{}`", shortened(&name));
        let known = names.upgraders.iter().map(String::as_str);
        desk.sink
            .add_with_help(span, message, suggestion(&name, known, "the upgraders are"));
    }
    name
}

/// The role that a dataset lives on, as far as that can be told.
pub(super) fn home_of(
    dataset: &Dataset,
    services: &BTreeMap<String, Option<String>>,
) -> Option<String> {
    // A host that was named may be of any role.
    let home = services.get(dataset.of.as_str()).cloned().flatten();
    home.filter(|_| dataset.authority.is_none())
}
