//! Exceptions that people made: each names rule, subject, person, reason and last day.

use crate::rules::RULES;
use jiff::civil::Date;
use overhaul_model::finding::{Finding, Severity, Waiver};
use overhaul_model::id::RuleId;
use overhaul_model::plan::Plan;

/// The rule under which findings about waivers themselves stand.
const RULE: &str = "waivers";

/// Marks findings as waived, and adds what is wrong with waivers. While a run is on its way, a waiver may
/// have lost its finding because the step is over: that is not held against it.
pub(crate) fn apply(plan: &Plan, on_the_way: bool, today: Date, findings: &mut Vec<Finding>) {
    let mut about = Vec::new();
    for waiver in &plan.waivers {
        let waivable = RULES
            .iter()
            .find(|rule| rule.id == waiver.rule.as_str())
            .map(|rule| rule.waivable);
        match waivable {
            None => about.push(complaint(
                waiver,
                Severity::Error,
                "there is no such rule".to_owned(),
                "correct the rule's name, or take the waiver out",
            )),
            Some(false) => about.push(complaint(
                waiver,
                Severity::Error,
                "this rule allows no exception".to_owned(),
                "take the waiver out and change the plan",
            )),
            Some(true) if waiver.expires < today => about.push(complaint(
                waiver,
                Severity::Warning,
                format!(
                    "the waiver of {} counted until {}",
                    waiver.person, waiver.expires
                ),
                "decide again, or take the waiver out",
            )),
            Some(true) => {
                let mut used = false;
                for finding in findings.iter_mut() {
                    if finding.rule == waiver.rule && finding.subject == waiver.subject {
                        finding.waived = Some(format!("{}: {}", waiver.person, waiver.reason));
                        used = true;
                    }
                }
                if !used && !on_the_way {
                    about.push(complaint(
                        waiver,
                        Severity::Warning,
                        "nothing was found that it would be an exception from".to_owned(),
                        "take the waiver out, or correct its subject",
                    ));
                }
            }
        }
    }
    findings.extend(about);
}

fn complaint(waiver: &Waiver, severity: Severity, sentence: String, help: &str) -> Finding {
    Finding {
        severity,
        rule: RuleId::new(RULE),
        subject: format!("waiver:{} {}", waiver.rule, waiver.subject),
        sentence,
        help: help.to_owned(),
        waived: None,
    }
}
