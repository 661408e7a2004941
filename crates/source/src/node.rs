//! YAML as a tree in which every node knows its place.
//!
//! The tree is built from the parser's events, so that scalars keep their spelling: `13` read as text is
//! `13`, and `0644` stays `0644`. Size, depth and copies by alias are bounded.

use crate::problem::{Sink, SourceFile};
use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, StrInput, Tag};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// Nodes of one file: a fleet of 100,000 hosts has about two million.
const NODES_MAX: usize = 4_000_000;

/// Nodes, and blocks of 64 bytes of text, that aliases of one file may copy: plenty for shared settings,
/// little enough that nested aliases cannot fill the memory.
const ALIAS_COPIES_MAX: usize = 100_000;

/// Depth of nesting: the deepest valid definition needs about a dozen.
const DEPTH_MAX: usize = 48;

/// A value with its place in the file, in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) tree: Tree,
    /// The tag as written, like `!vault`; only in [`Dialect::Ansible`].
    pub(crate) tag: Option<Box<str>>,
}

/// Whose YAML it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Ours: no tags, no merge keys; a file holds something.
    Own,
    /// Ansible's: tags and merge keys are kept for its reader, and a file may be empty.
    Ansible,
}

#[derive(Clone, Debug)]
pub(crate) enum Tree {
    /// A text as written; `plain` when it had no quotes, so that it may mean a number.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    /// Whether the key had no quotes, so that it may mean a number.
    pub(crate) key_plain: bool,
    pub(crate) value: Node,
}

impl Node {
    /// Whether nothing stands here.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.tree, Tree::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What it is, for messages.
    pub(crate) fn what(&self) -> String {
        match &self.tree {
            _ if self.is_null() => "nothing".to_owned(),
            Tree::Scalar { text, .. } => format!("the text `{}`", shortened(text)),
            Tree::List(_) => "a list".to_owned(),
            Tree::Map(_) => "keys with values".to_owned(),
        }
    }

    /// The value as JSON: plain scalars by the core schema of YAML 1.2. Numbers with leading zeros and
    /// numbers too large for the machine stay texts, so that no digit is lost.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.tree {
            _ if self.is_null() => serde_json::Value::Null,
            Tree::Scalar { text, plain: false } => serde_json::Value::String(text.clone()),
            Tree::Scalar { text, plain: true } => plain_scalar(text),
            Tree::List(items) => items.iter().map(Self::to_json).collect(),
            Tree::Map(entries) => {
                let pairs = entries.iter().map(|e| (e.key.clone(), e.value.to_json()));
                serde_json::Value::Object(pairs.collect())
            }
        }
    }

    /// What the node weighs when it is copied.
    fn weight(&self) -> usize {
        let inner = match &self.tree {
            Tree::Scalar { text, .. } => text.len() / 64,
            Tree::List(items) => items.iter().map(Self::weight).sum(),
            Tree::Map(entries) => entries
                .iter()
                .map(|e| e.value.weight().saturating_add(1))
                .sum(),
        };
        inner.saturating_add(1)
    }
}

/// At most 40 characters of a text, on one line.
pub(crate) fn shortened(text: &str) -> String {
    let mut out: String = text
        .chars()
        .take(40)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(40).is_some() {
        out.push('…');
    }
    out
}

fn plain_scalar(text: &str) -> serde_json::Value {
    match text {
        "true" | "True" | "TRUE" => return true.into(),
        "false" | "False" | "FALSE" => return false.into(),
        _ => {}
    }
    let digits = text.trim_start_matches(['-', '+']);
    let padded = digits.len() > 1
        && digits.starts_with('0')
        && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    let numeric = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.contains(|c: char| c.is_ascii_digit())
        && text.len().saturating_sub(digits.len()) <= 1
        && !padded;
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if numeric {
        let radix = |prefix, radix| {
            let hex = digits.strip_prefix(prefix)?;
            i64::from_str_radix(hex, radix).ok()
        };
        if let Ok(number) = unsigned.parse::<i64>() {
            return number.into();
        }
        if digits.len() == text.len()
            && let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8))
        {
            return number.into();
        }
        let float = digits.contains(['.', 'e', 'E'])
            && digits
                .chars()
                .all(|c| c.is_ascii_digit() || ".eE+-".contains(c));
        if float
            && let Ok(number) = unsigned.parse::<f64>()
            && let Some(number) = serde_json::Number::from_f64(number)
        {
            return serde_json::Value::Number(number);
        }
    }
    serde_json::Value::String(text.to_owned())
}

/// The file's one document. Problems go to the sink; `None` when there is no tree at all.
pub(crate) fn parse(sink: &Sink) -> Option<Node> {
    parse_as(sink, Dialect::Own)
}

/// The same, in somebody's dialect.
pub(crate) fn parse_as(sink: &Sink, dialect: Dialect) -> Option<Node> {
    let file: &SourceFile = sink.file;
    let whole = 0..file.text.len();
    if sink.refuses_size() {
        return None;
    }
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut builder = Builder {
        sink,
        dialect,
        open: Vec::new(),
        anchors: HashMap::new(),
        root: None,
        nodes: 0,
        copies: 0,
    };
    for event in Parser::<StrInput>::new_from_str_with_options(&file.text, options) {
        let step = match event {
            Ok((event, span)) => builder.take(event, span.byte_range().unwrap_or(0..0)),
            Err(error) => {
                syntax_problem(sink, &error);
                return None;
            }
        };
        if step == Step::GiveUp {
            return None;
        }
    }
    let root = builder.root.take();
    if dialect == Dialect::Own && root.as_ref().is_none_or(Node::is_null) {
        sink.add(&(whole.start..whole.start), "the file is empty");
        return None;
    }
    root
}

fn syntax_problem(sink: &Sink, error: &ScanError) {
    let at = error.marker().byte_offset().unwrap_or(0);
    let text = &sink.file.text;
    let line = text
        .get(..at)
        .and_then(|before| before.rsplit('\n').next())
        .unwrap_or_default();
    let message = format!("this is no valid YAML: {}", error.info());
    let help = if line.contains('\t') || text.get(at..).is_some_and(|t| t.starts_with('\t')) {
        "lines are indented with blanks, never with tabs"
    } else if error.info().contains("recursion limit") {
        "values are nested too deep"
    } else if error.info().contains("mapping values") {
        "a text that holds `: ` needs quotes around it"
    } else if error.info().contains("unexpected character") {
        "a text that begins with this character needs quotes around it"
    } else {
        "the mistake may also stand on the line before"
    };
    let end = at.saturating_add(1);
    sink.add_with_help(&(at..end), message, help);
}

#[derive(PartialEq, Eq)]
enum Step {
    Go,
    GiveUp,
}

/// A collection that has begun.
struct Open {
    start: Range<usize>,
    anchor: usize,
    kind: OpenKind,
    tag: Option<Box<str>>,
}

enum OpenKind {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// Keys so far with their place; only for finding repeated ones.
        seen: BTreeMap<String, Range<usize>>,
        key: Option<Key>,
    },
}

/// A key that waits for its value.
struct Key {
    text: String,
    span: Range<usize>,
    plain: bool,
}

struct Builder<'s, 'f> {
    sink: &'s Sink<'f>,
    dialect: Dialect,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    nodes: usize,
    copies: usize,
}

impl Builder<'_, '_> {
    fn take(&mut self, event: Event<'_>, span: Range<usize>) -> Step {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > NODES_MAX {
            let message = format!("the file has more than {NODES_MAX} values");
            self.sink.add(&span, message);
            return Step::GiveUp;
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let kept = self.tag(tag.as_deref(), &span);
                let texts = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                let plain = style == ScalarStyle::Plain && !texts;
                let text = text.into_owned();
                let tree = Tree::Scalar { text, plain };
                let tag = kept;
                self.value(Node { span, tree, tag }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                let tag = self.tag(tag.as_deref(), &span);
                self.begin(span, anchor, tag, OpenKind::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                let tag = self.tag(tag.as_deref(), &span);
                let kind = OpenKind::Map {
                    entries: Vec::new(),
                    seen: BTreeMap::new(),
                    key: None,
                };
                self.begin(span, anchor, tag, kind)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(&span),
            Event::Alias(id) => self.alias(id, &span),
            Event::DocumentStart(..) if self.root.is_some() => {
                self.sink.add_with_help(
                    &span,
                    "a second document begins here",
                    "a file holds one document; take the line `---` away",
                );
                Step::GiveUp
            }
            _ => Step::Go,
        }
    }

    /// The tag, if this dialect keeps it.
    fn tag(&self, tag: Option<&Tag>, span: &Range<usize>) -> Option<Box<str>> {
        let tag = tag?;
        if self.dialect == Dialect::Ansible {
            return Some(format!("{}{}", tag.handle(), tag.suffix()).into_boxed_str());
        }
        if !tag.is_yaml_core_schema() {
            self.sink.add_with_help(
                span,
                format!("the tag `{}` is not read", tag.original()),
                "write the value itself",
            );
        }
        None
    }

    fn begin(
        &mut self,
        start: Range<usize>,
        anchor: usize,
        tag: Option<Box<str>>,
        kind: OpenKind,
    ) -> Step {
        if self.open.len() >= DEPTH_MAX {
            let message = format!("values are nested more than {DEPTH_MAX} deep");
            self.sink.add(&start, message);
            return Step::GiveUp;
        }
        self.open.push(Open {
            start,
            anchor,
            kind,
            tag,
        });
        Step::Go
    }

    fn end(&mut self, span: &Range<usize>) -> Step {
        let Some(open) = self.open.pop() else {
            return Step::Go;
        };
        let tree = match open.kind {
            OpenKind::List(items) => Tree::List(items),
            OpenKind::Map { entries, .. } => Tree::Map(entries),
        };
        let span = open.start.start..span.end.max(open.start.end);
        let tag = open.tag;
        self.value(Node { span, tree, tag }, open.anchor)
    }

    fn alias(&mut self, id: usize, span: &Range<usize>) -> Step {
        let Some(node) = self.anchors.get(&id) else {
            let message = "this alias stands inside the value that it names";
            self.sink.add(span, message);
            return Step::GiveUp;
        };
        self.copies = self.copies.saturating_add(node.weight());
        if self.copies > ALIAS_COPIES_MAX {
            let message = "aliases make this file too large";
            self.sink
                .add_with_help(span, message, "write fewer aliases of aliases");
            return Step::GiveUp;
        }
        let node = node.clone();
        self.value(node, 0)
    }

    fn value(&mut self, mut node: Node, anchor: usize) -> Step {
        let sink = self.sink;
        if anchor != 0 {
            // Anchored nodes are copied once here, so anchors count like aliases.
            self.copies = self.copies.saturating_add(node.weight());
            if self.copies > ALIAS_COPIES_MAX {
                sink.add(&node.span, "aliases make this file too large");
                return Step::GiveUp;
            }
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Map { entries, seen, key }) => match key.take() {
                None => *key = Some(key_of(sink, node)),
                Some(Key { text, span, plain }) => {
                    let (key, key_span) = (text, span);
                    if node.is_null() && node.span.is_empty() {
                        // Nothing was written, so the key is what can be shown.
                        node.span = key_span.clone();
                    }
                    if let Some(first) = seen.insert(key.clone(), key_span.clone()) {
                        let message = format!(
                            "the key `{key}` stands here a second time; first on line {}",
                            sink.line(&first)
                        );
                        sink.add_with_help(&key_span, message, "each key stands once");
                    } else if key == "<<" && self.dialect == Dialect::Own {
                        sink.add_with_help(
                            &key_span,
                            "merge keys are not read",
                            "write the keys out, or give the value as a whole by an alias",
                        );
                    } else {
                        entries.push(Entry {
                            key,
                            key_span,
                            key_plain: plain,
                            value: node,
                        });
                    }
                }
            },
        }
        Step::Go
    }
}

fn key_of(sink: &Sink, node: Node) -> Key {
    let span = node.span;
    match node.tree {
        Tree::Scalar { text, plain } => Key { text, span, plain },
        Tree::List(_) | Tree::Map(_) => {
            sink.add_with_help(
                &span,
                "a key is a text",
                "a value that begins with `{{` needs quotes around it",
            );
            let text = String::new();
            let plain = false;
            Key { text, span, plain }
        }
    }
}

/// The part of the file that a part of a scalar's text comes from.
///
/// Exact when the text stands in the file as it is or line by line (block scalars); the whole scalar
/// when escapes or folding changed it.
pub(crate) fn place_inside(file: &SourceFile, node: &Node, part: &Range<usize>) -> Range<usize> {
    let Tree::Scalar { text, .. } = &node.tree else {
        return node.span.clone();
    };
    let raw = file.text.get(node.span.clone()).unwrap_or_default();
    let shift = |at: usize| {
        let start = node.span.start.saturating_add(at);
        start..start.saturating_add(part.len())
    };
    if let Some(at) = raw.find(text.trim_end_matches('\n'))
        && !text.trim_end_matches('\n').contains('\n')
    {
        return shift(at.saturating_add(part.start));
    }
    let before = text.get(..part.start).unwrap_or_default();
    let index = before.matches('\n').count();
    let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
    let Some(line) = text.get(line_start..).and_then(|t| t.lines().next()) else {
        return node.span.clone();
    };
    let mut at: usize = 0;
    for (number, raw_line) in raw.split_inclusive('\n').enumerate() {
        if number == index {
            return match raw_line.find(line) {
                Some(indent) => shift(
                    at.saturating_add(indent)
                        .saturating_add(part.start.saturating_sub(line_start)),
                ),
                None => node.span.clone(),
            };
        }
        at = at.saturating_add(raw_line.len());
    }
    node.span.clone()
}
