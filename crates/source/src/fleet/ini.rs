//! A plain INI inventory, as Ansible reads it: groups become roles.

use super::draft::{Draft, is_template};
use super::groups::{ALL, Group, Inventory, InventoryHost, Placed, PlacedVars, Tree, UNGROUPED};
use super::input::Read;
use super::range::expand;
use super::short::HOSTS_MAX;
use super::tokens::{Token, split};
use super::{ansible, python};
use crate::node::shortened;
use crate::problem::Sink;
use crate::reader;
use crate::words::{is_reserved, slug};
use overhaul_model::fleet::Vars;
use std::collections::BTreeSet;
use std::ops::Range;

/// The variable of all hosts that names the fleet; else the file's name does.
const FLEET_NAME: &str = "overhaul_fleet";

pub(super) fn read(sink: &Sink, notes: &Sink) -> Option<Read> {
    if sink.refuses_size() {
        return None;
    }
    let inventory = lines(sink);
    if inventory.hosts.is_empty() && sink.count() == 0 {
        sink.add(&(0..0), "the inventory has no hosts");
        return None;
    }
    let tree = Tree::of(sink, &inventory)?;
    let mut hosts = Vec::new();
    for (name, host) in &inventory.hosts {
        let roles: BTreeSet<String> = tree
            .groups_of(host)
            .into_iter()
            .filter(|group| *group != ALL && *group != UNGROUPED)
            .map(str::to_owned)
            .collect();
        for role in &roles {
            let span = inventory.groups.get(role).map(|group| group.span.clone());
            reader::check_name(sink, role, &span.unwrap_or_default());
        }
        let merged = tree.vars_of(host);
        let settings = ansible::settings(sink, notes, &merged);
        let vars = plain_vars(sink, notes, &merged);
        let draft = Draft {
            name: name.clone(),
            roles,
            settings,
            vars,
        };
        hosts.push((draft, host.span.clone()));
    }
    Some(Read {
        name: fleet_name(sink, &inventory),
        hosts,
    })
}

fn fleet_name(sink: &Sink, inventory: &Inventory) -> String {
    let named = inventory
        .groups
        .get(ALL)
        .and_then(|group| group.vars.get(FLEET_NAME));
    if let Some(placed) = named {
        let name = ansible::words(&placed.json);
        reader::check_name(sink, &name, &placed.span);
        return name;
    }
    let file = sink.file.name.rsplit('/').next().unwrap_or_default();
    let stem = file
        .split('.')
        .find(|part| !part.is_empty())
        .unwrap_or_default();
    match slug(stem) {
        name if name.is_empty() => "fleet".to_owned(),
        name => name,
    }
}

/// Variables that are not settings of ours.
fn plain_vars(
    sink: &Sink,
    notes: &Sink,
    merged: &std::collections::BTreeMap<&str, &Placed>,
) -> Vars {
    let mut out = Vars::new();
    for (name, placed) in merged {
        if ansible::is_setting(name) || *name == FLEET_NAME {
            continue;
        }
        if is_reserved(name) {
            let message = format!("`{name}` is a name with a meaning of its own in templates");
            sink.add_with_help(&placed.span, message, "give the variable another name");
        } else if is_template(&placed.json) {
            let message = format!("the variable `{name}` holds a template and is left out");
            let help =
                "values of variables are taken as they are; write the value out if it is needed";
            notes.add_with_help(&placed.span, message, help);
        } else {
            out.insert((*name).to_owned(), placed.json.clone());
        }
    }
    out
}

/// What the lines of a section are.
enum Section {
    Hosts(String),
    Vars(String),
    Children(String),
    /// A section that could not be read; its lines would only give more of the same.
    Unknown,
}

fn lines(sink: &Sink) -> Inventory {
    let mut inventory = Inventory::default();
    let mut section = Section::Hosts(UNGROUPED.to_owned());
    let mut at: usize = 0;
    for raw in sink.file.text.split_inclusive('\n') {
        let start = at;
        at = at.saturating_add(raw.len());
        let bom = if start == 0 {
            raw.len()
                .saturating_sub(raw.trim_start_matches('\u{feff}').len())
        } else {
            0
        };
        let content = raw.get(bom..).unwrap_or_default();
        let line = content.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let indent = content.len().saturating_sub(content.trim_start().len());
        let start = start.saturating_add(bom).saturating_add(indent);
        let span = start..start.saturating_add(line.len());
        if let Some(header) = header(line) {
            section = begin(sink, &mut inventory, header, &span);
            continue;
        }
        match &section {
            Section::Hosts(group) => host_line(sink, &mut inventory, group, line, &span),
            Section::Vars(group) => {
                if let Some((name, placed)) = var_line(sink, line, &span)
                    && let Some(group) = inventory.groups.get_mut(group)
                {
                    group.vars.insert(name, placed);
                }
            }
            Section::Children(group) => child_line(sink, &mut inventory, group, line, &span),
            Section::Unknown => {}
        }
    }
    inventory
}

/// The inside of `[…]` when the line is the head of a section and not a host with a range.
fn header(line: &str) -> Option<&str> {
    let (inner, rest) = line.strip_prefix('[')?.split_once(']')?;
    let rest = rest.trim_start();
    (rest.is_empty() || rest.starts_with('#')).then_some(inner)
}

fn begin(sink: &Sink, inventory: &mut Inventory, inner: &str, span: &Range<usize>) -> Section {
    let (name, kind) = match inner.split_once(':') {
        Some((name, kind)) => (name, Some(kind)),
        None => (inner, None),
    };
    if name.is_empty() || name.contains(char::is_whitespace) {
        let help = "a section is written [group], [group:vars] or [group:children]";
        sink.add_with_help(
            span,
            format!("`[{}]` is no section", shortened(inner)),
            help,
        );
        return Section::Unknown;
    }
    let group = inventory.groups.entry(name.to_owned());
    let group = group.or_insert_with(|| Group {
        span: span.clone(),
        ..Group::default()
    });
    let name = name.to_owned();
    match kind {
        None => {
            group.declared = true;
            Section::Hosts(name)
        }
        Some("children") => {
            group.declared = true;
            Section::Children(name)
        }
        Some("vars") => Section::Vars(name),
        Some(other) => {
            group.declared = true;
            let message = format!("a section of kind `{}` is not known", shortened(other));
            sink.add_with_help(span, message, "the kinds are `vars` and `children`");
            Section::Unknown
        }
    }
}

fn child_line(
    sink: &Sink,
    inventory: &mut Inventory,
    group: &str,
    line: &str,
    span: &Range<usize>,
) {
    let name = line.split('#').next().unwrap_or_default().trim_end();
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || ":]=".contains(c)) {
        let message = format!("`{}` is no name of a group", shortened(line));
        sink.add_with_help(span, message, "a line of this section names one group");
        return;
    }
    let span = span.start..span.start.saturating_add(name.len());
    if let Some(group) = inventory.groups.get_mut(group) {
        group.children.push((name.to_owned(), span));
    }
}

fn var_line(sink: &Sink, line: &str, span: &Range<usize>) -> Option<(String, Placed)> {
    let Some((name, value)) = line.split_once('=') else {
        let message = "a line of this section is written name=value";
        sink.add(span, message);
        return None;
    };
    let placed = Placed {
        json: python::value(value.trim()),
        span: span.clone(),
    };
    Some((name.trim().to_owned(), placed))
}

fn host_line(sink: &Sink, inventory: &mut Inventory, group: &str, line: &str, span: &Range<usize>) {
    let tokens = match split(line) {
        Ok(tokens) => tokens,
        Err(unfinished) => {
            let at = span.start.saturating_add(unfinished.0);
            let end = at.saturating_add(1);
            return sink.add(&(at..end), "what begins here has no end on this line");
        }
    };
    let mut tokens = tokens.into_iter();
    let Some(first) = tokens.next() else {
        return;
    };
    let place = |token: &Token| {
        let at = |byte: usize| span.start.saturating_add(byte);
        at(token.span.start)..at(token.span.end)
    };
    let host_span = place(&first);
    let mut vars = PlacedVars::new();
    let (pattern, port) = port_of(&first.text);
    if let Some(port) = port {
        let placed = Placed {
            json: port.into(),
            span: host_span.clone(),
        };
        vars.insert("ansible_port".to_owned(), placed);
    }
    for token in tokens {
        let Some((name, value)) = token
            .text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
        else {
            let message = "after the host's name come variables, written name=value";
            let help = "a value with blanks needs quotes around it";
            sink.add_with_help(&place(&token), message, help);
            continue;
        };
        let placed = Placed {
            json: python::value(value),
            span: place(&token),
        };
        vars.insert(name.to_owned(), placed);
    }
    if pattern.starts_with('[') && !pattern.contains(']') {
        let help = "a section is written [group], [group:vars] or [group:children]";
        return sink.add_with_help(&host_span, "a `[` without its `]`", help);
    }
    let room = HOSTS_MAX.saturating_sub(inventory.hosts.len());
    let names = match expand(pattern, room) {
        Ok(names) => names,
        Err(fault) => return sink.add(&host_span, fault.to_string()),
    };
    if group == UNGROUPED {
        inventory.groups.entry(UNGROUPED.to_owned()).or_default();
    }
    for name in names {
        if !reader::check_name(sink, &name, &host_span) {
            return;
        }
        let host = inventory
            .hosts
            .entry(name.clone())
            .or_insert_with(|| InventoryHost {
                span: host_span.clone(),
                ..InventoryHost::default()
            });
        host.groups.insert(group.to_owned());
        lay_over(sink, &name, host, &vars);
    }
}

/// A host may stand in several groups, but what its lines say must not differ.
fn lay_over(sink: &Sink, name: &str, host: &mut InventoryHost, vars: &PlacedVars) {
    for (key, placed) in vars {
        if let Some(before) = host.vars.get(key)
            && before.json != placed.json
        {
            let message = format!(
                "`{key}` of `{name}` differs from what line {} says",
                sink.line(&before.span)
            );
            let help = "say it once, on one of the host's lines";
            sink.add_with_help(&placed.span, message, help);
        }
        host.vars.insert(key.clone(), placed.clone());
    }
}

/// `host:2222` is a host with a port; a colon inside brackets belongs to a range.
fn port_of(pattern: &str) -> (&str, Option<u32>) {
    match pattern.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => match port.parse() {
            Ok(number) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(number)),
            _ => (pattern, None),
        },
        _ => (pattern, None),
    }
}
