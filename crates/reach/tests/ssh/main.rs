//! The SSH layer against real programs: sshd on loopback, ssh-agent, ssh-keygen, sudo, Kerberos.
//!
//! Cases run over each transport, as `NAME::native` and `NAME::openssh`. Over our own client alone run
//!
//! | cases | because |
//! |---|---|
//! | `known_hosts`, fingerprints, files that cannot be read | it is our own reading of known hosts; the program has its own |
//! | `auth` | keyring and agent are ours; what the program does with the same keys is in `openssh` |
//! | fifty connections at once | it measures our memory; `openssh::twenty_hosts_at_once` runs over each |
//!
//! and what only the program has (jump hosts by `ssh_config`, processes, Kerberos) is in `openssh` and
//! `kerberos`.

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
mod jumps;
mod kerberos;
mod known_hosts;
mod openssh;
mod quote;
mod rerun;
mod same;
mod same_cases;
mod sudo;
#[expect(dead_code, reason = "shared with the tests of the whole way")]
mod support;
