//! Proposals, what changed, and warnings as text.

use crate::text;
use overhaul_classify::{Agreed, Difference, RoleSummary, Warning};
use overhaul_model::id::HostName;
use overhaul_model::tracker::{Change, DataWay, Pace, Proposal};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Lines of what changed that are shown of one host; the tracker has all.
const CHANGES_SHOWN_MAX: usize = 12;

/// A table in which each column is as wide as its widest cell. The last one is not filled up.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:<width$}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The change as people read it.
pub fn change(change: Option<Change>) -> String {
    change.map_or("cannot say", Change::word).to_owned()
}

/// The data's way as people read it.
pub fn data(data: Option<&DataWay>) -> String {
    data.map_or("-".to_owned(), |data| text::one_line(&data.shown(), 60))
}

/// The proposals: roles that agree, hosts with their reasons.
pub fn proposals(proposals: &BTreeMap<HostName, Proposal>, roles: &[RoleSummary]) -> String {
    let mut rows = vec![
        ["host", "change", "data", "size", "rank", "pace", "group"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (host, proposal) in proposals {
        rows.push(vec![
            host.to_string(),
            change(proposal.change),
            data(proposal.data.as_ref()),
            proposal.data_bytes.map_or("-".to_owned(), text::size),
            proposal.turn.rank.to_string(),
            proposal.turn.pace.word().to_owned(),
            text::one_line(&proposal.turn.group, 40),
        ]);
    }
    let mut out = table(&rows);
    let agreeing = roles.iter().filter(|role| role.hosts.len() > 1);
    let mut lines: Vec<String> = agreeing.map(role).collect();
    if !lines.is_empty() {
        lines.insert(0, "\nroles of several hosts".to_owned());
        out.push_str(&lines.join("\n"));
        out.push('\n');
    }
    out.push_str("\nwhy\n");
    for (host, proposal) in proposals {
        out.push_str(&page(host, proposal));
    }
    out
}

fn role(role: &RoleSummary) -> String {
    let agreed = match (&role.change, &role.data) {
        (Agreed::All(all), Agreed::All(way)) => {
            format!("all {}, data {}", change(*all), data(way.as_ref()))
        }
        _ => "they differ".to_owned(),
    };
    let pace = match &role.pace {
        Agreed::All(Pace::OneByOne) => ", one by one",
        Agreed::All(Pace::Batches) => ", in batches",
        Agreed::Differ => "",
    };
    format!(
        "  {}: {}: {agreed}{pace}",
        role.role,
        text::count(role.hosts.len(), "host")
    )
}

/// One host's reasons and gaps.
pub fn page(host: &HostName, proposal: &Proposal) -> String {
    let mut out = format!(
        "  {host}: {}, data {}\n",
        change(proposal.change),
        data(proposal.data.as_ref())
    );
    for reason in &proposal.reasons {
        let _ = writeln!(
            out,
            "    {}: {}",
            reason.rule,
            text::one_line(&reason.says, 600)
        );
    }
    for gap in &proposal.not_known {
        let _ = writeln!(out, "    not known: {}", text::one_line(gap, 600));
    }
    out
}

/// What changed since the tracker was written.
pub fn changed(changed: &[Difference]) -> String {
    let mut out = String::new();
    if !changed.is_empty() {
        out.push_str("\nwhat changed since the tracker was written\n");
    }
    for difference in changed {
        let _ = writeln!(out, "  {}", difference.host);
        for line in difference.lines.iter().take(CHANGES_SHOWN_MAX) {
            let _ = writeln!(out, "    {}", text::one_line(line, 300));
        }
        let more = difference.lines.len().saturating_sub(CHANGES_SHOWN_MAX);
        if more > 0 {
            let _ = writeln!(out, "    and {more} more");
        }
    }
    out
}

/// Decisions that the facts contradict.
pub fn warnings(warnings: &[Warning]) -> String {
    let mut out = String::new();
    for warning in warnings {
        let _ = writeln!(out, "\nwarning: {}: {}", warning.host, warning.says);
        for evidence in &warning.evidence {
            let _ = writeln!(out, "    {}", text::one_line(evidence, 300));
        }
    }
    out
}
