//! Laws of this workspace that compiler and clippy do not know.

mod edges;
mod licences;
mod run;
mod text;

pub use run::run;
