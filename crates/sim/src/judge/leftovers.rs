//! What is cleared away after the end is what the upgrade has left behind, and only when a person named it.

use super::people;
use crate::evidence::{EndState, Evidence};
use crate::trace::Happened;
use overhaul_model::event::Event;

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let mut out = unasked(evidence);
    if let Some(upgraded) = evidence.upgraded {
        out.extend(else_than_left(evidence, upgraded));
    }
    out
}

/// Steps of the cleanup that began before a person named them.
fn unasked(evidence: &Evidence<'_>) -> Vec<String> {
    let mut rows = evidence.records.iter();
    let asked = rows.find(|row| matches!(row.event, Event::CleanupBegan { .. }));
    let asked = asked.map_or(u64::MAX, |row| row.seq);
    let mut durable = 0;
    let mut out = Vec::new();
    for line in evidence.trace {
        match &line.happened {
            Happened::Durable(seq) => durable = *seq,
            Happened::Began { position, .. }
                if durable < asked && evidence.known.cleanup.contains(&position.step) =>
            {
                out.push(format!("{position} began, and nobody had named it"));
            }
            _ => {}
        }
    }
    out
}

/// What is otherwise than before the cleanup, but for what was left behind; and what still lies there.
fn else_than_left(evidence: &Evidence<'_>, upgraded: &EndState) -> Vec<String> {
    let broken_off = people::aborted(evidence).is_some();
    let cleanup = &evidence.known.cleanup;
    let mut out = Vec::new();
    for (host, before) in &upgraded.bodies {
        let Some(body) = evidence.end.bodies.get(host) else {
            out.push(format!("{host} is gone"));
            continue;
        };
        let mut more = body.done.symmetric_difference(&before.done);
        let other = more.find(|step| !cleanup.contains(*step));
        if let Some(step) = other {
            out.push(format!("the cleanup changed {step} on {host}"));
        }
        if !body.is_like(before) || !body.aside.is_subset(&before.aside) {
            out.push(format!("the cleanup changed {host}"));
        }
        if !broken_off && !body.aside.is_empty() {
            let left: Vec<_> = body.aside.iter().cloned().collect();
            out.push(format!("{} is left on {host}", left.join(", ")));
        }
    }
    if evidence.end.files != upgraded.files {
        out.push("the cleanup changed the controller's copies".to_owned());
    }
    out
}
