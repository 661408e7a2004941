//! Commands that outlive the connection: how they are set loose, and the supervisor of each.

mod detach;
mod run;
mod spec;
mod voice;
mod watch;

pub use detach::{Detached, NotDetached, detach};
pub(crate) use run::wish_to_end;
pub use run::{SuperviseError, run};
pub use spec::Spec;
pub(crate) use watch::{Stall, exit_of};
