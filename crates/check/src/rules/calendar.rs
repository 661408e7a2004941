//! When the plan may run, and how old its pre-work may be.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::id::HostName;
use overhaul_model::span::Span;
use overhaul_model::windows::{critical_path, schedule};
use std::collections::BTreeMap;

/// The stage whose work may grow stale, and the one that must begin in time.
const PREWORK: (&str, &str) = ("prepare", "upgrade");

/// A run that has begun is brought to its end; it begins no further host outside of the dates by itself.
pub(super) fn dates(view: &View<'_>) -> Vec<Complaint> {
    let calendar = &view.plan.timing.calendar;
    if !view.settled.is_empty() || calendar.is_empty() {
        return Vec::new();
    }
    let length = critical_path(view.plan);
    let Err(closed) = calendar.fits(view.begins, length) else {
        return Vec::new();
    };
    let ends = length.after(view.begins);
    let sentence = format!(
        "begun at {}, it is predicted to be over at {ends}, after {length}; {}",
        view.begins, closed.why
    );
    let help = match calendar.earliest(view.begins, length) {
        Some(moment) => format!("begin at {moment} or later, or agree on other dates"),
        None => "agree on other dates, or take fewer hosts at a time".to_owned(),
    };
    vec![Complaint::error("calendar".to_owned(), sentence, &help)]
}

pub(super) fn prework(view: &View<'_>) -> Vec<Complaint> {
    let Some(valid_for) = view.plan.timing.prework else {
        return Vec::new();
    };
    let mut done: BTreeMap<&HostName, Span> = BTreeMap::new();
    let mut waits: BTreeMap<&HostName, Span> = BTreeMap::new();
    for placement in schedule(view.plan) {
        let Some(host) = placement.host else { continue };
        let stage = placement.step.stage.as_str();
        if stage == PREWORK.0 {
            done.entry(host).or_insert(placement.ends);
        }
        if let (true, Some(done)) = (stage == PREWORK.1, done.get(host)) {
            waits.entry(host).or_insert(placement.begins.less(*done));
        }
    }
    waits.retain(|_, waits| *waits > valid_for);
    let Some((host, longest)) = waits.iter().max_by_key(|(_, waits)| **waits) else {
        return Vec::new();
    };
    let sentence = format!(
        "{valid_for} after their pre-work the upgrade of some hosts is predicted not to have begun ({} of them); that of {host} begins after {longest}",
        waits.len()
    );
    let help = "do the pre-work of fewer hosts at a time, or let it count for longer: `prework`";
    vec![Complaint::warning("prework".to_owned(), sentence, help)]
}
