//! A host with a kernel of its own: a virtual machine, and a disk that loses with the power what was not flushed.

mod disk;
mod machine;
mod making;
mod nbd;

pub use disk::{Aim, Cut, Loss};
pub use machine::{Guest, Running};
pub use making::{HOST, make, take_down};
