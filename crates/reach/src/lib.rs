//! Hands on the hosts: SSH, known hosts, and the client of the helper.

pub mod ssh;
