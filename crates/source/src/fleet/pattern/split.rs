//! A written pattern's parts: between commas, else between colons that stand outside of brackets.

use super::address::is_address;
use std::ops::Range;

/// What Python's `str.strip` takes away.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// Where the parts stand, without the blanks around them; empty ones are left out.
pub(super) fn split(pattern: &str) -> Vec<Range<usize>> {
    let spans = if pattern.contains(',') {
        at_commas(pattern)
    } else if is_address(pattern) {
        std::iter::once(0..pattern.len()).collect()
    } else {
        outside_of_brackets(pattern)
    };
    spans
        .into_iter()
        .map(|span| trimmed(pattern, span))
        .filter(|span| !span.is_empty())
        .collect()
}

fn at_commas(pattern: &str) -> Vec<Range<usize>> {
    let mut start = 0_usize;
    let mut out = Vec::new();
    for part in pattern.split(',') {
        let end = start.saturating_add(part.len());
        out.push(start..end);
        start = end.saturating_add(1);
    }
    out
}

fn trimmed(pattern: &str, span: Range<usize>) -> Range<usize> {
    let text = pattern.get(span.clone()).unwrap_or_default();
    let left = text
        .len()
        .saturating_sub(text.trim_start_matches(is_blank).len());
    let kept = text.trim_matches(is_blank).len();
    let start = span.start.saturating_add(left);
    start..start.saturating_add(kept)
}

/// Longest runs of whole `[...]` and of what is neither blank, colon nor bracket.
fn outside_of_brackets(pattern: &str) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    let mut run: Option<usize> = None;
    let mut at = 0;
    while let Some((rest, c)) = pattern.get(at..).and_then(|r| Some((r, r.chars().next()?))) {
        let taken = match c {
            '[' => rest.find(']').map(|end| end.saturating_add(1)),
            ']' | ':' => None,
            c if is_blank(c) => None,
            c => Some(c.len_utf8()),
        };
        match taken {
            Some(_) => {
                run.get_or_insert(at);
            }
            None => out.extend(run.take().map(|start| start..at)),
        }
        at = at.saturating_add(taken.unwrap_or(c.len_utf8()));
    }
    out.extend(run.map(|start| start..pattern.len()));
    out
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn parts() {
        for (text, expected) in [
            ("web:&zone_a:!web-3", vec!["web", "&zone_a", "!web-3"]),
            ("a,b[1], c[2:3] , d", vec!["a", "b[1]", "c[2:3]", "d"]),
            ("a:b,c", vec!["a:b", "c"]),
            ("web[0:2]", vec!["web[0:2]"]),
            ("web[0:2]:db[1]", vec!["web[0:2]", "db[1]"]),
            ("::1", vec!["::1"]),
            ("web:80", vec!["web:80"]),
            (" web : db ", vec!["web", "db"]),
            ("~(a|b):c", vec!["~(a|b)", "c"]),
            ("a[b:c", vec!["a", "b", "c"]),
            ("a]b", vec!["a", "b"]),
            (",, ,", vec![]),
            ("", vec![]),
        ] {
            let found: Vec<&str> = split(text).into_iter().map(|span| &text[span]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
