//! Hands on the hosts: SSH, known hosts, and the client of the helper.
//!
//! [`SshReach`] is the engine's port. Below it: one connection for each host over either
//! [`transport`], the helper program that is uploaded and verified before every start, and [`client`], its framed protocol.

mod belonging;
mod carry;
mod channel;
pub mod client;
mod data_file;
mod descriptors;
mod detached;
mod error;
pub mod frame;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod hosts;
mod link;
mod machine;
mod meet;
mod near;
pub mod openssh;
mod outcome;
pub mod output;
mod pins;
mod probe;
mod provider;
mod provider_call;
mod reboot;
pub mod settings;
mod settle;
pub mod ssh;
mod ssh_reach;
mod stream;
mod transfer;
pub mod transport;
mod trusted;
mod turns;
mod upload;

pub use error::{ReachError, SetupError};
pub use settings::Settings;
pub use ssh_reach::SshReach;
pub use trusted::trusted;
pub use upload::{HelperBinary, StartError};
