//! What is wrong in a file, where, and what to do about it.

use crate::read::FILE_BYTES_MAX;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Range;

/// Problems listed for one file: more than a person reads at once.
pub(crate) const PROBLEMS_MAX: usize = 200;

/// Width of a line of the file shown beside a problem; longer ones are cut around the place.
const SHOWN_CHARS_MAX: usize = 160;

/// A file's name and text. Its `Debug` shows no text, because an inventory may hold passwords.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// What people know it by, as a rule its path.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl SourceFile {
    /// From a name and a text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceFile({}, {} bytes)", self.name, self.text.len())
    }
}

/// One thing that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, in a sentence without its place.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The place in the file's text, in bytes; never longer than its line.
    pub span: Option<Range<usize>>,
    /// The line, from 1; 0 when it stands in no file.
    pub line: u32,
    /// The column in characters, from 1; 0 when only the line is known.
    pub column: u32,
}

/// Everything that is wrong in a file.
///
/// The file's text is kept for showing its lines; values of passwords in it are blanked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    /// The file.
    pub file: SourceFile,
    /// The problems, in the order of their places.
    pub list: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            problem.show(&self.file, f)?;
        }
        Ok(())
    }
}

impl Problem {
    fn show(&self, file: &SourceFile, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}: {}", file.name, self.message)?,
            (line, 0) => write!(f, "{}:{line}: {}", file.name, self.message)?,
            (line, column) => write!(f, "{}:{line}:{column}: {}", file.name, self.message)?,
        }
        if let Some(span) = &self.span {
            let lines = Lines::of(&file.text);
            let range = lines.range_of(self.line);
            let (line, before) = shown_line(&file.text, &range, span);
            let marks = file
                .text
                .get(span.clone())
                .map_or(1, |text| text.chars().count())
                .clamp(1, SHOWN_CHARS_MAX);
            let number = self.line.to_string();
            write!(f, "\n{number} | {line}")?;
            write!(
                f,
                "\n{} | {}{}",
                " ".repeat(number.len()),
                " ".repeat(before),
                "^".repeat(marks)
            )?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// The line of a place, tabs as blanks, and the characters that stand before the place.
fn shown_line(text: &str, line: &Range<usize>, span: &Range<usize>) -> (String, usize) {
    let before = text
        .get(line.start..span.start.max(line.start))
        .map_or(0, |t| t.chars().count());
    let skip = before.saturating_sub(SHOWN_CHARS_MAX / 2);
    let shown = text.get(line.clone()).unwrap_or_default();
    let shown: String = shown
        .chars()
        .filter(|c| *c != '\u{feff}')
        .skip(skip)
        .take(SHOWN_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let bom = text.starts_with('\u{feff}') && line.start == 0;
    (
        shown.trim_end().to_owned(),
        before.saturating_sub(skip).saturating_sub(usize::from(bom)),
    )
}

/// Where the lines of a text begin.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    starts: Vec<usize>,
    end: usize,
}

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        let after_breaks = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(at, _)| at.saturating_add(1));
        Self {
            starts: std::iter::once(0).chain(after_breaks).collect(),
            end: text.len(),
        }
    }

    /// The line, from 1, that holds this byte.
    pub(crate) fn line_of(&self, byte: usize) -> u32 {
        let line = self.starts.partition_point(|start| *start <= byte);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// The bytes of a line, its end included; empty when there is no such line.
    pub(crate) fn range_of(&self, line: u32) -> Range<usize> {
        let index = usize::try_from(line).unwrap_or(usize::MAX);
        let at = |index: usize| self.starts.get(index).copied();
        match index.checked_sub(1).and_then(at) {
            Some(start) => start..at(index).unwrap_or(self.end),
            None => self.end..self.end,
        }
    }
}

/// Collects the problems of one file while its readers go on.
pub(crate) struct Sink<'a> {
    pub(crate) file: &'a SourceFile,
    lines: Lines,
    list: RefCell<Vec<Problem>>,
    left_out: Cell<usize>,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(file: &'a SourceFile) -> Self {
        // A file that is not read is not looked through either.
        let text = if too_large(file) { "" } else { &file.text };
        Self {
            file,
            lines: Lines::of(text),
            list: RefCell::new(Vec::new()),
            left_out: Cell::new(0),
        }
    }

    pub(crate) fn add(&self, span: &Range<usize>, message: impl Into<String>) {
        self.put(span, message.into(), None);
    }

    pub(crate) fn add_with_help(
        &self,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.put(span, message.into(), Some(help.into()));
    }

    /// Whether the file is larger than any that is read; reports it.
    pub(crate) fn refuses_size(&self) -> bool {
        let refused = too_large(self.file);
        if refused {
            let message = format!("the file is larger than {FILE_BYTES_MAX} bytes");
            self.add_loose(message, None);
        }
        refused
    }

    /// A problem that stands nowhere in the file.
    pub(crate) fn add_loose(&self, message: String, help: Option<String>) {
        self.list_problem(Problem {
            message,
            help,
            span: None,
            line: 0,
            column: 0,
        });
    }

    /// The bytes from a line to the end of the file.
    pub(crate) fn below(&self, line: u32) -> Range<usize> {
        self.lines.range_of(line.max(1)).start..self.file.text.len()
    }

    fn put(&self, span: &Range<usize>, message: String, help: Option<String>) {
        self.list_problem(self.problem(span, message, help));
    }

    fn list_problem(&self, problem: Problem) {
        let mut list = self.list.borrow_mut();
        if list.len() < PROBLEMS_MAX {
            if !list.contains(&problem) {
                list.push(problem);
            }
        } else {
            self.left_out.set(self.left_out.get().saturating_add(1));
        }
    }

    /// A problem at a place, which is cut at the end of its first line.
    pub(crate) fn problem(
        &self,
        span: &Range<usize>,
        message: String,
        help: Option<String>,
    ) -> Problem {
        placed(self.file, &self.lines, span, message, help)
    }

    /// The line of a place, from 1.
    pub(crate) fn line(&self, span: &Range<usize>) -> u32 {
        self.lines.line_of(span.start)
    }

    pub(crate) fn count(&self) -> usize {
        self.list.borrow().len()
    }

    /// The value, or all problems if there is one.
    pub(crate) fn into_result<T>(self, value: Option<T>) -> Result<T, Problems> {
        let list = self.list.into_inner();
        match value {
            Some(value) if list.is_empty() => Ok(value),
            _ => Err(Problems::of(self.file, list, self.left_out.get())),
        }
    }

    /// The problems so far, and how many more there were.
    pub(crate) fn into_parts(self) -> (Vec<Problem>, usize) {
        (self.list.into_inner(), self.left_out.get())
    }
}

impl Problems {
    /// All problems of a file, in the order of their places; `left_out` more are only counted.
    pub(crate) fn of(file: &SourceFile, mut list: Vec<Problem>, left_out: usize) -> Self {
        list.sort_by_key(|problem| (problem.line, problem.column));
        if left_out > 0 {
            list.push(Problem {
                message: format!("{left_out} more problems are not listed"),
                help: Some("correct the ones above first".to_owned()),
                span: None,
                line: 0,
                column: 0,
            });
        }
        Self {
            file: without_passwords(file),
            list,
        }
    }
}

/// A problem at a place of a file, which is cut at the end of its first line.
pub(crate) fn placed(
    file: &SourceFile,
    lines: &Lines,
    span: &Range<usize>,
    message: String,
    help: Option<String>,
) -> Problem {
    let text = &file.text;
    let start = floor(text, span.start.min(text.len()));
    let line = lines.line_of(start);
    let range = lines.range_of(line);
    let content = text.get(range.clone()).unwrap_or_default();
    let line_end = range.start.saturating_add(content.trim_end().len());
    let end = floor(text, span.end.min(line_end).max(start));
    let before = text.get(range.start..start).unwrap_or_default();
    let column = before.chars().filter(|c| *c != '\u{feff}').count();
    Problem {
        message,
        help,
        span: Some(start..end),
        line,
        column: u32::try_from(column).unwrap_or(u32::MAX).saturating_add(1),
    }
}

fn too_large(file: &SourceFile) -> bool {
    u64::try_from(file.text.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// The file with everything blanked that follows the name of a password on its line, and the lines
/// below it that are indented deeper. Generous on purpose, and every byte keeps its place.
fn without_passwords(file: &SourceFile) -> SourceFile {
    if too_large(file) {
        return SourceFile::new(file.name.clone(), "");
    }
    let mut out = String::with_capacity(file.text.len());
    let mut below: Option<usize> = None;
    for line in file.text.split_inclusive('\n') {
        let indent = line.len().saturating_sub(line.trim_start().len());
        if let Some(limit) = below
            && (indent > limit || line.trim().is_empty())
        {
            out.push_str(&blanked(line));
            continue;
        }
        below = None;
        match password_value(line) {
            Some(at) => {
                let (shown, hidden) = line.split_at(at);
                out.push_str(shown);
                out.push_str(&blanked(hidden));
                below = Some(indent);
            }
            None => out.push_str(line),
        }
    }
    SourceFile::new(file.name.clone(), out)
}

/// Where the value begins in a line that names a password.
fn password_value(line: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    let names = ["password", "_pass", "passwd", "secret"];
    let after = |name: &str| {
        let at = lower.find(name)?.saturating_add(name.len());
        let sign = lower.get(at..)?.find(['=', ':'])?;
        Some(at.saturating_add(sign).saturating_add(1))
    };
    names.into_iter().filter_map(after).min()
}

fn blanked(text: &str) -> String {
    let blank = |c: char| {
        let width = if c.is_whitespace() { 0 } else { c.len_utf8() };
        let keep = (width == 0).then_some(c);
        std::iter::repeat_n('*', width).chain(keep)
    };
    text.chars().flat_map(blank).collect()
}
