//! The SSH layer against real programs: sshd on loopback, ssh-agent, ssh-keygen, sudo.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests stop the test and tell figures"
)]

mod account;
mod auth;
mod connect;
mod each;
mod exec;
mod known_hosts;
mod quote;
mod sudo;
#[expect(dead_code, reason = "shared with the tests of the whole way")]
mod support;
