//! Definitions: `upgrade.yaml`.

mod action;
mod block;
mod later_shapes;
mod measure;
mod order;
mod role;
mod root;
mod sequence;
mod shapes;
mod step;
mod strategy;

pub(crate) use action::act;
pub(crate) use measure::measure;
pub use root::parse;
pub(crate) use shapes::{DEFINITION, KIND_ACTIONS, STEP_KEYS};
pub(crate) use step::{bounds, outputs, repeatable, retry, thrown_away, titled};
