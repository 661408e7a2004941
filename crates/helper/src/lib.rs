//! The small static program that works on a target and keeps its receipts.
//!
//! It speaks [`overhaul_model::wire`] on standard input and output. Work is begun only after its
//! receipt is synced, and its end is synced before anybody is told. It asks no name service and needs
//! no library or interpreter of the host, because those are what is being replaced.

pub mod acceptance;
mod authority;
pub mod boot;
pub mod carry;
pub mod channel;
pub mod edit;
pub mod facts;
pub mod files;
pub mod frame;
pub mod measure;
pub mod process;
pub mod redact;
pub mod serve;
mod settle;
pub mod store;
pub mod supervise;
pub mod transfer;
mod views;

/// The version that the greeting carries.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
