//! What a strategy needs and this version cannot do yet: planned in its place, and refused by the checker.

use super::site::Site;
use super::written;
use crate::draft::Draft;
use overhaul_model::action::{Repeat, Touches};
use overhaul_model::later::Later;
use overhaul_model::primitive::NotAvailable;
use overhaul_model::step::Step;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn steps(draft: &Draft<'_>, site: &Site<'_>, what: Later) -> Vec<Step> {
    let about = what.word();
    let work = NotAvailable {
        subject: site.role.role.to_string(),
        with: BTreeMap::new(),
    };
    let made = written::later(what, &Touches::Anything, &work);
    let mut step = site.step(about.verb, about.says, made.action, made.work);
    step.limits = made.limits;
    step.undo = made.undo;
    step.repeat = made.repeat;
    step.why = format!(
        "the strategy of {} is {}",
        site.role.role, site.role.strategy
    );
    if matches!(step.repeat, Repeat::Once(_)) {
        // The first host of the role receives; the others come to it.
        let Some(first) = draft
            .hosts_of(site.role)
            .first()
            .map(|host| host.name.clone())
        else {
            return Vec::new();
        };
        if !site.has(&first) {
            return Vec::new();
        }
        step.only = site.only(BTreeSet::from([first]));
    }
    vec![step]
}
