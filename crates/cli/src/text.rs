//! Text for a terminal: foreign bytes made harmless, lines cut to width, spans and moments for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use overhaul_model::span::Span;
use overhaul_store::SIMULATED;

/// A text without escape sequences and control characters, so that a host cannot drive the terminal of
/// the person who reads its output. Ends of lines stay, tabs become blanks.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            // The one-character form of the introducer of a control sequence.
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\n' => out.push('\n'),
            '\t' => out.push(' '),
            // A bare return draws over the line: what stands behind it is the later state.
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    let line = out.rfind('\n').map_or(0, |at| at.saturating_add(1));
                    out.truncate(line);
                }
            }
            c if c.is_control() || is_unseen(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// JSON text in which every character that could drive a terminal or hide something is escaped. JSON itself
/// asks that only of the first 32.
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Ends of lines between the values are layout; within a string they are escaped already.
        if (c.is_control() && c != '\n') || is_unseen(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// Marks that turn the direction of writing around or have no width: they hide what is really there.
pub fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_escape(chars: &mut Rest<'_>) {
    match chars.next() {
        Some('[') => skip_control_sequence(chars),
        // Strings to the terminal: title, palette, clipboard. They end with a bell or `ESC \`.
        Some(']' | 'P' | '^' | '_' | 'X') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || c == '\u{9c}' {
                    return;
                }
                if c == '\u{1b}' {
                    chars.next();
                    return;
                }
            }
        }
        // Two-character sequences with one more byte, like the choice of a character set.
        Some('(' | ')' | '*' | '+' | '#' | '%' | ' ') => {
            chars.next();
        }
        Some(_) | None => {}
    }
}

fn skip_control_sequence(chars: &mut Rest<'_>) {
    for c in chars.by_ref() {
        if matches!(c, '\u{40}'..='\u{7e}') {
            return;
        }
    }
}

/// The first line, made harmless and cut to a number of characters.
pub fn one_line(text: &str, width: usize) -> String {
    let clean = clean(text);
    cut(clean.lines().next().unwrap_or_default().trim_end(), width)
}

/// The last line that is not empty, made harmless and cut to a number of characters.
pub fn last_line(text: &str, width: usize) -> String {
    let clean = clean(text);
    let line = clean.lines().rfind(|line| !line.trim().is_empty());
    cut(line.unwrap_or_default().trim_end(), width)
}

/// Cut to a number of characters; what is left out shows as `…`.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(width.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// A span without the parts that nobody reads: `7m52s`, `2h5m`, `840ms`.
pub fn span(span: Span) -> String {
    let ms = span.as_ms();
    let unit_ms = match ms {
        0..10_000 => 10,
        10_000..3_600_000 => 1_000,
        _ => 60_000,
    };
    let whole = ms.checked_div(unit_ms).unwrap_or(0).saturating_mul(unit_ms);
    Span::from_ms(whole).to_string()
}

/// A span for a clock that moves: whole seconds.
pub fn seconds(length: Span) -> String {
    span(Span::from_s(length.as_ms().checked_div(1_000).unwrap_or(0)))
}

/// A moment as the clock on the wall shows it.
pub fn clock(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system())
        .strftime("%H:%M:%S")
        .to_string()
}

/// A moment with its day.
pub fn moment(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S %:z")
        .to_string()
}

/// A size in bytes for people.
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (name, unit) in UNITS {
        if bytes >= unit {
            let whole = bytes.checked_div(unit).unwrap_or(0);
            let tenths = bytes
                .checked_rem(unit)
                .unwrap_or(0)
                .saturating_mul(10)
                .checked_div(unit)
                .unwrap_or(0);
            return format!("{whole}.{tenths} {name}");
        }
    }
    format!("{bytes} B")
}

/// Text of which each line says that it is not real.
pub fn simulated(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_mul(2));
    for line in text.trim_end_matches('\n').split('\n') {
        out.push_str(format!("{SIMULATED} {line}").trim_end());
        out.push('\n');
    }
    out
}

/// An object of JSON that says first of all that it is not real.
pub fn simulated_json(object: &str) -> String {
    object.replacen('{', &format!("{{\"{SIMULATED}\":true,"), 1)
}

/// `1 step`, `2 steps`.
pub fn count(number: usize, word: &str) -> String {
    if number == 1 {
        format!("1 {word}")
    } else {
        format!("{number} {word}s")
    }
}

/// A word quoted for a shell, when it needs that: commands that are shown can be copied.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_a_host_drives_the_terminal() {
        for (text, shown) in [
            ("plain\nlines\n", "plain\nlines\n"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("a\u{1b}]0;title\u{7}b", "ab"),
            ("a\u{1b}]52;c;aGk=\u{1b}\\b", "ab"),
            ("a\u{1b}P1$r\u{1b}\\b", "ab"),
            ("\u{9b}2Jx", "x"),
            ("10%\r20%\rdone\r\n", "done\n"),
            ("a\u{8}\u{7}b\u{0}c", "abc"),
            ("a\u{1b}(Bb", "ab"),
            ("safe\u{202e}txt.exe", "safetxt.exe"),
            ("cut off \u{1b}[3", "cut off "),
            ("cut off \u{1b}", "cut off "),
        ] {
            assert_eq!(clean(text), shown, "{text:?}");
        }
    }

    #[test]
    fn lines_are_cut_and_spans_are_short() {
        assert_eq!(one_line("first\nsecond", 40), "first");
        assert_eq!(last_line("first\nsecond\n\n", 40), "second");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(span(Span::from_ms(472_345)), "7m52s");
        assert_eq!(span(Span::from_ms(845)), "840ms");
        assert_eq!(span(Span::from_s(7_545)), "2h5m");
        assert_eq!(size(1_610_612_736), "1.5 GiB");
        assert_eq!(shell_word("upgrade/db@db1"), "upgrade/db@db1");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
    }
}
