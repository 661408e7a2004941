//! The tracker: `tracker.yaml`, which people edit and this program reads and completes.

mod emit;
mod read;
mod shapes;
mod write;

pub use read::parse;
pub(crate) use shapes::TRACKER;
pub use write::{Update, WriteError, fresh, updated};
