//! Every state against every event, found by journals: small plans are taken through all that could be
//! written, and whatever is written next must fit or be refused. What became of each pair is a reviewed
//! snapshot.

mod cells;
mod events;
mod explore;
mod plans;

use cells::{HostCell, Kind, RunCell, StepCell, Word};
use explore::{Followed, Found, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

fn found() -> Found {
    let mut found = Found::new();
    for (name, plan) in plans::all() {
        let (states, tried) = (found.states, found.tried);
        let followed = match name {
            "cleanup" | "scope" => Followed::All,
            _ => Followed::OfSteps,
        };
        explore::explore(plan, followed, &mut found);
        let (states, tried) = (found.states - states, found.tried - tried);
        println!("{name}: {states} states, {tried} events tried");
    }
    let Found {
        states,
        tried,
        fitted,
        ..
    } = &found;
    println!("in all: {states} states, {tried} events tried, {fitted} fitted");
    found
}

/// Events in a few words: a kind alone where all of its kind are meant.
fn kinds(all: &[&(Kind, String)], of_kind: &BTreeMap<Kind, usize>) -> String {
    let mut by_kind: BTreeMap<Kind, Vec<&str>> = BTreeMap::new();
    for (kind, which) in all {
        by_kind.entry(*kind).or_default().push(which);
    }
    let mut out = Vec::new();
    for (kind, which) in by_kind {
        let whole = of_kind.get(&kind) == Some(&which.len());
        let which: Vec<&str> = which.into_iter().filter(|w| !w.is_empty()).collect();
        out.push(match whole || which.is_empty() {
            true => kind.word().to_owned(),
            false => format!("{} ({})", kind.word(), which.join("; ")),
        });
    }
    out.join(", ")
}

fn text<C: Word>(table: &Table<C>) -> String {
    let mut out = String::new();
    for (from, row) in &table.0 {
        let _ = writeln!(out, "{}", from.word());
        let mut of_kind: BTreeMap<Kind, usize> = BTreeMap::new();
        for (kind, _) in row.keys() {
            *of_kind.entry(*kind).or_default() += 1;
        }
        let (mut stays, mut refused) = (Vec::new(), Vec::new());
        for (event, ends) in row {
            let only = |end: Option<C>| ends.len() == 1 && ends.contains(&end);
            if only(Some(*from)) {
                stays.push(event);
            } else if only(None) {
                refused.push(event);
            } else {
                let word = |end: &Option<C>| end.map_or("refused", Word::word);
                let ends: Vec<&str> = ends.iter().map(word).collect();
                let (kind, which) = (event.0.word(), &event.1);
                let event = if which.is_empty() {
                    kind.to_owned()
                } else {
                    format!("{kind} ({which})")
                };
                let _ = writeln!(out, "    {event} -> {}", ends.join(" | "));
            }
        }
        let _ = writeln!(out, "    stays so: {}", kinds(&stays, &of_kind));
        let _ = writeln!(out, "    refused: {}", kinds(&refused, &of_kind));
    }
    out
}

/// One test, because what it looks at is found once.
#[test]
fn every_state_of_a_step_a_host_and_a_run_against_every_event() {
    let found = found();
    insta::assert_snapshot!("steps", text(&found.steps));
    insta::assert_snapshot!("hosts", text(&found.hosts));
    insta::assert_snapshot!("runs", text(&found.runs));
    every_state_is_reached_or_has_a_reason_why_not(&found);
    every_event_was_tried_everywhere_and_fits_somewhere(&found);
}

fn every_state_is_reached_or_has_a_reason_why_not(found: &Found) {
    for cell in StepCell::ALL {
        let reached = found.steps.0.contains_key(cell);
        assert_eq!(reached, cell.why_never().is_none(), "{}", cell.word());
    }
    for cell in HostCell::ALL {
        assert!(found.hosts.0.contains_key(cell), "{}", cell.word());
    }
    for cell in RunCell::ALL {
        assert!(found.runs.0.contains_key(cell), "{}", cell.word());
    }
}

fn every_event_was_tried_everywhere_and_fits_somewhere(found: &Found) {
    let all: BTreeSet<Kind> = Kind::ALL.iter().copied().collect();
    assert_eq!(found.kinds_tried, all);
    let never: Vec<_> = all.difference(&found.kinds_fitted).collect();
    assert!(never.is_empty(), "{never:?}");
    for (cell, row) in &found.steps.0 {
        let tried: BTreeSet<Kind> = row.keys().map(|(kind, _)| *kind).collect();
        assert_eq!(tried, all, "{}", cell.word());
    }
}
