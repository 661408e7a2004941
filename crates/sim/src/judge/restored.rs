//! What a scope has set up is taken away at the end, whatever happened.

use crate::evidence::Evidence;
use crate::play::How;
use crate::trace::Happened;
use overhaul_model::id::{HostName, StepId};
use std::collections::BTreeMap;

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    if !matches!(evidence.how, How::Over(_)) {
        return Vec::new();
    }
    // The place in the trace at which each step was last done on each host, counted from 1.
    let mut worked: BTreeMap<(&StepId, &HostName), usize> = BTreeMap::new();
    let mut made: BTreeMap<&HostName, usize> = BTreeMap::new();
    for (line, place) in evidence.trace.iter().zip(1..) {
        match &line.happened {
            Happened::Worked {
                position,
                well: true,
                ..
            } => {
                if let Some(host) = &position.host {
                    worked.insert((&position.step, host), place);
                }
            }
            Happened::MachineMade { host, .. } => {
                made.insert(host, place);
            }
            _ => {}
        }
    }
    let last = |step, host| worked.get(&(step, host)).copied().unwrap_or_default();
    let mut out = Vec::new();
    for (open, close) in &evidence.known.scopes {
        for host in evidence.plan.hosts.keys() {
            let opened = last(open, host);
            let machine = made.get(host).copied().unwrap_or_default();
            if opened > last(close, host) && opened > machine {
                out.push(format!("{open} was never taken away on {host}"));
            }
        }
    }
    out
}
