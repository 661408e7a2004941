//! A pattern as a person writes it.

use super::error::{PatternError, PatternFault, Place};
use super::name::Name;
use super::split::{is_blank, split};
use std::collections::BTreeMap;

/// Longest pattern: the longest single argument that Linux hands to a program.
const PATTERN_BYTES_MAX: usize = 128 * 1024;

/// Most parts of a pattern, those of its files included: every host of the largest fleet by its name.
const PARTS_MAX: usize = 1_000_000;

/// Regular expressions and globs in one pattern. Each is tried on every host, so that more would not be waited for.
const SEARCHES_MAX: usize = 1_000;

/// A host pattern, read: its parts are whole, its regular expressions compiled.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub(super) text: String,
    pub(super) parts: Vec<Part>,
}

/// A part and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) name: Name,
    pub(super) place: Place,
}

impl Pattern {
    /// Reads a pattern. An empty one means `all`.
    ///
    /// # Errors
    /// A sign alone, a wrong regular expression, a pattern beyond the bounds.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        Self::read(text, &mut Vec::new(), None)
    }

    /// Reads a limit: a pattern in which `@FILE` stands for the lines of a file, each of which is one part.
    ///
    /// `read` gives a file's text, or says why it cannot.
    ///
    /// # Errors
    /// Those of [`Pattern::parse`], and a file that cannot be read.
    pub fn parse_limit(
        text: &str,
        mut read: impl FnMut(&str) -> Result<String, String>,
    ) -> Result<Self, PatternError> {
        let mut files = BTreeMap::new();
        let mut parts = Vec::new();
        for span in spans(text)? {
            let Some(file) = text
                .get(span.clone())
                .and_then(|part| part.strip_prefix('@'))
            else {
                continue;
            };
            let lines = read(file).map_err(|why| PatternError {
                pattern: text.to_owned(),
                place: Place::Text(span.clone()),
                fault: PatternFault::LimitFile(why),
            })?;
            files.insert(span.start, lines);
        }
        Self::read(text, &mut parts, Some(&files))
    }

    /// The pattern as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn read(
        text: &str,
        parts: &mut Vec<Part>,
        files: Option<&BTreeMap<usize, String>>,
    ) -> Result<Self, PatternError> {
        let mut searches = 0_usize;
        let mut add = |whole: &str, place: Place| {
            let wrong = |fault| PatternError {
                pattern: text.to_owned(),
                place: place.clone(),
                fault,
            };
            let name = Name::read(whole).map_err(wrong)?;
            searches = searches.saturating_add(usize::from(name.searches()));
            if searches > SEARCHES_MAX {
                return Err(wrong(PatternFault::TooManySearches(SEARCHES_MAX)));
            }
            if parts.len() >= PARTS_MAX {
                return Err(wrong(PatternFault::TooMany(PARTS_MAX)));
            }
            parts.push(Part { name, place });
            Ok(())
        };
        for span in spans(text)? {
            let whole = text.get(span.clone()).unwrap_or_default();
            let Some(lines) = files.and_then(|files| files.get(&span.start)) else {
                add(whole, Place::Text(span))?;
                continue;
            };
            for (number, line) in lines.split('\n').enumerate() {
                let line = line.trim_matches(is_blank);
                if !line.is_empty() {
                    let file = whole.trim_start_matches('@').to_owned();
                    let line_number = number.saturating_add(1);
                    add(
                        line,
                        Place::Line {
                            file,
                            line: line_number,
                        },
                    )?;
                }
            }
        }
        Ok(Self {
            text: text.to_owned(),
            parts: std::mem::take(parts),
        })
    }
}

fn spans(text: &str) -> Result<Vec<std::ops::Range<usize>>, PatternError> {
    if text.len() > PATTERN_BYTES_MAX {
        return Err(PatternError {
            pattern: String::new(),
            place: Place::Text(0..0),
            fault: PatternFault::TooLong(PATTERN_BYTES_MAX),
        });
    }
    Ok(split(text))
}
