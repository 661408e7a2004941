//! Files written whole, and files edited.

use super::replace::{self, Fresh};
use crate::edit::{self, EditError};
use crate::process;
use overhaul_model::primitive::{EditFile, WriteFile};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest file that is edited or compared: configuration has some kilobytes.
pub const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Longest that the command may take which judges an edited file.
const VALIDATE_S_MAX: u64 = 60;

/// Output of that command that is kept: its last line is the reason of a refusal.
const VALIDATE_BYTES_MAX: u64 = 16 * 1024;

/// Largest mode with permission bits alone.
const MODE_MAX: u32 = 0o7777;

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Whether the file is another one than before.
    pub changed: bool,
    /// What was done, in a few words.
    pub detail: String,
}

/// A file could not be changed; it is as it was.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The path is not absolute, or leads to no plain file.
    #[error("{path}: {why}")]
    Path {
        /// The path.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// The file system said no.
    #[error("{path} cannot be {doing}: {why}")]
    Io {
        /// `read`, `written`, ...
        doing: &'static str,
        /// The path.
        path: String,
        /// Why.
        why: io::Error,
    },
    /// The edits do not fit.
    #[error("{path} cannot be edited: {why}")]
    Edit {
        /// The path.
        path: String,
        /// Why.
        why: EditError,
    },
    /// The command that judges the new content does not take it.
    #[error("{path} would not be valid: {why}")]
    NotValid {
        /// The path.
        path: String,
        /// Why.
        why: String,
    },
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.display().to_string();
    move |why| FileError::Io { doing, path, why }
}

/// Writes a file whole, or takes it away.
///
/// A symbolic link at the path is followed and stays: the file that it leads to is written.
///
/// # Errors
/// When it cannot be; the file is then as it was.
pub fn write(file: &WriteFile) -> Result<Changed, FileError> {
    let path = absolute(&file.path)?;
    if file.mode.is_some_and(|mode| mode > MODE_MAX) {
        return Err(FileError::Path {
            path: file.path.clone(),
            why: "the mode has more than permission bits",
        });
    }
    if file.absent {
        return remove(path, file.backup);
    }
    let target = resolve(path)?;
    let old = read_old(&target)?;
    let same_mode = file.mode.is_none_or(|mode| mode_of(&target) == Some(mode));
    if old.as_deref() == Some(file.content.as_bytes()) && same_mode {
        return Ok(nothing("it was so already"));
    }
    if let Some(old) = old.as_deref().filter(|_| file.backup) {
        replace::back_up(&target, old).map_err(io_error("backed up", &target))?;
    }
    Fresh::write(&target, file.content.as_bytes(), file.mode)
        .and_then(Fresh::put)
        .map_err(io_error("written", &target))?;
    Ok(done(if old.is_some() {
        "written anew"
    } else {
        "made"
    }))
}

/// Edits a file that exists.
///
/// A symbolic link at the path is followed and stays, as for [`write`].
///
/// # Errors
/// When it is not there, is no text, or the new content is not valid; the file is then as it was.
pub fn edit(file: &EditFile) -> Result<Changed, FileError> {
    let (target, old, new) = edited_text(file)?;
    if old == new {
        return Ok(nothing("it was so already"));
    }
    let fresh =
        Fresh::write(&target, new.as_bytes(), None).map_err(io_error("written", &target))?;
    if let Some(why) = file
        .validate
        .as_deref()
        .and_then(|judge| why_not_valid(judge, fresh.path()))
    {
        fresh.discard();
        let path = file.path.clone();
        return Err(FileError::NotValid { path, why });
    }
    if file.backup
        && let Err(error) = replace::back_up(&target, old.as_bytes())
    {
        fresh.discard();
        return Err(io_error("backed up", &target)(error));
    }
    fresh.put().map_err(io_error("written", &target))?;
    Ok(done("edited"))
}

/// The file that is meant, its text, and its text after the edits.
///
/// # Errors
/// When it is not there, is no text, or the edits do not fit.
pub fn edited_text(file: &EditFile) -> Result<(PathBuf, String, String), FileError> {
    let target = resolve(absolute(&file.path)?)?;
    let old = read_old(&target)?.ok_or_else(|| FileError::Path {
        path: file.path.clone(),
        why: "there is no such file to edit",
    })?;
    let old = String::from_utf8(old).map_err(|_| FileError::Path {
        path: file.path.clone(),
        why: "it is not text in UTF-8",
    })?;
    let new = edit::apply(&old, &file.edits).map_err(|why| FileError::Edit {
        path: file.path.clone(),
        why,
    })?;
    Ok((target, old, new))
}

/// Whether the file is as it would be written; what differs, if not.
///
/// # Errors
/// When it cannot be read.
pub fn differs(file: &WriteFile) -> Result<Option<&'static str>, FileError> {
    let path = absolute(&file.path)?;
    if file.absent {
        let there = fs::symlink_metadata(path).is_ok();
        return Ok(there.then_some("it is there"));
    }
    let target = resolve(path)?;
    let Some(old) = read_old(&target)? else {
        return Ok(Some("it is not there"));
    };
    if old != file.content.as_bytes() {
        return Ok(Some("its content differs"));
    }
    let same_mode = file.mode.is_none_or(|mode| mode_of(&target) == Some(mode));
    Ok((!same_mode).then_some("its mode differs"))
}

fn remove(path: &Path, backup: bool) -> Result<Changed, FileError> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(nothing("it was not there"));
        }
        Err(error) => return Err(io_error("read", path)(error)),
    };
    if meta.is_dir() {
        return Err(FileError::Path {
            path: path.display().to_string(),
            why: "it is a directory",
        });
    }
    if backup && meta.is_file() {
        let old = read_old(path)?.unwrap_or_default();
        replace::back_up(path, &old).map_err(io_error("backed up", path))?;
    }
    fs::remove_file(path)
        .and_then(|()| replace::sync_parent(path))
        .map_err(io_error("removed", path))?;
    Ok(done("removed"))
}

fn absolute(path: &str) -> Result<&Path, FileError> {
    let found = Path::new(path);
    let wrong = |why| FileError::Path {
        path: path.to_owned(),
        why,
    };
    if !found.is_absolute() {
        return Err(wrong("the path is not absolute"));
    }
    if path.contains('\0') || path.ends_with('/') || found.file_name().is_none() {
        return Err(wrong("the path does not name a file"));
    }
    Ok(found)
}

/// Where the content really stands: the end of a chain of links, or the path itself.
fn resolve(path: &Path) -> Result<PathBuf, FileError> {
    let wrong = |why| FileError::Path {
        path: path.display().to_string(),
        why,
    };
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => Ok(path.to_owned()),
        Ok(meta) if meta.is_symlink() => {
            let target = fs::canonicalize(path).map_err(io_error("followed", path))?;
            let plain = fs::metadata(&target).is_ok_and(|meta| meta.is_file());
            if plain {
                Ok(target)
            } else {
                Err(wrong("it leads to something that is no plain file"))
            }
        }
        Ok(_) => Err(wrong("it is no plain file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

fn read_old(target: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match crate::store::read_capped(target, FILE_BYTES_MAX) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", target)(error)),
    }
}

fn mode_of(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|meta| meta.mode() & MODE_MAX)
}

fn why_not_valid(judge: &[String], fresh: &Path) -> Option<String> {
    let path = fresh.display().to_string();
    let mut words = judge.iter().map(|word| word.replace("{path}", &path));
    let Some(program) = words.next() else {
        return Some("the command that judges it is empty".to_owned());
    };
    let judged = process::run_bounded(
        process::plain(program, words),
        Duration::from_secs(VALIDATE_S_MAX),
        VALIDATE_BYTES_MAX,
    );
    match judged {
        Ok(done) if done.status.success() => None,
        Ok(done) => Some(format!("{} ({})", done.last_line(), done.status)),
        Err(gone) => Some(gone.to_string()),
    }
}

fn done(detail: &str) -> Changed {
    Changed {
        changed: true,
        detail: detail.to_owned(),
    }
}

fn nothing(detail: &str) -> Changed {
    Changed {
        changed: false,
        detail: detail.to_owned(),
    }
}
