//! What the checker complains of, and the exceptions that people make.

use crate::id::{Person, RuleId};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// A complaint of a rule about a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// The rule.
    pub rule: RuleId,
    /// What it is about: a host, a step, a service or a dataset, as `kind:name`; waivers name it.
    pub subject: String,
    /// What is wrong, in a sentence.
    pub sentence: String,
    /// What to do about it.
    pub help: String,
    /// Who waived it, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived: Option<String>,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The plan is not run.
    Error,
    /// The plan is run; the finding is in the report.
    Warning,
    /// To be known.
    Note,
}

/// A named person's dated exception from one rule for one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The rule.
    pub rule: RuleId,
    /// The finding's subject.
    pub subject: String,
    /// Who takes it on themselves.
    pub person: Person,
    /// Why.
    pub reason: String,
    /// The last day on which it counts.
    pub expires: Date,
}
