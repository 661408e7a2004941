//! The page of definitions lists every rule, as it is.

use crate::findings::{all_cases, checked};
use overhaul_check::RULES;
use overhaul_model::finding::Severity;
use std::collections::BTreeMap;

const PAGE: &str = include_str!("../../../../docs/definition.md");

/// Complaints about waivers themselves are no rule of the table: no plan breaks it.
const ABOUT_WAIVERS: &str = "waivers";

struct Row {
    severity: &'static str,
    waivable: &'static str,
}

/// The rows of the page's table of rules, by the id of the rule.
fn rows() -> BTreeMap<&'static str, Row> {
    let (_, table) = PAGE.split_once("| rule | severity | waivable |").unwrap();
    let lines = table.lines().skip(2);
    let mut out = BTreeMap::new();
    for line in lines.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, id, severity, waivable, says, _] = cells[..] else {
            panic!("four cells: {line}");
        };
        let id = id.trim_matches('`');
        assert!(!says.is_empty(), "{id} says nothing");
        let row = Row { severity, waivable };
        assert!(out.insert(id, row).is_none(), "{id} has two rows");
    }
    out
}

#[test]
fn every_rule_has_its_row_and_no_row_is_without_a_rule() {
    let rows = rows();
    let mut listed: Vec<&str> = rows.keys().copied().collect();
    listed.retain(|id| *id != ABOUT_WAIVERS);
    let mut rules: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
    rules.sort_unstable();
    assert_eq!(listed, rules);
    for rule in RULES {
        let waivable = rows[rule.id].waivable;
        assert!(
            waivable.starts_with(if rule.waivable { "yes" } else { "no" }),
            "{} is {waivable}",
            rule.id
        );
    }
}

#[test]
fn the_severities_that_bad_plans_meet_stand_in_the_rows() {
    let rows = rows();
    for case in all_cases() {
        for finding in checked(case.bad).findings {
            let word = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "note",
            };
            let cell = rows[finding.rule.as_str()].severity;
            assert!(cell.contains(word), "{}: {word}, not {cell}", finding.rule);
        }
    }
}
