//! All files of an inventory, with what is wrong in them and what is passed over.

use crate::problem::{Lines, PROBLEMS_MAX, Problem, Problems, SourceFile, placed};
use std::cell::{Cell, OnceCell, RefCell};
use std::ops::Range;

/// A place in one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    file: u32,
    start: u32,
    end: u32,
}

/// One file and what was found in it.
#[derive(Debug)]
struct Page {
    file: SourceFile,
    lines: OnceCell<Lines>,
    problems: RefCell<Vec<Problem>>,
    notes: RefCell<Vec<Problem>>,
    left_out: Cell<usize>,
    /// Whether nothing of the text may be shown, because it was encrypted.
    hidden: bool,
}

/// The files of an inventory.
#[derive(Debug, Default)]
pub struct Book {
    pages: Vec<Page>,
}

/// A file of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId(u32);

impl FileId {
    /// A place in the file.
    pub(super) fn place(self, span: &Range<usize>) -> Place {
        let short = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Place {
            file: self.0,
            start: short(span.start),
            end: short(span.end),
        }
    }
}

impl Place {
    /// Whether the place is in this file.
    pub(super) fn is_in(self, file: FileId) -> bool {
        self.file == file.0
    }
}

impl Book {
    /// Takes a file up; nothing of the text of a hidden one is ever shown.
    pub(super) fn open(&mut self, file: SourceFile, hidden: bool) -> FileId {
        let id = FileId(u32::try_from(self.pages.len()).unwrap_or(u32::MAX));
        self.pages.push(Page {
            file,
            lines: OnceCell::new(),
            problems: RefCell::default(),
            notes: RefCell::default(),
            left_out: Cell::new(0),
            hidden,
        });
        id
    }

    fn page(&self, file: u32) -> Option<&Page> {
        self.pages.get(usize::try_from(file).unwrap_or(usize::MAX))
    }

    /// A file's name and text.
    pub(super) fn file(&self, file: FileId) -> SourceFile {
        self.page(file.0)
            .map(|page| page.file.clone())
            .unwrap_or_default()
    }

    /// Takes over what a reader of one file found.
    pub(super) fn absorb(&self, file: FileId, found: Vec<Problem>, left_out: usize) {
        if let Some(page) = self.page(file.0) {
            let found = found.into_iter().map(|problem| page.veiled(problem));
            page.problems.borrow_mut().extend(found);
            page.left_out
                .set(page.left_out.get().saturating_add(left_out));
        }
    }

    /// Something is wrong here.
    pub(super) fn problem(
        &self,
        place: Place,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        if let Some(page) = self.page(place.file) {
            let problem = page.at(place, message.into(), help.into());
            if !list(&page.problems, problem) {
                page.left_out.set(page.left_out.get().saturating_add(1));
            }
        }
    }

    /// Something here is not used.
    pub(super) fn note(
        &self,
        place: Place,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        if let Some(page) = self.page(place.file) {
            list(&page.notes, page.at(place, message.into(), help.into()));
        }
    }

    /// The problem itself, for whoever decides later whether it counts.
    pub(super) fn apart(&self, place: Place, message: String, help: Option<String>) -> Problems {
        match self.page(place.file) {
            Some(page) => Problems::of(&page.shown(), vec![page.at(place, message, help)], 0),
            None => loose("the fleet", message, help),
        }
    }

    /// The file's name and the line, from 1; 0 when the place is the file as a whole.
    pub fn line(&self, place: Place) -> (&str, u32) {
        match self.page(place.file) {
            Some(page) if place == whole(place.file) => (&page.file.name, 0),
            Some(page) => (
                &page.file.name,
                page.lines()
                    .line_of(usize::try_from(place.start).unwrap_or(0)),
            ),
            None => ("", 0),
        }
    }

    /// A place for people: `FILE:LINE`, or the file alone.
    pub(super) fn say(&self, place: Place) -> String {
        match self.line(place) {
            (file, 0) => file.to_owned(),
            (file, line) => format!("{file}:{line}"),
        }
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_clean(&self) -> bool {
        self.pages
            .iter()
            .all(|page| page.problems.borrow().is_empty())
    }

    /// All problems, file by file in the order in which the files were read.
    pub(super) fn problems(&self) -> Vec<Problems> {
        let wrong = self
            .pages
            .iter()
            .filter(|page| !page.problems.borrow().is_empty());
        wrong
            .map(|page| {
                let list = page.problems.borrow().clone();
                Problems::of(&page.shown(), list, page.left_out.get())
            })
            .collect()
    }

    /// All notes, each with the name of its file.
    pub(super) fn notes(&self) -> Vec<(String, Problem)> {
        let of_page = |page: &Page| {
            let name = page.file.name.clone();
            let notes = page.notes.borrow().clone();
            notes.into_iter().map(move |note| (name.clone(), note))
        };
        self.pages.iter().flat_map(of_page).collect()
    }
}

impl Page {
    fn shown(&self) -> SourceFile {
        match self.hidden {
            true => SourceFile::new(self.file.name.clone(), ""),
            false => self.file.clone(),
        }
    }

    fn lines(&self) -> &Lines {
        self.lines.get_or_init(|| Lines::of(&self.file.text))
    }

    fn at(&self, place: Place, message: String, help: Option<String>) -> Problem {
        if place == whole(place.file) {
            return Problem {
                message,
                help,
                span: None,
                line: 0,
                column: 0,
            };
        }
        let at = |byte: u32| usize::try_from(byte).unwrap_or(usize::MAX);
        let span = at(place.start)..at(place.end);
        self.veiled(placed(&self.file, self.lines(), &span, message, help))
    }

    /// The problem, without a word of a text that was encrypted.
    fn veiled(&self, problem: Problem) -> Problem {
        if !self.hidden {
            return problem;
        }
        Problem {
            message: "this line of the decrypted text cannot be used".to_owned(),
            help: Some("look at it with `ansible-vault view`".to_owned()),
            span: None,
            column: 0,
            line: problem.line,
        }
    }
}

/// Whether there was room for it.
fn list(list: &RefCell<Vec<Problem>>, problem: Problem) -> bool {
    let mut list = list.borrow_mut();
    if list.contains(&problem) {
        return true;
    }
    let room = list.len() < PROBLEMS_MAX;
    if room {
        list.push(problem);
    }
    room
}

/// The place that means a file as a whole.
const fn whole(file: u32) -> Place {
    Place {
        file,
        start: u32::MAX,
        end: u32::MAX,
    }
}

impl FileId {
    /// The file as a whole, where no line can be named.
    pub(super) fn whole(self) -> Place {
        whole(self.0)
    }
}

/// A problem of something that is no file.
pub(super) fn loose(name: &str, message: String, help: Option<String>) -> Problems {
    let problem = Problem {
        message,
        help,
        span: None,
        line: 0,
        column: 0,
    };
    Problems::of(&SourceFile::new(name, ""), vec![problem], 0)
}
