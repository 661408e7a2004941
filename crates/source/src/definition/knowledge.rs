//! What is known of an upgrade beyond its steps: versions, issues, what is expected, what goes together.

use super::knowledge_shapes::{
    BORDER, EXPECTED, ISSUE, KIND_ISSUE, REMEDY, STOP, VERSION_PATH, VERSION_RANGE,
};
use super::measure::measure;
use super::root::Names;
use super::step::step;
use crate::node::{Entry, Node, Tree, shortened};
use crate::problem::Sink;
use crate::reader::{self, Fields};
use crate::templates::Desk;
use crate::words::{slug, suggestion};
use overhaul_model::definition::{Origin, RoleUpgrade, Slot, WrittenBlock, WrittenStep};
use overhaul_model::id::RoleName;
use overhaul_model::knowledge::{
    Border, Expected, Knowledge, KnownIssue, Remedy, Stop, Unusual, VersionPath, VersionRange,
};
use overhaul_model::version;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Longest version: dpkg's own are far shorter.
const VERSION_CHARS_MAX: usize = 200;

/// What valid versions look like, for help.
const VERSION_HELP: &str =
    "versions are made of letters, digits and `.+~:-`, and begin with a letter or a digit";

/// Reads what is known, and puts the steps of remedies into the slots of their roles.
pub(super) fn knowledge(
    desk: &Desk,
    names: &Names,
    fields: &Fields,
    roles: &mut [RoleUpgrade],
) -> Knowledge {
    let reader = KnowledgeReader { desk, names };
    let sink = desk.sink;
    let versions = fields.get("versions").map(|node| reader.versions(node));
    let issues = fields.get("known_issues");
    let issues = issues.map(|node| reader.issues(node, roles));
    let expected = fields.get("expected").map(|node| {
        let entries = reader::list(sink, node, |node| reader.expected(node));
        entries.into_iter().flatten().collect()
    });
    let equal = fields.get("equal_versions");
    let equal = equal.map(|node| reader::list(sink, node, |node| reader.equal(node)));
    let retired = fields.get("retired").map(|node| {
        let names = reader::list(sink, node, |node| unit_or_service(sink, node));
        names.into_iter().collect()
    });
    let whole = fields.get("whole_role").map(|node| reader.whole(node));
    Knowledge {
        versions: versions.unwrap_or_default(),
        known_issues: issues.unwrap_or_default(),
        expected: expected.unwrap_or_default(),
        equal_versions: equal.unwrap_or_default(),
        retired: retired.unwrap_or_default(),
        whole_role: whole.unwrap_or_default(),
        no_mix: BTreeMap::new(),
    }
}

struct KnowledgeReader<'r, 's, 'f> {
    desk: &'r Desk<'s, 'f>,
    names: &'r Names,
}

/// A remedy that is a step, with what its issue says about it.
struct RunnableRemedy {
    slot: Slot,
    step: WrittenStep,
    name_span: Range<usize>,
}

impl KnowledgeReader<'_, '_, '_> {
    fn sink(&self) -> &Sink<'_> {
        self.desk.sink
    }

    fn versions(&self, node: &Node) -> BTreeMap<String, VersionPath> {
        let entries = reader::map(self.sink(), node, "versions");
        let read = |entry: &Entry| Some((entry.key.clone(), self.path(entry)?));
        entries.iter().filter_map(read).collect()
    }

    fn path(&self, entry: &Entry) -> Option<VersionPath> {
        let sink = self.sink();
        let good = check_package(sink, &entry.key, &entry.key_span);
        let fields = Fields::open(sink, &entry.value, &VERSION_PATH)?;
        let written = fields.get("path")?;
        let mut last: Option<String> = None;
        let stops = reader::list(sink, written, |node| {
            let stop = self.stop(node)?;
            check_rises(sink, last.as_deref(), &stop.version, &node.span);
            last = Some(stop.version.clone());
            Some(stop)
        });
        if is_empty_list(written) {
            sink.add(&written.span, "`path` names no version");
        }
        let to = fields.get("to").and_then(|node| {
            let to = version_text(sink, node)?;
            let last = stops.last().map(|stop| stop.version.as_str());
            if last.is_some_and(|last| version::compare(&to, last) == Ordering::Less) {
                let message = format!("`{to}` comes before the last stop");
                let help = "leave stops out that lie behind where the upgrade leads";
                sink.add_with_help(&node.span, message, help);
            }
            Some(to)
        });
        fields.done();
        good.then_some(VersionPath { stops, to })
    }

    fn stop(&self, node: &Node) -> Option<Stop> {
        let sink = self.sink();
        if !matches!(node.tree, Tree::Map(_)) {
            let version = version_text(sink, node)?;
            return Some(Stop { version, by: None });
        }
        let fields = Fields::open(sink, node, &STOP)?;
        let version = fields
            .get("version")
            .and_then(|node| version_text(sink, node));
        let by = fields.text("by").map(|name| slug(&name));
        fields.done();
        let version = version?;
        Some(Stop { version, by })
    }

    fn issues(&self, node: &Node, roles: &mut [RoleUpgrade]) -> Vec<KnownIssue> {
        let sink = self.sink();
        let mut seen = BTreeSet::new();
        reader::list(sink, node, |node| {
            let fields = Fields::open(sink, node, &ISSUE)?;
            let mut issue = issue(self.desk, &fields, &mut seen);
            let named = fields.get("roles").map(|node| self.roles(node));
            let remedy = fields.get("remedy");
            let step = remedy
                .filter(|node| matches!(node.tree, Tree::Map(_)))
                .map(|node| self.runnable(node));
            let text = remedy
                .filter(|_| step.is_none())
                .and_then(|node| reader::text(sink, node));
            fields.done();
            if let Some(issue) = &mut issue {
                issue.roles = named.unwrap_or_default();
                if let Some(text) = text {
                    issue.remedy = Remedy::ByPerson(text);
                }
                if let Some(remedy) = step.flatten() {
                    self.place(issue, remedy, roles);
                }
            }
            issue
        })
    }

    fn runnable(&self, node: &Node) -> Option<RunnableRemedy> {
        let fields = Fields::open(self.sink(), node, &REMEDY)?;
        let words = Slot::ALL.map(|slot| (slot.word(), slot));
        let slot = fields.word("slot", &words);
        let placed = fields
            .get("step")
            .and_then(|node| step(self.desk, self.names, node));
        fields.done();
        let (slot, placed) = (slot?, placed?);
        Some(RunnableRemedy {
            slot,
            step: placed.step,
            name_span: placed.name_span,
        })
    }

    /// The step goes into each role that the issue concerns, behind remedies of issues written before.
    fn place(&self, issue: &mut KnownIssue, remedy: RunnableRemedy, roles: &mut [RoleUpgrade]) {
        let RunnableRemedy {
            slot,
            mut step,
            name_span,
        } = remedy;
        let word = slug(&step.name);
        step.issue = Some(issue.id.clone());
        step.check = step.check.or_else(|| issue.check.clone());
        let concerned =
            |role: &&mut RoleUpgrade| issue.roles.is_empty() || issue.roles.contains(&role.role);
        for role in roles.iter_mut().filter(concerned) {
            if role.steps().any(|other| slug(&other.name) == word) {
                let message = format!("a step of the role `{}` is already called so", role.role);
                let help =
                    "steps of a role have names of their own, which differ in letters and digits";
                self.sink().add_with_help(&name_span, message, help);
                continue;
            }
            let blocks = role.slots.entry(slot).or_default();
            let is_remedy = |block: &&WrittenBlock| matches!(block, WrittenBlock::Step(step) if step.issue.is_some());
            let behind = blocks.iter().take_while(is_remedy).count();
            blocks.insert(behind, step.clone().into());
        }
        issue.remedy = Remedy::Step { slot, slug: word };
    }

    fn expected(&self, node: &Node) -> Option<Vec<Expected>> {
        let sink = self.sink();
        let fields = Fields::open(sink, node, &EXPECTED)?;
        let roles = fields.get("roles").map(|node| self.roles(node));
        let until = fields
            .get("until")
            .and_then(|node| reader::date(sink, node));
        let reason = fields.text("reason");
        let chosen = fields.chosen();
        let what = chosen.map(|entry| {
            let texts = one_or_more(&entry.value).iter();
            match entry.key.as_str() {
                "stays_down" => texts
                    .filter_map(|node| Some(Unusual::StaysDown(unit_or_service(sink, node)?)))
                    .collect::<Vec<_>>(),
                "failed_unit" => texts
                    .filter_map(|node| Some(Unusual::FailedUnit(unit_or_service(sink, node)?)))
                    .collect(),
                _ => texts
                    .filter_map(|node| Some(Unusual::LogLine(reader::text(sink, node)?)))
                    .collect(),
            }
        });
        fields.done();
        let (until, reason, what) = (until?, reason?, what?);
        let roles = roles.unwrap_or_default();
        let each = what.into_iter().map(|what| Expected {
            what,
            roles: roles.clone(),
            until,
            reason: reason.clone(),
        });
        Some(each.collect())
    }

    fn equal(&self, node: &Node) -> Option<BTreeSet<String>> {
        let sink = self.sink();
        let names = reader::list(sink, node, |node| package(sink, node));
        let set: BTreeSet<String> = names.into_iter().collect();
        if set.len() < 2 && one_or_more(node).len() < 2 {
            let help = "name at least two packages, like [snf-webproject, snf-common]";
            sink.add_with_help(&node.span, "a set has at least two packages", help);
            return None;
        }
        Some(set)
    }

    fn whole(&self, node: &Node) -> BTreeMap<RoleName, String> {
        let sink = self.sink();
        let mut out = BTreeMap::new();
        for entry in reader::map(sink, node, "`whole_role`s") {
            let reason = reader::text(sink, &entry.value);
            if self.is_role(&entry.key, &entry.key_span)
                && let Some(reason) = reason
            {
                out.insert(RoleName::new(entry.key.clone()), reason);
            }
        }
        out
    }

    fn roles(&self, node: &Node) -> BTreeSet<RoleName> {
        let read = |node: &Node| {
            let name = reader::text(self.sink(), node)?;
            self.is_role(&name, &node.span).then(|| RoleName::new(name))
        };
        one_or_more(node).iter().filter_map(read).collect()
    }

    /// Whether it is a role of this file; reports when not.
    fn is_role(&self, name: &str, span: &Range<usize>) -> bool {
        let is = self.names.roles.contains(name);
        if !is {
            let message = format!("there is no role `{}` in this file", shortened(name));
            let roles = self.names.roles.iter().map(String::as_str);
            let help = suggestion(name, roles, "the roles are");
            self.sink().add_with_help(span, message, help);
        }
        is
    }
}

/// What issues of definitions and upgraders have in common.
fn issue(desk: &Desk, fields: &Fields, seen: &mut BTreeSet<String>) -> Option<KnownIssue> {
    let sink = desk.sink;
    let id = fields.get("id").and_then(|node| {
        let id = reader::name(sink, node)?;
        if !seen.insert(id.clone()) {
            sink.add(&node.span, format!("`{id}` stands here twice"));
        }
        Some(id)
    });
    let says = fields.text("says");
    let versions = fields.get("versions").map(|node| range(sink, node));
    let check = fields.get("check").and_then(|node| measure(desk, node));
    let versions = match versions {
        Some(None) => return None,
        other => other.flatten(),
    };
    Some(KnownIssue {
        id: id?,
        says: says?,
        versions,
        roles: BTreeSet::new(),
        check,
        remedy: Remedy::Unknown,
        origin: Origin {
            file: sink.file.name.clone(),
            line: sink.line(&fields.span),
        },
    })
}

/// The known issues of an upgrader; no remedy of theirs is a step.
pub(crate) fn kind_issues(desk: &Desk, node: &Node) -> Vec<KnownIssue> {
    let mut seen = BTreeSet::new();
    reader::list(desk.sink, node, |node| {
        let fields = Fields::open(desk.sink, node, &KIND_ISSUE)?;
        let mut issue = issue(desk, &fields, &mut seen);
        let remedy = fields.text("remedy");
        fields.done();
        if let (Some(issue), Some(text)) = (&mut issue, remedy) {
            issue.remedy = Remedy::ByPerson(text);
        }
        issue
    })
}

/// The borders of a kind of cluster.
pub(crate) fn borders(sink: &Sink, node: &Node) -> Vec<Border> {
    reader::list(sink, node, |node| {
        let fields = Fields::open(sink, node, &BORDER)?;
        let of = fields.get("of").and_then(|node| package(sink, node));
        let at = fields.get("at").and_then(|node| version_text(sink, node));
        fields.done();
        Some(Border { of: of?, at: at? })
    })
}

fn range(sink: &Sink, node: &Node) -> Option<VersionRange> {
    let fields = Fields::open(sink, node, &VERSION_RANGE)?;
    let of = fields.get("of").and_then(|node| package(sink, node));
    let bound = |name| fields.get(name).and_then(|node| version_text(sink, node));
    let (from, before, is) = (bound("from"), bound("before"), bound("is"));
    if let (Some(node), true) = (fields.get("is"), fields.has("from") || fields.has("before")) {
        let help = "write `is` alone, or `from` and `before`";
        sink.add_with_help(&node.span, "`is` is one version and no range", help);
    }
    if let Some(before) = &before {
        check_rises(sink, from.as_deref(), before, &node.span);
    }
    fields.done();
    Some(VersionRange {
        of: of?,
        from,
        before,
        is,
    })
}

fn check_rises(sink: &Sink, before: Option<&str>, version: &str, span: &Range<usize>) {
    let Some(before) = before else {
        return;
    };
    if version::compare(before, version) != Ordering::Less {
        let message = format!("`{version}` does not come after `{before}`");
        let help = "write versions rising; they are compared as dpkg compares them";
        sink.add_with_help(span, message, help);
    }
}

/// A version.
fn version_text(sink: &Sink, node: &Node) -> Option<String> {
    let text = reader::text(sink, node)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".+~:-_".contains(c);
    let good = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(allowed)
        && text.len() <= VERSION_CHARS_MAX;
    if !good {
        let message = format!("`{}` is no version", shortened(&text));
        sink.add_with_help(&node.span, message, VERSION_HELP);
    }
    good.then_some(text)
}

/// The name of a package, or of an operating system.
fn package(sink: &Sink, node: &Node) -> Option<String> {
    let name = reader::text(sink, node)?;
    check_package(sink, &name, &node.span).then_some(name)
}

fn check_package(sink: &Sink, name: &str, span: &Range<usize>) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+.-:".contains(c);
    let good = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(allowed);
    if !good {
        let message = format!("`{}` is no name of a package", shortened(name));
        let help = "names of packages are made of small letters, digits and `+.-`";
        sink.add_with_help(span, message, help);
    }
    good
}

/// The name of a service or unit.
fn unit_or_service(sink: &Sink, node: &Node) -> Option<String> {
    let name = reader::text(sink, node)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    if name.is_empty() || name.starts_with('-') || !name.chars().all(allowed) {
        let message = format!("`{}` is no name of a service or unit", shortened(&name));
        sink.add(&node.span, message);
        return None;
    }
    Some(name)
}

fn is_empty_list(node: &Node) -> bool {
    matches!(&node.tree, Tree::List(items) if items.is_empty())
}

/// The nodes of a list, or the one that stands alone.
fn one_or_more(node: &Node) -> &[Node] {
    match &node.tree {
        Tree::List(items) => items,
        _ => std::slice::from_ref(node),
    }
}
