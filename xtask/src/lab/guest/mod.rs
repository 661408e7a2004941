//! A host with a kernel of its own: a virtual machine, and a disk that loses with the power what was not flushed.

mod disk;
mod machine;
mod making;
mod nbd;

pub use disk::{Cut, Loss};
pub use machine::{Guest, Running};
pub use making::{make, take_down};
