//! What all tests of the real binary share.

mod client;

pub use client::*;
