//! The tree that facts are read from: the host's own, or a folder in tests.

use memchr::memmem;
use rustix::fs::{Mode, OFlags};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

/// Largest of the small text files that are read.
pub(super) const TEXT_BYTES_MAX: u64 = 256 * 1024;

/// Most names of one folder that are looked at.
const NAMES_MAX: usize = 20_000;

/// Longest line of a file that is read line by line; the rest of a longer one is not kept.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Bytes that are searched at once: more than a line is long.
const SEARCHED_BYTES: usize = 4 * LINE_BYTES_MAX;

/// A folder that is taken for `/`.
#[derive(Clone, Debug)]
pub(super) struct Root(PathBuf);

impl Root {
    pub(super) fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// Where an absolute path is in this tree.
    pub(super) fn path(&self, absolute: &str) -> PathBuf {
        self.0.join(absolute.trim_start_matches('/'))
    }

    /// Opens a file of content. Whatever else has a name, such as a pipe, would keep the reader waiting.
    pub(super) fn open(&self, path: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = File::from(rustix::fs::open(self.path(path), flags, Mode::empty())?);
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::other("it is not a regular file"))
        }
    }

    /// A whole file, if it is no larger than that.
    pub(super) fn bytes(&self, path: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(path)?
            .take(bytes_max.saturating_add(1))
            .read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).is_ok_and(|size| size <= bytes_max) {
            return Ok(bytes);
        }
        let why = format!("it is larger than {bytes_max} bytes");
        Err(io::Error::new(io::ErrorKind::FileTooLarge, why))
    }

    /// A small text; nothing when there is no such file.
    pub(super) fn optional(&self, path: &str, bytes_max: u64) -> Result<Option<String>, String> {
        match self.bytes(path, bytes_max) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(format!("{path}: {error}")),
        }
    }

    /// A small text that must be there.
    pub(super) fn text(&self, path: &str) -> Result<String, String> {
        self.bytes(path, TEXT_BYTES_MAX)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .map_err(|error| format!("{path}: {error}"))
    }

    /// A small text, or nothing when it cannot be had for whatever reason: for what is but a hint.
    pub(super) fn hint(&self, path: &str) -> Option<String> {
        self.text(path).ok()
    }

    /// The names in a folder in their order; none when there is no such folder.
    pub(super) fn names(&self, dir: &str) -> Result<Vec<String>, String> {
        let wrong = |error: io::Error| format!("{dir}: {error}");
        let entries = match fs::read_dir(self.path(dir)) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(wrong(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            if names.len() >= NAMES_MAX {
                return Err(format!("{dir}: more than {NAMES_MAX} entries"));
            }
            names.push(text_of(&entry.map_err(wrong)?.file_name()));
        }
        names.sort();
        Ok(names)
    }

    /// The files of a folder as paths in this tree, those with this ending.
    pub(super) fn files(&self, dir: &str, ending: &str) -> Result<Vec<String>, String> {
        let names = self.names(dir)?;
        Ok(names
            .into_iter()
            .filter(|name| name.ends_with(ending))
            .map(|name| format!("{dir}/{name}"))
            .collect())
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// Where a link leads.
    pub(super) fn link(&self, path: &str) -> Option<String> {
        fs::read_link(self.path(path))
            .ok()
            .map(|target| text_of(target.as_os_str()))
    }

    /// The last part of where a link leads.
    pub(super) fn link_name(&self, path: &str) -> Option<String> {
        let target = self.link(path)?;
        Some(target.rsplit('/').next()?.to_owned())
    }
}

pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn text_of(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}

/// Hands each line of a source to `take`, in bounded memory, until that says no more.
pub(super) fn each_line(source: impl Read, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 18, source);
    // The start of a line whose end is not read yet.
    let mut begun: Vec<u8> = Vec::new();
    loop {
        let buffer = match reader.fill_buf() {
            Ok([]) => break,
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let mut rest = buffer;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            let go_on = if begun.is_empty() {
                take(line.get(..LINE_BYTES_MAX).unwrap_or(line))
            } else {
                keep(&mut begun, line);
                let go_on = take(&begun);
                begun.clear();
                go_on
            };
            if !go_on {
                return Ok(());
            }
        }
        keep(&mut begun, rest);
        let read = buffer.len();
        reader.consume(read);
    }
    if !begun.is_empty() {
        take(&begun);
    }
    Ok(())
}

/// As [`each_line`], for those lines alone that begin with this. Nearly all of a large file is passed over by one search
/// instead of line by line.
pub(super) fn each_line_with(
    mut source: impl Read,
    start: &[u8],
    mut take: impl FnMut(&[u8]) -> bool,
) -> io::Result<()> {
    // The end of the line before is part of what is looked for, and so the first line has one before it.
    let wanted = [b"\n", start].concat();
    let finder = memmem::Finder::new(&wanted);
    let mut buffer = vec![b'\n'; SEARCHED_BYTES];
    let mut filled = 1;
    loop {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        let full = room.is_empty();
        let read = if full { Ok(0) } else { source.read(room) };
        let read = match read {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        // Nothing more comes, or nothing more of this line is wanted.
        let cut = read == 0;
        filled = filled.saturating_add(read);
        let mut rest = buffer.get(..filled).unwrap_or_default();
        while let Some(line_at) = finder.find(rest) {
            let begun = rest.get(line_at..).unwrap_or_default();
            let line = begun.get(1..).unwrap_or_default();
            match memchr::memchr(b'\n', line) {
                Some(length) => {
                    let (line, after) = line.split_at(length);
                    if !take(line.get(..LINE_BYTES_MAX).unwrap_or(line)) {
                        return Ok(());
                    }
                    rest = after;
                }
                None if cut => {
                    let go_on = take(line.get(..LINE_BYTES_MAX).unwrap_or(line));
                    rest = &[];
                    if !go_on {
                        return Ok(());
                    }
                }
                None => {
                    rest = begun;
                    break;
                }
            }
        }
        if cut && !full {
            return Ok(());
        }
        let kept = kept_of(rest, &wanted);
        let from = filled.saturating_sub(kept);
        buffer.copy_within(from..filled, 0);
        filled = kept;
    }
}

/// How many of the last bytes may be the beginning of what is looked for, or of a line that is wanted.
fn kept_of(rest: &[u8], wanted: &[u8]) -> usize {
    if rest.starts_with(wanted) {
        rest.len()
    } else {
        rest.len().min(wanted.len().saturating_sub(1))
    }
}

/// Adds to a line what it may still hold.
fn keep(line: &mut Vec<u8>, more: &[u8]) {
    let room = LINE_BYTES_MAX.saturating_sub(line.len());
    line.extend(more.iter().take(room));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A source that gives a few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    fn lines(source: impl Read, at_most: usize) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        each_line(source, |line| {
            found.push(line.to_vec());
            found.len() < at_most
        })
        .unwrap();
        found
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_the_next_one_is_whole() {
        for piece in [1_000, 1 << 20] {
            let text = [vec![b'x'; 3 * LINE_BYTES_MAX], b"\nnext".to_vec()].concat();
            let found = lines(Slow(&text, piece), 9);
            let sizes: Vec<usize> = found.iter().map(Vec::len).collect();
            assert_eq!(sizes, [LINE_BYTES_MAX, 4]);
        }
    }

    fn lines_with(source: impl Read, start: &str, at_most: usize) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        each_line_with(source, start.as_bytes(), |line| {
            found.push(line.to_vec());
            found.len() < at_most
        })
        .unwrap();
        found
    }

    #[test]
    fn of_a_wanted_line_that_is_too_long_the_start_is_taken_and_the_search_goes_on() {
        for piece in [1_000, 1 << 20] {
            for long in [
                3 * LINE_BYTES_MAX,
                SEARCHED_BYTES - 2,
                SEARCHED_BYTES,
                9 * LINE_BYTES_MAX,
            ] {
                let text = [vec![b'x'; long], b"\nno\nxy\nx".to_vec()].concat();
                let found = lines_with(Slow(&text, piece), "x", 9);
                let sizes: Vec<usize> = found.iter().map(Vec::len).collect();
                assert_eq!(sizes, [LINE_BYTES_MAX, 2, 1], "{long} by {piece}");
            }
        }
    }

    proptest! {
        #[test]
        fn wanted_lines_are_those_that_begin_so_however_they_come(
            text in "[ab\n]{0,60}", start in "[ab]{1,3}", piece in 1_usize..9, at_most in 1_usize..9
        ) {
            let all = lines(Slow(text.as_bytes(), piece), usize::MAX).into_iter();
            let expected: Vec<Vec<u8>> =
                all.filter(|line| line.starts_with(start.as_bytes())).take(at_most).collect();
            prop_assert_eq!(lines_with(Slow(text.as_bytes(), piece), &start, at_most), expected);
        }

        #[test]
        fn lines_are_those_of_the_text_however_it_comes(
            text in "[ab\n]{0,60}", piece in 1_usize..9, at_most in 1_usize..9
        ) {
            let whole: Vec<Vec<u8>> = text.lines().take(at_most).map(|l| l.as_bytes().to_vec()).collect();
            prop_assert_eq!(lines(Slow(text.as_bytes(), piece), at_most), whole);
        }
    }
}
