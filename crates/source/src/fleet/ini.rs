//! INI inventories, line by line as Ansible reads them.

use super::address::hosts_of;
use super::book::{Book, FileId, Place};
use super::common::{check_host, set_group_variable};
use super::inventory::Inventory;
use super::membership::UNGROUPED;
use super::python;
use super::short::HOSTS_MAX;
use super::tokens::{Token, split};
use super::value::{Value, Var};
use crate::node::shortened;
use crate::words::suggestion;
use std::collections::HashMap;
use std::ops::Range;

/// What the lines of a section are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Hosts,
    Vars,
    Children,
    /// A section that could not be read; its lines would only give more of the same.
    Unknown,
}

/// A group that is named and not declared yet.
enum Pending {
    Vars(Place),
    /// Groups that want it inside them, each with the place where that is said.
    Child(Vec<(usize, Place)>),
}

/// Reads a file into the inventory; problems go to the book.
pub(super) fn read(book: &Book, inventory: &mut Inventory, file: FileId) {
    let source = book.file(file);
    let group = inventory.group(UNGROUPED, file.whole());
    let mut reader = Reader {
        book,
        inventory,
        file,
        source: &source.name,
        section: Section::Hosts,
        group,
        pending: HashMap::new(),
    };
    let mut at: usize = 0;
    for raw in source.text.split_inclusive(ends_line) {
        let start = at;
        at = at.saturating_add(raw.len());
        let content = match start {
            0 => raw.trim_start_matches('\u{feff}'),
            _ => raw,
        };
        let trimmed = content.trim_start_matches(is_blank);
        let line = trimmed.trim_end_matches(is_blank);
        let start = at.saturating_sub(trimmed.len());
        if !line.is_empty() && !line.starts_with(['#', ';']) {
            reader.line(line, start);
        }
    }
    reader.finish();
}

/// Where Python ends a line.
fn ends_line(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// What Python strips from a line.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

struct Reader<'r> {
    book: &'r Book,
    inventory: &'r mut Inventory,
    file: FileId,
    source: &'r str,
    section: Section,
    group: usize,
    pending: HashMap<String, Pending>,
}

impl Reader<'_> {
    fn line(&mut self, line: &str, start: usize) {
        let span = start..start.saturating_add(line.len());
        let place = self.file.place(&span);
        if let Some((name, kind)) = header(line) {
            return self.begin(name, kind, place);
        }
        if line.starts_with('[') && line.ends_with(']') {
            let help = "a section is written [group], [group:vars] or [group:children]";
            let message = format!("`{}` is no section", shortened(line));
            self.section = Section::Unknown;
            return self.book.problem(place, message, help.to_owned());
        }
        match self.section {
            Section::Hosts => self.host_line(line, start),
            Section::Vars => self.variable_line(line, &span),
            Section::Children => self.child_line(line, start, place),
            Section::Unknown => {}
        }
    }

    fn begin(&mut self, name: &str, kind: Option<&str>, place: Place) {
        self.section = match kind {
            None | Some("hosts") => Section::Hosts,
            Some("vars") => Section::Vars,
            Some("children") => Section::Children,
            Some(other) => {
                let message = format!("a section of kind `{}` is not known", shortened(other));
                let help = "the kinds are `vars` and `children`";
                self.book.problem(place, message, help.to_owned());
                Section::Unknown
            }
        };
        let vars = self.section == Section::Vars;
        if self.inventory.find_group(name).is_none() && vars {
            let entry = self.pending.entry(name.to_owned());
            entry.or_insert(Pending::Vars(place));
        }
        self.group = self.inventory.group(name, place);
        if vars {
            return;
        }
        if let Some(Pending::Child(parents)) = self.pending.remove(name) {
            for (parent, place) in parents {
                self.inventory.join(parent, self.group, place);
            }
        }
    }

    fn variable_line(&mut self, line: &str, span: &Range<usize>) {
        let place = self.file.place(span);
        let Some((name, value)) = line.split_once('=') else {
            let message = "a line of this section is written name=value";
            return self.book.problem(place, message, None);
        };
        let name = name.trim_end_matches(is_blank);
        let value = python::value(value.trim_start_matches(is_blank));
        let var = Var::new(value, place);
        set_group_variable(self.book, self.inventory, self.group, name, var);
    }

    fn child_line(&mut self, line: &str, start: usize, place: Place) {
        let Some(name) = group_name(line) else {
            let message = format!("`{}` is no name of a group", shortened(line));
            let help = "a line of this section names one group";
            return self.book.problem(place, message, help.to_owned());
        };
        let place = self.file.place(&(start..start.saturating_add(name.len())));
        if let Some(child) = self.inventory.find_group(name) {
            return self.inventory.join(self.group, child, place);
        }
        let wanted = self.pending.entry(name.to_owned());
        if let Pending::Child(parents) = wanted.or_insert(Pending::Child(Vec::new())) {
            parents.push((self.group, place));
        }
    }

    fn host_line(&mut self, line: &str, start: usize) {
        let at = |span: &Range<usize>| {
            let shift = |byte: usize| start.saturating_add(byte);
            self.file.place(&(shift(span.start)..shift(span.end)))
        };
        let tokens = match split(line) {
            Ok(tokens) => tokens,
            Err(unfinished) => {
                let place = at(&(unfinished.0..unfinished.0.saturating_add(1)));
                let message = "what begins here has no end on this line";
                return self.book.problem(place, message, None);
            }
        };
        let Some((first, words)) = tokens.split_first() else {
            return;
        };
        let place = at(&first.span);
        let mut vars: Vec<(String, Var)> = Vec::new();
        for token in words {
            match self.assigned(token, at(&token.span)) {
                Some(pair) => vars.push(pair),
                None => return,
            }
        }
        let room = HOSTS_MAX.saturating_sub(self.inventory.hosts.len());
        let (names, port) = match hosts_of(&first.text, room) {
            Ok(found) => found,
            Err(fault) => return self.book.problem(place, fault.to_string(), None),
        };
        for name in names {
            if !check_host(self.book, &name, place) {
                return;
            }
            let port = port
                .filter(|port| *port > 0)
                .map(|port| Var::new(Value::Number(port.into()), place));
            let host = self
                .inventory
                .host(&name, self.group, port, place, self.source);
            if let Some(host) = self.inventory.hosts.get_mut(host) {
                host.vars.extend(vars.iter().cloned());
            }
        }
    }

    fn assigned(&self, token: &Token, place: Place) -> Option<(String, Var)> {
        match token.text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                Some((name.to_owned(), Var::new(python::value(value), place)))
            }
            _ => {
                let message = "after the host's name come variables, written name=value";
                let help = "a value with blanks needs quotes around it";
                self.book.problem(place, message, help.to_owned());
                None
            }
        }
    }

    /// What is still pending was never declared.
    fn finish(self) {
        for (name, pending) in &self.pending {
            let places = match pending {
                Pending::Vars(place) => vec![*place],
                Pending::Child(parents) => parents.iter().map(|(_, place)| *place).collect(),
            };
            let known = self.inventory.groups.iter();
            let known = known.map(|group| group.name.as_str());
            let known = known.filter(|known| known != name);
            let help = suggestion(name, known, "the groups are");
            for place in places {
                let message = format!("there is no group `{}`", shortened(name));
                self.book.problem(place, message, help.clone());
            }
        }
    }
}

/// The group and the kind of a section, when the line is its head.
fn header(line: &str) -> Option<(&str, Option<&str>)> {
    let (inner, rest) = line.strip_prefix('[')?.split_once(']')?;
    let rest = rest.trim_start();
    if !rest.is_empty() && !rest.starts_with('#') {
        return None;
    }
    let (name, kind) = match inner.split_once(':') {
        Some((name, kind)) => (name, Some(kind)),
        None => (inner, None),
    };
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let fits = !name.is_empty()
        && !name.contains(char::is_whitespace)
        && kind.is_none_or(|kind| !kind.is_empty() && kind.chars().all(word));
    fits.then_some((name, kind))
}

/// The group that a line of `[...:children]` names. A `#` behind a blank begins a remark; one inside the
/// word does so only where the rest would fit nothing else.
fn group_name(line: &str) -> Option<&str> {
    let stop = |c: char| c.is_whitespace() || c == ':' || c == ']';
    let end = line.find(stop).unwrap_or(line.len());
    let (name, rest) = line.split_at_checked(end)?;
    let rest = rest.trim_start();
    let name = match rest.is_empty() || rest.starts_with('#') {
        true => name,
        false => name.rsplit_once('#')?.0,
    };
    (!name.is_empty()).then_some(name)
}
