//! Host patterns and limits, as ansible-core 2.19 has them: `web:&zone_a:!web-3`, `db[0]`, `~(web|db)\d`.

mod address;
mod error;
mod glob;
mod name;
mod regex;
mod regex_class;
mod select;
mod split;
mod written;

pub use error::{PatternError, PatternFault, Place};
pub use select::{Selection, Unmatched};
pub use written::Pattern;
