//! Repeat classes that hold what they promise.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::action::Repeat;
use overhaul_model::plan::Block;

pub(super) fn once(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for block in &view.blocks {
        let Block::Repair {
            id, body, remedy, ..
        } = block
        else {
            continue;
        };
        let inside = body.steps().into_iter().chain(remedy.steps());
        for step in inside.filter(|step| matches!(step.repeat, Repeat::Once(_))) {
            let sentence = format!("it must happen once, and {id} repeats it");
            let help = "take it out of what is repaired";
            out.push(Complaint::error(
                format!("step:{}", step.id),
                sentence,
                help,
            ));
        }
    }
    for step in view.steps {
        if matches!(step.repeat, Repeat::Once(_)) && step.retry.attempts > 1 {
            let sentence = "it must happen once, and is retried by itself".to_owned();
            let help = "take `retry` out: after a failure a person decides";
            out.push(Complaint::error(
                format!("step:{}", step.id),
                sentence,
                help,
            ));
        }
    }
    out
}

pub(super) fn check_first(view: &View<'_>) -> Vec<Complaint> {
    view.steps
        .iter()
        .filter(|step| step.repeat == Repeat::CheckFirst && step.check.is_none())
        .map(|step| {
            let sentence = "it repeats only after its check, and has none".to_owned();
            Complaint::error(format!("step:{}", step.id), sentence, "write its `check`")
        })
        .collect()
}
