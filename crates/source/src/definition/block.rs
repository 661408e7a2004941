//! What stands in slots: steps, scopes and repairs.

use super::measure::measure;
use super::role_shapes::{REPAIR, SCOPE};
use super::root::Names;
use super::step::{PlacedStep, step, titled};
use crate::node::{Node, Tree, shortened};
use crate::problem::Sink;
use crate::reader::{self, Fields};
use crate::templates::Desk;
use crate::words::{slug, suggestion};
use overhaul_model::definition::{
    Origin, WrittenAction, WrittenBlock, WrittenRepair, WrittenScope, WrittenStep,
};
use overhaul_model::id::DatasetName;
use std::collections::BTreeMap;
use std::ops::Range;

/// How often a remedy is tried when nothing is said: what did not help once is for a person.
const ATTEMPTS_DEFAULT: u32 = 1;

/// Slugs of one role or stage so far, with the name and place of each.
pub(super) struct Slugs {
    of: &'static str,
    seen: BTreeMap<String, (String, Range<usize>)>,
}

impl Slugs {
    pub(super) fn of_role() -> Self {
        Self {
            of: "role",
            seen: BTreeMap::new(),
        }
    }

    pub(super) fn of_stage() -> Self {
        Self {
            of: "stage",
            seen: BTreeMap::new(),
        }
    }

    /// Reports a name that stands here already, or one too like it.
    pub(super) fn take(&mut self, sink: &Sink, name: &str, span: &Range<usize>) {
        let place = self.of;
        let seen = (name.to_owned(), span.clone());
        let Some((before, first)) = self.seen.insert(slug(name), seen) else {
            return;
        };
        let message = if before == name {
            format!(
                "a step of this {place} is already called so, on line {}",
                sink.line(&first)
            )
        } else {
            format!(
                "this is too like `{}` on line {}",
                shortened(&before),
                sink.line(&first)
            )
        };
        let help = format!(
            "steps of a {place} have names of their own, which differ in letters and digits"
        );
        sink.add_with_help(span, message, help);
    }
}

/// Reads what is placed in one role, whose steps have names of their own.
pub(super) struct BlockReader<'r, 's, 'f> {
    desk: &'r Desk<'s, 'f>,
    names: &'r Names,
    /// The role, for datasets.
    role: &'r str,
    slugs: Slugs,
}

impl<'r, 's, 'f> BlockReader<'r, 's, 'f> {
    pub(super) fn new(desk: &'r Desk<'s, 'f>, names: &'r Names, role: &'r str) -> Self {
        Self {
            desk,
            names,
            role,
            slugs: Slugs::of_role(),
        }
    }

    /// A list of blocks.
    pub(super) fn list(&mut self, node: &Node) -> Vec<WrittenBlock> {
        reader::list(self.desk.sink, node, |node| self.block(node))
    }

    /// A block; a step when it is nothing else.
    pub(super) fn block(&mut self, node: &Node) -> Option<WrittenBlock> {
        let has = |key: &str| match &node.tree {
            Tree::Map(entries) => entries.iter().any(|entry| entry.key == key),
            _ => false,
        };
        if has("scope") {
            self.scope(node)
        } else if has("repair") {
            self.repair(node)
        } else {
            self.step(node).map(WrittenBlock::from)
        }
    }

    fn scope(&mut self, node: &Node) -> Option<WrittenBlock> {
        let fields = Fields::open(self.desk.sink, node, &SCOPE)?;
        let name = self.title(&fields, "scope");
        let open = fields.get("open").and_then(|node| self.end(node));
        let body = fields.get("body").map(|node| self.list(node));
        let close = fields.get("close").and_then(|node| self.end(node));
        fields.done();
        Some(WrittenBlock::Scope(Box::new(WrittenScope {
            name: name?,
            open: open?,
            body: body?,
            close: close?,
        })))
    }

    /// The step at an end of a scope.
    fn end(&mut self, node: &Node) -> Option<WrittenStep> {
        let step = self.step(node)?;
        if let WrittenAction::Archive(_) | WrittenAction::Transfer { .. } = step.action {
            let message = "an archive or a transfer sets nothing up and takes nothing away";
            let help = "write it in the `body` of the scope";
            self.desk.sink.add_with_help(&node.span, message, help);
        }
        Some(step)
    }

    fn repair(&mut self, node: &Node) -> Option<WrittenBlock> {
        let sink = self.desk.sink;
        let fields = Fields::open(sink, node, &REPAIR)?;
        let name = self.title(&fields, "repair");
        let body = fields.get("body").map(|node| self.list(node));
        let when = fields.get("when");
        let when = when.and_then(|node| measure(self.desk, node));
        let remedy = fields.get("remedy").map(|node| self.list(node));
        let attempts = fields.get("attempts").and_then(|node| {
            let attempts = reader::int(sink, node, 1..=20)?;
            u32::try_from(attempts).ok()
        });
        let origin = Origin {
            file: sink.file.name.clone(),
            line: sink.line(&fields.span),
        };
        fields.done();
        Some(WrittenBlock::Repair(Box::new(WrittenRepair {
            name: name?,
            body: body?,
            when: when?,
            remedy: remedy?,
            attempts: attempts.unwrap_or(ATTEMPTS_DEFAULT),
            origin,
        })))
    }

    fn title(&mut self, fields: &Fields, key: &'static str) -> Option<String> {
        let node = fields.get(key)?;
        let name = titled(self.desk, node)?;
        self.slugs.take(self.desk.sink, &name, &node.span);
        Some(name)
    }

    /// A step.
    pub(super) fn step(&mut self, node: &Node) -> Option<WrittenStep> {
        let PlacedStep {
            step,
            name_span,
            dataset_span,
            ..
        } = step(self.desk, self.names, node)?;
        match (&step.action, dataset_span) {
            (WrittenAction::MoveCluster { dataset }, Some(span)) => {
                self.dataset(dataset.as_str(), &span);
            }
            // It comes from wherever it lives.
            (WrittenAction::Transfer { dataset, .. }, Some(span)) => {
                self.any_dataset(dataset.as_str(), &span);
            }
            _ => {}
        }
        self.slugs.take(self.desk.sink, &step.name, &name_span);
        Some(step)
    }

    /// Names of datasets, and blocks among them.
    pub(super) fn backup(
        &mut self,
        node: &Node,
        datasets: &mut Vec<DatasetName>,
    ) -> Vec<WrittenBlock> {
        let sink = self.desk.sink;
        reader::list(sink, node, |node| {
            if matches!(node.tree, Tree::Map(_)) {
                return self.block(node);
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

    /// The role of such a dataset, where it can be told; reports when there is none.
    fn any_dataset(&self, name: &str, span: &Range<usize>) -> Option<&Option<String>> {
        let home = self.names.datasets.get(name);
        if home.is_none() {
            let message = format!("there is no dataset `{}`", shortened(name));
            let known = self.names.datasets.keys().map(String::as_str);
            let help = suggestion(name, known, "the datasets are");
            self.desk.sink.add_with_help(span, message, help);
        }
        home
    }

    /// Whether there is such a dataset and it lives on this role; reports when not.
    fn dataset(&self, name: &str, span: &Range<usize>) -> bool {
        let sink = self.desk.sink;
        let Some(home) = self.any_dataset(name, span) else {
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
