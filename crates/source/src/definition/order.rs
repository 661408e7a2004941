//! In which order hosts change, and how many of them may fail.

use super::role_shapes::{AT_ONCE, BATCHES, ORDER};
use crate::node::{Entry, Node, Tree, shortened};
use crate::reader::{self, Fields, not_yet};
use crate::templates::Desk;
use crate::words::suggestion;
use overhaul_model::definition::{Order, Share, Within};
use std::ops::RangeInclusive;

/// Hosts under way at once when no limit is named: what one controller reaches without effort.
const AT_ONCE_DEFAULT: u32 = 50;

/// Limits that may be named.
const LIMITS: RangeInclusive<i64> = 1..=10_000;

const WORDS: [&str; 3] = ["all", "one-by-one", "zone-by-zone"];

/// The order of a role's hosts; one by one when nothing is said.
pub(super) fn order(desk: &Desk, node: Option<&Node>) -> Order {
    let Some(node) = node else {
        return Order::ONE_BY_ONE;
    };
    read(desk, node).unwrap_or(Order::ONE_BY_ONE)
}

fn read(desk: &Desk, node: &Node) -> Option<Order> {
    let everywhere = |within| Order {
        zone_by_zone: false,
        within,
    };
    if matches!(node.tree, Tree::Map(_)) {
        return keyed(desk, node);
    }
    match reader::text(desk.sink, node)?.as_str() {
        "all" => Some(everywhere(Within::All {
            at_once: AT_ONCE_DEFAULT,
        })),
        "one-by-one" => Some(Order::ONE_BY_ONE),
        "zone-by-zone" => Some(Order {
            zone_by_zone: true,
            within: Within::OneByOne,
        }),
        word => {
            refuse(desk, node, word);
            None
        }
    }
}

fn refuse(desk: &Desk, node: &Node, word: &str) {
    match word {
        "batches" => {
            let message = "`batches` needs their sizes";
            let help = "write it like {batches: [1, 10%, 50%]}";
            desk.sink.add_with_help(&node.span, message, help);
        }
        "first-then-rest" => {
            let help = "name the first host in a role of its own";
            not_yet(desk.sink, &node.span, word, help);
        }
        _ => {
            let message = format!("there is no order `{}`", shortened(word));
            let help = suggestion(word, WORDS, "the orders are");
            desk.sink.add_with_help(&node.span, message, help);
        }
    }
}

fn keyed(desk: &Desk, node: &Node) -> Option<Order> {
    let fields = Fields::open(desk.sink, node, &ORDER)?;
    let chosen = fields.chosen();
    fields.done();
    let chosen = chosen?;
    let everywhere = |within| Order {
        zone_by_zone: false,
        within,
    };
    match chosen.key.as_str() {
        "zone-by-zone" => {
            let inner = read(desk, &chosen.value)?;
            if inner.zone_by_zone {
                let message = "`zone-by-zone` within `zone-by-zone`";
                let help = "name the order of the hosts of one zone: all, one-by-one or batches";
                desk.sink.add_with_help(&chosen.value.span, message, help);
                return None;
            }
            Some(Order {
                zone_by_zone: true,
                ..inner
            })
        }
        "batches" => batches(desk, chosen).map(everywhere),
        _ => limited(desk, &chosen.value).map(|at_once| everywhere(Within::All { at_once })),
    }
}

fn limited(desk: &Desk, node: &Node) -> Option<u32> {
    let fields = Fields::open(desk.sink, node, &AT_ONCE)?;
    let at_once = at_once(desk, fields.get("at_once"));
    fields.done();
    at_once
}

fn at_once(desk: &Desk, node: Option<&Node>) -> Option<u32> {
    let Some(node) = node else {
        return Some(AT_ONCE_DEFAULT);
    };
    u32::try_from(reader::int(desk.sink, node, LIMITS)?).ok()
}

fn batches(desk: &Desk, entry: &Entry) -> Option<Within> {
    let (sizes_node, limit) = match &entry.value.tree {
        Tree::Map(_) => {
            let fields = Fields::open(desk.sink, &entry.value, &BATCHES)?;
            let parts = (fields.get("sizes"), at_once(desk, fields.get("at_once")));
            fields.done();
            parts
        }
        _ => (Some(&entry.value), Some(AT_ONCE_DEFAULT)),
    };
    let sizes_node = sizes_node?;
    let sizes = reader::list(desk.sink, sizes_node, |node| {
        let size = share(desk, node)?;
        let nothing = matches!(size, Share::Hosts(0));
        if nothing {
            let message = "a batch of no hosts";
            desk.sink.add_with_help(&node.span, message, SHARES);
        }
        (!nothing).then_some(size)
    });
    if matches!(&sizes_node.tree, Tree::List(items) if items.is_empty()) {
        let message = "`batches` names no size";
        desk.sink.add_with_help(&sizes_node.span, message, SHARES);
    }
    let at_once = limit?;
    (!sizes.is_empty()).then_some(Within::Batches { sizes, at_once })
}

const SHARES: &str = "write hosts like 1 or 5, or a part of them like 10%";

/// Hosts, or a part of them.
pub(super) fn share(desk: &Desk, node: &Node) -> Option<Share> {
    let written = reader::text(desk.sink, node)?;
    let read = match written.strip_suffix('%') {
        Some(percent) => percent
            .parse()
            .ok()
            .filter(|percent| (1..=100).contains(percent))
            .map(Share::Percent),
        None => written.parse().ok().map(Share::Hosts),
    };
    if read.is_none() {
        let message = format!("`{}` is no number of hosts", shortened(&written));
        desk.sink.add_with_help(&node.span, message, SHARES);
    }
    read
}
