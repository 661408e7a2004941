//! Actions, without the bounds and the rest that a step adds.

use super::archive::{archive, transfer};
use super::belonging;
use super::later_shapes;
use super::measure::{argv, measure, unit};
use super::members;
use super::near;
use super::root::Names;
use super::shapes::{DATABASE, EDIT, FILE, PACKAGES, REBOOT, REPLACE, SET, UNIT_ACTION, WAIT};
use crate::node::{Entry, Node, Tree, shortened};
use crate::reader::{self, Fields};
use crate::shape::Shape;
use crate::templates::Desk;
use crate::words::is_identifier;
use overhaul_model::action::ServiceOp;
use overhaul_model::definition::WrittenAction;
use overhaul_model::id::DatasetName;
use overhaul_model::later::Later;
use overhaul_model::primitive::{
    Announce, Ask, Command, Edit, EditFile, Exec, NotAvailable, OutputPolicy, Wait, WriteFile,
};
use overhaul_model::span::Span;
use std::collections::BTreeMap;
use std::ops::Range;

/// Within this a host must be back after a reboot when nothing is said: slow firmware included.
const BACK_WITHIN_DEFAULT: Span = Span::from_s(600);

/// Time between two measurements of a wait when nothing is said.
const WAIT_EVERY_DEFAULT: Span = Span::from_s(5);

/// Shortest time between two measurements: less only burdens the host.
const WAIT_EVERY_MS_MIN: u64 = 100;

const SEPARATOR_DEFAULT: &str = " = ";

const OPS: [(&str, ServiceOp); 8] = [
    ("start", ServiceOp::Start),
    ("stop", ServiceOp::Stop),
    ("restart", ServiceOp::Restart),
    ("reload", ServiceOp::Reload),
    ("hold", ServiceOp::Hold),
    ("let_go", ServiceOp::LetGo),
    ("enable", ServiceOp::Enable),
    ("disable", ServiceOp::Disable),
];

/// An action, and the place of a dataset that it names.
pub(crate) struct Act {
    pub(crate) action: WrittenAction,
    pub(crate) dataset_span: Option<Range<usize>>,
}

/// The action that stands among the keys of a step.
pub(crate) fn act(desk: &Desk, names: Option<&Names>, fields: &Fields) -> Option<Act> {
    let entry = fields.chosen()?;
    let node = &entry.value;
    let mut dataset_span = None;
    let action = match entry.key.as_str() {
        "run" => WrittenAction::Run(command(desk, fields, Command::Argv(argv(desk, node)?))),
        "shell" => WrittenAction::Run(command(desk, fields, Command::Shell(desk.template(node)?))),
        "service" => service(desk, node)?,
        "packages" => packages(desk, node)?,
        "reboot" => reboot(desk, node)?,
        "file" => WrittenAction::File(write_file(desk, node)?),
        "edit" => WrittenAction::Edit(edit_file(desk, node)?),
        "database" => {
            let (dataset, span) = named_dataset(desk, node, &DATABASE, "move_cluster")?;
            dataset_span = Some(span);
            WrittenAction::MoveCluster { dataset }
        }
        "wait" => WrittenAction::Wait(wait(desk, node)?),
        "gate" => WrittenAction::Gate(Ask {
            question: desk.template(node)?,
        }),
        "announce" => WrittenAction::Announce(Announce {
            message: desk.template(node)?,
        }),
        "archive" => WrittenAction::Archive(archive(desk, node)?),
        "transfer" => {
            let (action, span) = transfer(desk, node)?;
            dataset_span = Some(span);
            action
        }
        "machine" => near::machine(desk, names?, node)?,
        "volume" => belonging::volume(desk, names?, node)?,
        "address" => belonging::address(desk, names?, node)?,
        "instance" => belonging::instance(desk, names?, node)?,
        "ansible" => near::ansible(desk, node)?,
        "cluster" => members::cluster(desk, names?, node)?,
        "quiesce" => members::quiesce(desk, names?, node)?,
        key => later(desk, key, node)?,
    };
    Some(Act {
        action,
        dataset_span,
    })
}

/// Something that is declared and not carried out yet.
fn later(desk: &Desk, key: &str, node: &Node) -> Option<WrittenAction> {
    let fields = Fields::open(desk.sink, node, later_shapes::of(key)?)?;
    let entry = fields.chosen();
    let subject = entry.and_then(|entry| desk.template(&entry.value));
    let what = entry.and_then(|entry| Later::of(key, &entry.key));
    let mut with = BTreeMap::new();
    if let Some(node) = fields.get("with") {
        for entry in reader::map(desk.sink, node, "`with`") {
            reader::check_name(desk.sink, &entry.key, &entry.key_span);
            if let Some(value) = text_or_empty(desk, &entry.value) {
                with.insert(entry.key.clone(), value);
            }
        }
    }
    fields.done();
    Some(WrittenAction::Later {
        what: what?,
        work: NotAvailable {
            subject: subject?,
            with,
        },
    })
}

/// A command with what else a step says about it.
fn command(desk: &Desk, fields: &Fields, command: Command) -> Exec {
    let sink = desk.sink;
    let mut exec = Exec::new(command);
    if let Some(node) = fields.get("env") {
        exec.env = environment(desk, node);
    }
    exec.cwd = fields.get("cwd").and_then(|node| path(desk, node));
    if let Some(node) = fields.get("success") {
        let codes = reader::list(sink, node, |node| {
            let code = reader::int(sink, node, 0..=255)?;
            i32::try_from(code).ok()
        });
        if matches!(&node.tree, Tree::List(items) if items.is_empty()) {
            sink.add(&node.span, "`success` names no exit code");
        }
        exec.success = codes;
    }
    let policies = [("keep", OutputPolicy::Keep), ("none", OutputPolicy::None)];
    exec.output = fields.word("output", &policies).unwrap_or_default();
    exec
}

fn environment(desk: &Desk, node: &Node) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for entry in reader::map(desk.sink, node, "variables of the environment") {
        if !is_identifier(&entry.key) {
            let message = format!("`{}` is no name of a variable", shortened(&entry.key));
            desk.sink.add(&entry.key_span, message);
        }
        if let Some(value) = text_or_empty(desk, &entry.value) {
            out.insert(entry.key.clone(), value);
        }
    }
    out
}

/// A text; quotes around nothing are an empty one.
fn text_or_empty(desk: &Desk, node: &Node) -> Option<String> {
    match &node.tree {
        Tree::Scalar { text, plain: false } if text.is_empty() => Some(String::new()),
        _ => desk.template(node),
    }
}

/// An absolute path, or a template that may give one.
fn path(desk: &Desk, node: &Node) -> Option<String> {
    let path = desk.template(node)?;
    if !path.starts_with('/') && !path.starts_with("{{") {
        let message = format!("`{}` is no absolute path", shortened(&path));
        desk.sink
            .add_with_help(&node.span, message, "begin it with `/`");
    }
    Some(path)
}

fn service(desk: &Desk, node: &Node) -> Option<WrittenAction> {
    let fields = Fields::open(desk.sink, node, &UNIT_ACTION)?;
    let Entry { key, value, .. } = fields.chosen()?;
    let (_, op) = OPS.into_iter().find(|(word, _)| word == key)?;
    let unit = unit(desk, value)?;
    fields.done();
    Some(WrittenAction::Service { unit, op })
}

fn packages(desk: &Desk, node: &Node) -> Option<WrittenAction> {
    let fields = Fields::open(desk.sink, node, &PACKAGES)?;
    let names = |key| {
        let node = fields.get(key);
        let read = node.map(|node| reader::list(desk.sink, node, |node| package(desk, node)));
        read.unwrap_or_default()
    };
    let (install, remove) = (names("install"), names("remove"));
    if !fields.has("install") && !fields.has("remove") {
        let help = "write `install: [names]`, `remove: [names]` or both";
        desk.sink
            .add_with_help(&node.span, "`packages` names none", help);
    }
    if let Some(both) = install.iter().find(|name| remove.contains(name)) {
        let message = format!("`{both}` is to be installed and removed");
        desk.sink.add(&node.span, message);
    }
    fields.done();
    Some(WrittenAction::Packages { install, remove })
}

fn package(desk: &Desk, node: &Node) -> Option<String> {
    let name = desk.template(node)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+-.:=~_".contains(c);
    let good = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(allowed);
    if !good && !name.contains("{{") {
        let message = format!("`{}` is no name of a package", shortened(&name));
        desk.sink.add(&node.span, message);
        return None;
    }
    Some(name)
}

fn reboot(desk: &Desk, node: &Node) -> Option<WrittenAction> {
    if node.is_null() {
        return Some(WrittenAction::Reboot {
            back_within: BACK_WITHIN_DEFAULT,
        });
    }
    let fields = Fields::open(desk.sink, node, &REBOOT)?;
    let back_within = fields.span_of_time("back_within");
    let back_within = back_within.unwrap_or(BACK_WITHIN_DEFAULT);
    fields.done();
    Some(WrittenAction::Reboot { back_within })
}

fn named_dataset(
    desk: &Desk,
    node: &Node,
    shape: &'static Shape,
    key: &'static str,
) -> Option<(DatasetName, Range<usize>)> {
    let fields = Fields::open(desk.sink, node, shape)?;
    let node = fields.get(key)?;
    let name = reader::name(desk.sink, node)?;
    fields.done();
    Some((DatasetName::new(name), node.span.clone()))
}

/// A bounded wait.
pub(super) fn wait(desk: &Desk, node: &Node) -> Option<Wait> {
    let fields = Fields::open(desk.sink, node, &WAIT)?;
    let until = fields.get("until").and_then(|node| measure(desk, node));
    let every = fields.span_of_time("every").unwrap_or(WAIT_EVERY_DEFAULT);
    let at_most = fields.span_of_time("at_most");
    if let Some(node) = fields
        .get("every")
        .filter(|_| every.as_ms() < WAIT_EVERY_MS_MIN)
    {
        let message = format!("`every` is shorter than {WAIT_EVERY_MS_MIN}ms");
        desk.sink.add(&node.span, message);
    }
    fields.done();
    Some(Wait {
        until: until?,
        every,
        at_most: at_most?,
    })
}

/// A file written whole.
pub(super) fn write_file(desk: &Desk, node: &Node) -> Option<WriteFile> {
    let fields = Fields::open(desk.sink, node, &FILE)?;
    let path = fields.get("path").and_then(|node| path(desk, node));
    let content = fields
        .get("content")
        .and_then(|node| text_or_empty(desk, node));
    let mode = fields.get("mode").and_then(|node| mode(desk, node));
    let backup = fields.bool("backup").unwrap_or(false);
    let absent = fields.bool("absent").unwrap_or(false);
    if absent && (fields.has("content") || fields.has("mode")) {
        let help = "take `content` and `mode` away, or `absent`";
        let message = "a file that shall be absent has no content and no mode";
        desk.sink.add_with_help(&fields.span, message, help);
    } else if !absent && !fields.has("content") {
        let help = "add `content`, or `absent: true`";
        desk.sink
            .add_with_help(&fields.span, "`file` lacks the key `content`", help);
    }
    fields.done();
    Some(WriteFile {
        path: path?,
        content: content.unwrap_or_default(),
        mode,
        backup,
        absent,
    })
}

fn mode(desk: &Desk, node: &Node) -> Option<u32> {
    let written = reader::text(desk.sink, node)?;
    let digits = written.strip_prefix("0o").unwrap_or(&written);
    let good = (3..=5).contains(&digits.len());
    let mode = u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mode| good && *mode <= 0o7777);
    if mode.is_none() {
        let message = format!("`{}` is no mode", shortened(&written));
        let help = "write permission bits in octal, like \"0644\"";
        desk.sink.add_with_help(&node.span, message, help);
    }
    mode
}

/// A file edited; the edits stay in the order in which their keys are written.
pub(super) fn edit_file(desk: &Desk, node: &Node) -> Option<EditFile> {
    let sink = desk.sink;
    let fields = Fields::open(sink, node, &EDIT)?;
    let path = fields.get("path").and_then(|node| path(desk, node));
    let mut edits = Vec::new();
    for entry in fields.entries() {
        let node = &entry.value;
        match entry.key.as_str() {
            "set" => {
                fields.get("set");
                edits.extend(reader::list(sink, node, |node| set(desk, node)));
            }
            "line" => {
                fields.get("line");
                let read = |node: &Node| desk.template(node).map(|line| Edit::Line { line });
                edits.extend(reader::list(sink, node, read));
            }
            "remove" => {
                fields.get("remove");
                let read = |node: &Node| desk.template(node).map(|line| Edit::Remove { line });
                edits.extend(reader::list(sink, node, read));
            }
            "replace" => {
                fields.get("replace");
                edits.extend(reader::list(sink, node, |node| replace(desk, node)));
            }
            _ => {}
        }
    }
    let kinds = ["set", "line", "remove", "replace"];
    if !kinds.iter().any(|kind| fields.has(kind)) {
        let help = "write one of `set`, `line`, `remove` and `replace`";
        sink.add_with_help(&fields.span, "`edit` changes nothing", help);
    }
    let validate = fields.get("validate").and_then(|node| {
        let argv = argv(desk, node)?;
        if !argv.iter().any(|argument| argument.contains("{path}")) {
            let message = "`validate` does not name the new file";
            sink.add_with_help(
                &node.span,
                message,
                "write `{path}` where the new file's path goes",
            );
        }
        Some(argv)
    });
    let backup = fields.bool("backup").unwrap_or(false);
    fields.done();
    Some(EditFile {
        path: path?,
        edits,
        validate,
        backup,
    })
}

fn set(desk: &Desk, node: &Node) -> Option<Edit> {
    let fields = Fields::open(desk.sink, node, &SET)?;
    let key = fields.get("key").and_then(|node| desk.template(node));
    let value = fields
        .get("value")
        .and_then(|node| text_or_empty(desk, node));
    let separator = fields.get("separator").and_then(|node| match &node.tree {
        Tree::Scalar { text, .. } if !node.is_null() && !text.is_empty() => Some(text.clone()),
        _ => reader::text(desk.sink, node).filter(|text| !text.is_empty()),
    });
    fields.done();
    Some(Edit::Set {
        key: key?,
        value: value?,
        separator: separator.unwrap_or_else(|| SEPARATOR_DEFAULT.to_owned()),
    })
}

fn replace(desk: &Desk, node: &Node) -> Option<Edit> {
    let fields = Fields::open(desk.sink, node, &REPLACE)?;
    let find = fields.get("find").and_then(|node| desk.template(node));
    let with = fields
        .get("with")
        .and_then(|node| text_or_empty(desk, node));
    fields.done();
    let (find, with) = (find?, with?);
    if with.contains(&find) {
        let message =
            "`with` holds what `find` looks for, so every run would change the file again";
        let help = "use `set` or `line`, or find a longer text";
        desk.sink.add_with_help(&node.span, message, help);
        return None;
    }
    Some(Edit::Replace { find, with })
}
