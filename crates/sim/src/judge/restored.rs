//! What a scope has set up is taken away at the end, whatever happened.

use crate::evidence::Evidence;
use crate::play::How;
use crate::trace::Happened;
use overhaul_model::id::{HostName, StepId};
use overhaul_model::plan::{Block, Child};

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    if !matches!(evidence.how, How::Over(_)) {
        return Vec::new();
    }
    let mut scopes = Vec::new();
    collect(&evidence.plan.root, &mut scopes);
    let mut out = Vec::new();
    for (open, close) in scopes {
        for host in evidence.plan.hosts.keys() {
            let opened = last(evidence, open, host);
            let closed = last(evidence, close, host);
            if opened > closed && opened > last_machine(evidence, host) {
                out.push(format!("{open} was never taken away on {host}"));
            }
        }
    }
    out
}

/// The place in the trace at which the step was last done on the host, counted from 1; 0 when it was not.
fn last(evidence: &Evidence<'_>, step: &StepId, host: &HostName) -> usize {
    let is_it = |happened: &Happened| {
        matches!(happened, Happened::Worked { position, well: true, .. }
            if position.step == *step && position.host.as_ref() == Some(host))
    };
    let lines = evidence
        .trace
        .iter()
        .rposition(|line| is_it(&line.happened));
    lines.map_or(0, |place| place.saturating_add(1))
}

fn last_machine(evidence: &Evidence<'_>, host: &HostName) -> usize {
    let is_it = |happened: &Happened| matches!(happened, Happened::MachineMade { host: h, .. } if h == host);
    let lines = evidence
        .trace
        .iter()
        .rposition(|line| is_it(&line.happened));
    lines.map_or(0, |place| place.saturating_add(1))
}

fn collect<'p>(block: &'p Block, out: &mut Vec<(&'p StepId, &'p StepId)>) {
    if let Block::Scope { open, close, .. } = block {
        out.push((&open.id, &close.id));
    }
    for child in block.children() {
        if let Child::Block(block) = child {
            collect(block, out);
        }
    }
}
