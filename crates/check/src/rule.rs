//! A rule: its name, what it says, and how it looks at a plan.

use crate::view::View;
use overhaul_model::finding::{Finding, Severity};
use overhaul_model::id::RuleId;

/// A law that plans keep.
pub struct Rule {
    /// Its name, for findings and waivers.
    pub id: &'static str,
    /// What it says, in a sentence.
    pub says: &'static str,
    /// Whether a person may make an exception.
    pub waivable: bool,
    pub(crate) look: fn(&View<'_>) -> Vec<Complaint>,
}

impl Rule {
    pub(crate) fn findings(&self, view: &View<'_>) -> Vec<Finding> {
        (self.look)(view)
            .into_iter()
            .map(|complaint| Finding {
                severity: complaint.severity,
                rule: RuleId::new(self.id),
                subject: complaint.subject,
                sentence: complaint.sentence,
                help: complaint.help,
                waived: None,
            })
            .collect()
    }
}

/// A finding without its rule.
pub(crate) struct Complaint {
    pub severity: Severity,
    pub subject: String,
    pub sentence: String,
    pub help: String,
}

impl Complaint {
    fn new(severity: Severity, subject: String, sentence: String, help: &str) -> Self {
        Self {
            severity,
            subject,
            sentence,
            help: help.to_owned(),
        }
    }

    pub fn error(subject: String, sentence: String, help: &str) -> Self {
        Self::new(Severity::Error, subject, sentence, help)
    }

    pub fn warning(subject: String, sentence: String, help: &str) -> Self {
        Self::new(Severity::Warning, subject, sentence, help)
    }

    pub fn note(subject: String, sentence: String, help: &str) -> Self {
        Self::new(Severity::Note, subject, sentence, help)
    }
}
