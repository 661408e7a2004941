//! A step: what is done, to which host, within which bounds, and how often.

use crate::action::{Action, Limits, Repeat, Retry, Undo};
use crate::definition::{Guard, Origin, OutputFrom, Slot};
use crate::id::{HostName, StageName, StepId};
use crate::primitive::{Measure, Primitive};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The smallest part of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its stable path in the plan.
    pub id: StepId,
    /// What people read.
    pub title: String,
    /// What it means.
    pub action: Action,
    /// The slot that it stands in.
    pub slot: Slot,
    /// The stage that it belongs to.
    pub stage: StageName,
    /// Whose lane it is in.
    pub lane: Lane,
    /// The only hosts of the roll that it concerns; all when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<BTreeSet<HostName>>,
    /// Conditions measured just before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<Guard>,
    /// Already so? Then it is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Measure>,
    /// The act.
    pub work: Primitive,
    /// So now?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Measure>,
    /// How it is taken back.
    pub undo: Undo,
    /// Whether it may be begun again.
    pub repeat: Repeat,
    /// The act's bounds.
    pub limits: Limits,
    /// Attempts by itself.
    pub retry: Retry,
    /// Outputs by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, OutputFrom>,
    /// Why the step is there.
    pub why: String,
    /// Where it was written.
    pub origin: Origin,
}

/// Whose lane a step is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// The host whose turn it is in the roll around the step.
    Turn,
    /// This host.
    Host(HostName),
    /// No host: the controller, or a person.
    Run,
}
