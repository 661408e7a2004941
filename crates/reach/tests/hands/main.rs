//! The whole way to a host: client, upload, orders, streams, settling. Over a real sshd on loopback
//! with the real helper, as the account that runs the tests.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stop the test"
)]

#[path = "../ssh/account.rs"]
mod account;
#[path = "../ssh/each.rs"]
mod each;
#[path = "../ssh/support.rs"]
#[expect(dead_code, reason = "shared with the tests of the SSH layer")]
mod support;

mod beside;
mod carry;
mod client;
mod near;
mod orders;
mod proxy;
mod scene;
mod settling;
mod start;
mod streams;
mod transfer;
