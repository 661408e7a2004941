//! A run beside its rehearsal, as text.

use crate::text;
use overhaul_machine::report::{Comparison, Down, Pair, StepPair, StepSide, Whole};
use overhaul_model::event::Verdict;
use overhaul_model::id::StepId;
use overhaul_model::span::Span;
use std::fmt::Write as _;

/// A step's time is told when it changed by so much: less is what the same work takes on another day.
const CHANGE_MS_MIN: u64 = 1_000;

/// Where a figure is not there.
const NONE: &str = "-";

// Writing to a String cannot fail, so that its results are dropped in this file.

/// The whole comparison.
pub fn comparison(told: &Comparison) -> String {
    let mut out = String::new();
    heads(told, &mut out);
    wholes(&told.run, &mut out);
    services(told, &mut out);
    changed(told, &mut out);
    one_sided(told, &mut out);
    out
}

fn heads(told: &Comparison, out: &mut String) {
    let name = |whole: &Option<Whole>| {
        let run = whole.as_ref().and_then(|whole| whole.run.clone());
        run.map_or_else(|| "(not begun)".to_owned(), |run| run.to_string())
    };
    let (rehearsal, run) = (name(&told.run.rehearsal), name(&told.run.run));
    let _ = writeln!(out, "run {run}, rehearsed by {rehearsal}");
    for what in &told.unlike {
        let _ = writeln!(out, "  not alike: {}", text::one_line(what, 400));
    }
}

fn row(out: &mut String, what: &str, rehearsal: &str, run: &str, change: &str) {
    let line = format!("  {what:<34} {rehearsal:>10} {run:>10} {change:>10}");
    let _ = writeln!(out, "{}", line.trim_end());
}

fn columns(out: &mut String, what: &str) {
    let _ = writeln!(
        out,
        "\n{what:<36} {:>10} {:>10} {:>10}",
        "rehearsal", "this run", "change"
    );
}

/// A row of times.
fn spans(out: &mut String, what: &str, rehearsal: Option<Span>, run: Option<Span>) {
    let show = |span: Option<Span>| span.map_or_else(|| NONE.to_owned(), text::span);
    let change = match (rehearsal, run) {
        (Some(before), Some(now)) => change(before, now),
        _ => String::new(),
    };
    row(out, what, &show(rehearsal), &show(run), &change);
}

fn change(before: Span, now: Span) -> String {
    if now >= before {
        format!("+{}", text::span(now.less(before)))
    } else {
        format!("-{}", text::span(before.less(now)))
    }
}

fn both<T, V>(pair: &Pair<T>, of: impl Fn(&T) -> V) -> (Option<V>, Option<V>) {
    (pair.rehearsal.as_ref().map(&of), pair.run.as_ref().map(&of))
}

fn wholes(pair: &Pair<Whole>, out: &mut String) {
    columns(out, "the whole run");
    let verdict = |whole: &Whole| match whole.verdict {
        Some(Verdict::Complete) => "complete",
        Some(Verdict::Aborted) => "aborted",
        None => "NOT OVER",
    };
    let (before, now) = both(pair, verdict);
    row(
        out,
        "ended",
        before.unwrap_or(NONE),
        now.unwrap_or(NONE),
        "",
    );
    let mut times = |what: &str, of: &dyn Fn(&Whole) -> Option<Span>| {
        let (before, now) = both(pair, of);
        spans(out, what, before.flatten(), now.flatten());
    };
    times("took", &|whole| whole.length);
    times("predicted", &|whole| Some(whole.predicted));
    times("not observed", &|whole| Some(whole.not_observed));
    let mut counts = |what: &str, of: &dyn Fn(&Whole) -> usize| {
        let (before, now) = both(pair, of);
        let show = |count: Option<usize>| count.map_or_else(|| NONE.to_owned(), |n| n.to_string());
        row(out, what, &show(before), &show(now), "");
    };
    counts("attempts after the first", &|whole| whole.retries);
    counts("times nobody could say", &|whole| whole.unknowns);
    counts("decisions of people", &|whole| whole.decisions);
}

fn services(told: &Comparison, out: &mut String) {
    if told.services.is_empty() {
        return;
    }
    columns(out, "services");
    for (service, pair) in &told.services {
        let mut times = |what: &str, of: &dyn Fn(&Down) -> Option<Span>| {
            let (before, now) = both(pair, of);
            let (before, now) = (before.flatten(), now.flatten());
            if before.is_some() || now.is_some() {
                spans(out, &format!("{service}: {what}"), before, now);
            }
        };
        times("longest outage", &|down| down.measured);
        times("predicted", &|down| Some(down.predicted));
        times("by a single host", &|down| down.single);
        times("agreed on", &|down| down.budget);
    }
}

fn changed(told: &Comparison, out: &mut String) {
    let told_of = |pair: &&StepPair| {
        let change = pair.change_ms();
        change.is_some_and(|ms| ms.unsigned_abs() >= CHANGE_MS_MIN)
    };
    let compared = told.steps.iter().filter(|s| s.change_ms().is_some());
    let (compared, rows) = (compared.count(), told.steps.iter().filter(told_of));
    let rows: Vec<&StepPair> = rows.collect();
    let alike = compared.saturating_sub(rows.len());
    columns(out, "steps, their longest time");
    for pair in rows {
        let (Some(before), Some(now)) = (&pair.sides.rehearsal, &pair.sides.run) else {
            continue;
        };
        let _ = writeln!(out, "  {}", pair.step);
        let place = match (side(before), side(now)) {
            (before, now) if before == now => now,
            (before, now) => format!("{now}; in the rehearsal {before}"),
        };
        spans(out, &format!("  {place}"), before.longest, now.longest);
    }
    let _ = writeln!(
        out,
        "  {} of {} changed by less than {}",
        alike,
        text::count(compared, "step"),
        Span::from_ms(CHANGE_MS_MIN)
    );
}

fn side(side: &StepSide) -> String {
    let on = match &side.host {
        Some(host) if side.places > 1 => format!("on {host}, of {}", side.places),
        Some(host) => format!("on {host}"),
        None => "for the whole run".to_owned(),
    };
    match side.attempts {
        0 | 1 => on,
        more => format!("{on}, {more} attempts"),
    }
}

/// Steps of one run, by what is to be said of them.
fn one_sided(told: &Comparison, out: &mut String) {
    let only = |missing: fn(&Pair<StepSide>) -> bool| -> Vec<&StepId> {
        let pairs = told.steps.iter().filter(|pair| missing(&pair.sides));
        pairs.map(|pair| &pair.step).collect()
    };
    let lists = [
        ("only in this run", only(|pair| pair.rehearsal.is_none())),
        ("only in the rehearsal", only(|pair| pair.run.is_none())),
    ];
    for (title, steps) in lists.iter().filter(|(_, steps)| !steps.is_empty()) {
        let _ = writeln!(out, "\n{title}");
        for step in steps {
            let _ = writeln!(out, "  {step}");
        }
    }
}
