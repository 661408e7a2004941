//! Scopes are closed whatever happens, also after a crash in the middle of closing.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::action::Repeat;
use overhaul_model::plan::Block;

pub(super) fn close_safe(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for block in &view.blocks {
        let Block::Scope {
            id, open, close, ..
        } = block
        else {
            continue;
        };
        let subject = format!("step:{}", close.id);
        if !matches!(close.repeat, Repeat::Safe | Repeat::CheckFirst) {
            let sentence = format!("it closes {id} and may not be begun again by itself");
            let help = "make it converge and write `repeat: safe`, or give it a check";
            out.push(Complaint::error(subject.clone(), sentence, help));
        }
        if open.lane != close.lane || open.only != close.only {
            let sentence = format!("it closes {id} on other hosts than it was opened on");
            let help = "compile the plan anew from its definition";
            out.push(Complaint::error(subject, sentence, help));
        }
    }
    out
}
