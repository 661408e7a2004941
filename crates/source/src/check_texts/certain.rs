//! Texts of which it can be said without rendering that they can be rendered: large fleets have millions of them.

use super::ALWAYS;
use minijinja::machinery::ast::{Expr, Stmt};
use minijinja::machinery::parse;
use overhaul_model::fleet::Host;
use serde_json::Value;
use std::collections::BTreeSet;

/// Parts of a text that is judged by its names alone: with more, it may take more work than one rendering may.
const PARTS_MAX: usize = 1_000;

/// The names of a text that holds nothing but them and plain words: with a value for each it can be rendered.
pub(super) fn only_names(text: &str) -> Option<BTreeSet<String>> {
    let Ok(Stmt::Template(template)) = parse(text, "text", Default::default()) else {
        return None;
    };
    if template.children.len() > PARTS_MAX {
        return None;
    }
    let mut names = BTreeSet::new();
    for part in &template.children {
        match part {
            Stmt::EmitRaw(_) => {}
            Stmt::EmitExpr(emit) => {
                names.insert(name(&emit.expr)?);
            }
            _ => return None,
        }
    }
    Some(names)
}

fn name(expr: &Expr<'_>) -> Option<String> {
    match expr {
        Expr::Var(var) => Some(var.id.to_owned()),
        Expr::GetAttr(attr) => Some(format!("{}.{}", name(&attr.expr)?, attr.name)),
        _ => None,
    }
}

/// Whether a name certainly has a value on a host. What cannot be said at a glance is left to rendering.
pub(super) fn has_value(name: &str, host: &Host) -> bool {
    let mut parts = name.split('.');
    let first = parts.next().unwrap_or_default();
    if let Some((_, fields)) = ALWAYS.iter().find(|(always, _)| *always == first) {
        return match (parts.next(), parts.next()) {
            (None, _) => true,
            (Some(field), None) => fields.contains(&field),
            (Some(_), Some(_)) => false,
        };
    }
    let Some(value) = host.vars.get(first).filter(|_| first != "steps") else {
        return false;
    };
    let mut at: &Value = value;
    for part in parts {
        match at.as_object().and_then(|map| map.get(part)) {
            Some(inner) => at = inner,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use overhaul_model::definition::Release;
    use overhaul_model::fleet::Connection;
    use overhaul_model::template::{Context, Quoting, Renderer};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn host() -> Host {
        let var = |value: Value| Arc::new(value);
        Host {
            name: "h".into(),
            roles: BTreeSet::new(),
            zone: None,
            connection: Connection::to("192.0.2.1".to_owned()),
            vars: [
                (
                    "a".to_owned(),
                    var(serde_json::json!({"b": {"c": null}, "d": [1]})),
                ),
                ("e".to_owned(), var(serde_json::json!("text"))),
            ]
            .into(),
        }
    }

    #[test]
    fn only_names_and_plain_words_are_certain() {
        let told = |text| {
            let names = only_names(text)?;
            Some(names.into_iter().collect::<Vec<_>>().join(" "))
        };
        for (text, expected) in [
            ("x {{ a.b }} y {{ a }}{{a.b.c}}\n", Some("a a.b a.b.c")),
            ("{{ a }} {# remark #}", Some("a")),
            ("{{ a | lower }}", None),
            ("{{ a[0] }}", None),
            ("{{ 1 }}", None),
            ("{% if a %}x{% endif %}", None),
            ("{{ a", None),
        ] {
            assert_eq!(told(text).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Whatever is called certain here is rendered without a fault.
        #[test]
        fn what_is_certain_can_be_rendered(
            paths in prop::collection::vec("(a|e|host|from|steps|range|none)([.](b|c|d|name|zone|os|x)){0,3}", 1..4),
            shell: bool,
        ) {
            let host = host();
            let text: String = paths.iter().map(|path| format!("w {{{{ {path} }}}} ")).collect();
            let certain = only_names(&text)
                .is_some_and(|names| names.iter().all(|name| has_value(name, &host)));
            let release = Release { os: "debian".into(), release: "12".into() };
            let context = Context::new(Some(&host), &release, &release);
            let quoting = if shell { Quoting::Shell } else { Quoting::Plain };
            let rendered = Renderer::new().text(&text, quoting, &context);
            prop_assert!(!certain || rendered.is_ok(), "{text}: {rendered:?}");
        }
    }
}
