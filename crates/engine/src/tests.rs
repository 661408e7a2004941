//! The loop against an in-memory world: journal, inbox, targets with receipts, virtual time.

mod crash;
mod days;
mod lost;
mod members;
mod near;
mod plans;
mod probing;
mod sittings;
mod target;
mod transfer;
mod world;
