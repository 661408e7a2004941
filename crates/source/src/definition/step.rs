//! Steps: an action with its checks, its bounds and what may be done when it fails.

use super::action::act;
use super::measure::{chosen, measure, script};
use super::root::Names;
use super::shapes::{GUARD, RETRY, STEP};
use crate::node::{Node, Tree, shortened};
use crate::reader::{self, Fields};
use crate::shape::Shape;
use crate::templates::Desk;
use crate::words::{is_identifier, slug, suggestion};
use overhaul_model::action::{OnceScope, Retry, Touches};
use overhaul_model::definition::{Guard, Origin, OutputFrom, Test, WrittenAction, WrittenStep};
use overhaul_model::id::ServiceName;
use overhaul_model::primitive::{Exec, OutputPolicy};
use overhaul_model::span::Span;
use std::collections::BTreeMap;
use std::ops::Range;

/// Wait before the second attempt when nothing is said.
const BACK_OFF_DEFAULT: Span = Span::from_s(10);

const SCOPES: [(&str, OnceScope); 4] = [
    ("host", OnceScope::Host),
    ("role", OnceScope::Role),
    ("dataset", OnceScope::Dataset),
    ("fleet", OnceScope::Fleet),
];

/// A step with the place of its name.
pub(super) struct PlacedStep {
    /// What a step of a stage says of its host.
    pub(super) on: Option<Node>,
    pub(super) step: WrittenStep,
    pub(super) name_span: Range<usize>,
    pub(super) dataset_span: Option<Range<usize>>,
}

/// A step of a slot.
pub(super) fn step(desk: &Desk, names: &Names, node: &Node) -> Option<PlacedStep> {
    let placed = step_of(desk, names, node, &STEP)?;
    if matches!(placed.step.action, WrittenAction::QuiesceOthers { .. }) {
        let message = "a host's turn does not stop other hosts";
        let help = "write it `before` or `after` a stage; the strategy `first-then-rest` does it by itself";
        desk.sink.add_with_help(&placed.name_span, message, help);
        return None;
    }
    Some(placed)
}

/// What a step disturbs, as its author says, or as its action does when nothing is said.
fn touched(desk: &Desk, names: &Names, fields: &Fields, action: Option<&WrittenAction>) -> Touches {
    let unsaid = match action {
        None | Some(WrittenAction::Run(_) | WrittenAction::Ansible(_)) => Touches::Anything,
        Some(WrittenAction::Later { what, .. }) if !what.word().calm => Touches::Anything,
        Some(WrittenAction::Later { .. }) => Touches::Only(Vec::new()),
        Some(_) => return Touches::Only(Vec::new()),
    };
    touches(desk, names, fields).unwrap_or(unsaid)
}

/// A step with the keys of this shape.
pub(super) fn step_of(
    desk: &Desk,
    names: &Names,
    node: &Node,
    shape: &'static Shape,
) -> Option<PlacedStep> {
    let sink = desk.sink;
    let fields = Fields::open(sink, node, shape)?;
    let on = fields.get("on").cloned();
    let name = fields.get("name").and_then(|node| titled(desk, node));
    let act = act(desk, Some(names), &fields);
    let acts = !matches!(
        act.as_ref().map(|act| &act.action),
        Some(WrittenAction::Wait(_) | WrittenAction::Gate(_) | WrittenAction::Announce(_))
    );
    let action = act.as_ref().map(|act| &act.action);
    let runs = matches!(
        action,
        None | Some(WrittenAction::Run(_) | WrittenAction::Ansible(_))
    );
    let mut step = Draft::default();
    if acts {
        step.check = fields.get("check").and_then(|node| measure(desk, node));
        step.verify = fields.get("verify").and_then(|node| measure(desk, node));
        step.undo = fields.get("undo").and_then(|node| script(desk, node));
        step.once = fields.word("once", &SCOPES);
        step.repeatable = repeatable(desk, &fields);
        step.timeout = fields.span_of_time("timeout");
        step.stall = fields.span_of_time("stall");
        step.retry = retry(desk, &fields);
    }
    let mut taken = BTreeMap::new();
    let touches = touched(desk, names, &fields, action);
    if runs || matches!(action, Some(WrittenAction::Later { .. })) {
        taken = outputs(desk, &fields);
    }
    let expected = fields.span_of_time("expected");
    let when = fields.get("when").and_then(|node| desk.condition(node));
    let guards = fields.get("guards").map(|node| guards(desk, node));
    contradictions(desk, &fields, &step, act.as_ref().map(|act| &act.action));
    let origin = Origin {
        file: sink.file.name.clone(),
        line: sink.line(&fields.span),
    };
    let name_span = fields
        .get("name")
        .map_or(fields.span.clone(), |node| node.span.clone());
    fields.done();
    let (name, act) = (name?, act?);
    Some(PlacedStep {
        on,
        step: WrittenStep {
            name,
            action: act.action,
            check: step.check,
            verify: step.verify,
            undo: step.undo,
            once: step.once,
            repeatable: step.repeatable,
            timeout: step.timeout,
            stall: step.stall,
            expected,
            retry: step.retry,
            touches,
            issue: None,
            when,
            outputs: taken,
            guards: guards.unwrap_or_default(),
            origin,
        },
        name_span,
        dataset_span: act.dataset_span,
    })
}

struct Draft {
    check: Option<overhaul_model::primitive::Measure>,
    verify: Option<overhaul_model::primitive::Measure>,
    undo: Option<Exec>,
    once: Option<OnceScope>,
    repeatable: bool,
    timeout: Option<Span>,
    stall: Option<Span>,
    retry: Retry,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            check: None,
            verify: None,
            undo: None,
            once: None,
            repeatable: false,
            timeout: None,
            stall: None,
            retry: Retry::NEVER,
        }
    }
}

/// What does not go together.
fn contradictions(desk: &Desk, fields: &Fields, step: &Draft, action: Option<&WrittenAction>) {
    let sink = desk.sink;
    let span = |key: &str| {
        let entries = fields.entries().iter();
        let mut found = entries.filter(|entry| entry.key == key);
        found
            .next()
            .map_or(fields.span.clone(), |entry| entry.key_span.clone())
    };
    let again = step.retry.attempts > 1;
    // The move of a cluster happens once for its dataset, whether that is written or not.
    let once = step.once.is_some() || matches!(action, Some(WrittenAction::MoveCluster { .. }));
    if once && step.repeatable {
        let message = "a step that happens once cannot be begun again freely";
        sink.add_with_help(&span("repeat"), message, "take `once` or `repeat` away");
    }
    if once && again {
        let message = "a step that happens once is not tried again";
        sink.add_with_help(&span("retry"), message, "take `once` or `retry` away");
    } else if again
        && matches!(action, Some(WrittenAction::Run(_)))
        && step.check.is_none()
        && !step.repeatable
    {
        let message = "only what is safe to repeat is tried again by itself";
        let help = "add `check:`, which measures whether it is already so, or `repeat: safe`";
        sink.add_with_help(&span("retry"), message, help);
    }
    bounds(desk, fields, step.timeout, step.stall);
    if let Some(WrittenAction::Run(exec)) = action {
        thrown_away(desk, fields, exec);
    }
}

/// A bound of nothing, and a stall that the whole bound forestalls.
pub(crate) fn bounds(desk: &Desk, fields: &Fields, timeout: Option<Span>, stall: Option<Span>) {
    let place = |key: &'static str| fields.get(key).map(|node| node.span.clone());
    for (key, bound) in [("timeout", timeout), ("stall", stall)] {
        if bound.is_some_and(|bound| bound.as_ms() == 0)
            && let Some(span) = place(key)
        {
            let message = format!("`{key}` is nothing, so the step would always fail");
            desk.sink.add(&span, message);
        }
    }
    if let (Some(timeout), Some(stall)) = (timeout, stall)
        && stall > timeout
        && let Some(span) = place("stall")
    {
        let message = format!("`stall` is longer than `timeout`, which is {timeout}");
        desk.sink.add(&span, message);
    }
}

/// Outputs come from what is kept.
pub(crate) fn thrown_away(desk: &Desk, fields: &Fields, exec: &Exec) {
    if exec.output == OutputPolicy::None
        && let Some(node) = fields.get("outputs")
    {
        let message = "outputs cannot be taken from what is thrown away";
        desk.sink
            .add_with_help(&node.span, message, "take `outputs` or `output: none` away");
    }
}

/// A name that has a slug.
pub(crate) fn titled(desk: &Desk, node: &Node) -> Option<String> {
    let name = reader::text(desk.sink, node)?;
    if slug(&name).is_empty() {
        let message = format!("`{}` has no letter and no digit", shortened(&name));
        desk.sink
            .add_with_help(&node.span, message, "say in a few words what the step does");
        return None;
    }
    Some(name)
}

/// Whether the author says that the step may be begun again freely.
pub(crate) fn repeatable(desk: &Desk, fields: &Fields) -> bool {
    let Some(node) = fields.get("repeat") else {
        return false;
    };
    let help = match &node.tree {
        Tree::Scalar { text, .. } if text == "safe" => return true,
        Tree::Scalar { text, .. } if text == "check-first" => {
            "write `check:`; what measures \"not so\" is begun again"
        }
        Tree::Scalar { text, .. } if text == "person" => {
            "leave `repeat` out: without `check` a person is asked"
        }
        Tree::Scalar { text, .. } if text == "once" => {
            "write `once: host`, `role`, `dataset` or `fleet`"
        }
        _ => "the only word is `safe`",
    };
    let message = format!("`repeat` is `safe` or left out, not {}", node.what());
    desk.sink.add_with_help(&node.span, message, help);
    false
}

/// Attempts; one when nothing is said.
pub(crate) fn retry(desk: &Desk, fields: &Fields) -> Retry {
    let Some(node) = fields.get("retry") else {
        return Retry::NEVER;
    };
    let Some(fields) = Fields::open(desk.sink, node, &RETRY) else {
        return Retry::NEVER;
    };
    let attempts = fields.get("attempts").and_then(|node| {
        let attempts = reader::int(desk.sink, node, 1..=20)?;
        u32::try_from(attempts).ok()
    });
    let back_off = fields.span_of_time("back_off").unwrap_or(BACK_OFF_DEFAULT);
    if let Some(node) = fields
        .get("back_off")
        .filter(|_| back_off > Retry::BACK_OFF_MAX)
    {
        let message = format!("`back_off` is longer than {}", Retry::BACK_OFF_MAX);
        desk.sink.add(&node.span, message);
    }
    fields.done();
    Retry {
        attempts: attempts.unwrap_or(1),
        back_off,
    }
}

/// Outputs by name.
pub(crate) fn outputs(desk: &Desk, fields: &Fields) -> BTreeMap<String, OutputFrom> {
    let sink = desk.sink;
    let mut out = BTreeMap::new();
    let Some(node) = fields.get("outputs") else {
        return out;
    };
    for entry in reader::map(sink, node, "outputs") {
        if !is_identifier(&entry.key) {
            let message = format!("`{}` is no name of an output", shortened(&entry.key));
            let help =
                "outputs are made of letters, digits and `_`, so that templates can name them";
            sink.add_with_help(&entry.key_span, message, help);
        }
        let words = [("stdout", OutputFrom::Stdout)];
        if let Some(from) = reader::word(sink, &entry.value, &words) {
            out.insert(entry.key.clone(), from);
        }
    }
    out
}

fn touches(desk: &Desk, names: &Names, fields: &Fields) -> Option<Touches> {
    let sink = desk.sink;
    let node = fields.get("touches")?;
    Some(match &node.tree {
        Tree::Scalar { text, .. } if text == "nothing" => Touches::Only(Vec::new()),
        Tree::List(_) => Touches::Only(reader::list(sink, node, |node| {
            let name = reader::text(sink, node)?;
            if names.services.contains(&name) {
                return Some(ServiceName::new(name));
            }
            let message = format!("there is no service `{}`", shortened(&name));
            let services = names.services.iter().map(String::as_str);
            let help = suggestion(&name, services, "the services are");
            sink.add_with_help(&node.span, message, help);
            None
        })),
        _ => {
            let message = format!(
                "`touches` is a list of services, or `nothing`, not {}",
                node.what()
            );
            sink.add(&node.span, message);
            Touches::Anything
        }
    })
}

/// Conditions measured just before something begins.
pub(super) fn guards(desk: &Desk, node: &Node) -> Vec<Guard> {
    reader::list(desk.sink, node, |node| {
        let fields = Fields::open(desk.sink, node, &GUARD)?;
        let name = fields.get("name").and_then(|node| titled(desk, node));
        let measure = chosen(desk, &fields);
        let at_most = fields.span_of_time("at_most");
        fields.done();
        Some(Guard {
            name: name?,
            test: Test::Measure(measure?),
            at_most: at_most?,
        })
    })
}
