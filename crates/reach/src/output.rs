//! What a command on a host printed: foreign bytes, of which a bounded part is kept.

use crate::ssh::strip;

/// Lines that a person is shown of a failure: a screen still holds them.
pub const TAIL_LINES_MAX: usize = 20;
/// The same in bytes, for the journal's sake.
pub const TAIL_BYTES_MAX: usize = 4 * 1024;
/// Raw bytes kept for the tail: more than [`TAIL_BYTES_MAX`], since escape sequences and progress
/// bars fall away.
const RAW_TAIL_BYTES_MAX: usize = 16 * 1024;
/// Longest last line in the words about a success.
const LAST_LINE_CHARS_MAX: usize = 120;

/// Turns foreign bytes into plain lines: escape sequences and control characters go, and of a line
/// that overwrites itself (a progress bar) the last state stays.
pub fn strip_escapes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for (place, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if place > 0 {
            out.push('\n');
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let shown = line.rsplit(|byte| *byte == b'\r').next().unwrap_or(line);
        out.push_str(strip(shown, usize::MAX).trim_end());
    }
    out
}

/// The last lines of an output, for a person.
pub fn tail(bytes: &[u8]) -> String {
    let plain = strip_escapes(bytes);
    let plain = plain.trim_matches('\n');
    let first_line = plain
        .rmatch_indices('\n')
        .nth(TAIL_LINES_MAX - 1)
        .map_or(0, |(at, _)| at + 1);
    let mut from = first_line.max(plain.len().saturating_sub(TAIL_BYTES_MAX));
    while !plain.is_char_boundary(from) {
        from += 1;
    }
    plain.get(from..).unwrap_or_default().to_owned()
}

/// The output of one attempt, collected over any number of connections.
#[derive(Debug)]
pub(crate) struct Heard {
    /// The first byte that was not heard yet.
    next: u64,
    /// The first byte that will come, after the last [`Heard::from`].
    coming: u64,
    tail: Vec<u8>,
}

impl Heard {
    pub(crate) fn new() -> Self {
        Self {
            next: 0,
            coming: 0,
            tail: Vec::new(),
        }
    }

    /// The first byte that is wanted next.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The helper said which byte comes next.
    pub(crate) fn from(&mut self, byte: u64) {
        self.coming = byte;
    }

    /// Takes bytes and returns those that were not heard before.
    pub(crate) fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let known = self.next.saturating_sub(self.coming);
        let known = usize::try_from(known)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        self.coming = self.coming.saturating_add(bytes.len() as u64);
        self.next = self.next.max(self.coming);
        let fresh = bytes.get(known..).unwrap_or_default();
        self.tail.extend(fresh);
        let surplus = self.tail.len().saturating_sub(RAW_TAIL_BYTES_MAX);
        self.tail.drain(..surplus);
        fresh
    }

    /// The last lines, for a person.
    pub(crate) fn tail(&self) -> String {
        tail(&self.tail)
    }

    /// The last line that says something.
    pub(crate) fn last_line(&self) -> Option<String> {
        let tail = self.tail();
        let line = tail.lines().rev().find(|line| !line.trim().is_empty())?;
        Some(line.trim().chars().take(LAST_LINE_CHARS_MAX).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_go_and_lines_stay() {
        for (from, to) in [
            ("a\nb\n", "a\nb\n"),
            ("  indented\r\nnext", "  indented\nnext"),
            ("\x1b[1;31mred\x1b[0m plain", "red plain"),
            ("10%\r50%\r100%\ndone", "100%\ndone"),
            ("\x1b]0;title\x07text\x1b[2J", "text"),
            ("\x1b]0;never ended\nnext line", "\nnext line"),
            ("bell\x07 null\x00", "bell null"),
        ] {
            assert_eq!(strip_escapes(from.as_bytes()), to, "{from:?}");
        }
    }

    #[test]
    fn the_tail_is_bounded_in_lines_and_bytes() {
        let many: String = (1..=100).map(|n| format!("line {n}\n")).collect();
        let tail_of_many = tail(many.as_bytes());
        assert_eq!(tail_of_many.lines().count(), TAIL_LINES_MAX);
        assert!(tail_of_many.starts_with("line 81\n") && tail_of_many.ends_with("line 100"));
        assert_eq!(tail("é".repeat(5_000).as_bytes()).len(), TAIL_BYTES_MAX);
        assert_eq!(tail(b""), "");
    }

    proptest! {
        #[test]
        fn nothing_that_steers_a_terminal_is_left(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let plain = strip_escapes(&bytes);
            prop_assert!(!plain.chars().any(|c| c.is_control() && c != '\n'), "{plain:?}");
            prop_assert_eq!(strip_escapes(plain.as_bytes()), plain.clone());
            let tail = tail(&bytes);
            prop_assert!(tail.len() <= TAIL_BYTES_MAX && tail.lines().count() <= TAIL_LINES_MAX);
        }

        #[test]
        fn cutting_and_repeating_bring_each_byte_once(text in "[a-z\n]{0,60}", cuts in prop::collection::vec((0_usize..60, 0_usize..20), 0..6)) {
            let mut heard = Heard::new();
            let mut fresh: Vec<u8> = Vec::new();
            let bytes = text.as_bytes();
            for (back, length) in cuts {
                let at = (heard.next() as usize).saturating_sub(back);
                heard.from(at as u64);
                fresh.extend(heard.take(&bytes[at..(at + length).min(bytes.len())]));
            }
            let at = heard.next() as usize;
            heard.from(at as u64);
            fresh.extend(heard.take(&bytes[at..]));
            prop_assert_eq!(fresh, bytes);
        }
    }
}
