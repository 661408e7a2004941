//! Every bound is one: neither nothing nor longer than the bound around it.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::plan::Block;
use overhaul_model::primitive::Primitive;
use overhaul_model::span::Span;
use overhaul_model::step::Step;

const ZERO: Span = Span::from_ms(0);

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for step in view.steps {
        for sentence in of_step(step) {
            let help = "write a length of time above zero, or at least one attempt";
            out.push(Complaint::error(
                format!("step:{}", step.id),
                sentence,
                help,
            ));
        }
    }
    for block in &view.blocks {
        if let Block::Repair {
            id, attempts: 0, ..
        } = block
        {
            let sentence = "its remedy may be tried no time at all".to_owned();
            let help = "allow at least one attempt";
            out.push(Complaint::error(format!("step:{id}"), sentence, help));
        }
    }
    out
}

fn of_step(step: &Step) -> Vec<String> {
    let mut out = Vec::new();
    if step.limits.total == ZERO {
        out.push("it may take no time at all".to_owned());
    }
    if step.limits.stall == Some(ZERO) {
        out.push("it may be silent for no time at all".to_owned());
    }
    if step.retry.attempts == 0 {
        out.push("it may be attempted no time at all".to_owned());
    }
    for guard in &step.guards {
        if guard.at_most == ZERO {
            out.push(format!(
                "it may wait for guard `{}` no time at all",
                guard.name
            ));
        }
    }
    match &step.work {
        Primitive::Wait(wait) if wait.every == ZERO => {
            out.push("it measures again without a pause".to_owned());
        }
        Primitive::Reboot(reboot) if reboot.back_within == ZERO => {
            out.push("the host must be back at once".to_owned());
        }
        _ => {}
    }
    out
}
