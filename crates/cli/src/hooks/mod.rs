//! The operator's hooks: who is called, and with what.

mod call;
mod deliver;
mod file;
mod queue;

#[cfg(test)]
mod tests;

pub use call::Call;
pub use file::read;
pub use queue::{About, Hooks, Ready};
