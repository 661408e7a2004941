//! Our blocks as YAML: plain lines, every text in quotes.

use overhaul_model::id::{RoleName, ZoneName};
use overhaul_model::tracker::{DataWay, Progress, Proposal};
use std::collections::BTreeSet;

/// Longest text of ours in a tracker, in characters: a reason is a sentence.
const TEXT_CHARS_MAX: usize = 600;

/// Reasons of one host that are written: nobody reads more.
const LIST_MAX: usize = 60;

/// The lines of a block, its key first, without indentation of the host.
pub(super) type Block = Vec<String>;

/// `proposed`.
pub(super) fn proposed(
    proposal: &Proposal,
    roles: &BTreeSet<RoleName>,
    zone: Option<&ZoneName>,
) -> Block {
    let mut out = vec!["proposed:".to_owned()];
    let mut put = |line: String| out.push(format!("  {line}"));
    put(format!(
        "change: {}",
        proposal.change.map_or("cannot-say", |change| change.word())
    ));
    put(match &proposal.data {
        None => "data: cannot-say".to_owned(),
        Some(DataWay::Carry(paths)) => format!(
            "data: {{carry: {}}}",
            list(paths.iter().map(String::as_str))
        ),
        Some(data) => format!("data: {}", data.word()),
    });
    let turn = &proposal.turn;
    put(format!("rank: {}", turn.rank.max(1)));
    put(format!("group: {}", quoted(&turn.group)));
    put(format!("pace: {}", turn.pace.word()));
    if !turn.after.is_empty() {
        put(format!(
            "after: {}",
            list(turn.after.iter().map(|h| h.as_str()))
        ));
    }
    if !roles.is_empty() {
        put(format!(
            "roles: {}",
            list(roles.iter().map(RoleName::as_str))
        ));
    }
    if let Some(zone) = zone {
        put(format!("zone: {}", quoted(zone.as_str())));
    }
    if let Some(release) = &proposal.release {
        put(format!("release: {}", quoted(release)));
    }
    if let Some(bytes) = proposal.data_bytes {
        put(format!(
            "data_bytes: {}",
            bytes.min(i64::MAX.unsigned_abs())
        ));
    }
    if let Some(at) = proposal.facts_of {
        put(format!("facts_of: {}", quoted(&at.to_string())));
    }
    let reasons = proposal
        .reasons
        .iter()
        .map(|r| format!("{}: {}", r.rule, r.says));
    lines("why", reasons, &mut out);
    lines("not_known", proposal.not_known.iter().cloned(), &mut out);
    out
}

/// `progress`.
pub(super) fn progress(progress: &Progress) -> Block {
    let mut out = vec!["progress:".to_owned()];
    out.push(format!("  state: {}", progress.state.word()));
    if let Some(run) = &progress.run {
        out.push(format!("  run: {}", quoted(run.as_str())));
    }
    if let Some(day) = progress.vanished {
        out.push(format!("  vanished: {day}"));
    }
    lines("leftovers", progress.leftovers.iter().cloned(), &mut out);
    out
}

fn lines(key: &str, texts: impl Iterator<Item = String>, out: &mut Block) {
    let mut texts = texts.peekable();
    if texts.peek().is_none() {
        return;
    }
    out.push(format!("  {key}:"));
    let mut left_out: usize = 0;
    for (index, text) in texts.enumerate() {
        if index < LIST_MAX {
            out.push(format!("    - {}", quoted(&text)));
        } else {
            left_out = left_out.saturating_add(1);
        }
    }
    if left_out > 0 {
        out.push(format!(
            "    - {}",
            quoted(&format!("more: {left_out} more are not listed"))
        ));
    }
}

fn list<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let texts: Vec<String> = texts.map(quoted).collect();
    format!("[{}]", texts.join(", "))
}

/// In double quotes. Texts come from hosts: what is not printable becomes `?`.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for (index, c) in text.chars().enumerate() {
        if index >= TEXT_CHARS_MAX {
            out.push('…');
            break;
        }
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if is_printable(c) => out.push(c),
            _ => out.push('?'),
        }
    }
    out.push('"');
    out
}

/// What YAML lets stand as it is, without marks that have no width or turn the direction of writing.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}
