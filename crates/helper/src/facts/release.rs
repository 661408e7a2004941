//! `/etc/os-release`.

use overhaul_model::facts::OsRelease;

/// Reads the file's shell-like assignments.
///
/// # Errors
/// When it does not say which system it is.
pub(super) fn parse(text: &str) -> Result<OsRelease, String> {
    let field = |wanted: &str| {
        text.lines()
            .filter_map(|line| line.trim().split_once('='))
            .filter(|(key, _)| *key == wanted)
            .map(|(_, value)| unquote(value))
            // The last assignment counts, as in a shell.
            .next_back()
            .unwrap_or_default()
    };
    let os = field("ID");
    if os.is_empty() {
        return Err("os-release has no ID".to_owned());
    }
    Ok(OsRelease {
        os,
        version: field("VERSION_ID"),
        codename: field("VERSION_CODENAME"),
        pretty: field("PRETTY_NAME"),
    })
}

fn unquote(value: &str) -> String {
    let value = value.trim();
    for quote in ['"', '\''] {
        let inner = value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote));
        if let Some(inner) = inner {
            return unescape(inner);
        }
    }
    unescape(value)
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut escaped = false;
    for c in text.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_files_are_read() {
        for (text, expected) in [
            (
                "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n",
                ["debian", "12", "bookworm", "Debian GNU/Linux 12 (bookworm)"],
            ),
            (
                "# rolling\nNAME='Arch Linux'\nPRETTY_NAME='Arch \\'Linux'\nID=arch\n",
                ["arch", "", "", "Arch 'Linux"],
            ),
        ] {
            let read = parse(text).unwrap();
            assert_eq!(
                [read.os, read.version, read.codename, read.pretty],
                expected
            );
        }
        assert!(parse("").is_err());
        assert!(parse("VERSION_ID=12\n").is_err());
    }
}
