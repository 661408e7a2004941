//! The fleet at the end is that of the run in which nothing went wrong.

use super::people;
use crate::evidence::Evidence;
use crate::play::How;
use overhaul_model::event::{Event, Verdict};
use overhaul_model::id::HostName;

pub(crate) fn check(evidence: &Evidence<'_>) -> Vec<String> {
    let mut out = Vec::new();
    match evidence.how {
        How::Over(Verdict::Complete) => {}
        How::Over(Verdict::Aborted) if people::aborted(evidence).is_none() => {
            return vec!["nobody asked for the end".to_owned()];
        }
        How::Over(Verdict::Aborted) => return held(evidence),
        How::Not(why) => return vec![why.clone()],
    }
    let remedies = &evidence.known.remedies;
    let end = evidence.upgraded.unwrap_or(evidence.end);
    for (host, calm) in &evidence.calm.bodies {
        let Some(body) = end.bodies.get(host) else {
            out.push(format!("{host} is gone"));
            continue;
        };
        let done = body.done.symmetric_difference(&calm.done);
        let done: Vec<_> = done.filter(|step| !remedies.contains(*step)).collect();
        if !done.is_empty() || !body.is_like(calm) || body.aside != calm.aside {
            out.push(format!(
                "{host} is not as it would be: {done:?}, {:?} instead of {:?}",
                Brief(body),
                Brief(calm)
            ));
        }
    }
    if end.files.keys().ne(evidence.calm.files.keys()) && !evidence.calm.files.is_empty() {
        out.push("the controller's copies are not those that should be there".to_owned());
    }
    out.extend(held(evidence));
    out
}

/// Hosts that are still held.
fn held(evidence: &Evidence<'_>) -> Vec<String> {
    let holders = evidence.end.holders.iter();
    let held = holders.filter(|(host, holder)| holder.is_some() && !given_up(evidence, host));
    held.map(|(host, _)| format!("{host} was not let go"))
        .collect()
}

/// A body without its steps.
struct Brief<'a>(&'a crate::host::Body);

impl std::fmt::Debug for Brief<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = self.0;
        write!(
            f,
            "{} {:?} {:?} aside {:?} files {} edits {} broken {}",
            body.release,
            body.units,
            body.data,
            body.aside,
            body.files.len(),
            body.edits.len(),
            body.broken
        )
    }
}

/// Whether the journal says last of the host that it could not be reached.
fn given_up(evidence: &Evidence<'_>, name: &HostName) -> bool {
    let about = evidence
        .records
        .iter()
        .rev()
        .find_map(|record| match &record.event {
            Event::HostRefused { host, .. } if host == name => Some(true),
            Event::HostReleased { host } | Event::HostRegistered { host, .. } if host == name => {
                Some(false)
            }
            _ => None,
        });
    about.unwrap_or(false)
}
