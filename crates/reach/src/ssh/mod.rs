//! The native SSH layer: one connection per host, many commands on it.
//!
//! [`connect`] opens a [`Session`]; [`Session::exec`] starts a command with three streams.
//! [`start_privileged`] does so through sudo, over either client. [`Routes`] stands above: it asks what the
//! operator's configuration of OpenSSH says about a host, and makes the [`Target`] for it. Keys and known
//! hosts are read once ([`Keyring`], [`KnownHosts`]) and shared by every connection.

mod agent;
mod certificate;
mod config;
mod entry;
mod error;
mod exec;
mod gate;
mod jump;
mod keyring;
mod known_hosts;
mod limits;
mod offer;
mod passphrases;
mod process;
mod proxy;
mod quote;
mod revoked;
mod routes;
mod secret;
mod session;
mod sudo;
mod text;
mod through;
mod via;
mod wire;

pub use crate::channel::{ExecChannel, ExecExit, ExecReader, ExecStdin, Exit, Output};
pub use agent::Agent;
pub use certificate::{Vouched, judge};
pub use config::{Account, Asked, ConfigError, Family, Files, Obstacle, Resolved, Resolver};
pub use error::{KnownKey, Place, SshError};
pub(crate) use exec::OPEN_S_MAX;
pub use keyring::Keyring;
pub use known_hosts::{BadLine, HostView, KnownHosts, LookupName, Verdict, fingerprint};
pub use limits::Limits;
pub use passphrases::{Ask, Passphrases};
pub use quote::{NulInArgument, command_line, quote};
pub use revoked::RevokedKeys;
pub use routes::{Bounds, Routes, Wanted};
pub use secret::Secret;
pub(crate) use session::{AUTHENTICATION_S_MAX, within};
pub use session::{Session, Target, connect};
pub(crate) use sudo::until_it_speaks;
pub use sudo::{Become, Program, start_privileged};
pub use text::printable;
pub(crate) use text::strip;
pub use via::{Seat, Via};
