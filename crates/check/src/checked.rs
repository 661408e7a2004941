//! What a check gives: findings, and the plan as one that may be run if none of them forbids it.

use overhaul_model::finding::{Finding, Severity};
use overhaul_model::plan::Plan;
use std::sync::Arc;

/// The outcome of a check.
#[derive(Clone, Debug)]
pub struct Checked {
    /// All findings, the heaviest first.
    pub findings: Vec<Finding>,
    /// The plan, when no error stands against it that nobody waived.
    pub passed: Option<CheckedPlan>,
}

impl Checked {
    pub(crate) fn new(plan: &Plan, findings: Vec<Finding>) -> Self {
        let forbidden = findings
            .iter()
            .any(|finding| finding.severity == Severity::Error && finding.waived.is_none());
        Self {
            passed: (!forbidden).then(|| CheckedPlan {
                plan: Arc::new(plan.clone()),
            }),
            findings,
        }
    }
}

/// A plan that kept every rule when it was checked. Only [`crate::check`] makes one; it is never read
/// from a file, because a file can be changed. A copy shares the plan.
#[derive(Clone, Debug)]
pub struct CheckedPlan {
    plan: Arc<Plan>,
}

impl CheckedPlan {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The plan, to be shared: nobody can change it.
    pub fn share(&self) -> Arc<Plan> {
        Arc::clone(&self.plan)
    }
}
