//! A file of Ansible's as data: YAML with its tags and merge keys, or JSON, each value with its place.

use super::book::{Book, FileId, Place};
use super::json;
use super::scalar::{fraction, resolve, whole};
use super::value::Value;
use crate::node::{Dialect, Entry, Node, Tree, parse_as, shortened};
use crate::problem::{Problem, Sink, SourceFile};
use serde_json::Number;
use std::collections::BTreeMap;
use std::ops::Range;

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Data {
    pub(super) place: Place,
    pub(super) tree: DataTree,
}

#[derive(Clone, Debug)]
pub(super) enum DataTree {
    /// No list and no map.
    Leaf(Value),
    List(Vec<Data>),
    Map(Vec<DataEntry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct DataEntry {
    pub(super) key: String,
    /// Whether the key is a text; in YAML it may be a number, a truth or nothing as well.
    pub(super) is_text: bool,
    pub(super) key_place: Place,
    pub(super) value: Data,
}

impl Data {
    pub(super) fn is_null(&self) -> bool {
        matches!(self.tree, DataTree::Leaf(Value::Null))
    }

    /// Whether Python takes it for false.
    pub(super) fn is_empty(&self) -> bool {
        match &self.tree {
            DataTree::Leaf(Value::Null | Value::Bool(false)) => true,
            DataTree::Leaf(Value::Text(text)) => text.is_empty(),
            DataTree::Leaf(Value::Number(number)) => number.as_f64() == Some(0.0),
            DataTree::Leaf(_) => false,
            DataTree::List(items) => items.is_empty(),
            DataTree::Map(entries) => entries.is_empty(),
        }
    }

    /// What it is, for messages.
    pub(super) fn what(&self) -> String {
        match &self.tree {
            DataTree::Leaf(Value::Null) => "nothing".to_owned(),
            DataTree::Leaf(Value::Text(text)) => format!("the text `{}`", shortened(text)),
            DataTree::Leaf(_) => "a single value".to_owned(),
            DataTree::List(_) => "a list".to_owned(),
            DataTree::Map(_) => "keys with values".to_owned(),
        }
    }

    pub(super) fn into_value(self) -> Value {
        match self.tree {
            DataTree::Leaf(value) => value,
            DataTree::List(items) => Value::List(items.into_iter().map(Self::into_value).collect()),
            DataTree::Map(entries) => {
                let pairs = entries.into_iter();
                Value::Map(pairs.map(|e| (e.key, e.value.into_value())).collect())
            }
        }
    }
}

/// What a text of Ansible's holds, JSON or YAML; problems go to the book. An empty one is nothing.
pub(super) fn read(book: &Book, file: FileId) -> Option<Data> {
    match try_read(&book.file(file), file) {
        Ok(data) => Some(data),
        Err(Unread(problems, left_out)) => {
            book.absorb(file, problems, left_out);
            None
        }
    }
}

/// The problems of a text, and how many more there are.
pub(super) struct Unread(pub(super) Vec<Problem>, pub(super) usize);

/// The same, without a word to the book.
pub(super) fn try_read(source: &SourceFile, file: FileId) -> Result<Data, Unread> {
    if json::looks_like(&source.text)
        && let Ok(data) = json::read(&source.text, file)
    {
        return Ok(data);
    }
    let sink = Sink::new(source);
    let node = parse_as(&sink, Dialect::Ansible);
    let reader = Reader { sink: &sink, file };
    let data = node.map(|node| reader.data(node, false));
    if sink.count() > 0 {
        let (problems, left_out) = sink.into_parts();
        return Err(Unread(problems, left_out));
    }
    Ok(data.unwrap_or(Data {
        place: file.whole(),
        tree: DataTree::Leaf(Value::Null),
    }))
}

struct Reader<'r, 'f> {
    sink: &'r Sink<'f>,
    file: FileId,
}

const CORE: &str = "tag:yaml.org,2002:";

impl Reader<'_, '_> {
    fn data(&self, node: Node, is_unsafe: bool) -> Data {
        let place = self.file.place(&node.span);
        let tag = node.tag.as_deref().unwrap_or_default();
        let is_unsafe = is_unsafe || tag == "!unsafe";
        let tree = match node.tree {
            Tree::Scalar { ref text, plain } => DataTree::Leaf(match tag {
                "" | "!unsafe" if plain => lock(resolve(text), is_unsafe),
                "" | "!unsafe" | "!" => lock(Value::Text(text.clone()), is_unsafe),
                "!vault" | "!vault-encrypted" => Value::Encrypted(text.clone()),
                _ => self.tagged(tag, text, &node.span, is_unsafe),
            }),
            Tree::List(items) => {
                self.collection_tag(tag, "seq", &node.span);
                let items = items.into_iter().map(|item| self.data(item, is_unsafe));
                DataTree::List(items.collect())
            }
            Tree::Map(entries) => {
                self.collection_tag(tag, "map", &node.span);
                DataTree::Map(self.entries(entries, is_unsafe))
            }
        };
        Data { place, tree }
    }

    fn tagged(&self, tag: &str, text: &str, span: &Range<usize>, is_unsafe: bool) -> Value {
        let number = |number: Option<_>| number.map(Value::Number);
        let found = match tag.strip_prefix(CORE) {
            Some("str") => Some(lock(Value::Text(text.to_owned()), is_unsafe)),
            Some("null") => Some(Value::Null),
            Some("int") => number(whole(text)),
            Some("float") => number(fraction(text).or_else(|| as_fraction(whole(text)?))),
            Some("bool" | "timestamp") => Some(resolve(text)),
            _ => return self.unknown_tag(tag, span),
        };
        found.unwrap_or_else(|| {
            let message = format!("`{}` does not fit its tag", shortened(text));
            self.sink.add(span, message);
            Value::Null
        })
    }

    fn unknown_tag(&self, tag: &str, span: &Range<usize>) -> Value {
        let shown = tag.replace(CORE, "!!");
        let message = format!("the tag `{}` is not read", shortened(&shown));
        let help = "write the value itself; the tags that are read are `!vault` and `!unsafe`";
        self.sink.add_with_help(span, message, help);
        Value::Null
    }

    fn collection_tag(&self, tag: &str, usual: &str, span: &Range<usize>) {
        let fits = tag.is_empty() || tag == "!unsafe" || tag.strip_prefix(CORE) == Some(usual);
        if !fits {
            self.unknown_tag(tag, span);
        }
    }

    fn entries(&self, entries: Vec<Entry>, is_unsafe: bool) -> Vec<DataEntry> {
        let mut merged: Vec<DataEntry> = Vec::new();
        let mut own: Vec<DataEntry> = Vec::new();
        for entry in entries {
            if entry.key == "<<" && entry.key_plain {
                self.merge(entry.value, is_unsafe, &mut merged);
                continue;
            }
            let (key, is_text) = match entry.key_plain {
                true => key_of(&resolve(&entry.key)),
                false => (entry.key, true),
            };
            own.push(DataEntry {
                key,
                is_text,
                key_place: self.file.place(&entry.key_span),
                value: self.data(entry.value, is_unsafe),
            });
        }
        if merged.is_empty() {
            return own;
        }
        merged.extend(own);
        last_of_each(merged)
    }

    /// The pairs of `<<`, what counts more behind what counts less.
    fn merge(&self, node: Node, is_unsafe: bool, into: &mut Vec<DataEntry>) {
        let span = node.span.clone();
        match node.tree {
            Tree::Map(entries) => into.extend(self.entries(entries, is_unsafe)),
            Tree::List(items) => {
                for item in items.into_iter().rev() {
                    self.merge(item, is_unsafe, into);
                }
            }
            Tree::Scalar { .. } => {
                let message = "`<<` takes keys with values, or a list of such";
                self.sink.add(&span, message);
            }
        }
    }
}

/// Of several pairs with one key the last value, at the place of the first.
fn last_of_each(entries: Vec<DataEntry>) -> Vec<DataEntry> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut out: Vec<DataEntry> = Vec::new();
    for entry in entries {
        match seen.get(&entry.key).and_then(|at| out.get_mut(*at)) {
            Some(before) => *before = entry,
            None => {
                seen.insert(entry.key.clone(), out.len());
                out.push(entry);
            }
        }
    }
    out
}

fn lock(value: Value, is_unsafe: bool) -> Value {
    match value {
        Value::Text(text) if is_unsafe => Value::Unsafe(text),
        other => other,
    }
}

/// A key as JSON has it, and whether it was a text.
pub(super) fn key_of(value: &Value) -> (String, bool) {
    match value {
        Value::Text(text) | Value::Unsafe(text) => (text.clone(), true),
        other => (other.to_json().to_string(), false),
    }
}

/// A whole number that is meant as a fraction: `!!float 1` is 1.0.
fn as_fraction(number: Number) -> Option<Number> {
    number.as_f64().and_then(Number::from_f64)
}
