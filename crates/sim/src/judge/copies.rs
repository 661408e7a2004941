//! Nothing is destroyed that is nowhere else.

use crate::evidence::Evidence;
use crate::trace::Happened;

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for line in evidence.trace {
        if let Happened::MachineMade { host, lost, .. } = &line.happened
            && !lost.is_empty()
        {
            out.push(format!(
                "{host} was made anew, and lost {}",
                lost.join(", ")
            ));
        }
    }
    out
}
