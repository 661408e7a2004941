//! Fleets: our short YAML form, or a plain INI inventory as Ansible reads it.

mod ansible;
mod draft;
mod groups;
mod ini;
mod input;
mod membership;
pub mod pattern;
mod python;
mod range;
mod short;
mod tokens;
pub mod vault;

pub use input::{FleetInput, parse};
pub use membership::Membership;
pub(crate) use short::FLEET;
