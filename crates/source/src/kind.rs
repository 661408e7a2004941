//! Kinds of release upgraders, from files like `kinds/apt.yaml`.
//!
//! ```yaml
//! upgrader: apt
//! describes: Debian's apt, from one release to the next
//! paths:                       # release pairs, oldest first: os, release, code name
//!   - {from: debian 12 bookworm, to: debian 13 trixie}
//! space:                       # free space on the filesystem of a path
//!   - {path: /var/cache/apt, bytes: 2 GiB, because: packages of a whole release}
//! scopes:                      # outermost first; `close` runs whatever happens
//!   - name: no package starts a service
//!     open:  {name: keep services down, file: {path: /usr/sbin/policy-rc.d, content: "...", mode: "0755"}}
//!     close: {name: let services start again, file: {path: /usr/sbin/policy-rc.d, absent: true}}
//! prepare: [STEP]              # nothing of the running system changes
//! change:  [STEP]              # services are stopped
//! settle:  [STEP]              # after the reboot
//! known_issues:                # what goes wrong with some versions
//!   - {id: BUG-1, says: what goes wrong, versions: {of: debian, from: "13"}, remedy: what a person does}
//! ```
//!
//! A STEP is written as in a definition, with these keys: `name` (its slug is the step's id), exactly one
//! of `run: [argv]`, `shell: text`, `file: {..}`, `edit: {..}`, `wait: {until, every, at_most}`, and
//! `check`, `verify` (a measure each: `{run: [argv] | text}`, `{shell: text}`, `{unit, state}`,
//! `{release: debian 13}`, `{packages_clean: true}`, `{installed: [names]}`, `{file: {..}}`,
//! `{edit: {..}}`, `{http, status}`, `{tcp}`, `{all: [..]}`), `repeat: safe`, `timeout`, `stall`,
//! `expected`, `part: prepare` (in `change`, while the old release still comes back by itself),
//! `retry: {attempts, back_off}`, `outputs: {name: stdout}`, and for `run` and `shell` also
//! `env`, `cwd`, `success: [0]`, `output: none`.
//!
//! Texts may use `from` and `to` (each with `os` and `release`), `from_codename`, `to_codename`, `host`,
//! `steps`, and variables that every host has which the upgrader is used for.

use crate::definition::{
    KIND_ACTIONS, KIND_ISSUE, STEP_KEYS, act, bounds, kind_issues, measure, outputs, repeatable,
    retry, thrown_away, titled,
};
use crate::node::{self, Node, shortened};
use crate::problem::{Problems, Sink, SourceFile};
use crate::reader::{self, Fields};
use crate::shape::{Kind, Shape, may, must};
use crate::templates::Desk;
use crate::words::slug;
use overhaul_model::action::{Limits, UpgradePart};
use overhaul_model::definition::{Release, WrittenAction};
use overhaul_model::kind::{SpaceNeed, UpgradePath, Upgrader, UpgraderScope, UpgraderStep};
use overhaul_model::primitive::Primitive;
use overhaul_model::span::Span;
use std::collections::BTreeMap;
use std::ops::Range;

/// Bound of an upgrader's step that names none: a release has some thousand packages on slow disks.
const TOTAL_DEFAULT: Span = Span::from_s(3_600);

/// How long an upgrader's step takes when it does not say.
const EXPECTED_DEFAULT: Span = Span::from_s(10);

/// Parts that a step may name for itself.
const PARTS: [(&str, UpgradePart); 2] = [
    ("prepare", UpgradePart::Prepare),
    ("settle", UpgradePart::Settle),
];

static KIND_STEP: Shape = Shape {
    id: "kind_step",
    what: "a step of an upgrader",
    keys: &[
        STEP_KEYS,
        &[may(
            "part",
            Kind::Words(&["prepare", "settle"]),
            "what the step is when its list says too much: `prepare` if the old release still comes back by itself",
        )],
    ],
    later: &[
        ("undo", "what must be taken away again is a scope"),
        (
            "once",
            "leave it out: without `check` and `repeat: safe` a person is asked",
        ),
        (
            "touches",
            "a release upgrade disturbs everything on its host",
        ),
        ("when", "a script can look for itself"),
        ("guards", "guards stand in roles"),
        ("reboot", "the strategy places the reboot"),
        ("service", "the strategy stops and starts services"),
        ("packages", "use `run` or `shell`"),
    ],
    one_of: KIND_ACTIONS,
};

static PATH: Shape = Shape {
    id: "kind_path",
    what: "a path",
    keys: &[&[
        must(
            "from",
            Kind::Text,
            "os, release and code name, like `debian 12 bookworm`",
        ),
        must("to", Kind::Text, "the same, of the release it leads to"),
    ]],
    later: &[],
    one_of: &[],
};

static SPACE: Shape = Shape {
    id: "kind_space",
    what: "a need of space",
    keys: &[&[
        must("path", Kind::Text, "a path on the filesystem that needs it"),
        must("bytes", Kind::Text, "a number, or one with KiB, MiB or GiB"),
        must("because", Kind::Text, "where the figure comes from"),
    ]],
    later: &[],
    one_of: &[],
};

static SCOPE: Shape = Shape {
    id: "kind_scope",
    what: "a scope",
    keys: &[&[
        must("name", Kind::Text, "what is set up"),
        must("open", Kind::Object(&KIND_STEP), "how it is set up"),
        must(
            "close",
            Kind::Object(&KIND_STEP),
            "how it is taken away, whatever happens",
        ),
    ]],
    later: &[],
    one_of: &[],
};

/// A kind of upgrader.
pub(crate) static KIND: Shape = Shape {
    id: "kind",
    what: "an upgrader",
    keys: &[&[
        must("upgrader", Kind::Text, "its name"),
        must("describes", Kind::Text, "what it does, in a sentence"),
        may(
            "available",
            Kind::Bool,
            "`false` for one that was never run: it is planned, and refused by the checker",
        ),
        must(
            "paths",
            Kind::List(&Kind::Object(&PATH)),
            "releases that it leads from and to, oldest first",
        ),
        may(
            "space",
            Kind::List(&Kind::Object(&SPACE)),
            "free space that a host needs",
        ),
        may(
            "scopes",
            Kind::List(&Kind::Object(&SCOPE)),
            "what must be taken away again, outermost first",
        ),
        may(
            "prepare",
            Kind::List(&Kind::Object(&KIND_STEP)),
            "nothing of the running system changes",
        ),
        must(
            "change",
            Kind::List(&Kind::Object(&KIND_STEP)),
            "services are stopped",
        ),
        may(
            "settle",
            Kind::List(&Kind::Object(&KIND_STEP)),
            "after the reboot",
        ),
        may(
            "known_issues",
            Kind::List(&Kind::Object(&KIND_ISSUE)),
            "what is known to go wrong on its paths",
        ),
    ]],
    later: &[],
    one_of: &[],
};

/// Reads a kind of upgrader.
///
/// # Errors
/// All problems of the file at once; only the first one when it is no valid YAML.
pub fn parse(file: &SourceFile) -> Result<Upgrader, Problems> {
    let sink = Sink::new(file);
    let read = read(&sink);
    sink.into_result(read)
}

fn read(sink: &Sink) -> Option<Upgrader> {
    let root = node::parse(sink)?;
    let fields = Fields::open(sink, &root, &KIND)?;
    let desk = Desk::new(sink);
    let name = fields
        .get("upgrader")
        .and_then(|node| reader::name(sink, node));
    let describes = fields.text("describes");
    let paths = fields
        .get("paths")
        .map(|node| reader::list(sink, node, |node| path(sink, node)));
    let space = fields
        .get("space")
        .map(|node| reader::list(sink, node, |node| space_need(sink, node)));
    let mut steps = Steps {
        desk: &desk,
        slugs: BTreeMap::new(),
    };
    let scopes = fields
        .get("scopes")
        .map(|node| reader::list(sink, node, |node| steps.scope(node)));
    let mut list = |key, part| {
        let node = fields.get(key);
        let read = node.map(|node| reader::list(sink, node, |node| steps.step(node, part)));
        read.unwrap_or_default()
    };
    let prepare = list("prepare", UpgradePart::Prepare);
    let change = list("change", UpgradePart::Change);
    let settle = list("settle", UpgradePart::Settle);
    let empty = |key| fields.get(key).filter(|_| sink.count() == 0);
    if let Some(node) = empty("change").filter(|_| change.is_empty()) {
        sink.add(&node.span, "`change` has no step");
    }
    if let Some(node) = empty("paths").filter(|_| paths.as_ref().is_none_or(Vec::is_empty)) {
        sink.add(&node.span, "`paths` has no path");
    }
    let issues = fields
        .get("known_issues")
        .map(|node| kind_issues(&desk, node));
    let available = fields.bool("available").unwrap_or(true);
    fields.done();
    Some(Upgrader {
        available,
        name: name?,
        describes: describes?,
        paths: paths?,
        space: space.unwrap_or_default(),
        scopes: scopes.unwrap_or_default(),
        prepare,
        change,
        settle,
        known_issues: issues.unwrap_or_default(),
    })
}

fn path(sink: &Sink, node: &Node) -> Option<UpgradePath> {
    let fields = Fields::open(sink, node, &PATH)?;
    let from = fields
        .get("from")
        .and_then(|node| named_release(sink, node));
    let to = fields.get("to").and_then(|node| named_release(sink, node));
    fields.done();
    let ((from, from_codename), (to, to_codename)) = (from?, to?);
    Some(UpgradePath {
        from,
        from_codename,
        to,
        to_codename,
    })
}

fn named_release(sink: &Sink, node: &Node) -> Option<(Release, String)> {
    let written = reader::text(sink, node)?;
    let words: Vec<&str> = written.split_whitespace().collect();
    match words.as_slice() {
        [os, release, codename] => {
            let (os, release) = ((*os).to_owned(), (*release).to_owned());
            Some((Release { os, release }, (*codename).to_owned()))
        }
        _ => {
            let message = format!("`{}` is not os, release and code name", shortened(&written));
            sink.add_with_help(&node.span, message, "write it like debian 12 bookworm");
            None
        }
    }
}

fn space_need(sink: &Sink, node: &Node) -> Option<SpaceNeed> {
    let fields = Fields::open(sink, node, &SPACE)?;
    let path = fields.get("path").and_then(|node| {
        let path = reader::text(sink, node)?;
        if !path.starts_with('/') {
            let message = format!("`{}` is no absolute path", shortened(&path));
            sink.add_with_help(&node.span, message, "begin it with `/`");
        }
        Some(path)
    });
    let bytes = fields.get("bytes").and_then(|node| {
        let written = reader::text(sink, node)?;
        let bytes = bytes_of(&written);
        if bytes.is_none() {
            let message = format!("`{}` is no number of bytes", shortened(&written));
            sink.add_with_help(
                &node.span,
                message,
                "write it like 2 GiB, 500 MiB or 1048576",
            );
        }
        bytes
    });
    let because = fields.text("because");
    fields.done();
    Some(SpaceNeed {
        path: path?,
        bytes: bytes?,
        because: because?,
    })
}

fn bytes_of(written: &str) -> Option<u64> {
    let digits = written
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(written.len());
    let (number, unit) = written.split_at_checked(digits)?;
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(1_u64.checked_shl(shift)?)
}

struct Steps<'r, 's, 'f> {
    desk: &'r Desk<'s, 'f>,
    slugs: BTreeMap<String, Range<usize>>,
}

impl Steps<'_, '_, '_> {
    fn scope(&mut self, node: &Node) -> Option<UpgraderScope> {
        let fields = Fields::open(self.desk.sink, node, &SCOPE)?;
        let name = fields.get("name").and_then(|node| {
            let title = titled(self.desk, node)?;
            self.unique(&title, &node.span);
            Some(slug(&title))
        });
        let open = fields
            .get("open")
            .and_then(|node| self.step(node, UpgradePart::Prepare));
        let close = fields
            .get("close")
            .and_then(|node| self.step(node, UpgradePart::TakeDown));
        fields.done();
        Some(UpgraderScope {
            name: name?,
            open: open?,
            close: close?,
        })
    }

    fn unique(&mut self, title: &str, span: &Range<usize>) {
        if let Some(first) = self.slugs.insert(slug(title), span.clone()) {
            let sink = self.desk.sink;
            let message = format!("another step is called so, on line {}", sink.line(&first));
            sink.add_with_help(span, message, "steps and scopes have names of their own");
        }
    }

    fn step(&mut self, node: &Node, part: UpgradePart) -> Option<UpgraderStep> {
        let desk = self.desk;
        let fields = Fields::open(desk.sink, node, &KIND_STEP)?;
        let title = fields.get("name").and_then(|node| {
            let title = titled(desk, node)?;
            self.unique(&title, &node.span);
            Some(title)
        });
        let part = fields.word("part", &PARTS).unwrap_or(part);
        let work = act(desk, None, &fields).and_then(|act| primitive(act.action));
        let waits = matches!(work, Some(Primitive::Wait(_)));
        let runs = !matches!(&work, Some(work) if !matches!(work, Primitive::Exec(_)));
        let (mut check, mut verify, mut taken) = (None, None, BTreeMap::new());
        if !waits {
            check = fields.get("check").and_then(|node| measure(desk, node));
            verify = fields.get("verify").and_then(|node| measure(desk, node));
        }
        if runs {
            taken = outputs(desk, &fields);
        }
        let repeatable = repeatable(desk, &fields);
        let (timeout, stall) = (fields.span_of_time("timeout"), fields.span_of_time("stall"));
        bounds(desk, &fields, timeout, stall);
        if let Some(Primitive::Exec(exec)) = &work {
            thrown_away(desk, &fields, exec);
        }
        let limits = Limits {
            total: timeout.unwrap_or(TOTAL_DEFAULT),
            stall,
            expected: fields.span_of_time("expected").unwrap_or(EXPECTED_DEFAULT),
        };
        let retry = retry(desk, &fields);
        fields.done();
        let (title, work) = (title?, work?);
        Some(UpgraderStep {
            name: slug(&title),
            title,
            part,
            work,
            check,
            verify,
            repeatable,
            limits,
            retry,
            outputs: taken,
        })
    }
}

/// What carries out the actions that kinds may use; the shape lets no other through.
fn primitive(action: WrittenAction) -> Option<Primitive> {
    match action {
        WrittenAction::Run(exec) => Some(Primitive::Exec(exec)),
        WrittenAction::File(file) => Some(Primitive::WriteFile(file)),
        WrittenAction::Edit(edit) => Some(Primitive::EditFile(edit)),
        WrittenAction::Wait(wait) => Some(Primitive::Wait(wait)),
        WrittenAction::Service { .. }
        | WrittenAction::Packages { .. }
        | WrittenAction::Reboot { .. }
        | WrittenAction::MoveCluster { .. }
        | WrittenAction::Archive(_)
        | WrittenAction::Transfer { .. }
        | WrittenAction::Machine(_)
        | WrittenAction::Volume(_)
        | WrittenAction::Address(_)
        | WrittenAction::Ansible(_)
        | WrittenAction::Cluster { .. }
        | WrittenAction::QuiesceOthers { .. }
        | WrittenAction::Gate(_)
        | WrittenAction::Announce(_)
        | WrittenAction::Later { .. } => None,
    }
}
