//! A tracker's text as values.

use super::shapes::{
    CANNOT_SAY, CARRY, CHANGES, DATA, DECIDED, HOST, PACES, POSTPONED, PROGRESS, PROPOSED,
    RANK_MAX, STATES, STATES_SAID, TRACKER,
};
use crate::node::{self, Entry, Node, Tree, shortened};
use crate::problem::{Problems, Sink, SourceFile};
use crate::reader::{self, Fields};
use overhaul_model::id::{HostName, Person, RoleName, RunId, ZoneName};
use overhaul_model::strategy::Strategy;
use overhaul_model::tracker::{
    Change, DataWay, Decided, Pace, Postponed, Progress, Proposal, Reason, State, TrackedHost,
    Tracker, Turn,
};
use std::collections::BTreeSet;

/// Reads a tracker.
///
/// # Errors
/// All problems of the file at once; only the first one when it is no valid YAML.
pub fn parse(file: &SourceFile) -> Result<Tracker, Problems> {
    let sink = Sink::new(file);
    let read = node::parse(&sink).and_then(|root| tracker(&sink, &root));
    sink.into_result(read)
}

pub(super) fn tracker(sink: &Sink, root: &Node) -> Option<Tracker> {
    let fields = Fields::open(sink, root, &TRACKER)?;
    let fleet = fields
        .get("tracker")
        .and_then(|node| reader::name(sink, node));
    let mut out = Tracker::default();
    if let Some(entry) = fields.entry("hosts") {
        in_block_style(sink, entry, "`hosts`");
        for entry in reader::map(sink, &entry.value, "hosts") {
            if let Some(host) = host(sink, entry) {
                out.hosts.insert(HostName::new(entry.key.clone()), host);
            }
        }
    }
    fields.done();
    out.fleet = fleet?;
    Some(out)
}

/// Our blocks are put between lines, so what holds them must stand on lines of its own.
fn in_block_style(sink: &Sink, entry: &Entry, what: &str) {
    let text = &sink.file.text;
    let empty = matches!(&entry.value.tree, Tree::Map(entries) if entries.is_empty());
    let flow = !empty
        && text
            .get(entry.value.span.clone())
            .is_some_and(|t| t.starts_with('{'));
    let alias = !entry.value.is_null() && entry.value.span.start < entry.key_span.end;
    if flow || alias {
        let message = format!("{what} is written on lines of its own in a tracker");
        let help = "write its keys below it, indented, without braces or aliases: Overhaul adds its own lines there";
        sink.add_with_help(&entry.key_span, message, help);
    }
}

fn host(sink: &Sink, entry: &Entry) -> Option<TrackedHost> {
    let good = reader::check_name(sink, &entry.key, &entry.key_span);
    in_block_style(
        sink,
        entry,
        &format!("the host `{}`", shortened(&entry.key)),
    );
    if entry.value.is_null() {
        return good.then(TrackedHost::default);
    }
    let fields = Fields::open(sink, &entry.value, &HOST)?;
    let mut out = TrackedHost::default();
    if let Some(node) = fields.get("proposed").filter(|node| !node.is_null()) {
        proposed(sink, node, &mut out);
    }
    if let Some(node) = fields.get("decided").filter(|node| !node.is_null()) {
        out.decided = decided(sink, node).unwrap_or_default();
    }
    if let Some(node) = fields.get("progress").filter(|node| !node.is_null()) {
        out.progress = progress(sink, node);
    }
    fields.done();
    good.then_some(out)
}

fn proposed(sink: &Sink, node: &Node, out: &mut TrackedHost) {
    let Some(fields) = Fields::open(sink, node, &PROPOSED) else {
        return;
    };
    let change = fields
        .get("change")
        .and_then(|node| change(sink, node, true));
    let data = fields.get("data").and_then(|node| data(sink, node, true));
    let turn = Turn {
        rank: rank(&fields).unwrap_or(1),
        group: fields.text("group").unwrap_or_default(),
        pace: fields.word("pace", &paces()).unwrap_or(Pace::OneByOne),
        after: names(&fields, "after").map(HostName::new).collect(),
    };
    let bytes = fields.get("data_bytes");
    let bytes = bytes.and_then(|node| reader::int(sink, node, 0..=i64::MAX));
    let facts_of = fields.get("facts_of").and_then(|node| {
        let written = reader::text(sink, node)?;
        let at = written.parse().ok();
        if at.is_none() {
            let message = format!("`{}` is no time", shortened(&written));
            let help = "take the whole block `proposed` away; it is written anew at the next run";
            sink.add_with_help(&node.span, message, help);
        }
        at
    });
    out.roles = names(&fields, "roles").map(RoleName::new).collect();
    out.zone = fields.text("zone").map(ZoneName::new);
    let reasons = texts(&fields, "why").into_iter().map(reason).collect();
    let not_known = texts(&fields, "not_known");
    let release = fields.text("release");
    fields.done();
    if let (Some(change), Some(data)) = (change, data) {
        out.proposed = Some(Proposal {
            change,
            data,
            turn,
            data_bytes: bytes.and_then(|bytes| u64::try_from(bytes).ok()),
            reasons,
            not_known,
            release,
            facts_of,
        });
    }
}

/// `rule: sentence`.
fn reason(text: String) -> Reason {
    match text.split_once(": ") {
        Some((rule, says)) => Reason {
            rule: rule.to_owned(),
            says: says.to_owned(),
        },
        None => Reason {
            rule: String::new(),
            says: text,
        },
    }
}

fn decided(sink: &Sink, node: &Node) -> Option<Decided> {
    let fields = Fields::open(sink, node, &DECIDED)?;
    let change_node = fields.get("change");
    let data_node = fields.get("data");
    let change = change_node.and_then(|node| change(sink, node, false).flatten());
    let data = data_node.and_then(|node| data(sink, node, false).flatten());
    if let (Some(change), Some(data), Some(node)) = (change, &data, data_node)
        && let Err(nonsense) = Strategy::new(change, data.kind())
    {
        let message = nonsense.to_string();
        sink.add(&node.span, message);
    }
    let said = STATES_SAID.iter().zip([State::NotStarted, State::Done]);
    let said: Vec<(&str, State)> = said.map(|(word, state)| (*word, state)).collect();
    let out = Decided {
        change,
        data,
        rank: rank(&fields),
        group: fields.text("group"),
        pace: fields.word("pace", &paces()),
        after: names(&fields, "after").map(HostName::new).collect(),
        postponed: fields
            .get("postponed")
            .and_then(|node| postponed(sink, node)),
        state: fields.word("state", &said),
        note: fields.text("note"),
    };
    fields.done();
    Some(out)
}

fn postponed(sink: &Sink, node: &Node) -> Option<Postponed> {
    let fields = Fields::open(sink, node, &POSTPONED)?;
    let until = fields
        .get("until")
        .and_then(|node| reader::date(sink, node));
    let (by, reason) = (fields.text("by"), fields.text("reason"));
    fields.done();
    Some(Postponed {
        until: until?,
        by: Person::new(by?),
        reason: reason?,
    })
}

fn progress(sink: &Sink, node: &Node) -> Option<Progress> {
    let fields = Fields::open(sink, node, &PROGRESS)?;
    let words: Vec<(&str, State)> = STATES.into_iter().zip(State::ALL).collect();
    let state = fields.word("state", &words);
    let run = fields.text("run").map(RunId::new);
    let leftovers = texts(&fields, "leftovers");
    let vanished = fields
        .get("vanished")
        .and_then(|node| reader::date(sink, node));
    fields.done();
    Some(Progress {
        state: state?,
        run,
        leftovers,
        vanished,
    })
}

/// The outer `None` is a problem that was told; the inner one is `cannot-say`.
fn change(sink: &Sink, node: &Node, ours: bool) -> Option<Option<Change>> {
    let mut words: Vec<(&str, Option<Change>)> =
        CHANGES.into_iter().zip(Change::ALL.map(Some)).collect();
    if ours {
        words.push((CANNOT_SAY, None));
    }
    reader::word(sink, node, &words)
}

fn data(sink: &Sink, node: &Node, ours: bool) -> Option<Option<DataWay>> {
    if let Tree::Map(_) = &node.tree {
        let fields = Fields::open(sink, node, &CARRY)?;
        let paths = fields.get("carry").map(|node| paths(sink, node));
        fields.done();
        return Some(Some(DataWay::Carry(paths?)));
    }
    if let Tree::Scalar { text, .. } = &node.tree
        && text == "carry"
    {
        sink.add_with_help(
            &node.span,
            "`carry` does not say what is carried",
            "write the paths: data: {carry: [/srv/files]}",
        );
        return None;
    }
    let mut words: Vec<(&str, usize)> = DATA.iter().enumerate().map(|(i, w)| (*w, i)).collect();
    if ours {
        words.push((CANNOT_SAY, DATA.len()));
    }
    let index = reader::word(sink, node, &words)?;
    Some(match index {
        0 => Some(DataWay::None),
        1 => Some(DataWay::Stays),
        2 => Some(DataWay::Volume),
        3 => Some(DataWay::Rejoin),
        4 => Some(DataWay::Transfer),
        _ => None,
    })
}

fn paths(sink: &Sink, node: &Node) -> Vec<String> {
    let paths = reader::list(sink, node, |node| {
        let path = reader::text(sink, node)?;
        if !path.starts_with('/') {
            let message = format!("`{}` is no absolute path", shortened(&path));
            sink.add_with_help(&node.span, message, "write it from the root: /srv/files");
            return None;
        }
        Some(path)
    });
    if let Tree::List(items) = &node.tree
        && items.is_empty()
    {
        sink.add_with_help(
            &node.span,
            "`carry` names no path",
            "write what is carried, or `data: none`",
        );
    }
    paths
}

fn paces() -> [(&'static str, Pace); 2] {
    let [one_by_one, batches] = PACES;
    [(one_by_one, Pace::OneByOne), (batches, Pace::Batches)]
}

fn rank(fields: &Fields) -> Option<u32> {
    let node = fields.get("rank")?;
    let rank = reader::int(fields.sink, node, 1..=RANK_MAX)?;
    u32::try_from(rank).ok()
}

fn texts(fields: &Fields, name: &'static str) -> Vec<String> {
    let Some(node) = fields.get(name).filter(|node| !node.is_null()) else {
        return Vec::new();
    };
    reader::list(fields.sink, node, |node| reader::text(fields.sink, node))
}

fn names(fields: &Fields, name: &'static str) -> impl Iterator<Item = String> + use<> {
    let list: BTreeSet<String> = match fields.get(name).filter(|node| !node.is_null()) {
        Some(node) => reader::list(fields.sink, node, |node| reader::name(fields.sink, node))
            .into_iter()
            .collect(),
        None => BTreeSet::new(),
    };
    list.into_iter()
}
