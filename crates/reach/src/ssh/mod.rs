//! The native SSH layer: one connection per host, many commands on it.
//!
//! [`connect`] opens a [`Session`]; [`Session::exec`] starts a command with three streams.
//! [`start_privileged`] does so through sudo, over either client. Keys and known hosts are read once ([`Keyring`],
//! [`KnownHosts`]) and shared by every connection: connecting reads no file.

mod agent;
mod entry;
mod error;
mod exec;
mod gate;
mod keyring;
mod known_hosts;
mod quote;
mod secret;
mod session;
mod sudo;
mod text;
mod wire;

pub use crate::channel::{ExecChannel, ExecExit, ExecReader, ExecStdin, Exit, Output};
pub use agent::Agent;
pub use error::{KnownKey, Place, SshError};
pub use keyring::{Keyring, Passphrases};
pub use known_hosts::{BadLine, HostView, KnownHosts, LookupName, Verdict, fingerprint};
pub use quote::{NulInArgument, command_line, quote};
pub use secret::Secret;
pub(crate) use session::within;
pub use session::{Session, Target, connect};
pub use sudo::{Become, Program, start_privileged};
pub use text::printable;
pub(crate) use text::strip;
