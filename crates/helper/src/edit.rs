//! Edits of a text, pure. The same edits made again change nothing, or are refused in the first place.

use overhaul_model::primitive::Edit;

/// Largest text that may come out: a short `find` and a long `with` could fill any memory.
pub const TEXT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The edits cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A part of an edit cannot stand in one line.
    #[error("the {part} {text:?} must be one line")]
    NotOneLine {
        /// `key`, `value`, ...
        part: &'static str,
        /// The text.
        text: String,
    },
    /// A part of an edit is empty, or begins or ends with a blank.
    #[error("the {part} {text:?} must neither be empty nor begin or end with a blank")]
    Blank {
        /// `key` or `text to find`.
        part: &'static str,
        /// The text.
        text: String,
    },
    /// Made again, the edits would change the text again.
    #[error("the edits work against each other: made twice, they give another text than made once")]
    NotIdempotent,
    /// The text would be too long.
    #[error("the text would be longer than {TEXT_BYTES_MAX} bytes")]
    TooLong,
}

/// The text after the edits.
///
/// # Errors
/// When they make no sense, or made twice would give another text than made once.
pub fn apply(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    for edit in edits {
        check(edit)?;
    }
    let once = apply_once(text, edits)?;
    if apply_once(&once, edits)? == once {
        Ok(once)
    } else {
        Err(EditError::NotIdempotent)
    }
}

fn check(edit: &Edit) -> Result<(), EditError> {
    match edit {
        Edit::Set {
            key,
            value,
            separator,
        } => {
            one_line("key", key)?;
            one_line("value", value)?;
            one_line("separator", separator)?;
            if key.is_empty() || key.trim() != key {
                return Err(blank("key", key));
            }
            if separator.is_empty() {
                return Err(blank("separator", separator));
            }
            Ok(())
        }
        Edit::Line { line } | Edit::Remove { line } => one_line("line", line),
        Edit::Replace { find, .. } if find.is_empty() => Err(blank("text to find", find)),
        Edit::Replace { .. } => Ok(()),
    }
}

fn one_line(part: &'static str, text: &str) -> Result<(), EditError> {
    if text.contains(['\n', '\r']) {
        let text = text.to_owned();
        return Err(EditError::NotOneLine { part, text });
    }
    Ok(())
}

fn blank(part: &'static str, text: &str) -> EditError {
    let text = text.to_owned();
    EditError::Blank { part, text }
}

fn apply_once(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    let mut text = text.to_owned();
    for edit in edits {
        text = match edit {
            Edit::Set {
                key,
                value,
                separator,
            } => set(&text, key, value, separator),
            Edit::Line { line } => with_line(text, line),
            Edit::Remove { line } => without_line(&text, line),
            Edit::Replace { find, with } => replace(&text, find, with)?,
        };
        if text.len() > TEXT_BYTES_MAX {
            return Err(EditError::TooLong);
        }
    }
    Ok(text)
}

fn set(text: &str, key: &str, value: &str, separator: &str) -> String {
    let wanted = format!("{key}{separator}{value}");
    let mut out = String::with_capacity(text.len().saturating_add(wanted.len()));
    let mut found = false;
    for line in text.split_inclusive('\n') {
        let (content, ending) = split_ending(line);
        let Some(indent) = indent_of_key(content, key, separator) else {
            out.push_str(line);
            continue;
        };
        if !found {
            out.push_str(indent);
            out.push_str(&wanted);
            out.push_str(ending);
        }
        found = true;
    }
    if found {
        return out;
    }
    append(out, &wanted)
}

/// The blanks before the key, if the line sets this key. Where the separator is more than blanks, blanks
/// around it do not matter.
fn indent_of_key<'a>(line: &'a str, key: &str, separator: &str) -> Option<&'a str> {
    let trimmed = line.trim_start();
    let indent = line.get(..line.len().saturating_sub(trimmed.len()))?;
    let rest = trimmed.strip_prefix(key)?;
    let mark = separator.trim();
    let sets = if mark.is_empty() {
        rest.is_empty() || rest.starts_with(char::is_whitespace)
    } else {
        rest.trim_start().starts_with(mark)
    };
    sets.then_some(indent)
}

fn split_ending(line: &str) -> (&str, &str) {
    let content = line.strip_suffix('\n').unwrap_or(line);
    let content = content.strip_suffix('\r').unwrap_or(content);
    line.split_at(content.len())
}

fn append(mut text: String, line: &str) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(line);
    text.push('\n');
    text
}

fn with_line(text: String, line: &str) -> String {
    if text.lines().any(|present| present == line) {
        text
    } else {
        append(text, line)
    }
}

fn without_line(text: &str, line: &str) -> String {
    text.split_inclusive('\n')
        .filter(|present| split_ending(present).0 != line)
        .collect()
}

fn replace(text: &str, find: &str, with: &str) -> Result<String, EditError> {
    let longer = with.len().saturating_sub(find.len());
    let count = text.matches(find).count();
    if text.len().saturating_add(count.saturating_mul(longer)) > TEXT_BYTES_MAX {
        return Err(EditError::TooLong);
    }
    Ok(text.replace(find, with))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set_to(key: &str, value: &str, separator: &str) -> Edit {
        Edit::Set {
            key: key.to_owned(),
            value: value.to_owned(),
            separator: separator.to_owned(),
        }
    }

    fn line(line: &str) -> Edit {
        Edit::Line {
            line: line.to_owned(),
        }
    }

    fn remove(line: &str) -> Edit {
        Edit::Remove {
            line: line.to_owned(),
        }
    }

    fn replace_by(find: &str, with: &str) -> Edit {
        Edit::Replace {
            find: find.to_owned(),
            with: with.to_owned(),
        }
    }

    #[test]
    fn each_edit_does_what_it_says() {
        for (text, edit, expected) in [
            ("a = 1\nb = 2\n", set_to("a", "9", " = "), "a = 9\nb = 2\n"),
            ("b=2\na =1\na=3\n", set_to("a", "9", "="), "b=2\na=9\n"),
            (
                "  a=1\r\nb=2\r\n",
                set_to("a", "9", "="),
                "  a=9\r\nb=2\r\n",
            ),
            ("#a=1\nab=2", set_to("a", "9", "="), "#a=1\nab=2\na=9\n"),
            (
                "Port\t22\nPortX 1\n",
                set_to("Port", "23", " "),
                "Port 23\nPortX 1\n",
            ),
            ("a=1", set_to("a", "9", "="), "a=9"),
            ("", set_to("a", "", "="), "a=\n"),
            ("x\ny", line("y"), "x\ny"),
            ("x\ny", line("z"), "x\ny\nz\n"),
            ("x\ny\nx\n", remove("x"), "y\n"),
            ("xx\n", remove("x"), "xx\n"),
            (
                "deb bookworm main\n",
                replace_by("bookworm", "trixie"),
                "deb trixie main\n",
            ),
        ] {
            assert_eq!(
                apply(text, std::slice::from_ref(&edit)).as_deref(),
                Ok(expected),
                "{edit:?}"
            );
        }
    }

    #[test]
    fn edits_that_make_no_sense_are_refused() {
        for edits in [
            vec![set_to("", "1", "=")],
            vec![set_to(" a", "1", "=")],
            vec![set_to("a", "1\nb=2", "=")],
            vec![set_to("a", "1", "")],
            vec![line("a\nb")],
            vec![replace_by("", "x")],
            vec![replace_by("a", "aa")],
            vec![replace_by("ab", "a")],
            vec![line("a"), replace_by("a", "b")],
        ] {
            assert!(apply("abb a", &edits).is_err(), "{edits:?}");
        }
        let long = "a".repeat(4096);
        let bomb = replace_by("a", &"b".repeat(4096));
        assert_eq!(apply(&long, &[bomb]), Err(EditError::TooLong));
    }

    fn any_edit() -> impl Strategy<Value = Edit> {
        prop_oneof![
            ("[ab= #]{0,3}", "[ab=]{0,3}", "[= ]{0,2}").prop_map(|(k, v, s)| set_to(&k, &v, &s)),
            "[ab= ]{0,4}".prop_map(|text| line(&text)),
            "[ab= ]{0,4}".prop_map(|text| remove(&text)),
            ("[ab=\n]{0,2}", "[ab=\n]{0,2}").prop_map(|(f, w)| replace_by(&f, &w)),
        ]
    }

    proptest! {
        #[test]
        fn twice_is_once(
            text in "[ab= #\n]{0,30}",
            edits in prop::collection::vec(any_edit(), 0..4),
        ) {
            if let Ok(once) = apply(&text, &edits) {
                prop_assert_eq!(apply(&once, &edits), Ok(once));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}", key in ".{0,4}", find in ".{0,4}") {
            let _ = apply(&text, &[set_to(&key, "v", " = "), replace_by(&find, "")]);
        }
    }
}
