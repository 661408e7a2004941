//! Typed reading of a tree: unknown keys, missing keys and wrong types are all reported, and reading
//! goes on with what is left.

use crate::node::{Entry, Node, Tree, shortened};
use crate::problem::Sink;
use crate::shape::{Key, Shape};
use crate::words::{NAME_HELP, name_fault, suggestion};
use jiff::civil::Date;
use overhaul_model::span::Span;
use std::cell::RefCell;
use std::ops::Range;

/// The keys of one object, checked against its shape.
pub(crate) struct Fields<'n, 's, 'f> {
    pub(crate) sink: &'s Sink<'f>,
    pub(crate) span: Range<usize>,
    entries: &'n [Entry],
    shape: &'static Shape,
    taken: RefCell<Vec<&'static str>>,
}

impl<'n, 's, 'f> Fields<'n, 's, 'f> {
    /// Opens an object; reports what is no object, unknown keys and missing ones.
    pub(crate) fn open(sink: &'s Sink<'f>, node: &'n Node, shape: &'static Shape) -> Option<Self> {
        let Tree::Map(entries) = &node.tree else {
            let message = format!(
                "{} is written as keys with values, not {}",
                shape.what,
                node.what()
            );
            let keys = shape.all().map(|key| key.name);
            sink.add_with_help(&node.span, message, suggestion("", keys, "the keys are"));
            return None;
        };
        for entry in entries {
            check_key(sink, entry, shape);
        }
        let here = |name: &str| entries.iter().any(|entry| entry.key == name);
        let start = entries
            .first()
            .map_or(node.span.clone(), |entry| entry.key_span.clone());
        for key in shape.all().filter(|key| key.needed && !here(key.name)) {
            let message = format!("{} lacks the key `{}`", shape.what, key.name);
            sink.add_with_help(&start, message, format!("`{}`: {}", key.name, key.says));
        }
        let fields = Self {
            sink,
            span: start,
            entries,
            shape,
            taken: RefCell::new(Vec::new()),
        };
        fields.check_choice();
        Some(fields)
    }

    /// The key of a choice that was made; problems about none or several are reported by `open`.
    pub(crate) fn chosen(&self) -> Option<&'n Entry> {
        let first = self.choices().next()?;
        // Several are one problem, which `open` reported.
        let written = |key: &&Key| self.has(key.name);
        let names = self.shape.one_of.iter().filter(written).map(|key| key.name);
        self.taken.borrow_mut().extend(names);
        Some(first)
    }

    fn choices(&self) -> impl Iterator<Item = &'n Entry> + use<'n> {
        let one_of = self.shape.one_of;
        self.entries
            .iter()
            .filter(|entry| one_of.iter().any(|key| key.name == entry.key))
    }

    fn check_choice(&self) {
        let names = || self.shape.one_of.iter().map(|key| key.name);
        if self.shape.one_of.is_empty() {
            return;
        }
        let mut found = self.choices();
        match (found.next(), found.next()) {
            (None, _) => {
                // A misspelt or later key was already reported, and it was the choice.
                let unknown = |entry: &Entry| !self.shape.knows(&entry.key);
                if !self.entries.iter().any(unknown) {
                    let message = format!("{} does not say what it is", self.shape.what);
                    let help = suggestion("", names(), "it needs one of");
                    self.sink.add_with_help(&self.span, message, help);
                }
            }
            (Some(first), Some(second)) => {
                let message = format!(
                    "{} cannot be both `{}` and `{}`",
                    self.shape.what, first.key, second.key
                );
                let help = "write one of the two, or two entries of the list";
                self.sink.add_with_help(&second.key_span, message, help);
            }
            (Some(_), None) => {}
        }
    }

    /// The entry of a key, if it was written.
    pub(crate) fn entry(&self, name: &'static str) -> Option<&'n Entry> {
        self.taken.borrow_mut().push(name);
        self.entries.iter().find(|entry| entry.key == name)
    }

    /// The value of a key, if it was written.
    pub(crate) fn get(&self, name: &'static str) -> Option<&'n Node> {
        self.entry(name).map(|entry| &entry.value)
    }

    /// Whether the key was written.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == name)
    }

    /// The entries in the order in which they were written.
    pub(crate) fn entries(&self) -> &'n [Entry] {
        self.entries
    }

    pub(crate) fn text(&self, name: &'static str) -> Option<String> {
        text(self.sink, self.get(name)?)
    }

    pub(crate) fn span_of_time(&self, name: &'static str) -> Option<Span> {
        span_of_time(self.sink, self.get(name)?)
    }

    pub(crate) fn bool(&self, name: &'static str) -> Option<bool> {
        boolean(self.sink, self.get(name)?)
    }

    pub(crate) fn word<T: Copy>(&self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        word(self.sink, self.get(name)?, words)
    }

    /// Must be called last: a key that stands in the shape but was never read would be lost silently.
    pub(crate) fn done(self) {
        let taken = self.taken.borrow();
        for entry in self.entries {
            if self.shape.knows(&entry.key) && !taken.contains(&entry.key.as_str()) {
                let message = match self.choices().next() {
                    Some(choice) => {
                        format!("`{}` has no meaning with `{}`", entry.key, choice.key)
                    }
                    None => format!("`{}` has no effect here", entry.key),
                };
                self.sink
                    .add_with_help(&entry.key_span, message, "take it away");
            }
        }
    }
}

fn check_key(sink: &Sink, entry: &Entry, shape: &'static Shape) {
    if shape.knows(&entry.key) {
        return;
    }
    let later = shape.later.iter().find(|(name, _)| *name == entry.key);
    if let Some((name, instead)) = later {
        not_yet(sink, &entry.key_span, name, instead);
        return;
    }
    let message = format!("unknown key `{}` in {}", shortened(&entry.key), shape.what);
    let keys = shape.all().map(|key| key.name);
    sink.add_with_help(
        &entry.key_span,
        message,
        suggestion(&entry.key, keys, "the keys are"),
    );
}

/// Something of the design that this version does not have.
pub(crate) fn not_yet(sink: &Sink, span: &Range<usize>, what: &str, instead: &str) {
    let message = format!("`{what}` is not available in this version");
    sink.add_with_help(span, message, instead);
}

/// A text; numbers and truth values count as they are spelt.
pub(crate) fn text(sink: &Sink, node: &Node) -> Option<String> {
    match &node.tree {
        Tree::Scalar { text, .. } if !node.is_null() => Some(text.clone()),
        _ => {
            let help = if matches!(node.tree, Tree::Map(_)) {
                "a text that begins with `{` needs quotes around it"
            } else {
                "write a text"
            };
            sink.add_with_help(
                &node.span,
                format!("a text is needed here, not {}", node.what()),
                help,
            );
            None
        }
    }
}

/// A name of letters, digits, `.`, `_` and `-`.
pub(crate) fn name(sink: &Sink, node: &Node) -> Option<String> {
    let name = text(sink, node)?;
    check_name(sink, &name, &node.span).then_some(name)
}

/// Whether the text is a valid name; reports when not.
pub(crate) fn check_name(sink: &Sink, name: &str, span: &Range<usize>) -> bool {
    match name_fault(name) {
        None => true,
        Some(fault) => {
            let message = format!("`{}` is no valid name: {fault}", shortened(name));
            sink.add_with_help(span, message, NAME_HELP);
            false
        }
    }
}

/// A length of time.
pub(crate) fn span_of_time(sink: &Sink, node: &Node) -> Option<Span> {
    let written = text(sink, node)?;
    match written.parse() {
        Ok(span) => Some(span),
        Err(_) => {
            let message = format!("`{}` is not a length of time", shortened(&written));
            let help = "write it like 500ms, 90s, 15m, 1h30m or 2d, at most 366d";
            sink.add_with_help(&node.span, message, help);
            None
        }
    }
}

/// A day.
pub(crate) fn date(sink: &Sink, node: &Node) -> Option<Date> {
    let written = text(sink, node)?;
    let date = written.parse().ok();
    if date.is_none() {
        let message = format!("`{}` is no date", shortened(&written));
        sink.add_with_help(&node.span, message, "write it like 2026-03-31");
    }
    date
}

/// A whole number within bounds.
pub(crate) fn int(sink: &Sink, node: &Node, bounds: std::ops::RangeInclusive<i64>) -> Option<i64> {
    let number = match &node.tree {
        Tree::Scalar { plain: true, .. } => node.to_json().as_i64(),
        _ => None,
    };
    match number {
        Some(number) if bounds.contains(&number) => Some(number),
        _ => {
            let message = format!(
                "a whole number from {} to {} is needed here, not {}",
                bounds.start(),
                bounds.end(),
                node.what()
            );
            sink.add(&node.span, message);
            None
        }
    }
}

/// `true` or `false`.
pub(crate) fn boolean(sink: &Sink, node: &Node) -> Option<bool> {
    match &node.tree {
        Tree::Scalar { plain: true, .. } if node.to_json().is_boolean() => node.to_json().as_bool(),
        _ => {
            let message = format!("`true` or `false` is needed here, not {}", node.what());
            sink.add(&node.span, message);
            None
        }
    }
}

/// One of some words.
pub(crate) fn word<T: Copy>(sink: &Sink, node: &Node, words: &[(&str, T)]) -> Option<T> {
    let written = text(sink, node)?;
    let found = words.iter().find(|(word, _)| *word == written);
    if found.is_none() {
        let message = format!(
            "`{}` is none of the words that fit here",
            shortened(&written)
        );
        let names = words.iter().map(|(word, _)| *word);
        let help = suggestion(&written, names, "the words are");
        sink.add_with_help(&node.span, message, help);
    }
    found.map(|(_, value)| *value)
}

/// A list, without the entries that `read` refused.
pub(crate) fn list<T>(sink: &Sink, node: &Node, read: impl FnMut(&Node) -> Option<T>) -> Vec<T> {
    match &node.tree {
        Tree::List(items) => items.iter().filter_map(read).collect(),
        _ => {
            let message = format!("a list is needed here, not {}", node.what());
            sink.add_with_help(
                &node.span,
                message,
                "write it as [a, b] or with `- ` on lines of their own",
            );
            Vec::new()
        }
    }
}

/// The entries of an object whose keys are names; nothing written counts as no entries.
pub(crate) fn map<'n>(sink: &Sink, node: &'n Node, what: &str) -> &'n [Entry] {
    match &node.tree {
        Tree::Map(entries) => entries,
        _ if node.is_null() => &[],
        _ => {
            let message = format!(
                "{what} are written as names with values, not {}",
                node.what()
            );
            sink.add(&node.span, message);
            &[]
        }
    }
}
