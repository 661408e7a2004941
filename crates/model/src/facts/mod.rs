//! What was measured of a host, each fact with its time, or unknown with the reason.

mod group;
mod host;
mod kernel;
mod machine;
mod names;
mod packages;
mod postgresql;
mod running;
mod storage;
mod unit;

pub use host::*;
pub use kernel::*;
pub use machine::*;
pub use names::*;
pub use packages::*;
pub use postgresql::*;
pub use running::*;
pub use storage::*;
pub use unit::*;
