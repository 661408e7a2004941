//! What `ssh HOST` would do here: the operator's configuration, read as OpenSSH reads it.
//!
//! Where the program `ssh` is installed, it is asked (`ssh -G`), so that patterns, `Match`,
//! `Include`, tokens and canonical names mean what they mean there. It is not asked when the
//! configuration says nothing that matters to us. Where it is lacking, [`Files`] reads the common
//! keywords, and refuses what it does not know.

mod account;
mod asked;
mod error;
mod files;
mod lines;
mod native;
mod program;
mod resolved;
mod resolver;
mod tokens;

pub use account::Account;
pub use asked::Asked;
pub use error::ConfigError;
pub use files::Files;
pub use native::Obstacle;
pub use resolved::{Family, Resolved};
pub use resolver::Resolver;
pub(crate) use tokens::Tokens;
