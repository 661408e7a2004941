//! The second transport: the `ssh` program of OpenSSH, for what our own client does not know
//! (Kerberos, keys in hardware).
//!
//! One master process for each host holds the connection; commands are opened on it through its
//! multiplexing socket, without a further process.

mod config;
mod exec;
mod judge;
mod log;
mod master;
mod mux;
mod room;
mod session;
mod spawn;
mod target;
mod words;

pub use session::{Session, connect};
pub use target::Target;
pub use words::{WordError, login_words};
