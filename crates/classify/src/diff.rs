//! What changed between two proposals.

use overhaul_model::id::HostName;
use overhaul_model::tracker::{Change, DataWay, Proposal, TrackedHost};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What changed about a host since the tracker was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// The host.
    pub host: HostName,
    /// What changed, each as a line like `change: in-place -> rebuild`, `+ new reason`, `- reason that fell away`.
    pub lines: Vec<String>,
}

/// What changed, host by host: new ones, vanished ones, those with other facts or another proposal.
pub fn differences(
    before: &BTreeMap<HostName, TrackedHost>,
    now: &BTreeMap<HostName, Proposal>,
) -> Vec<Difference> {
    let hosts: BTreeSet<&HostName> = before.keys().chain(now.keys()).collect();
    let difference = |host: &HostName| {
        let tracked = before.get(host);
        let old = tracked.and_then(|tracked| tracked.proposed.as_ref());
        let gone = tracked
            .and_then(|t| t.progress.as_ref())
            .and_then(|p| p.vanished);
        let lines = match (tracked, old, now.get(host)) {
            (None, _, Some(new)) => vec![format!("new: {}", point(new))],
            (Some(_), None, Some(new)) => vec![format!("first proposal: {}", point(new))],
            (_, Some(old), Some(new)) => {
                let mut lines = changed(old, new);
                if gone.is_some() {
                    lines.insert(0, "it is back in the inventory".to_owned());
                }
                lines
            }
            (Some(_), _, None) if gone.is_none() => {
                vec!["it is no longer in the inventory; its entry stays".to_owned()]
            }
            (_, _, None) => Vec::new(),
        };
        (!lines.is_empty()).then(|| Difference {
            host: host.clone(),
            lines,
        })
    };
    hosts.into_iter().filter_map(difference).collect()
}

fn point(proposal: &Proposal) -> String {
    format!(
        "{}, data {}",
        change(proposal.change),
        data(proposal.data.as_ref())
    )
}

fn change(change: Option<Change>) -> &'static str {
    change.map_or("cannot say", Change::word)
}

fn data(data: Option<&DataWay>) -> String {
    data.map_or("cannot say".to_owned(), DataWay::shown)
}

fn changed(old: &Proposal, new: &Proposal) -> Vec<String> {
    let mut out = Vec::new();
    let mut field = |name: &str, before: String, after: String| {
        if before != after {
            out.push(format!("{name}: {before} -> {after}"));
        }
    };
    let release = |p: &Proposal| p.release.clone().unwrap_or_else(|| "unknown".to_owned());
    field(
        "change",
        change(old.change).to_owned(),
        change(new.change).to_owned(),
    );
    field("data", data(old.data.as_ref()), data(new.data.as_ref()));
    field("release", release(old), release(new));
    field("rank", old.turn.rank.to_string(), new.turn.rank.to_string());
    field("group", old.turn.group.clone(), new.turn.group.clone());
    field(
        "pace",
        old.turn.pace.word().to_owned(),
        new.turn.pace.word().to_owned(),
    );
    let whys = |p: &Proposal| {
        p.reasons
            .iter()
            .map(|r| r.says.clone())
            .collect::<BTreeSet<_>>()
    };
    let gaps = |p: &Proposal| {
        p.not_known
            .iter()
            .map(|g| format!("not known: {g}"))
            .collect::<BTreeSet<_>>()
    };
    for of in [whys, gaps] {
        let (old, new) = (of(old), of(new));
        out.extend(old.difference(&new).map(|gone| format!("- {gone}")));
        out.extend(new.difference(&old).map(|came| format!("+ {came}")));
    }
    out
}
