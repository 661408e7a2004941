//! Names for ids and files out of names that people gave.

/// Longest part of an id that comes from a name: enough to tell steps apart, short enough to read.
const SLUG_CHARS_MAX: usize = 60;

/// Small letters, digits and single dashes; `step` when nothing is left.
pub(crate) fn slug(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if out.len() >= SLUG_CHARS_MAX {
            break;
        }
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    let out = out.trim_end_matches('-');
    if out.is_empty() {
        "step".to_owned()
    } else {
        out.to_owned()
    }
}

/// A plain file name: letters, digits, `.`, `_` and `-` are kept, all other bytes written `=xx`.
pub(crate) fn file_name(name: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for (place, byte) in name.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric()
            || byte == b'_'
            || byte == b'-'
            || (byte == b'.' && place > 0);
        if plain {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "={byte:02x}");
        }
    }
    out
}

/// A text that stands for itself where texts may be templates.
pub(crate) fn literal(text: &str) -> String {
    if text.contains("{{") || text.contains("{%") {
        format!("{{{{ {} | raw }}}}", serde_json::Value::from(text))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use overhaul_model::definition::Release;
    use overhaul_model::template::{Context, Quoting, Renderer};

    #[test]
    fn slugs_are_plain_words() {
        for (name, wanted) in [
            ("Digest of all rows: before", "digest-of-all-rows-before"),
            ("  --x--  ", "x"),
            ("???", "step"),
            ("a_b", "a-b"),
        ] {
            assert_eq!(slug(name), wanted, "{name}");
        }
    }

    #[test]
    fn file_names_have_one_plain_component_and_do_not_meet() {
        for (name, wanted) in [
            ("shop", "shop"),
            ("..", "=2e."),
            ("a/b", "a=2fb"),
            ("a=2fb", "a=3d2fb"),
            ("Größe", "Gr=c3=b6=c3=9fe"),
        ] {
            assert_eq!(file_name(name), wanted, "{name}");
        }
    }

    #[test]
    fn a_literal_is_rendered_as_itself() {
        let release = Release {
            os: "debian".to_owned(),
            release: "12".to_owned(),
        };
        let context = Context::new(None, &release, &release);
        for text in ["plain", "{{ evil }}", "{% \"quoted\" \\ %}"] {
            let rendered = Renderer::new()
                .text(&literal(text), Quoting::Plain, &context)
                .unwrap();
            assert_eq!(rendered, text);
        }
    }
}
