//! Text that a remote side wrote, made fit for a terminal and a message.

/// Turns foreign bytes into text of at most `chars_max` characters: escape sequences and control
/// characters are removed (a host must not steer a person's terminal), newlines are kept, and
/// blanks at both ends go.
pub fn printable(bytes: &[u8], chars_max: usize) -> String {
    strip(bytes, chars_max).trim().to_owned()
}

/// The same with the blanks at both ends kept, for lines whose indentation counts.
pub(crate) fn strip(bytes: &[u8], chars_max: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::new();
    let mut kept = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            // CSI in its one-character form.
            '\u{9b}' => skip_csi(&mut chars),
            '\t' => out.push(' '),
            '\n' => out.push('\n'),
            c if c.is_control() || is_bidi(c) => continue,
            c => out.push(c),
        }
        kept += 1;
        if kept >= chars_max {
            break;
        }
    }
    out
}

/// Characters that reorder the text around them on a screen.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_escape(chars: &mut Chars<'_>) {
    match chars.next() {
        Some('[') => skip_csi(chars),
        // OSC, DCS, SOS, PM, APC: up to BEL or ST.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || c == '\u{9c}' {
                    break;
                }
                if c == '\u{1b}' {
                    chars.next_if_eq(&'\\');
                    break;
                }
            }
        }
        // nF sequences (character sets): intermediates, then one final.
        Some(' '..='/') => {
            while chars.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            chars.next();
        }
        _ => {}
    }
}

fn skip_csi(chars: &mut Chars<'_>) {
    while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    chars.next_if(|c| matches!(c, '@'..='~'));
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn strips_what_steers_a_terminal() {
        for (from, to) in [
            ("plain\ntext", "plain\ntext"),
            ("\x1b[31mred\x1b[0m", "red"),
            ("\x1b]0;title\x07after", "after"),
            ("\x1b]8;;http://x\x1b\\link", "link"),
            ("a\rb\x08c\x00d", "abcd"),
            ("\x1b(Bset", "set"),
            ("\u{202e}gnp", "gnp"),
            ("  around \r\n", "around"),
        ] {
            assert_eq!(printable(from.as_bytes(), 100), to, "{from:?}");
        }
        assert_eq!(printable(b"0123456789", 4), "0123");
        assert_eq!(printable(&[0xff, b'a'], 4), "\u{fffd}a");
    }
}
