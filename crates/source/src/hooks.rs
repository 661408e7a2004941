//! The operator's hooks: programs and addresses that are called when a run needs people.
//!
//! They stand in a file of the operator's own and never in a definition: a definition is shared, and must not
//! name programs for somebody else's controller.

use crate::node::{self, Node, shortened};
use crate::problem::{Problems, Sink, SourceFile};
use crate::reader::{self, Fields};
use crate::shape::{Kind, Shape, may, must};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Hooks in a file: more is a mistake, and each is called at every event.
const HOOKS_MAX: usize = 16;

static HEADER: Shape = Shape {
    id: "header",
    what: "an entry of `headers`",
    keys: &[&[must(
        "name",
        Kind::Text,
        "the header's name, like Authorization",
    )]],
    later: &[],
    one_of: &[
        may(
            "from_env",
            Kind::Text,
            "the environment variable that holds its value",
        ),
        may(
            "from_file",
            Kind::Text,
            "the absolute path of the file that holds its value",
        ),
    ],
};

static HOOK: Shape = Shape {
    id: "hook",
    what: "a hook",
    keys: &[&[
        must("name", Kind::Text, "what messages call it"),
        may(
            "on",
            Kind::List(&Kind::Words(&CALL_WORDS)),
            "the events that it is called for; all if left out",
        ),
        may(
            "headers",
            Kind::List(&Kind::Object(&HEADER)),
            "with `webhook`: headers with secret values",
        ),
    ]],
    later: &[],
    one_of: &[
        may(
            "command",
            Kind::List(&Kind::Text),
            "a program with its arguments, which gets the event as JSON on standard input; no shell",
        ),
        may(
            "webhook",
            Kind::Text,
            "an address that gets the event as JSON by POST",
        ),
    ],
};

pub(crate) static HOOKS: Shape = Shape {
    id: "hooks",
    what: "a file of hooks",
    keys: &[&[must(
        "hooks",
        Kind::List(&Kind::Object(&HOOK)),
        "what is called when a run needs people",
    )]],
    later: &[],
    one_of: &[],
};

/// What a hook is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallFor {
    /// A gate asks.
    Asked,
    /// A guard, the calendar or a host holds a step for long.
    Held,
    /// Much of a service's window is used up, or it is expected to be exceeded.
    Window,
    /// A step gives no output for long.
    Stalled,
    /// A step failed or is unknown, and a person must decide.
    Failed,
    /// The run is over.
    Over,
}

const CALL_WORDS: [&str; 6] = ["asked", "held", "window", "stalled", "failed", "over"];

impl CallFor {
    /// All of them, in the order of their words.
    pub const ALL: [Self; 6] = [
        Self::Asked,
        Self::Held,
        Self::Window,
        Self::Stalled,
        Self::Failed,
        Self::Over,
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Held => "held",
            Self::Window => "window",
            Self::Stalled => "stalled",
            Self::Failed => "failed",
            Self::Over => "over",
        }
    }
}

/// A hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// What messages call it.
    pub name: String,
    /// What it is called for.
    pub on: BTreeSet<CallFor>,
    /// How it is called.
    pub way: HookWay,
}

/// How a hook is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookWay {
    /// A program with its arguments; the first is an absolute path.
    Command(Vec<String>),
    /// An address, and headers with secret values.
    Webhook {
        /// The address: http or https.
        url: String,
        /// The headers.
        headers: Vec<Header>,
    },
}

/// A header whose value is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Where its value is kept.
    pub from: ValueFrom,
}

/// Where a secret value is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueFrom {
    /// In an environment variable.
    Env(String),
    /// In a file.
    File(PathBuf),
}

/// Reads a file of hooks.
///
/// # Errors
/// All problems of the file at once; only the first one when it is no valid YAML.
pub fn parse_hooks(file: &SourceFile) -> Result<Vec<Hook>, Problems> {
    let sink = Sink::new(file);
    let read = read(&sink);
    sink.into_result(read)
}

fn read(sink: &Sink) -> Option<Vec<Hook>> {
    let root = node::parse(sink)?;
    let fields = Fields::open(sink, &root, &HOOKS)?;
    let node = fields.get("hooks");
    let hooks = node.map(|node| reader::list(sink, node, |node| hook(sink, node)));
    let hooks = hooks.unwrap_or_default();
    if let Some(node) = node.filter(|_| hooks.len() > HOOKS_MAX) {
        sink.add(
            &node.span,
            format!("there are {} hooks; {HOOKS_MAX} are the most", hooks.len()),
        );
    }
    fields.done();
    Some(hooks)
}

fn hook(sink: &Sink, node: &Node) -> Option<Hook> {
    let fields = Fields::open(sink, node, &HOOK)?;
    let name = fields.get("name").and_then(|node| reader::name(sink, node));
    let words = CallFor::ALL.map(|call| (call.word(), call));
    let on = fields
        .get("on")
        .map(|node| reader::list(sink, node, |node| reader::word(sink, node, &words)));
    let chosen = fields.chosen()?;
    let way = match chosen.key.as_str() {
        "command" => command(sink, &chosen.value),
        _ => {
            let headers = fields
                .get("headers")
                .map(|node| reader::list(sink, node, |node| header(sink, node)));
            url(sink, &chosen.value).map(|url| HookWay::Webhook {
                url,
                headers: headers.unwrap_or_default(),
            })
        }
    };
    fields.done();
    Some(Hook {
        name: name?,
        on: on.map_or_else(|| CallFor::ALL.into(), |on| on.into_iter().collect()),
        way: way?,
    })
}

fn command(sink: &Sink, node: &Node) -> Option<HookWay> {
    let argv = reader::list(sink, node, |node| reader::text(sink, node));
    let program = argv.first().map_or("", String::as_str);
    if !program.starts_with('/') {
        let message = format!("`{}` is no absolute path of a program", shortened(program));
        let help = "write it like [/usr/local/bin/page, --urgent]; no shell reads it";
        sink.add_with_help(&node.span, message, help);
        return None;
    }
    Some(HookWay::Command(argv))
}

fn url(sink: &Sink, node: &Node) -> Option<String> {
    let url = reader::text(sink, node)?;
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let authority = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    match authority {
        None | Some("") => {
            let message = format!("`{}` is no http or https address", shortened(&url));
            sink.add_with_help(
                &node.span,
                message,
                "write it like https://chat.example/hooks/overhaul",
            );
            None
        }
        Some(authority) if authority.contains('@') => {
            let help = "name a header with `from_env` or `from_file`";
            sink.add_with_help(
                &node.span,
                "a password in an address is seen by everybody",
                help,
            );
            None
        }
        Some(_) => Some(url),
    }
}

fn header(sink: &Sink, node: &Node) -> Option<Header> {
    let fields = Fields::open(sink, node, &HEADER)?;
    let name = fields.get("name").and_then(|node| {
        let name = reader::text(sink, node)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.is_empty() || !name.chars().all(fits) {
            let message = format!("`{}` is no name of a header", shortened(&name));
            sink.add_with_help(
                &node.span,
                message,
                "write it like Authorization or X-Token",
            );
            return None;
        }
        Some(name)
    });
    let chosen = fields.chosen()?;
    let value = reader::text(sink, &chosen.value);
    let from = value.and_then(|value| match chosen.key.as_str() {
        "from_env" => Some(ValueFrom::Env(value)),
        _ if value.starts_with('/') => Some(ValueFrom::File(PathBuf::from(value))),
        _ => {
            sink.add(
                &chosen.value.span,
                format!("`{}` is no absolute path", shortened(&value)),
            );
            None
        }
    });
    fields.done();
    Some(Header {
        name: name?,
        from: from?,
    })
}
