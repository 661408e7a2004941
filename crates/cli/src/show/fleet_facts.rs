//! Facts of a fleet: a line for each host, a page for one, or JSON.

use super::facts::lines;
use crate::facts_cache::{Entry, Trouble};
use crate::text;
use jiff::Timestamp;
use overhaul_model::facts::{HostFacts, Known, Mount};
use overhaul_model::id::HostName;
use overhaul_model::span::Span;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Characters of a cell that a host can fill.
const CELL_CHARS_MAX: usize = 28;
/// Characters of a host's trouble in the table; the page has all of it.
const TROUBLE_CHARS_MAX: usize = 100;
/// Clocks that differ by less are as good as equal for people.
const CLOCK_MS_MIN: i64 = 1_000;
/// Kinds of filesystems whose room is nobody's concern.
const NO_DISKS: [&str; 6] = [
    "tmpfs", "devtmpfs", "squashfs", "overlay", "ramfs", "efivarfs",
];

/// One host of the table.
pub struct Row<'a> {
    host: &'a HostName,
    facts: Option<&'a HostFacts>,
    trouble: Option<&'a Trouble>,
    asked_now: bool,
    age: Option<Span>,
    stale: bool,
}

impl<'a> Row<'a> {
    /// What is known of a host at this moment. It is stale when it is older than that, or when the host did
    /// not answer since.
    pub fn of(
        host: &'a HostName,
        entry: Option<&'a Entry>,
        asked_now: bool,
        now: Timestamp,
        stale_after: Span,
    ) -> Self {
        let facts = entry.and_then(|entry| entry.facts.as_ref());
        let trouble = entry.and_then(|entry| entry.trouble.as_ref());
        let age = facts.map(|facts| {
            let ms = now
                .as_millisecond()
                .saturating_sub(facts.gathered_at.as_millisecond());
            Span::from_ms(u64::try_from(ms).unwrap_or(0))
        });
        let old = age.is_some_and(|age| age > stale_after);
        Self {
            host,
            facts,
            trouble,
            asked_now,
            age,
            stale: old || (facts.is_some() && trouble.is_some()),
        }
    }

    fn age(&self) -> String {
        let mark = if self.stale { "!" } else { "" };
        match self.age {
            None => "-".to_owned(),
            Some(_) if self.asked_now && self.trouble.is_none() => "now".to_owned(),
            Some(age) => format!("{}{mark}", text::seconds(age)),
        }
    }

    fn why(&self) -> String {
        let Some(trouble) = self.trouble else {
            return if self.facts.is_some() {
                String::new()
            } else {
                "never asked".to_owned()
            };
        };
        let own = format!("{}: ", self.host);
        trouble
            .why
            .strip_prefix(&own)
            .unwrap_or(&trouble.why)
            .to_owned()
    }
}

/// The columns of the table.
const COLUMNS: [&str; 10] = [
    "HOST",
    "RELEASE",
    "BROKEN",
    "HELD",
    "FOREIGN",
    "FAILED",
    "LEAST SPACE",
    "CLOCK",
    "AGE",
    "TROUBLE",
];

/// A line for each host, and the totals.
pub fn table(rows: &[Row<'_>]) -> String {
    let mut cells = vec![COLUMNS.map(str::to_owned)];
    cells.extend(rows.iter().map(line));
    let mut widths = [0_usize; COLUMNS.len()];
    for line in &cells {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for line in &cells {
        let mut shown = String::new();
        for (cell, width) in line.iter().zip(widths) {
            let _ = write!(shown, "{cell:<width$}  ");
        }
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", shown.trim_end());
    }
    let _ = writeln!(out, "\n{}", totals(rows));
    out
}

fn line(row: &Row<'_>) -> [String; COLUMNS.len()] {
    let of = |show: &dyn Fn(&HostFacts) -> Option<String>| match row.facts {
        None => "-".to_owned(),
        Some(facts) => show(facts).unwrap_or_else(|| "?".to_owned()),
    };
    [
        text::one_line(row.host.as_str(), CELL_CHARS_MAX),
        of(&|facts| release(facts).map(|name| text::one_line(&name, CELL_CHARS_MAX))),
        of(&|facts| count(&facts.packages_broken)),
        of(&|facts| count(&facts.packages_held)),
        of(&|facts| count(&facts.packages.obsolete)),
        of(&|facts| failed_units(facts).map(|count| count.to_string())),
        of(&|facts| {
            facts
                .mounts
                .value()
                .map(|mounts| text::one_line(&room(mounts), CELL_CHARS_MAX))
        }),
        of(&|facts| facts.clock_offset_ms.value().map(|ms| clock(*ms))),
        row.age(),
        text::one_line(&row.why(), TROUBLE_CHARS_MAX),
    ]
}

fn release(facts: &HostFacts) -> Option<String> {
    let release = facts.release.value()?;
    Some(
        format!("{} {}", release.os, release.version)
            .trim_end()
            .to_owned(),
    )
}

fn count<T>(fact: &Known<Vec<T>>) -> Option<String> {
    fact.value().map(|all| all.len().to_string())
}

fn failed_units(facts: &HostFacts) -> Option<usize> {
    let units = facts.units.value()?;
    Some(units.iter().filter(|unit| unit.active == "failed").count())
}

/// The filesystem with the least room, in parts of its size.
fn room(mounts: &[Mount]) -> String {
    let percent = |mount: &Mount| {
        let hundred = u128::from(mount.free_bytes).saturating_mul(100);
        hundred
            .checked_div(u128::from(mount.size_bytes))
            .unwrap_or(100)
    };
    let disks = mounts.iter().filter(|mount| {
        mount.size_bytes > 0 && !mount.read_only && !NO_DISKS.contains(&mount.kind.as_str())
    });
    let least = disks.min_by_key(|mount| (percent(mount), mount.free_bytes, &mount.path));
    match least {
        Some(mount) => format!(
            "{} {}% {}",
            mount.path,
            percent(mount),
            text::size(mount.free_bytes)
        ),
        None => "none".to_owned(),
    }
}

fn clock(ms: i64) -> String {
    if ms.unsigned_abs() < CLOCK_MS_MIN.unsigned_abs() {
        return "ok".to_owned();
    }
    let sign = if ms < 0 { '-' } else { '+' };
    format!("{sign}{}", text::seconds(Span::from_ms(ms.unsigned_abs())))
}

/// What is counted over all hosts.
struct Totals {
    releases: BTreeMap<String, usize>,
    broken: usize,
    held: usize,
    failed: usize,
    clocks: usize,
    trouble: usize,
    stale: usize,
    unknown: usize,
}

impl Totals {
    fn of(rows: &[Row<'_>]) -> Self {
        let mut releases = BTreeMap::new();
        for row in rows {
            let name = row
                .facts
                .and_then(release)
                .unwrap_or_else(|| "unknown release".to_owned());
            let known = releases.entry(name).or_insert(0_usize);
            *known = known.saturating_add(1);
        }
        let with = |is: &dyn Fn(&HostFacts) -> bool| {
            rows.iter()
                .filter_map(|row| row.facts)
                .filter(|facts| is(facts))
                .count()
        };
        let some = |count: Option<usize>| count.is_some_and(|count| count > 0);
        Self {
            releases,
            broken: with(&|facts| some(facts.packages_broken.value().map(Vec::len))),
            held: with(&|facts| some(facts.packages_held.value().map(Vec::len))),
            failed: with(&|facts| some(failed_units(facts))),
            clocks: with(&|facts| {
                let offset = facts.clock_offset_ms.value();
                offset.is_some_and(|ms| ms.unsigned_abs() >= CLOCK_MS_MIN.unsigned_abs())
            }),
            trouble: rows.iter().filter(|row| row.trouble.is_some()).count(),
            stale: rows.iter().filter(|row| row.stale).count(),
            unknown: rows.iter().filter(|row| row.facts.is_none()).count(),
        }
    }
}

fn totals(rows: &[Row<'_>]) -> String {
    let all = Totals::of(rows);
    let releases = all
        .releases
        .iter()
        .map(|(name, count)| format!("{count} {}", text::one_line(name, CELL_CHARS_MAX)));
    let releases: Vec<String> = releases.collect();
    let mut parts = vec![format!(
        "{}: {}",
        text::count(rows.len(), "host"),
        releases.join(", ")
    )];
    for (count, words) in [
        (all.broken, "with broken packages"),
        (all.held, "with held packages"),
        (all.failed, "with failed units"),
        (all.clocks, "with a wrong clock"),
        (all.trouble, "could not be worked with"),
        (all.stale, "with old facts (!)"),
        (all.unknown, "of which nothing is known"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {words}"));
        }
    }
    parts.join("; ")
}

/// For programs: what the table shows, and all facts.
pub fn json(fleet: &str, rows: &[Row<'_>]) -> Value {
    let all = Totals::of(rows);
    let hosts: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "host": row.host,
                "asked_now": row.asked_now,
                "age_ms": row.age.map(Span::as_ms),
                "stale": row.stale,
                "trouble": row.trouble,
                "facts": row.facts,
            })
        })
        .collect();
    json!({
        "fleet": fleet,
        "hosts": hosts,
        "totals": {
            "hosts": rows.len(),
            "releases": all.releases,
            "packages_broken": all.broken,
            "packages_held": all.held,
            "units_failed": all.failed,
            "clock_wrong": all.clocks,
            "trouble": all.trouble,
            "stale": all.stale,
            "unknown": all.unknown,
        },
    })
}

/// Everything that is known of one host, and why the rest is not.
pub fn page(row: &Row<'_>) -> String {
    let mut out = format!("{}\n", text::one_line(row.host.as_str(), CELL_CHARS_MAX));
    let mut add = |what: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {what:<16} {}", text::one_line(value, usize::MAX));
    };
    if row.trouble.is_some() || row.facts.is_none() {
        add("trouble", &row.why());
    }
    if let Some(facts) = row.facts {
        add(
            "gathered",
            &format!("{} ({})", text::moment(facts.gathered_at), row.age()),
        );
        for (what, value) in lines(facts) {
            add(what, &value);
        }
    }
    // Whatever a fact holds is shown in one way, so that none is left out here by being new.
    if let Some(Value::Object(facts)) = row.facts.and_then(|facts| serde_json::to_value(facts).ok())
    {
        let (mut known, mut unknown) = (String::new(), String::new());
        whole(&facts, "", &mut known, &mut unknown);
        let _ = write!(out, "\nEverything that was measured\n{known}");
        if !unknown.is_empty() {
            let _ = write!(out, "\nNot known\n{unknown}");
        }
    }
    out
}

/// All facts of a group and of the groups in it.
fn whole(facts: &Map<String, Value>, group: &str, known: &mut String, unknown: &mut String) {
    for (name, fact) in facts {
        let title = format!("{group}{}", name.replace('_', " "));
        let Value::Object(fields) = fact else {
            continue;
        };
        if let Some(value) = fields
            .get("measured")
            .and_then(|measured| measured.get("value"))
        {
            measured(&title, value, known);
        } else if let Some(reason) = fields.get("unknown").and_then(|why| why.get("reason")) {
            let _ = writeln!(unknown, "  {title}: {}", words(reason));
        } else {
            whole(fields, &format!("{title}: "), known, unknown);
        }
    }
}

fn measured(title: &str, value: &Value, out: &mut String) {
    match value {
        Value::Array(entries) if entries.is_empty() => {
            let _ = writeln!(out, "  {title}: none");
        }
        Value::Array(entries) => {
            let _ = writeln!(out, "  {title}: {}", entries.len());
            for entry in entries {
                let _ = writeln!(out, "    {}", words(entry));
            }
        }
        // What is made of lists has each of them below it.
        Value::Object(fields) if fields.values().any(Value::is_array) => {
            for (name, field) in fields {
                measured(&format!("{title}: {}", name.replace('_', " ")), field, out);
            }
        }
        value => {
            let _ = writeln!(out, "  {title}: {}", words(value));
        }
    }
}

/// A value on one line, without the signs of JSON. When something inside it was measured is left out.
fn words(value: &Value) -> String {
    let inner = value.get("measured").and_then(|fact| fact.get("value"));
    let shown = match inner.unwrap_or(value) {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(entries) => entries.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| {
                !matches!(value, Value::Null) && **value != json!("") && **value != json!([])
            })
            .map(|(name, value)| format!("{} {}", name.replace('_', " "), words(value)))
            .collect::<Vec<_>>()
            .join(", "),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    };
    text::one_line(&shown.replace(['\n', '\r'], " "), usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use overhaul_model::facts::{FactsWanted, OsRelease, PackageState, Unit};
    use proptest::prelude::*;

    const NOW_S: i64 = 1_800_000_000;

    fn at(seconds_ago: i64) -> Timestamp {
        Timestamp::from_second(NOW_S - seconds_ago).unwrap()
    }

    fn known<T>(value: T) -> Known<T> {
        let at = at(0);
        Known::Measured { value, at }
    }

    /// A host all of whose words are these.
    fn host(words: &str, seconds_ago: i64) -> HostFacts {
        let text = || words.to_owned();
        HostFacts {
            release: known(OsRelease {
                os: text(),
                version: "12".to_owned(),
                codename: text(),
                pretty: text(),
            }),
            machine_id: known(text()),
            packages_broken: known(vec![PackageState {
                name: text(),
                status: text(),
            }]),
            packages_held: known(vec![text()]),
            units: known(vec![Unit::new(&text(), &text(), "failed", &text())]),
            mounts: known(vec![Mount {
                path: format!("/{words}").into(),
                source: text().into(),
                kind: "ext4".into(),
                size_bytes: 100 << 30,
                free_bytes: 3 << 30,
                exec: true,
                read_only: false,
            }]),
            clock_offset_ms: known(-63_072_000_000),
            ..HostFacts::unknown(at(seconds_ago), words)
        }
    }

    fn entry(facts: Option<HostFacts>, trouble: Option<&str>) -> Entry {
        Entry {
            facts,
            wanted: FactsWanted::default(),
            trouble: trouble.map(|why| Trouble {
                at: at(0),
                why: why.to_owned(),
            }),
        }
    }

    #[test]
    fn a_fleet_is_shown() {
        let away = "away: connecting took longer than 20s";
        let hosts = [
            (
                "away",
                Some(entry(Some(host("debian", 7_200)), Some(away))),
                true,
            ),
            ("gone", Some(entry(None, Some("no route to host"))), true),
            ("never", None, false),
            (
                "old",
                Some(entry(Some(host("debian", 200_000)), None)),
                false,
            ),
            ("web1", Some(entry(Some(host("debian", 0)), None)), true),
        ];
        let names: Vec<HostName> = hosts
            .iter()
            .map(|(name, ..)| HostName::new(*name))
            .collect();
        let rows: Vec<Row<'_>> = hosts
            .iter()
            .zip(&names)
            .map(|((_, entry, asked), name)| {
                Row::of(name, entry.as_ref(), *asked, at(0), Span::from_s(86_400))
            })
            .collect();
        // As the clock on the wall of this machine has it.
        let page = rows
            .first()
            .map(page)
            .unwrap()
            .replace(&text::moment(at(7_200)), "MOMENT");
        insta::assert_snapshot!(format!("{}\n\n{page}", table(&rows)));
    }

    proptest! {
        #[test]
        fn whatever_a_host_says_stays_text(words in any::<String>(), why in ".*") {
            let name = HostName::new("web1");
            let entry = entry(Some(host(&words, 0)), Some(&why));
            let rows = [Row::of(&name, Some(&entry), true, at(0), Span::from_s(1))];
            let json = serde_json::to_string_pretty(&json("shop", &rows)).unwrap();
            let json = text::json(&json);
            prop_assert!(serde_json::from_str::<Value>(&json).is_ok());
            for shown in [table(&rows), page(&rows[0]), json] {
                let drives = |c: char| c.is_control() && c != '\n';
                prop_assert!(!shown.contains(drives), "{shown:?}");
            }
            // A host's words make no line of their own: they cannot play another host's row.
            prop_assert_eq!(table(&rows).lines().count(), 4);
        }
    }
}
