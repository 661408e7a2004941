//! The lab: whole Debian hosts on one machine, each with its own systemd, disk, address and ssh server.

mod boot;
mod cgroup;
mod check_facts;
mod cli;
mod client;
mod command;
mod database;
mod definition;
mod disk;
mod error;
pub mod guest;
mod host;
mod images;
mod instance;
mod inventory;
mod lifecycle;
mod manifest;
mod mirror;
mod network;
mod paths;
mod probe;
mod process;
mod proof;
mod recorded;
mod setup;
mod sources;
mod ssh;
mod topology;

pub use cli::{Args, run};
pub use error::LabError;
