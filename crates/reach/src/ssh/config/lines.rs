//! Lines of an OpenSSH configuration file: keyword and words.

/// One line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// The keyword in lower case.
    pub(super) keyword: String,
    /// The words behind it, quotes taken off.
    pub(super) words: Vec<String>,
    /// Everything behind it, as it stands.
    pub(super) rest: String,
}

/// Reads one line; `None` for empty ones and remarks.
pub(super) fn read(line: &str) -> Result<Option<Line>, &'static str> {
    let line = line.trim_matches([' ', '\t', '\r', '\u{c}']);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let end = line.find([' ', '\t', '=']).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    // One `=` may stand between.
    let rest = rest.trim_start_matches([' ', '\t']);
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let rest = rest.trim_start_matches([' ', '\t']);
    Ok(Some(Line {
        keyword: keyword.trim_matches('"').to_ascii_lowercase(),
        words: split(rest)?,
        rest: rest.to_owned(),
    }))
}

/// Splits words as OpenSSH does: quotes of both kinds, a backslash before quotes, backslashes and blanks,
/// and a remark from a `#` that begins a word.
fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut letters = text.chars().peekable();
    loop {
        while letters
            .next_if(|letter| matches!(letter, ' ' | '\t'))
            .is_some()
        {}
        match letters.peek() {
            None | Some('#') => return Ok(words),
            Some(_) => words.push(word(&mut letters)?),
        }
    }
}

fn word(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, &'static str> {
    let mut word = String::new();
    let mut quote = None;
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (_, '\\') => {
                let escaped = letters.next_if(|next| {
                    matches!(next, '"' | '\'' | '\\') || (quote.is_none() && *next == ' ')
                });
                word.push(escaped.unwrap_or('\\'));
            }
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, ' ' | '\t') => return Ok(word),
            (_, letter) => word.push(letter),
        }
    }
    match quote {
        None => Ok(word),
        Some(_) => Err("a quote is not closed"),
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use proptest::prelude::*;

    #[test]
    fn lines_are_split() {
        for (line, wanted) in [
            ("", "none"),
            ("  # x", "none"),
            ("Host a b # c", r#"host ["a", "b"]"#),
            ("\tPort=22", r#"port ["22"]"#),
            ("User = \"a b\"c", r#"user ["a bc"]"#),
            (
                r"IdentityFile a\ b 'c\' \d'",
                r#"identityfile ["a b", "c' \\d"]"#,
            ),
            ("Host a#b", r#"host ["a#b"]"#),
            ("Host \"\"", r#"host [""]"#),
            ("Host", r#"host []"#),
            ("User \"x", "a quote is not closed"),
        ] {
            let read = match read(line) {
                Ok(Some(line)) => format!("{} {:?}", line.keyword, line.words),
                Ok(None) => "none".to_owned(),
                Err(reason) => reason.to_owned(),
            };
            assert_eq!(read, wanted, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn any_line_does_no_harm(line in "[a-cP='\"\\\\ \t#]{0,30}|\\PC{0,30}") {
            let _read = read(&line);
        }
    }
}
