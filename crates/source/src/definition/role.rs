//! Roles: a strategy with what is placed in its slots.

use super::order::order;
use super::root::Names;
use super::sequence::after as after_roles;
use super::shapes::ROLE;
use super::step::{PlacedStep, guards, step};
use super::strategy::strategy;
use crate::node::{Entry, Node, Tree, shortened};
use crate::reader::{self, Fields};
use crate::templates::Desk;
use crate::words::{slug, suggestion};
use overhaul_model::definition::{Dataset, Origin, RoleUpgrade, Slot, WrittenAction, WrittenStep};
use overhaul_model::id::{DatasetName, RoleName};
use std::collections::BTreeMap;
use std::ops::Range;

/// The upgrader when none is named.
const UPGRADER_DEFAULT: &str = "apt";

/// How a role changes.
pub(super) fn role(desk: &Desk, names: &Names, entry: &Entry) -> Option<RoleUpgrade> {
    let sink = desk.sink;
    let good_name = reader::check_name(sink, &entry.key, &entry.key_span);
    let fields = Fields::open(sink, &entry.value, &ROLE)?;
    let strategy = strategy(desk, &fields);
    let order = order(desk, fields.get("order"));
    let after = fields.get("after");
    let after = after.map(|node| after_roles(sink, names, &entry.key, node));
    let upgrader = upgrader(desk, names, &fields, entry);
    let guards = fields.get("guards").map(|node| guards(desk, node));
    let mut reader = RoleReader {
        desk,
        names,
        role: &entry.key,
        slugs: BTreeMap::new(),
    };
    let mut slots = BTreeMap::new();
    let mut backup = Vec::new();
    for slot in Slot::ALL {
        let Some(node) = fields.get(slot.word()) else {
            continue;
        };
        let steps = match (slot, &node.tree) {
            // `change: in-place` is the point of the strategy, which was read above.
            (Slot::Change, Tree::Scalar { .. }) => Vec::new(),
            (Slot::Backup, _) => reader.backup(node, &mut backup),
            _ => reader::list(sink, node, |node| reader.step(node)),
        };
        if !steps.is_empty() {
            slots.insert(slot, steps);
        }
    }
    fields.done();
    if !good_name {
        return None;
    }
    Some(RoleUpgrade {
        role: RoleName::new(entry.key.clone()),
        strategy: strategy?,
        order,
        after: after.unwrap_or_default(),
        upgrader,
        backup,
        rebuild: None,
        guards: guards.unwrap_or_default(),
        slots,
        origin: Origin {
            file: sink.file.name.clone(),
            line: sink.line(&entry.key_span),
        },
    })
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

struct RoleReader<'r, 's, 'f> {
    desk: &'r Desk<'s, 'f>,
    names: &'r Names,
    role: &'r str,
    /// Slugs of steps so far, with the name and place of each.
    slugs: BTreeMap<String, (String, Range<usize>)>,
}

impl RoleReader<'_, '_, '_> {
    fn step(&mut self, node: &Node) -> Option<WrittenStep> {
        let sink = self.desk.sink;
        let PlacedStep {
            step,
            name_span,
            dataset_span,
        } = step(self.desk, self.names, node)?;
        if let (WrittenAction::MoveCluster { dataset }, Some(span)) = (&step.action, dataset_span) {
            self.dataset(dataset.as_str(), &span);
        }
        let seen = (step.name.clone(), name_span.clone());
        if let Some((name, first)) = self.slugs.insert(slug(&step.name), seen) {
            let message = if name == step.name {
                format!(
                    "a step of this role is already called so, on line {}",
                    sink.line(&first)
                )
            } else {
                format!(
                    "this is too like `{}` on line {}",
                    shortened(&name),
                    sink.line(&first)
                )
            };
            let help =
                "steps of a role have names of their own, which differ in letters and digits";
            sink.add_with_help(&name_span, message, help);
        }
        Some(step)
    }

    /// Names of datasets, and steps among them.
    fn backup(&mut self, node: &Node, datasets: &mut Vec<DatasetName>) -> Vec<WrittenStep> {
        let sink = self.desk.sink;
        reader::list(sink, node, |node| {
            if matches!(node.tree, Tree::Map(_)) {
                return self.step(node);
            }
            let name = reader::text(sink, node)?;
            if self.dataset(&name, &node.span) {
                let name = DatasetName::new(name);
                if datasets.contains(&name) {
                    sink.add(&node.span, format!("`{name}` stands here twice"));
                } else {
                    datasets.push(name);
                }
            }
            None
        })
    }

    /// Whether there is such a dataset and it lives on this role; reports when not.
    fn dataset(&self, name: &str, span: &Range<usize>) -> bool {
        let sink = self.desk.sink;
        let Some(home) = self.names.datasets.get(name) else {
            let message = format!("there is no dataset `{}`", shortened(name));
            let known = self.names.datasets.keys().map(String::as_str);
            sink.add_with_help(span, message, suggestion(name, known, "the datasets are"));
            return false;
        };
        if let Some(home) = home
            && home != self.role
        {
            let message = format!("the dataset `{name}` lives on the role `{home}`, not here");
            sink.add_with_help(span, message, format!("write this in the role `{home}`"));
            return false;
        }
        true
    }
}

/// The role that a dataset lives on, as far as that can be told.
pub(super) fn home_of(
    dataset: &Dataset,
    services: &BTreeMap<String, Option<String>>,
) -> Option<String> {
    services.get(dataset.of.as_str()).cloned().flatten()
}
