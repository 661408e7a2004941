//! Definitions: `upgrade.yaml`.

mod action;
mod archive;
mod belonging;
mod belonging_shapes;
mod block;
mod calendar;
mod knowledge;
mod knowledge_shapes;
mod later_shapes;
mod measure;
mod members;
mod near;
mod near_shapes;
mod order;
mod role;
mod role_shapes;
mod root;
mod sequence;
mod shapes;
mod stages;
mod step;
mod strategy;

pub(crate) use action::act;
pub(crate) use knowledge::{borders, kind_issues};
pub(crate) use knowledge_shapes::{BORDER, KIND_ISSUE};
pub(crate) use measure::measure;
pub use root::{KnownKinds, parse};
pub(crate) use shapes::{DEFINITION, KIND_ACTIONS, STEP_KEYS};
pub(crate) use step::{bounds, outputs, repeatable, retry, thrown_away, titled};
