//! Files of the host, changed so that a reader sees the old content or the new one.

mod change;
mod replace;

pub use change::{Changed, FileError, differs, edit, edited_text, write};
