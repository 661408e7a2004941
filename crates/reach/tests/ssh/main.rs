//! The SSH layer against real programs: sshd on loopback, ssh-agent, ssh-keygen, sudo.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests stop the test"
)]

mod account;
mod auth;
mod connect;
mod exec;
mod known_hosts;
mod quote;
mod sudo;
#[expect(dead_code, reason = "shared with the tests of the whole way")]
mod support;
