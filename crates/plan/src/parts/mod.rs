//! Where the steps of a slot come from; each part of a strategy has a file.

mod begin;
mod copies;
mod health;
mod hold;
mod move_cluster;
mod near;
mod release_change;
mod site;
mod written;

pub(crate) use site::{Site, blocks};
