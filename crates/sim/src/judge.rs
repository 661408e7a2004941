//! Checkers of an outcome. They see what truly happened, the journal and the plan, and share no code with `check`,
//! `machine` or `engine`.

mod authority;
mod copies;
mod done;
mod end;
mod keep;
mod known;
mod leftovers;
mod once;
mod people;
mod restored;
mod truth;

use crate::evidence::Evidence;
pub(crate) use known::Known;
use overhaul_model::primitive::{MachineOp, Primitive};
use overhaul_model::step::Step;

/// A law that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The checker.
    pub law: &'static str,
    /// What happened.
    pub what: String,
}

/// A checker: sentences about what is wrong.
type Checker = fn(&Evidence<'_>) -> Vec<String>;

/// All checkers, by the words of their law.
const CHECKERS: [(&str, Checker); 15] = [
    ("nothing once-only twice", once::check),
    ("nothing twice at one time", once::overlaps),
    ("the minimum is kept", keep::check),
    ("what was done stays done", done::check),
    ("nothing destroyed without a copy", copies::check),
    ("what was set up is taken away", restored::check),
    ("never two controllers acting", authority::check),
    ("work is asked of hosts that accepted", authority::strangers),
    ("nothing without its intent", truth::intents),
    ("the journal tells the truth", truth::outcomes),
    ("every request once", people::requests),
    ("paused is paused", people::pauses),
    ("ended is ended", people::aborts),
    ("the cleanup takes what was left", leftovers::check),
    ("the same end", end::check),
];

/// The laws, in the order of the tables.
pub fn laws() -> impl Iterator<Item = &'static str> {
    CHECKERS.iter().map(|(law, _)| *law)
}

pub(crate) fn all(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut out = Vec::new();
    for (law, checker) in CHECKERS {
        let found = checker(evidence);
        out.extend(found.into_iter().map(|what| Violation { law, what }));
    }
    out
}

/// Whether a step is carried out by a host or by the controller's own helper, with a receipt.
pub(crate) fn is_work(step: &Step) -> bool {
    match &step.work {
        Primitive::Machine(act) => act.op != MachineOp::Prove,
        Primitive::Wait(_)
        | Primitive::Ask(_)
        | Primitive::Announce(_)
        | Primitive::NotAvailable(_) => false,
        Primitive::Exec(_)
        | Primitive::WriteFile(_)
        | Primitive::EditFile(_)
        | Primitive::Reboot(_)
        | Primitive::Fetch(_)
        | Primitive::Feed(_)
        | Primitive::Persist(_)
        | Primitive::Restore(_)
        | Primitive::Belonging(_)
        | Primitive::Receive(_)
        | Primitive::TakeOver(_)
        | Primitive::Local(_) => true,
    }
}
