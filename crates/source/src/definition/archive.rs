//! `archive:`, paths that are copied to the controller and kept there.

use super::shapes::TEXTS;
use super::strategy::{is_plain, paths};
use crate::node::{Node, Tree, shortened};
use crate::reader::{self, Fields};
use crate::shape::{Kind, Shape, may, must};
use crate::templates::Desk;
use overhaul_model::definition::{Archive, DatabaseWay, WrittenAction};
use overhaul_model::id::DatasetName;
use std::ops::Range;

/// The whole root.
const ROOT: &str = "/";

/// How the paths are written.
const PATHS: &str =
    "write absolute paths without `.`, `..` and a `/` at the end, like [/etc, /srv/files]";

/// Paths copied to the controller.
pub(super) static ARCHIVE: Shape = Shape {
    id: "archive",
    what: "`archive`",
    keys: &[&[
        must(
            "name",
            Kind::Text,
            "the archive's name; each host's has the host's name before it",
        ),
        may(
            "one_filesystem",
            Kind::Bool,
            "whether what is mounted below is left out; with `root` true if left out",
        ),
        may("exclude", TEXTS, "absolute paths below, left out"),
        may(
            "live",
            Kind::Bool,
            "whether files may change meanwhile; with `root` true if left out",
        ),
    ]],
    later: &[],
    one_of: &[
        may("paths", TEXTS, "absolute paths, none in another one"),
        may("root", Kind::Bool, "`true`: the whole root file system"),
    ],
};

/// Data that comes from another host.
pub(super) static TRANSFER: Shape = Shape {
    id: "transfer",
    what: "`transfer`",
    keys: &[&[
        must(
            "dataset",
            Kind::Text,
            "the dataset that comes from the host that has the authority over it, which moves with it",
        ),
        may(
            "by",
            Kind::Words(&["dump", "copy"]),
            "how a database comes: dumped and loaded anew (`dump`, if left out), or its files (`copy`)",
        ),
        may(
            "staging",
            Kind::Text,
            "of a database, the folder of both hosts for what is on its way; `/var/lib/overhaul-transfer` if left out",
        ),
    ]],
    later: &[],
    one_of: &[],
};

/// A transfer, as a person wrote it, and where its dataset is named.
pub(super) fn transfer(desk: &Desk, node: &Node) -> Option<(WrittenAction, Range<usize>)> {
    let sink = desk.sink;
    let fields = Fields::open(sink, node, &TRANSFER)?;
    let named = fields.get("dataset")?;
    let dataset = reader::name(sink, named).map(DatasetName::new);
    let by = fields.word(
        "by",
        &[("dump", DatabaseWay::Dump), ("copy", DatabaseWay::Copy)],
    );
    let staging = fields.get("staging").and_then(|node| {
        let path = reader::text(sink, node)?;
        if !is_plain(&path) {
            let message = format!("`{}` is no folder for what is on its way", shortened(&path));
            let help = "write an absolute path without `.`, `..` and a slash at its end";
            sink.add_with_help(&node.span, message, help);
        }
        Some(path)
    });
    fields.done();
    let action = WrittenAction::Transfer {
        dataset: dataset?,
        by,
        staging,
    };
    Some((action, named.span.clone()))
}

/// An archive, as a person wrote it.
pub(super) fn archive(desk: &Desk, node: &Node) -> Option<Archive> {
    let sink = desk.sink;
    let fields = Fields::open(sink, node, &ARCHIVE)?;
    let chosen = fields.chosen()?;
    let whole = chosen.key == "root";
    let found = if whole {
        root(desk, &chosen.value)
    } else {
        if matches!(&chosen.value.tree, Tree::List(items) if items.is_empty()) {
            sink.add_with_help(&chosen.value.span, "`paths` names no path", PATHS);
        }
        paths(desk, &chosen.value, "copied", PATHS)
    };
    let name = fields.get("name").and_then(|node| reader::name(sink, node));
    // A root without its mounts is what people mean by one, and no running system holds still.
    let one_filesystem = fields.bool("one_filesystem").unwrap_or(whole);
    let live = fields.bool("live").unwrap_or(whole);
    let exclude = fields
        .get("exclude")
        .map(|node| exclude(desk, node, &found));
    fields.done();
    Some(Archive {
        paths: found,
        name: name?,
        one_filesystem,
        exclude: exclude.unwrap_or_default(),
        live,
    })
}

fn root(desk: &Desk, node: &Node) -> Vec<String> {
    if reader::boolean(desk.sink, node) == Some(false) {
        let help = "write `root: true`, or `paths: [...]`";
        desk.sink
            .add_with_help(&node.span, "`root: false` names nothing to be copied", help);
    }
    vec![ROOT.to_owned()]
}

/// What is left out must lie in what is copied: elsewhere it is a mistake.
fn exclude(desk: &Desk, node: &Node, within: &[String]) -> Vec<String> {
    let sink = desk.sink;
    reader::list(sink, node, |node| {
        let path = reader::text(sink, node)?;
        if !is_plain(&path) {
            let message = format!("`{}` is no path that can be left out", shortened(&path));
            sink.add_with_help(&node.span, message, PATHS);
            return None;
        }
        let is_below = |outer: &String| {
            let rest = path.strip_prefix(outer.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        if !within.is_empty() && !within.iter().any(is_below) {
            let message = format!("`{}` lies in none of the paths", shortened(&path));
            let help = "name what is below one of them, or take it away";
            sink.add_with_help(&node.span, message, help);
        }
        Some(path)
    })
}
