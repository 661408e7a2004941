//! The rules a plan must keep; the only maker of a checked plan.
//!
//! Nothing of the planner is imported: who checks must not be who plans. Every rule is run, always; a
//! finding of one never hides that of another. [`RULES`] is the whole law, in the order of reading.

mod checked;
mod rule;
mod rules;
mod view;
mod waivers;

pub use checked::{Checked, CheckedPlan};
pub use rule::Rule;
pub use rules::RULES;

/// The name under which [`overhaul_model::facts::FleetFacts`] may hold facts of the controller itself: no
/// host can be called so. Its first mount is taken for the filesystem of the run's folder.
pub const CONTROLLER: &str = "";

use jiff::Zoned;
use overhaul_model::facts::FleetFacts;
use overhaul_model::finding::Finding;
use overhaul_model::id::Position;
use overhaul_model::plan::Plan;
use rayon::prelude::*;
use std::collections::BTreeSet;
use view::{View, acts};

/// Checks a plan: before the run with nothing settled, on resume with the positions that are over.
///
/// What is settled counts as done: a copy that was made is there, and the state of a host before its
/// first step is no longer asked for. `begins` is the moment at which the plan would begin, or go on, in the
/// time zone of whoever asks.
pub fn check(
    plan: &Plan,
    facts: &FleetFacts,
    settled: &BTreeSet<Position>,
    begins: &Zoned,
) -> Checked {
    let today = begins.date();
    let acts = acts(plan);
    let view = View::new(plan, &acts, facts, settled, begins);
    // No rule knows of another, so that they may look at the same time.
    let found = RULES.par_iter().flat_map_iter(|rule| rule.findings(&view));
    let mut findings: Vec<Finding> = found.collect();
    waivers::apply(plan, !settled.is_empty(), today, &mut findings);
    findings.sort();
    findings.dedup();
    Checked::new(plan, findings)
}
