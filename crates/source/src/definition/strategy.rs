//! How a role changes.

use crate::node::{Node, Tree, shortened};
use crate::reader::{self, Fields, not_yet};
use crate::templates::Desk;
use crate::words::suggestion;
use overhaul_model::definition::Strategy;

/// Strategies of the design that come later.
const STRATEGIES_LATER: [&str; 5] = [
    "stateless",
    "clustered",
    "stateful",
    "blue-green",
    "first-then-rest",
];

const CHANGES: [&str; 3] = ["in-place", "rebuild", "replace"];

const DATA: [&str; 6] = ["none", "stays", "carry", "volume", "rejoin", "transfer"];

const ONLY_IN_PLACE: &str =
    "this version knows `strategy: in-place`: packages change on the machine, its data stays";

/// The point that `strategy`, `change` and `data` name together.
pub(super) fn strategy(desk: &Desk, fields: &Fields) -> Option<Strategy> {
    let sink = desk.sink;
    let preset = fields.get("strategy").map(|node| preset(desk, node));
    let change = fields
        .get("change")
        .filter(|node| matches!(node.tree, Tree::Scalar { .. }))
        .and_then(|node| point(desk, node, &CHANGES).map(|word| (word, node)));
    let data = fields
        .get("data")
        .and_then(|node| point(desk, node, &DATA).map(|word| (word, node)));
    if fields.get("strategy").is_none() && !fields.has("change") {
        sink.add_with_help(
            &fields.span,
            "a role lacks the key `strategy`",
            ONLY_IN_PLACE,
        );
    }
    let change_word = change.map_or("in-place", |(word, _)| word);
    let mut good = true;
    if let Some((word, node)) = data
        && let Some(reason) = nonsense(change_word, word)
    {
        let message = format!("`{change_word}` with `{word}` makes no sense: {reason}");
        sink.add(&node.span, message);
        good = false;
    } else if let Some((word, node)) = change
        && word != "in-place"
    {
        not_yet(sink, &node.span, word, ONLY_IN_PLACE);
        good = false;
    } else if let Some((word, node)) = data
        && word != "stays"
    {
        not_yet(sink, &node.span, word, ONLY_IN_PLACE);
        good = false;
    }
    let named = match preset {
        Some(preset) => preset,
        None => change.map(|_| Strategy::InPlace),
    };
    named.filter(|_| good)
}

fn preset(desk: &Desk, node: &Node) -> Option<Strategy> {
    let word = reader::text(desk.sink, node)?;
    if word == "in-place" {
        return Some(Strategy::InPlace);
    }
    if STRATEGIES_LATER.contains(&word.as_str()) {
        not_yet(desk.sink, &node.span, &word, ONLY_IN_PLACE);
    } else {
        let message = format!("there is no strategy `{}`", shortened(&word));
        let help = suggestion(&word, ["in-place"], "the strategy of this version is");
        desk.sink.add_with_help(&node.span, message, help);
    }
    None
}

fn point(desk: &Desk, node: &Node, words: &[&'static str]) -> Option<&'static str> {
    let pairs: Vec<_> = words.iter().map(|word| (*word, *word)).collect();
    reader::word(desk.sink, node, &pairs)
}

/// Why a change and a treatment of data cannot go together, if they cannot.
fn nonsense(change: &str, data: &str) -> Option<&'static str> {
    match (change, data) {
        ("in-place", "carry" | "volume" | "transfer") => {
            Some("the machine stays, and its data with it, so there is nothing to bring back")
        }
        ("rebuild" | "replace", "stays") => Some(
            "the machine does not stay, so its data cannot; carry it, move its volume, or let it rejoin",
        ),
        _ => None,
    }
}
