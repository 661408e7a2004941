//! Words of the development tasks. A reader that has gone away (`| head`) is no reason to fail, so what cannot be said is dropped.

use std::fmt::Display;
use std::io::Write;

/// Says a line on standard output.
pub fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Says a line on standard error.
pub fn complain(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
