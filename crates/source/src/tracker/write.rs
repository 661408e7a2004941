//! A tracker's text with our blocks written anew. Nothing else of it is touched: our lines are put between those
//! of people by their places, and the outcome is read again before anybody gets it.

use super::emit;
use super::read::tracker;
use crate::node::{self, Entry, Node, Tree};
use crate::problem::{Problems, Sink, SourceFile};
use overhaul_model::id::{HostName, RoleName, ZoneName};
use overhaul_model::tracker::{Progress, Proposal, TrackedHost, Tracker};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What stands at the head of a new tracker.
const HEAD: &str = "\
# How each host of this fleet shall change, and how far it is. `overhaul classify` writes `proposed` and `progress` anew
# at each run; everything else is yours, and is kept byte for byte: write `decided` below a host. Its keys: change,
# data, rank, group, pace, after, postponed {until, by, reason}, state, note.
";

/// What we write of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Its roles.
    pub roles: BTreeSet<RoleName>,
    /// Its zone.
    pub zone: Option<ZoneName>,
    /// The proposal; `None` leaves the block as it is.
    pub proposed: Option<Proposal>,
    /// The progress; `None` leaves the block as it is.
    pub progress: Option<Progress>,
}

/// A tracker cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] Problems),
    /// Our lines do not fit between those of people: an unusual form of YAML.
    #[error("{name}: our lines cannot be put into this file without touching yours: {why}")]
    Unusual {
        /// The file.
        name: String,
        /// What came out different.
        why: String,
    },
}

/// A new tracker.
///
/// # Errors
/// When the fleet's name or a host's name is none that a tracker may hold.
pub fn fresh(fleet: &str, updates: &BTreeMap<HostName, Update>) -> Result<String, WriteError> {
    let text = format!("{HEAD}tracker: {}\nhosts:\n", emit::quoted(fleet));
    updated(&SourceFile::new("a new tracker", text), updates)
}

/// The text of a tracker with these updates in it, hosts that are new at its end.
///
/// # Errors
/// When the file cannot be read, or is written in a form that our lines do not fit into.
pub fn updated(
    file: &SourceFile,
    updates: &BTreeMap<HostName, Update>,
) -> Result<String, WriteError> {
    if file.text.replace("\r\n", "\n").contains('\r') {
        // YAML ends a line there, and we would not: our lines could land within one of theirs.
        return Err(WriteError::Unusual {
            name: file.name.clone(),
            why: "a carriage return stands alone, without a line feed".to_owned(),
        });
    }
    let sink = Sink::new(file);
    let root = node::parse(&sink);
    let before = root.as_ref().and_then(|root| tracker(&sink, root));
    let before = sink.into_result(before)?;
    let Some(hosts) = root.as_ref().and_then(|root| entry(root, "hosts")) else {
        return Ok(file.text.clone());
    };
    let mut edits = Vec::new();
    let page = Page::of(&file.text);
    let mut new = String::new();
    let known: BTreeMap<&str, &Entry> = entries(&hosts.value)
        .iter()
        .map(|entry| (entry.key.as_str(), entry))
        .collect();
    let indent = entries(&hosts.value)
        .first()
        .map_or(2, |entry| page.column(entry.key_span.start));
    for (host, update) in updates {
        match known.get(host.as_str()) {
            Some(entry) => page.change(entry, update, &mut edits),
            None => new.push_str(&page.host(host, indent, update)),
        }
    }
    if !new.is_empty() {
        page.append(hosts, new, &mut edits);
    }
    let after = applied(&file.text, edits);
    proven(file, &before, updates, &after)?;
    Ok(after)
}

/// The outcome read again: what people decided is the same, and what we wrote is there.
fn proven(
    file: &SourceFile,
    before: &Tracker,
    updates: &BTreeMap<HostName, Update>,
    text: &str,
) -> Result<(), WriteError> {
    let unusual = |why: String| WriteError::Unusual {
        name: file.name.clone(),
        why,
    };
    let again = SourceFile::new(file.name.clone(), text);
    let after = super::parse(&again).map_err(|problems| unusual(problems.to_string()))?;
    let nobody = TrackedHost::default();
    for host in before.hosts.keys().chain(updates.keys()) {
        let Some(now) = after.hosts.get(host) else {
            return Err(unusual(format!("{host} is lost")));
        };
        let old = before.hosts.get(host).unwrap_or(&nobody);
        let update = updates.get(host);
        let same = |name: &str, same: bool| match same {
            true => Ok(()),
            false => Err(unusual(format!("`{name}` of {host} came out different"))),
        };
        same("decided", now.decided == old.decided)?;
        match update.and_then(|update| update.proposed.as_ref()) {
            Some(new) => {
                let now = now.proposed.as_ref();
                let point = |p: &Proposal| (p.change, p.data.clone(), p.turn.rank, p.turn.pace);
                same("proposed", now.map(point) == Some(point(new)))?;
            }
            None => same("proposed", now.proposed == old.proposed)?,
        }
        match update.and_then(|update| update.progress.as_ref()) {
            Some(new) => {
                let now = now.progress.as_ref();
                let point = |p: &Progress| (p.state, p.vanished);
                same("progress", now.map(point) == Some(point(new)))?;
            }
            None => same("progress", now.progress == old.progress)?,
        }
    }
    Ok(())
}

type Edit = (Range<usize>, String);

fn applied(text: &str, mut edits: Vec<Edit>) -> String {
    // Stable: what goes to one place stays in its order.
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len());
    let mut at: usize = 0;
    for (range, new) in edits {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        if !out.is_empty() && !out.ends_with('\n') && !new.is_empty() {
            out.push_str(newline_of(text));
        }
        out.push_str(&new);
        at = range.end.max(at);
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

fn newline_of(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

fn entries(node: &Node) -> &[Entry] {
    match &node.tree {
        Tree::Map(entries) => entries,
        Tree::Scalar { .. } | Tree::List(_) => &[],
    }
}

fn entry<'n>(node: &'n Node, name: &str) -> Option<&'n Entry> {
    entries(node).iter().find(|entry| entry.key == name)
}

/// The text as lines.
struct Page<'t> {
    text: &'t str,
    newline: &'static str,
}

impl<'t> Page<'t> {
    fn of(text: &'t str) -> Self {
        Self {
            text,
            newline: newline_of(text),
        }
    }

    fn line_start(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or_default();
        before
            .rfind('\n')
            .map_or(0, |newline| newline.saturating_add(1))
    }

    /// Where the line after this place begins; the place itself when it begins a line already.
    fn next_line(&self, at: usize) -> usize {
        if at > 0 && self.line_start(at) == at {
            return at;
        }
        let after = self.text.get(at..).unwrap_or_default();
        after.find('\n').map_or(self.text.len(), |newline| {
            at.saturating_add(newline).saturating_add(1)
        })
    }

    fn column(&self, at: usize) -> usize {
        at.saturating_sub(self.line_start(at))
    }

    /// The lines of an entry: from its key to the end of its last value. Remarks that follow are not part of it.
    fn lines_of(&self, entry: &Entry) -> Range<usize> {
        self.line_start(entry.key_span.start)..self.next_line(self.end_of(entry))
    }

    fn end_of(&self, entry: &Entry) -> usize {
        self.end(&entry.value).max(entry.key_span.end)
    }

    fn end(&self, node: &Node) -> usize {
        let flow = |c| {
            self.text
                .get(node.span.start..)
                .is_some_and(|t| t.starts_with(c))
        };
        match &node.tree {
            Tree::Map(entries) if !flow('{') => {
                entries.last().map_or(node.span.end, |e| self.end_of(e))
            }
            Tree::List(items) if !flow('[') => {
                items.last().map_or(node.span.end, |item| self.end(item))
            }
            Tree::Map(_) | Tree::List(_) => node.span.end,
            // The span of a text that goes over lines may reach over blank lines behind it.
            Tree::Scalar { .. } => {
                let text = self.text.get(node.span.clone()).unwrap_or_default();
                let blank = text
                    .len()
                    .saturating_sub(text.trim_end_matches(['\n', '\r', ' ']).len());
                node.span.end.saturating_sub(blank).max(node.span.start)
            }
        }
    }

    fn block(&self, indent: usize, block: emit::Block) -> String {
        let mut out = String::new();
        for line in block {
            out.push_str(&" ".repeat(indent));
            out.push_str(&line);
            out.push_str(self.newline);
        }
        out
    }

    /// A whole entry for a new host.
    fn host(&self, host: &HostName, indent: usize, update: &Update) -> String {
        let name = if is_plain(host.as_str()) {
            host.to_string()
        } else {
            emit::quoted(host.as_str())
        };
        let inner = indent.saturating_add(2);
        let mut out = format!("{}{name}:{}", " ".repeat(indent), self.newline);
        if let Some(proposal) = &update.proposed {
            let block = emit::proposed(proposal, &update.roles, update.zone.as_ref());
            out.push_str(&self.block(inner, block));
        }
        if let Some(progress) = &update.progress {
            out.push_str(&self.block(inner, emit::progress(progress)));
        }
        out
    }

    fn append(&self, hosts: &Entry, new: String, edits: &mut Vec<Edit>) {
        self.empty(hosts, edits);
        let end = self.next_line(self.end_of(hosts));
        edits.push((end..end, new));
    }

    /// Takes away what stands for "nothing" behind a key, so that lines below it can be its value.
    fn empty(&self, entry: &Entry, edits: &mut Vec<Edit>) {
        let written = entry.value.span != entry.key_span && !entry.value.span.is_empty();
        let nothing = entry.value.is_null()
            || (matches!(entry.value.tree, Tree::Map(_)) && entries(&entry.value).is_empty());
        // A remark between the braces is somebody's; what comes out then cannot be read, and is refused.
        let text = self.text.get(entry.value.span.clone()).unwrap_or_default();
        let remark = text.contains('#');
        if written && nothing && !remark {
            edits.push((entry.value.span.clone(), String::new()));
        }
    }

    /// Our blocks of a host that is there.
    fn change(&self, host: &Entry, update: &Update, edits: &mut Vec<Edit>) {
        self.empty(host, edits);
        let inner = entries(&host.value).first().map_or_else(
            || self.column(host.key_span.start).saturating_add(2),
            |first| self.column(first.key_span.start),
        );
        let top = self.next_line(host.key_span.end);
        let proposed = update.proposed.as_ref().map(|proposal| {
            self.block(
                inner,
                emit::proposed(proposal, &update.roles, update.zone.as_ref()),
            )
        });
        let progress = update
            .progress
            .as_ref()
            .map(|p| self.block(inner, emit::progress(p)));
        let old_proposed = entry(&host.value, "proposed").map(|entry| self.lines_of(entry));
        // Behind `proposed` when it has none yet.
        let behind = old_proposed.as_ref().map_or(top, |lines| lines.end);
        if let Some(text) = proposed {
            edits.push((old_proposed.unwrap_or(top..top), text));
        }
        if let Some(text) = progress {
            let old = entry(&host.value, "progress").map(|entry| self.lines_of(entry));
            edits.push((old.unwrap_or(behind..behind), text));
        }
    }
}

/// Whether a name is read as this text without quotes.
fn is_plain(name: &str) -> bool {
    let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !words.contains(&name.to_ascii_lowercase().as_str())
}
