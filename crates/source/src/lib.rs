//! Reads fleets and definitions: text in, values and all errors of a file out.
//!
//! A file is parsed once into a tree in which every node knows its place ([`node`]), and hand-written
//! readers turn that tree into values of the model. They go on after a problem, so that a person sees
//! all problems of a file at once. What keys there are stands in one place, the [`shape`]s, from which
//! the readers, the "did you mean" and the published JSON Schemas come. Only [`read`] touches a disk.

pub mod cluster_kind;
pub mod definition;
pub mod fleet;
mod hooks;
pub mod kind;
pub mod problem;
pub mod read;
mod schema;
pub mod tracker;

mod check_texts;
mod node;
mod reader;
mod shape;
mod templates;
mod words;

pub use check_texts::check_texts;
pub use fleet::FleetInput;
pub use hooks::{CallFor, Header, Hook, HookWay, ValueFrom, parse_hooks};
pub use problem::{Problem, Problems, SourceFile};
pub use schema::{Described, schema};
