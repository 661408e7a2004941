//! What the controller carries out itself: providers, machines, playbooks.

use super::near_shapes::{ANSIBLE, MACHINE, PROVIDER, REBUILD};
use super::root::Names;
use crate::node::{Entry, Node, Tree, shortened};
use crate::problem::Sink;
use crate::reader::{self, Fields};
use crate::templates::Desk;
use crate::words::suggestion;
use overhaul_model::belonging::Which;
use overhaul_model::definition::{Playbook, Provider, Rebuild, WrittenAction, WrittenMachine};
use overhaul_model::id::ProviderName;
use overhaul_model::primitive::{MachineAct, MachineOp};
use serde_json::Value;
use std::collections::BTreeMap;

/// The providers of a definition.
pub(super) fn providers(desk: &Desk, node: &Node) -> BTreeMap<ProviderName, Provider> {
    let mut out = BTreeMap::new();
    for entry in reader::map(desk.sink, node, "providers") {
        let good = reader::check_name(desk.sink, &entry.key, &entry.key_span);
        if let Some(provider) = provider(desk.sink, entry).filter(|_| good) {
            out.insert(ProviderName::new(entry.key.clone()), provider);
        }
    }
    out
}

fn provider(sink: &Sink, entry: &Entry) -> Option<Provider> {
    let fields = Fields::open(sink, &entry.value, &PROVIDER)?;
    let script = fields.get("script").and_then(|node| {
        let script = reader::text(sink, node)?;
        if !script.starts_with('/') {
            let message = format!("`{}` is no absolute path", shortened(&script));
            sink.add_with_help(&node.span, message, "begin it with `/`");
            return None;
        }
        Some(script)
    });
    let config = fields.get("config");
    let config = config.map(|node| {
        let entries = reader::map(sink, node, "`config`").iter();
        entries
            .map(|entry| (entry.key.clone(), entry.value.to_json()))
            .collect()
    });
    fields.done();
    Some(Provider {
        script: script?,
        config: config.unwrap_or_default(),
    })
}

/// Values whose texts may be templates.
pub(super) fn values(desk: &Desk, fields: &Fields, key: &'static str) -> BTreeMap<String, Value> {
    let Some(node) = fields.get(key) else {
        return BTreeMap::new();
    };
    let entries = reader::map(desk.sink, node, "values").iter();
    entries
        .map(|entry| {
            look_over(desk, &entry.value);
            (entry.key.clone(), entry.value.to_json())
        })
        .collect()
}

/// Reports texts that are no templates that hold.
fn look_over(desk: &Desk, node: &Node) {
    match &node.tree {
        Tree::Scalar { text, .. } if text.contains("{{") || text.contains("{%") => {
            // Only its problems are wanted.
            let _text = desk.template(node);
        }
        Tree::Scalar { .. } => {}
        Tree::List(items) => items.iter().for_each(|item| look_over(desk, item)),
        Tree::Map(entries) => entries.iter().for_each(|e| look_over(desk, &e.value)),
    }
}

/// A provider of the definition.
pub(super) fn named(desk: &Desk, names: &Names, node: &Node) -> Option<ProviderName> {
    let name = reader::text(desk.sink, node)?;
    if !names.providers.contains(&name) {
        let message = format!("there is no provider `{}`", shortened(&name));
        let known = names.providers.iter().map(String::as_str);
        let help = suggestion(&name, known, "the providers are");
        desk.sink.add_with_help(&node.span, message, help);
        return None;
    }
    Some(ProviderName::new(name))
}

/// How a role's machines are made anew.
pub(super) fn rebuild(desk: &Desk, names: &Names, node: &Node) -> Option<Rebuild> {
    let fields = Fields::open(desk.sink, node, &REBUILD)?;
    let person = fields.word("by", &[("person", ())]).is_some();
    let provider = fields.get("provider").map(|node| named(desk, names, node));
    let image = fields.get("image").map(|node| desk.template(node));
    let params = values(desk, &fields, "params");
    let answers_within = fields.span_of_time("answers_within");
    let answers_within = answers_within.unwrap_or(MachineAct::ANSWERS_WITHIN_DEFAULT);
    let span = fields.span.clone();
    fields.done();
    let help = "write `{provider: NAME, image: IMAGE}`, or `{by: person}`";
    match (person, provider, image) {
        (true, None, None) if params.is_empty() => Some(Rebuild::Person { answers_within }),
        (false, Some(provider), Some(image)) => Some(Rebuild::By {
            provider: provider?,
            image: image?,
            params,
            answers_within,
        }),
        (true, ..) => {
            let message = "a person is told no provider, image or params here";
            desk.sink.add_with_help(&span, message, help);
            None
        }
        (false, ..) => {
            let message = "`rebuild` names a provider and an image, or a person";
            desk.sink.add_with_help(&span, message, help);
            None
        }
    }
}

const OPS: [(&str, MachineOp); 6] = [
    ("describe", MachineOp::Describe),
    ("rebuild", MachineOp::Rebuild),
    ("stop", MachineOp::Stop),
    ("start", MachineOp::Start),
    ("create", MachineOp::Create),
    ("destroy", MachineOp::Destroy),
];

/// `machine:`.
pub(super) fn machine(desk: &Desk, names: &Names, node: &Node) -> Option<WrittenAction> {
    let fields = Fields::open(desk.sink, node, &MACHINE)?;
    let op = fields.word("op", &OPS);
    let provider = fields
        .get("provider")
        .and_then(|node| named(desk, names, node));
    let machine = fields.get("machine").and_then(|node| desk.template(node));
    let image = fields.get("image").and_then(|node| desk.template(node));
    let params = values(desk, &fields, "params");
    let answers_within = fields.span_of_time("answers_within");
    let from_image = matches!(op, Some(MachineOp::Rebuild | MachineOp::Create));
    if op.is_some() && from_image != fields.has("image") {
        let message = match from_image {
            true => "a new machine is made from an image, and none is named",
            false => "only a new machine is made from an image",
        };
        let help = "write `image` with `rebuild` and `create`";
        desk.sink.add_with_help(&fields.span, message, help);
    }
    fields.done();
    Some(WrittenAction::Machine(WrittenMachine {
        op: op?,
        provider: provider?,
        machine,
        which: Which::Own,
        other: None,
        unprotect: false,
        image,
        params,
        answers_within: answers_within.unwrap_or(MachineAct::ANSWERS_WITHIN_DEFAULT),
    }))
}

/// `ansible:`.
pub(super) fn ansible(desk: &Desk, node: &Node) -> Option<WrittenAction> {
    let sink = desk.sink;
    let fields = Fields::open(sink, node, &ANSIBLE)?;
    let playbook = fields
        .get("playbook")
        .and_then(|node| reader::text(sink, node));
    let tags = fields
        .get("tags")
        .map(|node| reader::list(sink, node, |node| tag(sink, node)));
    let limit = fields.get("limit").and_then(|node| desk.template(node));
    let inventory = fields
        .get("inventory")
        .and_then(|node| reader::text(sink, node));
    let extra_vars = values(desk, &fields, "extra_vars");
    fields.done();
    Some(WrittenAction::Ansible(Playbook {
        playbook: playbook?,
        tags: tags.unwrap_or_default(),
        limit,
        inventory,
        extra_vars,
    }))
}

/// Tags become one argument, apart by commas.
fn tag(sink: &Sink, node: &Node) -> Option<String> {
    let tag = reader::text(sink, node)?;
    if tag.contains([',', ' ']) || tag.starts_with('-') {
        let message = format!("`{}` is no tag", shortened(&tag));
        sink.add_with_help(&node.span, message, "write each tag as an item of the list");
        return None;
    }
    Some(tag)
}
