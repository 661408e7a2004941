//! The tracker as text and JSON.

use super::classify;
use crate::text;
use jiff::civil::Date;
use overhaul_classify::Warning;
use overhaul_model::id::HostName;
use overhaul_model::tracker::{State, TrackedHost};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One line for each host, and totals.
pub fn table(hosts: &BTreeMap<HostName, TrackedHost>, today: Date) -> String {
    let head = [
        "host", "role", "zone", "release", "change", "data", "state", "remarks",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut totals: BTreeMap<State, usize> = BTreeMap::new();
    for (name, host) in hosts {
        let state = host.state(today);
        let total = totals.entry(state).or_default();
        *total = total.saturating_add(1);
        let roles: Vec<&str> = host.roles.iter().map(|role| role.as_str()).collect();
        let release = host.proposed.as_ref().and_then(|p| p.release.clone());
        rows.push(vec![
            name.to_string(),
            text::cut(&roles.join(","), 30),
            host.zone
                .as_ref()
                .map_or("-".to_owned(), ToString::to_string),
            release.map_or("-".to_owned(), |release| text::one_line(&release, 20)),
            marked(
                host.change()
                    .map_or("-".to_owned(), |c| c.word().to_owned()),
                host.decided.change.is_some(),
            ),
            marked(classify::data(host.data()), host.decided.data.is_some()),
            state.word().to_owned(),
            remarks(host, today).join("; "),
        ]);
    }
    let mut out = classify::table(&rows);
    let totals: Vec<String> = totals
        .iter()
        .map(|(state, number)| format!("{number} {}", state.word()))
        .collect();
    let _ = writeln!(
        out,
        "\n{}: {}",
        text::count(hosts.len(), "host"),
        totals.join(", ")
    );
    if hosts
        .values()
        .any(|host| host.decided.change.is_some() || host.decided.data.is_some())
    {
        out.push_str("* decided by people; the others are proposals\n");
    }
    out
}

fn marked(word: String, decided: bool) -> String {
    if decided { format!("{word}*") } else { word }
}

fn remarks(host: &TrackedHost, today: Date) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(postponed) = &host.decided.postponed {
        let over = if postponed.until < today {
            " (that day is over)"
        } else {
            ""
        };
        out.push(format!(
            "postponed until {} by {}{over}: {}",
            postponed.until,
            text::one_line(postponed.by.as_str(), 40),
            text::one_line(&postponed.reason, 80)
        ));
    }
    if let Some(progress) = &host.progress {
        if let Some(day) = progress.vanished {
            out.push(format!("not in the inventory since {day}"));
        }
        if !progress.leftovers.is_empty() {
            out.push(text::count(progress.leftovers.len(), "leftover"));
        }
    }
    out
}

/// Everything of one host.
pub fn page(name: &HostName, host: &TrackedHost, today: Date) -> String {
    let mut out = format!("{name}: {}\n", host.state(today).word());
    for remark in remarks(host, today) {
        let _ = writeln!(out, "  {remark}");
    }
    let decided = &host.decided;
    if decided.change.is_some() || decided.data.is_some() {
        let change = decided.change.map_or("as proposed", |change| change.word());
        let data = decided
            .data
            .as_ref()
            .map_or("as proposed".to_owned(), |data| data.shown());
        let _ = writeln!(
            out,
            "  decided: {change}, data {}",
            text::one_line(&data, 200)
        );
    }
    if let Some(note) = &decided.note {
        let _ = writeln!(out, "  note: {}", text::one_line(note, 400));
    }
    match &host.proposed {
        Some(proposal) => {
            let turn = &proposal.turn;
            let _ = writeln!(
                out,
                "  order: rank {}, {} in {}",
                turn.rank,
                turn.pace.word(),
                text::one_line(&turn.group, 60)
            );
            out.push_str("  proposed\n");
            out.push_str(&classify::page(name, proposal));
        }
        None => out.push_str("  nothing is proposed yet: overhaul classify\n"),
    }
    if let Some(progress) = &host.progress {
        if let Some(run) = &progress.run {
            let _ = writeln!(out, "  last run: {run}");
        }
        for left in &progress.leftovers {
            let _ = writeln!(out, "  left over: {}", text::one_line(left, 400));
        }
    }
    out
}

/// For programs.
pub fn json(
    fleet: &str,
    hosts: &BTreeMap<HostName, TrackedHost>,
    warnings: &[Warning],
    today: Date,
) -> Value {
    let mut totals: BTreeMap<&str, usize> = BTreeMap::new();
    let mut rows = serde_json::Map::new();
    for (name, host) in hosts {
        let state = host.state(today).word();
        let total = totals.entry(state).or_default();
        *total = total.saturating_add(1);
        let row = json!({
            "state": state,
            "change": host.change(),
            "data": host.data(),
            "roles": host.roles,
            "zone": host.zone,
            "proposed": host.proposed,
            "decided": host.decided,
            "progress": host.progress,
        });
        rows.insert(name.to_string(), row);
    }
    json!({"fleet": fleet, "hosts": rows, "totals": totals, "warnings": warnings})
}
