//! Measures.

use super::action::{edit_file, write_file};
use super::root::release;
use super::shapes::MEASURE;
use crate::node::{Node, Tree, shortened};
use crate::reader::{self, Fields};
use crate::templates::Desk;
use overhaul_model::primitive::{Exec, Measure, UnitState};

/// The status that is good when none is named.
const HTTP_STATUS_DEFAULT: u16 = 200;

const STATES: [(&str, UnitState); 6] = [
    ("active", UnitState::Active),
    ("stopped", UnitState::Stopped),
    ("held", UnitState::Held),
    ("startable", UnitState::Startable),
    ("enabled", UnitState::Enabled),
    ("disabled", UnitState::Disabled),
];

/// Endings of names of units.
const SUFFIXES: [&str; 11] = [
    ".service",
    ".socket",
    ".timer",
    ".target",
    ".mount",
    ".automount",
    ".path",
    ".slice",
    ".scope",
    ".swap",
    ".device",
];

/// A measure.
pub(crate) fn measure(desk: &Desk, node: &Node) -> Option<Measure> {
    let fields = Fields::open(desk.sink, node, &MEASURE)?;
    let measure = chosen(desk, &fields);
    fields.done();
    measure
}

/// The measure that stands among the keys of an object.
pub(super) fn chosen(desk: &Desk, fields: &Fields) -> Option<Measure> {
    let sink = desk.sink;
    let entry = fields.chosen()?;
    let node = &entry.value;
    match entry.key.as_str() {
        "run" => Some(Measure::Command(script(desk, node)?)),
        "shell" => Some(Measure::Command(Exec::shell(desk.template(node)?))),
        "unit" => {
            let unit = unit(desk, node)?;
            if !fields.has("state") {
                let help = "add `state: active`, or another state";
                sink.add_with_help(&entry.key_span, "`unit` needs a `state` beside it", help);
            }
            let state = fields.word("state", &STATES)?;
            Some(Measure::Unit { unit, state })
        }
        "release" => {
            let (os, version) = release_texts(desk, node)?;
            Some(Measure::Release { os, version })
        }
        "packages_clean" => {
            if reader::boolean(sink, node)? {
                return Some(Measure::PackagesClean);
            }
            sink.add(&node.span, "`packages_clean` can only be `true`");
            None
        }
        "installed" => {
            let names = reader::list(sink, node, |node| desk.template(node));
            Some(Measure::PackagesInstalled { names })
        }
        "http" => http(desk, node, fields),
        "tcp" => tcp(desk, node),
        "file" => Some(Measure::FileIs(write_file(desk, node)?)),
        "edit" => Some(Measure::FileEdited(edit_file(desk, node)?)),
        _ => {
            let parts = reader::list(sink, node, |node| measure(desk, node));
            if parts.is_empty() {
                sink.add(
                    &node.span,
                    "`all` names no measure, so it would always hold",
                );
                return None;
            }
            Some(Measure::All(parts))
        }
    }
}

/// System and version; each may be a template.
fn release_texts(desk: &Desk, node: &Node) -> Option<(String, String)> {
    let written = match &node.tree {
        Tree::Scalar { text, .. } if text.contains("{{") => desk.template(node)?,
        _ => {
            let release = release(desk.sink, node)?;
            return Some((release.os, release.release));
        }
    };
    // The blank between the two is the first one that stands in no template.
    let mut depth = 0_usize;
    let blank = written.char_indices().find(|(_, c)| {
        match c {
            '{' => depth = depth.saturating_add(1),
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && c.is_whitespace()
    });
    let parts = blank.and_then(|(at, _)| written.split_at_checked(at));
    match parts.map(|(os, version)| (os.trim(), version.trim())) {
        Some((os, version)) if !os.is_empty() && !version.is_empty() => {
            Some((os.to_owned(), version.to_owned()))
        }
        _ => {
            let message = format!("`{}` is no release", shortened(&written));
            let help = "write system and version, like `debian {{ to.release }}`";
            desk.sink.add_with_help(&node.span, message, help);
            None
        }
    }
}

fn http(desk: &Desk, node: &Node, fields: &Fields) -> Option<Measure> {
    let url = desk.template(node)?;
    if url.starts_with("https://") {
        let help = "ask plain http, or `run` a command on the host";
        reader::not_yet(desk.sink, &node.span, "https", help);
    } else if !url.starts_with("http://") && !url.starts_with("{{") {
        let message = format!("`{}` is no URL", shortened(&url));
        desk.sink
            .add_with_help(&node.span, message, "begin it with `http://`");
    }
    let status = fields.get("status").and_then(|node| {
        let status = reader::int(desk.sink, node, 100..=599)?;
        u16::try_from(status).ok()
    });
    let status = status.unwrap_or(HTTP_STATUS_DEFAULT);
    Some(Measure::Http { url, status })
}

fn tcp(desk: &Desk, node: &Node) -> Option<Measure> {
    let address = desk.template(node)?;
    let port = address.rsplit_once(':').map(|(_, port)| port);
    let good = port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if !good && !address.contains("{{") {
        let message = format!("`{}` names no port", shortened(&address));
        desk.sink
            .add_with_help(&node.span, message, "write it as host:port");
    }
    Some(Measure::Tcp { address })
}

/// A list of arguments, or a text for the shell.
pub(super) fn script(desk: &Desk, node: &Node) -> Option<Exec> {
    match &node.tree {
        Tree::List(_) => argv(desk, node).map(Exec::argv),
        _ => desk.template(node).map(Exec::shell),
    }
}

/// Program and arguments.
pub(super) fn argv(desk: &Desk, node: &Node) -> Option<Vec<String>> {
    let Tree::List(items) = &node.tree else {
        let message = format!("a command is a list of arguments, not {}", node.what());
        let help = "write [program, argument], or use `shell:` for a script";
        desk.sink.add_with_help(&node.span, message, help);
        return None;
    };
    let argv: Vec<String> = reader::list(desk.sink, node, |item| match &item.tree {
        // An empty argument is one all the same.
        Tree::Scalar { text, plain: false } if text.is_empty() => Some(String::new()),
        _ => desk.template(item),
    });
    match argv.first() {
        Some(program) if !program.is_empty() => (argv.len() == items.len()).then_some(argv),
        _ if items.is_empty() || argv.len() == items.len() => {
            desk.sink.add(&node.span, "the command names no program");
            None
        }
        _ => None,
    }
}

/// A unit's name, with suffix.
pub(super) fn unit(desk: &Desk, node: &Node) -> Option<String> {
    let name = desk.template(node)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    if !name.contains("{{")
        && (name.is_empty() || name.starts_with('-') || !name.chars().all(allowed))
    {
        let message = format!("`{}` is no name of a unit", shortened(&name));
        desk.sink.add(&node.span, message);
        return None;
    }
    // A template at the end may bring its own suffix.
    let whole = SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) || name.ends_with("}}");
    Some(if whole {
        name
    } else {
        format!("{name}.service")
    })
}
