//! What reading an inventory needs from the world: files, folders, and the words of programs.

use crate::problem::SourceFile;

/// What stands at a path, links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing, or nothing that may be looked at.
    Missing,
    /// A file.
    File,
    /// A file that may be executed.
    Program,
    /// A folder.
    Folder,
}

/// Files and programs, as far as an inventory needs them. The reader of the real ones is
/// [`crate::read::Folders`]; programs are run by whoever calls.
pub trait Disk {
    /// What stands at a path.
    fn kind(&mut self, path: &str) -> Kind;

    /// The names in a folder, in any order.
    ///
    /// # Errors
    /// When it cannot be read, in a sentence that names it.
    fn names(&mut self, folder: &str) -> Result<Vec<String>, String>;

    /// The text of a file.
    ///
    /// # Errors
    /// When it cannot be read, is too large or no text, in a sentence that names it.
    fn text(&mut self, path: &str) -> Result<SourceFile, String>;

    /// What a program says on its standard output when it is started with these arguments.
    ///
    /// # Errors
    /// When it may not be run, fails, hangs or says too much, in a sentence that names it.
    fn said(&mut self, program: &str, arguments: &[&str]) -> Result<String, String>;
}

/// One file and nothing else.
pub(super) struct OneFile<'f>(pub(super) &'f SourceFile);

impl Disk for OneFile<'_> {
    fn kind(&mut self, path: &str) -> Kind {
        match path == self.0.name {
            true => Kind::File,
            false => Kind::Missing,
        }
    }

    fn names(&mut self, folder: &str) -> Result<Vec<String>, String> {
        Err(format!("{folder} is not read"))
    }

    fn text(&mut self, _path: &str) -> Result<SourceFile, String> {
        Ok(self.0.clone())
    }

    fn said(&mut self, program: &str, _arguments: &[&str]) -> Result<String, String> {
        Err(format!("{program} is not run"))
    }
}
