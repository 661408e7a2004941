//! The SSH layer against real programs: sshd on loopback, ssh-agent, ssh-keygen, sudo.

mod auth;
mod connect;
mod exec;
mod known_hosts;
mod quote;
mod sudo;
mod support;
