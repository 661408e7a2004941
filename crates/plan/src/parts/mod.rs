//! Where the steps of a slot come from; each part of a strategy has a file.

mod archive;
mod begin;
mod belongings;
mod carry;
mod cluster;
mod copies;
mod health;
mod hold;
mod later;
mod look;
mod move_cluster;
mod near;
mod new_machine;
mod receive;
mod rejoin;
mod release_change;
mod replace;
mod site;
mod transfer;
mod transfer_database;
mod written;

pub(crate) use copies::steps as copies_of;
pub(crate) use hold::{quiesce, quiet_and_back};
pub(crate) use site::{Site, blocks};
pub(crate) use written::whole;
