//! The nouns of Overhaul: fleet, definition, facts, plan, step, events, findings, wire.
//!
//! No I/O, no clock, no async: all of that lies in the crates that use these.

pub mod action;
pub mod authority;
pub mod belonging;
pub mod cluster;
pub mod cluster_kind;
pub mod dataset;
pub mod definition;
pub mod durations;
pub mod effects;
pub mod event;
pub mod facts;
pub mod finding;
pub mod fleet;
pub mod id;
pub mod kind;
pub mod knowledge;
pub mod later;
pub mod machine;
pub mod membership;
pub mod plan;
pub mod planted;
pub mod primitive;
pub mod receipt;
pub mod secret;
pub mod span;
pub mod step;
pub mod strategy;
#[cfg(feature = "template")]
pub mod template;
pub mod timing;
pub mod tracker;
pub mod version;
pub mod windows;
pub mod wire;
pub mod word;
