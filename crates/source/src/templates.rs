//! Templates and conditions, checked when they are read.
//!
//! The renderer finds unknown filters, tests and functions only when it comes to them, and compares a
//! text with a number without a word. Here the syntax tree is walked for both.

use crate::node::{Node, place_inside};
use crate::problem::Sink;
use crate::reader;
use crate::words::nearest;
use minijinja::machinery::ast::{BinOpKind, Call, CallArg, CompareOpKind, Expr, Stmt};
use minijinja::machinery::{Span, parse, parse_expr};
use minijinja::value::ValueKind;
use overhaul_model::definition::Release;
use overhaul_model::template::{Context, Renderer, TemplateError};
use std::ops::Range;

/// Functions that a text may call.
pub(crate) const FUNCTIONS: [&str; 5] = ["range", "dict", "debug", "namespace", "loop"];

/// Filters that near misses are looked for among.
const FILTERS: [&str; 31] = [
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "count",
    "default",
    "dictsort",
    "first",
    "float",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "quote",
    "raw",
    "replace",
    "reverse",
    "round",
    "select",
    "sort",
    "split",
    "string",
    "upper",
];

/// Texts that every host has, whatever their content looks like.
const KNOWN_TEXTS: [(&str, &str); 6] = [
    ("from", "os"),
    ("from", "release"),
    ("to", "os"),
    ("to", "release"),
    ("host", "name"),
    ("host", "address"),
];

/// A wrong part of a text.
struct Fault {
    part: Range<usize>,
    message: String,
    help: Option<String>,
}

impl From<TemplateError> for Fault {
    fn from(error: TemplateError) -> Self {
        let remark = error.message.contains("comment");
        let help = "`{#` begins a remark in templates; write `{{ '{#' }}` for the signs themselves";
        Self {
            part: error.range.unwrap_or(0..0),
            message: error.message,
            help: remark.then(|| help.to_owned()),
        }
    }
}

/// What reads texts of a definition or kind: a sink and a renderer.
pub(crate) struct Desk<'s, 'f> {
    pub(crate) sink: &'s Sink<'f>,
    pub(crate) renderer: Renderer,
    empty: Context,
}

impl<'s, 'f> Desk<'s, 'f> {
    pub(crate) fn new(sink: &'s Sink<'f>) -> Self {
        let none = Release {
            os: String::new(),
            release: String::new(),
        };
        Self {
            sink,
            renderer: Renderer::new(),
            empty: Context::new(None, &none, &none),
        }
    }

    /// A text that may be a template.
    pub(crate) fn template(&self, node: &Node) -> Option<String> {
        let text = reader::text(self.sink, node)?;
        self.report(node, &text, self.text_faults(&text));
        Some(text)
    }

    /// An expression that is decided while planning.
    pub(crate) fn condition(&self, node: &Node) -> Option<String> {
        let text = reader::text(self.sink, node)?;
        let faults = match self.renderer.condition_names(&text) {
            Err(error) => vec![error.into()],
            Ok(names) => {
                let mut walk = Walk::new(self);
                if let Ok(expression) = parse_expr(&text) {
                    walk.expr(&expression);
                }
                if names
                    .iter()
                    .any(|name| name == "steps" || name.starts_with("steps."))
                {
                    walk.faults.push(Fault {
                        part: text
                            .find("steps")
                            .map_or(0..0, |at| at..at.saturating_add(5)),
                        message: "a condition is decided before any step has run".to_owned(),
                        help: Some(
                            "use a `check`, which is measured just before the step".to_owned(),
                        ),
                    });
                }
                walk.faults
            }
        };
        self.report(node, &text, faults);
        Some(text)
    }

    fn text_faults(&self, text: &str) -> Vec<Fault> {
        let plain = !["{{", "{%", "{#"].iter().any(|sign| text.contains(sign));
        if plain {
            return Vec::new();
        }
        if let Err(error) = self.renderer.names(text) {
            return vec![error.into()];
        }
        let mut walk = Walk::new(self);
        if let Ok(template) = parse(text, "text", Default::default()) {
            walk.stmt(&template);
        }
        walk.faults
    }

    fn report(&self, node: &Node, text: &str, faults: Vec<Fault>) {
        for fault in faults {
            let part = fault.part.start.min(text.len())..fault.part.end.min(text.len());
            let place = place_inside(self.sink.file, node, &part);
            let place = if place.is_empty() {
                node.span.clone()
            } else {
                place
            };
            match fault.help {
                Some(help) => self.sink.add_with_help(&place, fault.message, help),
                None => self.sink.add(&place, fault.message),
            }
        }
    }

    fn is_known(&self, what: &str, name: &str) -> bool {
        // Names come from the parser as identifiers, so they cannot end the quotes.
        let asked = format!("'{name}' is {what}");
        self.renderer.holds(&asked, &self.empty).unwrap_or(false)
    }
}

struct Walk<'w, 's, 'f> {
    desk: &'w Desk<'s, 'f>,
    faults: Vec<Fault>,
}

impl<'w, 's, 'f> Walk<'w, 's, 'f> {
    fn new(desk: &'w Desk<'s, 'f>) -> Self {
        Self {
            desk,
            faults: Vec::new(),
        }
    }

    fn fault(&mut self, span: Span, message: String, help: Option<String>) {
        let byte = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
        self.faults.push(Fault {
            part: byte(span.start_offset)..byte(span.end_offset),
            message,
            help,
        });
    }

    fn stmts(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            self.stmt(stmt);
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Template(template) => self.stmts(&template.children),
            Stmt::EmitExpr(emit) => self.expr(&emit.expr),
            Stmt::EmitRaw(_) => {}
            Stmt::ForLoop(each) => {
                self.expr(&each.iter);
                each.filter_expr.iter().for_each(|expr| self.expr(expr));
                self.stmts(&each.body);
                self.stmts(&each.else_body);
            }
            Stmt::IfCond(branch) => {
                self.expr(&branch.expr);
                self.stmts(&branch.true_body);
                self.stmts(&branch.false_body);
            }
            Stmt::WithBlock(block) => {
                block
                    .assignments
                    .iter()
                    .for_each(|(_, expr)| self.expr(expr));
                self.stmts(&block.body);
            }
            Stmt::Set(set) => self.expr(&set.expr),
            Stmt::SetBlock(set) => {
                set.filter.iter().for_each(|expr| self.expr(expr));
                self.stmts(&set.body);
            }
            Stmt::AutoEscape(block) => self.stmts(&block.body),
            Stmt::FilterBlock(block) => {
                self.expr(&block.filter);
                self.stmts(&block.body);
            }
            Stmt::Do(call) => self.call(&call.call, call.call.span()),
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Var(_) | Expr::Const(_) => {}
            Expr::Slice(slice) => {
                self.expr(&slice.expr);
                for part in [&slice.start, &slice.stop, &slice.step]
                    .into_iter()
                    .flatten()
                {
                    self.expr(part);
                }
            }
            Expr::UnaryOp(op) => self.expr(&op.expr),
            Expr::BinOp(op) => {
                self.expr(&op.left);
                self.expr(&op.right);
                let compares = matches!(
                    op.op,
                    BinOpKind::Eq
                        | BinOpKind::Ne
                        | BinOpKind::Lt
                        | BinOpKind::Lte
                        | BinOpKind::Gt
                        | BinOpKind::Gte
                );
                if compares {
                    self.compare(&op.left, &op.right, op.span());
                }
            }
            Expr::Compare(chain) => {
                self.expr(&chain.expr);
                let mut left = &chain.expr;
                for op in &chain.ops {
                    self.expr(&op.expr);
                    if !matches!(op.op, CompareOpKind::In | CompareOpKind::NotIn) {
                        self.compare(left, &op.expr, chain.span());
                    }
                    left = &op.expr;
                }
            }
            Expr::IfExpr(branch) => {
                self.expr(&branch.test_expr);
                self.expr(&branch.true_expr);
                branch.false_expr.iter().for_each(|expr| self.expr(expr));
            }
            Expr::Filter(filter) => {
                self.named("filter", filter.name, filter.span());
                filter.expr.iter().for_each(|expr| self.expr(expr));
                self.args(&filter.args);
            }
            Expr::Test(test) => {
                self.named("test", test.name, test.span());
                self.expr(&test.expr);
                self.args(&test.args);
            }
            Expr::GetAttr(get) => self.expr(&get.expr),
            Expr::GetItem(get) => {
                self.expr(&get.expr);
                self.expr(&get.subscript_expr);
            }
            Expr::Call(call) => self.call(call, call.span()),
            Expr::List(list) => list.items.iter().for_each(|expr| self.expr(expr)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|expr| self.expr(expr)),
            Expr::Map(map) => map
                .keys
                .iter()
                .chain(&map.values)
                .for_each(|e| self.expr(e)),
        }
    }

    fn args(&mut self, args: &[CallArg]) {
        for arg in args {
            match arg {
                CallArg::Pos(expr)
                | CallArg::Kwarg(_, expr)
                | CallArg::PosSplat(expr)
                | CallArg::KwargSplat(expr) => self.expr(expr),
            }
        }
    }

    fn call(&mut self, call: &Call, span: Span) {
        self.args(&call.args);
        match &call.expr {
            Expr::Var(var) if FUNCTIONS.contains(&var.id) => {}
            Expr::Var(var) => {
                let help = nearest(var.id, FUNCTIONS).map(|near| format!("did you mean `{near}`?"));
                self.fault(span, format!("there is no function `{}`", var.id), help);
            }
            Expr::GetAttr(get) if matches!(&get.expr, Expr::Var(var) if var.id == "loop") => {}
            Expr::GetAttr(get) => {
                let message = format!("values have no method `{}`", get.name);
                let help = format!("use a filter, as in `{{{{ x | {} }}}}`", get.name);
                let help = self.desk.is_known("filter", get.name).then_some(help);
                self.fault(span, message, help);
            }
            other => self.fault(
                span,
                format!("a {} cannot be called", other.description()),
                None,
            ),
        }
    }

    fn named(&mut self, what: &str, name: &str, span: Span) {
        if self.desk.is_known(what, name) {
            return;
        }
        let near = (what == "filter").then(|| nearest(name, FILTERS)).flatten();
        let help = near.map(|near| format!("did you mean `{near}`?"));
        self.fault(span, format!("there is no {what} `{name}`"), help);
    }

    fn compare(&mut self, left: &Expr, right: &Expr, span: Span) {
        let (Some(a), Some(b)) = (sort_of(left), sort_of(right)) else {
            return;
        };
        if a != b {
            let message = format!("{a} is compared with {b}, which never says anything");
            let help = "compare like with like: '13' is a text, 13 a number, and `x | int` makes one of the other";
            self.fault(span, message, Some(help.to_owned()));
        }
    }
}

/// What an expression gives, where that is sure.
fn sort_of(expr: &Expr) -> Option<&'static str> {
    const TEXT: &str = "a text";
    const NUMBER: &str = "a number";
    match expr {
        Expr::GetAttr(get) => match &get.expr {
            Expr::Var(var) if KNOWN_TEXTS.contains(&(var.id, get.name)) => Some(TEXT),
            _ => None,
        },
        Expr::Filter(filter) => match filter.name {
            "int" | "float" | "length" | "count" => Some(NUMBER),
            "string" | "lower" | "upper" | "trim" | "replace" => Some(TEXT),
            _ => None,
        },
        other => match other.as_const()?.kind() {
            ValueKind::String => Some(TEXT),
            ValueKind::Number => Some(NUMBER),
            ValueKind::Bool => Some("a truth value"),
            ValueKind::Seq => Some("a list"),
            _ => None,
        },
    }
}
