//! Conditions of the host, measured without changing anything.

mod conditions;
mod packages;

pub use conditions::measure;
