//! How a role changes: the point of change x data, and the paths that are carried.

use super::belonging::volumes;
use crate::node::{Node, Tree, shortened};
use crate::reader::{self, Fields};
use crate::templates::Desk;
use crate::words::suggestion;
use overhaul_model::belonging::RoleVolume;
use overhaul_model::strategy::{Change, Data, Keeps, PRESETS, Strategy};
use std::ops::Range;

/// The names of [`PRESETS`]; a test compares them.
pub(super) const STRATEGIES: &[&str] = &[
    "in-place",
    "stateless",
    "stateful",
    "clustered",
    "blue-green",
    "first-then-rest",
    "packages",
];

/// The words of [`Change`]; a test compares them.
pub(super) const CHANGES: &[&str] = &["in-place", "rebuild", "replace", "packages"];

/// The words of [`Data`]; a test compares them.
pub(super) const DATA: &[&str] = &["none", "stays", "carry", "volume", "rejoin", "transfer"];

/// What is said about a role without any of the keys.
const WRITE_ONE: &str =
    "write a name like `strategy: in-place`, or a point like `change: rebuild` with `data: none`";

/// What is said about another machine when nobody told what becomes of the data.
const SAY_DATA: &str =
    "write `data: none` when nothing of the old machine is missed, or `carry: [PATH]` for what is";

/// What is said about a path that is none.
const PATHS: &str =
    "write folders and files like /srv/files: absolute, without `.` and `..`, not the root";

/// A point with what it carries.
pub(super) struct Chosen {
    pub(super) strategy: Strategy,
    pub(super) carry: Vec<String>,
    pub(super) volumes: Vec<RoleVolume>,
}

/// The point that `strategy`, `change`, `data` and `carry` name together.
pub(super) fn strategy(desk: &Desk, fields: &Fields) -> Option<Chosen> {
    let carry_node = fields.get("carry");
    let carry = carry_node.map(|node| carry(desk, node));
    let volumes_node = fields.get("volumes");
    let volumes = volumes_node.map(|node| volumes(desk, node));
    let keeps = Keeps {
        paths: carry_node.is_some(),
        volumes: volumes_node.is_some(),
    };
    let strategy = point(desk, fields, keeps);
    let (carry, volumes, strategy) = (
        carry.unwrap_or_default(),
        volumes.unwrap_or_default(),
        strategy?,
    );
    match (strategy.data(), carry_node) {
        (Data::Carry, None) => {
            let message = format!("{strategy} names no path");
            let help = "add what is carried, like `carry: [/srv/files]`";
            desk.sink.add_with_help(&fields.span, message, help);
        }
        // In place, the paths wait for the day on which the change is switched.
        (Data::Carry | Data::Stays, _) | (_, None) => {}
        (data, Some(node)) => {
            let message = format!(
                "with data `{}` these paths would not come back",
                data.word()
            );
            let help =
                "take `carry` away if nobody misses them; else choose `stateful`, or `data: carry`";
            desk.sink.add_with_help(&node.span, message, help);
        }
    }
    match (strategy.data(), volumes_node) {
        (Data::Volume, None) => {
            let message = format!("{strategy} names no volume");
            let help = "add what goes to the new machine, like `volumes: [{name: orders, mount: /srv/orders}]`";
            desk.sink.add_with_help(&fields.span, message, help);
        }
        (Data::Volume | Data::Stays, _) | (_, None) => {}
        (data, Some(node)) => {
            let message = format!(
                "with data `{}` these volumes would not come back",
                data.word()
            );
            let help = "take `volumes` away if nobody misses them; else write `data: volume`";
            desk.sink.add_with_help(&node.span, message, help);
        }
    }
    Some(Chosen {
        strategy,
        carry,
        volumes,
    })
}

/// The preset, moved by `change`, with `data` instead of its own.
fn point(desk: &Desk, fields: &Fields, keeps: Keeps) -> Option<Strategy> {
    let preset_node = fields.get("strategy");
    let change_node = fields
        .get("change")
        .filter(|node| matches!(node.tree, Tree::Scalar { .. }));
    let data_node = fields.get("data");
    // All three are read before any of them is given up: each has problems of its own.
    let (preset, change, data) = (
        understood(preset_node, |node| named(desk, node)),
        understood(change_node, |node| change(desk, node)),
        understood(data_node, |node| data(desk, node)),
    );
    let (preset, change, data) = (preset.ok()?, change.ok()?, data.ok()?);
    let place = data_node.or(change_node).or(preset_node);
    let span = place.map_or(&fields.span, |node| &node.span);
    if preset.is_none() && change.is_none() {
        desk.sink
            .add_with_help(&fields.span, "a role lacks the key `strategy`", WRITE_ONE);
        return None;
    }
    let from = preset.unwrap_or(Strategy::IN_PLACE);
    let to = change.unwrap_or(from.change());
    match data {
        Some(data) => judged(desk, Strategy::new(to, data), span, None),
        None => judged(desk, from.with_change(to, keeps), span, Some(SAY_DATA)),
    }
}

/// A word that was not understood was reported: it counts neither as there nor as left out.
struct Reported;

fn understood<'n, T>(
    node: Option<&'n Node>,
    read: impl FnOnce(&'n Node) -> Option<T>,
) -> Result<Option<T>, Reported> {
    node.map(|node| read(node).ok_or(Reported)).transpose()
}

fn judged(
    desk: &Desk,
    point: Result<Strategy, overhaul_model::strategy::Nonsense>,
    span: &Range<usize>,
    help: Option<&str>,
) -> Option<Strategy> {
    point
        .map_err(|nonsense| match help {
            Some(help) => desk.sink.add_with_help(span, nonsense.to_string(), help),
            None => desk.sink.add(span, nonsense.to_string()),
        })
        .ok()
}

fn named(desk: &Desk, node: &Node) -> Option<Strategy> {
    let word = reader::text(desk.sink, node)?;
    let found = Strategy::preset(&word);
    if found.is_none() {
        let message = format!("there is no strategy `{}`", shortened(&word));
        let names = PRESETS.iter().map(|(name, _)| *name);
        let help = suggestion(&word, names, "the strategies are");
        desk.sink.add_with_help(&node.span, message, help);
    }
    found
}

fn change(desk: &Desk, node: &Node) -> Option<Change> {
    reader::word(
        desk.sink,
        node,
        &Change::ALL.map(|change| (change.word(), change)),
    )
}

fn data(desk: &Desk, node: &Node) -> Option<Data> {
    reader::word(desk.sink, node, &Data::ALL.map(|data| (data.word(), data)))
}

/// The paths, as they are carried.
fn carry(desk: &Desk, node: &Node) -> Vec<String> {
    if matches!(&node.tree, Tree::List(items) if items.is_empty()) {
        desk.sink
            .add_with_help(&node.span, "`carry` names no path", PATHS);
    }
    paths(desk, node, "carried", PATHS)
}

/// Paths of which none lies inside another one, or it would be copied twice.
pub(super) fn paths(
    desk: &Desk,
    node: &Node,
    done: &'static str,
    help: &'static str,
) -> Vec<String> {
    let sink = desk.sink;
    let mut taken: Vec<String> = Vec::new();
    for path in reader::list(sink, node, |node| {
        Some((reader::text(sink, node)?, node.span.clone()))
    }) {
        let (path, span) = path;
        let within = |outer: &str, inner: &str| {
            inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let other = taken
            .iter()
            .find(|other| within(other, &path) || within(&path, other));
        if !is_plain(&path) {
            let message = format!("`{}` is no path that can be {done}", shortened(&path));
            sink.add_with_help(&span, message, help);
        } else if let Some(other) = other {
            let message = format!(
                "`{}` and `{}` lie in each other",
                shortened(&path),
                shortened(other)
            );
            sink.add_with_help(&span, message, "name the outer one alone");
        } else {
            taken.push(path);
        }
    }
    taken
}

/// Whether a path is absolute, not the root, and spelt in the one plain way.
pub(super) fn is_plain(path: &str) -> bool {
    let parts = path.strip_prefix('/').map(|rest| rest.split('/'));
    parts.is_some_and(|mut parts| {
        parts.all(|part| !matches!(part, "" | "." | "..") && !part.chars().any(char::is_control))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_knows_every_word() {
        assert_eq!(PRESETS.map(|(name, _)| name), STRATEGIES);
        assert_eq!(Change::ALL.map(Change::word), CHANGES);
        assert_eq!(Data::ALL.map(Data::word), DATA);
    }

    #[test]
    fn paths_are_plain() {
        for (path, plain) in [
            ("/srv/files", true),
            ("/srv/a b", true),
            ("/", false),
            ("", false),
            ("srv", false),
            ("/srv/", false),
            ("//srv", false),
            ("/srv/../etc", false),
            ("/srv/./x", false),
            ("/srv/new\nline", false),
        ] {
            assert_eq!(is_plain(path), plain, "{path:?}");
        }
    }
}
