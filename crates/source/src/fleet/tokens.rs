//! Words of an inventory's host line, split as a POSIX shell does.

use std::ops::Range;

/// A word without its quotes, with its place in the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) span: Range<usize>,
}

/// A quote or backslash at this byte of the line has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfinished(pub(super) usize);

/// The words of a line; an unquoted `#` ends it.
pub(super) fn split(line: &str) -> Result<Vec<Token>, Unfinished> {
    split_as(line, true)
}

/// The words of a line in which `#` is a sign like any other.
pub(super) fn words(line: &str) -> Result<Vec<String>, Unfinished> {
    let tokens = split_as(line, false)?;
    Ok(tokens.into_iter().map(|token| token.text).collect())
}

fn split_as(line: &str, remarks: bool) -> Result<Vec<Token>, Unfinished> {
    let mut out: Vec<Token> = Vec::new();
    let mut word: Option<Token> = None;
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = at.saturating_add(c.len_utf8());
        // The blanks of Python's `shlex`, which knows no others.
        if matches!(c, ' ' | '\t' | '\r' | '\n') {
            out.extend(word.take());
            continue;
        }
        if c == '#' && remarks {
            break;
        }
        let open = word.get_or_insert_with(|| Token {
            text: String::new(),
            span: at..at,
        });
        open.span.end = next;
        match c {
            '\'' | '"' => {
                open.span.end = quoted(&mut chars, c, &mut open.text).ok_or(Unfinished(at))?;
            }
            '\\' => {
                let (at, c) = chars.next().ok_or(Unfinished(at))?;
                open.text.push(c);
                open.span.end = at.saturating_add(c.len_utf8());
            }
            _ => open.text.push(c),
        }
    }
    out.extend(word);
    Ok(out)
}

/// Reads to the closing quote; gives the byte after it.
fn quoted(
    chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
    quote: char,
    text: &mut String,
) -> Option<usize> {
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some(at.saturating_add(c.len_utf8()));
        }
        match (c, chars.peek()) {
            ('\\', Some((_, after))) if quote == '"' && (*after == '"' || *after == '\\') => {
                text.push(*after);
                chars.next();
            }
            _ => text.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_does() {
        for (line, words) in [
            ("a b=c", "a|b=c"),
            ("a b='c d' e=\"f \\\" g\"", "a|b=c d|e=f \" g"),
            ("a b=c\\ d # rest 'x", "a|b=c d"),
            ("a b=c#d", "a|b=c"),
            ("", ""),
        ] {
            let found: Vec<_> = split(line).unwrap().into_iter().map(|t| t.text).collect();
            assert_eq!(found.join("|"), words, "{line}");
        }
        assert_eq!(split("a b='c"), Err(Unfinished(4)));
        assert_eq!(split("a\\"), Err(Unfinished(1)));
    }
}
