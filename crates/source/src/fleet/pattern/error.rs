//! What is wrong with a pattern, and where in it.

use std::fmt;
use std::ops::Range;

/// Characters of a pattern that are shown beside a fault; more is cut around the place.
const SHOWN_CHARS_MAX: usize = 160;

/// Where a part of a pattern was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the pattern itself, in bytes.
    Text(Range<usize>),
    /// In a file that the pattern names with `@`.
    Line {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
    },
}

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PatternError {
    /// The whole pattern as it was given.
    pub pattern: String,
    /// The part that is wrong.
    pub place: Place,
    /// What is wrong with it.
    pub fault: PatternFault,
}

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// It is longer than any that is taken.
    #[error("the pattern is longer than {0} bytes")]
    TooLong(usize),
    /// It has more parts than are taken.
    #[error("the pattern has more than {0} parts")]
    TooMany(usize),
    /// It has more globs and regular expressions than are taken.
    #[error("the pattern has more than {0} globs and regular expressions")]
    TooManySearches(usize),
    /// Nothing follows `!` or `&`.
    #[error("`{0}` says nothing without a name, glob or ~REGEX behind it")]
    Bare(char),
    /// A regular expression that Python would not take, or that is not supported.
    #[error("not a regular expression: {0}")]
    Regex(String),
    /// A regular expression that takes too long.
    #[error("the regular expression takes too long to decide about `{0}`; write a simpler one")]
    Backtracking(String),
    /// A single index outside of what was matched.
    #[error("there is no host {index}: {hosts} match `{base}`")]
    Index {
        /// The index as it was written.
        index: String,
        /// How many hosts there are.
        hosts: usize,
        /// The pattern without its index.
        base: String,
    },
    /// `@FILE` could not be read.
    #[error("{0}")]
    LimitFile(String),
    /// The limit leaves no host over.
    #[error("the limit leaves no host")]
    NothingLeft,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line { file, line } => {
                write!(f, "{}:{line}: {}", plain(file), self.fault)
            }
            Place::Text(span) => {
                write!(f, "{}", self.fault)?;
                if self.pattern.is_empty() {
                    return Ok(());
                }
                let (shown, before, marks) = cut(&self.pattern, span);
                write!(
                    f,
                    "\n  {shown}\n  {}{}",
                    " ".repeat(before),
                    "^".repeat(marks)
                )
            }
        }
    }
}

/// The pattern around the place, the characters before it, and its width.
fn cut(pattern: &str, span: &Range<usize>) -> (String, usize, usize) {
    let count = |range: Range<usize>| pattern.get(range).map_or(0, |text| text.chars().count());
    let before = count(0..span.start);
    let skip = before.saturating_sub(SHOWN_CHARS_MAX / 2);
    let shown = pattern
        .chars()
        .skip(skip)
        .take(SHOWN_CHARS_MAX)
        .collect::<String>();
    let room = SHOWN_CHARS_MAX.saturating_sub(before.saturating_sub(skip));
    let marks = count(span.clone()).clamp(1, room.max(1));
    (plain(&shown), before.saturating_sub(skip), marks)
}

/// Without control characters, so that nothing reaches the terminal but text.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
