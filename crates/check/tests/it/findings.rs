//! The cases run, each on its rule alone; and what is not about one rule.

use crate::cases::{CASES, Case};
use crate::cases_in_time::CASES_IN_TIME;
use crate::cases_of_clusters::CASES_OF_CLUSTERS;
use crate::cases_of_machines::CASES_OF_MACHINES;
use crate::cases_of_transfers::CASES_OF_TRANSFERS;
use crate::facts_text::{facts, settled};
use crate::plan_text::plan;
use jiff::civil::Date;
use overhaul_check::{Checked, RULES, check};
use overhaul_model::finding::{Finding, Severity};
use std::collections::BTreeSet;
use std::fmt::Write as _;

const TODAY: Date = jiff::civil::date(2025, 6, 2);

/// Noon of today, in UTC.
fn noon() -> jiff::Zoned {
    let noon = TODAY.at(12, 0, 0, 0);
    noon.to_zoned(jiff::tz::TimeZone::UTC).unwrap()
}

pub fn checked(text: &str) -> Checked {
    check(&plan(text), &facts(text), &settled(text), &noon())
}

fn lines(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let word = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(
            out,
            "{word} {} {}: {}",
            finding.rule, finding.subject, finding.sentence
        )
        .unwrap();
        if let Some(waived) = &finding.waived {
            write!(out, " (waived by {waived})").unwrap();
        }
        out.push('\n');
    }
    out
}

/// A plan that every rule lets pass without a word.
const GOOD: &str = "
host a
service db postgresql.service a 15m
dataset orders db a
space a /usr 1000
space - data 100
fact a databases shop
fact - mount /srv 1000
roll up a
  hold db
  copy orders shop
  read orders shop
  scope quiet
    run open
    change
    reboot
    prove
    run close
  move orders
  start db
";

pub fn all_cases() -> impl Iterator<Item = &'static Case> {
    let first = CASES.iter().chain(CASES_IN_TIME).chain(CASES_OF_CLUSTERS);
    first.chain(CASES_OF_MACHINES).chain(CASES_OF_TRANSFERS)
}

#[test]
fn a_good_plan_passes_without_a_word() {
    let checked = checked(GOOD);
    assert_eq!(lines(&checked.findings), "");
    assert_eq!(*checked.passed.unwrap().plan(), plan(GOOD));
}

#[test]
fn every_rule_catches_its_bad_plan_and_leaves_the_neighbour_alone() {
    let mut out = String::new();
    for case in all_cases() {
        let of_rule = |text: &str| -> Vec<Finding> {
            let mut findings = checked(text).findings;
            findings.retain(|finding| finding.rule.as_str() == case.rule);
            findings
        };
        let bad = of_rule(case.bad);
        assert!(
            !bad.is_empty(),
            "{} ({}) finds nothing",
            case.rule,
            case.about
        );
        let good = of_rule(case.good);
        assert!(
            good.is_empty(),
            "{} ({}): {}",
            case.rule,
            case.about,
            lines(&good)
        );
        writeln!(out, "# {}\n{}", case.about, lines(&bad)).unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn no_rule_is_without_a_case() {
    let told: BTreeSet<&str> = all_cases().map(|case| case.rule).collect();
    let all: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(told, all);
}

#[test]
fn all_rules_run_whatever_the_first_ones_say() {
    let text = "
host a
fact a broken dpkg
fact a release 11
roll up a
  hold gone
  change 14
";
    insta::assert_snapshot!(lines(&checked(text).findings));
    assert!(checked(text).passed.is_none());
}

#[test]
fn a_waiver_lets_one_finding_pass() {
    let shared = |waiver: &str| {
        format!(
            "host a\nhost b\nfact a machine-id x\nfact b machine-id x\n{waiver}\nroll up a|b\n  change\n  reboot\n  prove\n"
        )
    };
    let pass = checked(&shared("waive machine-id-shared host:b 2025-06-02"));
    insta::assert_snapshot!(lines(&pass.findings), @"error machine-id-shared host:b: it has the machine id of a: one machine under two names, or a copy (waived by ada: known)");
    assert!(pass.passed.is_some());

    for (waiver, passes) in [
        ("waive machine-id-shared host:b 2025-06-01", false),
        ("waive machine-id-shared host:a 2025-07-01", false),
        ("waive roll-turns host:b 2025-07-01", false),
        ("waive no-such-rule host:b 2025-07-01", false),
    ] {
        let checked = checked(&shared(waiver));
        assert_eq!(checked.passed.is_some(), passes, "{waiver}");
        let about = checked
            .findings
            .iter()
            .filter(|f| f.rule.as_str() == "waivers");
        assert_eq!(about.count(), 1, "{waiver}");
    }
}

#[test]
fn words_about_waivers() {
    let text = "
host a
waive machine-id-shared host:a 2025-06-01
waive machine-id-shared host:b 2025-07-01
waive roll-turns roll:up 2025-07-01
waive no-such-rule host:a 2025-07-01
roll up a
  change
  reboot
  prove
";
    insta::assert_snapshot!(lines(&checked(text).findings));
}

#[test]
fn what_is_over_counts_as_done() {
    // The host has begun: its old state is not asked for any more, but what comes still has its rules.
    let begun = "
host a
service db postgresql.service a
dataset orders db a
space a / 999999
fact a release 13
fact a mounts unknown
fact a gathered 2020-01-01T00:00:00Z
settled up/hold-db@a
settled up/copy-orders-shop@a
settled up/read-orders-shop@a
settled up/change@a
roll up a
  hold db
  copy orders shop
  read orders shop
  change
  reboot
  prove
  move orders
  start db
";
    assert_eq!(lines(&checked(begun).findings), "");
    let unread = begun.replace("  read orders shop\n", "");
    assert!(checked(&unread).passed.is_none());
}
