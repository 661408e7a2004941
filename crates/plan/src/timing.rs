//! When the plan may run, and which expected lengths a person wrote.

use crate::draft::Draft;
use overhaul_model::definition::Origin;
use overhaul_model::timing::{Basis, Expected, Timing};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn plan(draft: &mut Draft<'_>) {
    let slots = draft
        .definition
        .roles
        .iter()
        .flat_map(|role| role.slots.values());
    let written = slots
        .flatten()
        .flat_map(|block| block.steps())
        .filter(|step| step.expected.is_some());
    let written: BTreeSet<(&str, u32)> = written.map(|step| place(&step.origin)).collect();
    let steps = draft.plan.steps().into_iter();
    let steps = steps.filter(|step| written.contains(&place(&step.origin)));
    let expected: BTreeMap<_, _> = steps
        .map(|step| {
            let expected = Expected {
                basis: Basis::Written,
                length: step.limits.expected,
                hosts: BTreeMap::new(),
            };
            (step.id.clone(), expected)
        })
        .collect();
    draft.plan.timing = Timing {
        calendar: draft.definition.calendar.clone(),
        prework: draft.definition.prework,
        expected,
    };
}

fn place(origin: &Origin) -> (&str, u32) {
    (&origin.file, origin.line)
}
