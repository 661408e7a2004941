//! Character classes of Python's regular expressions. All that is in them stands for itself, but ranges, escapes and a first `^`.

use super::regex::{Chars, escaped, literal};

/// One member of a class.
enum Member {
    One(char),
    Kind(char),
}

/// A class from behind its `[`, in the words of `fancy-regex`.
///
/// # Errors
/// A class without its end, a range that is backwards, an escape that Python refuses.
pub(super) fn class(chars: &mut Chars<'_>) -> Result<String, String> {
    let mut out = String::from(if chars.take("^") { "[^" } else { "[" });
    let mut first = true;
    loop {
        let low = match chars.peek() {
            None => return Err("a class `[` without its `]`".to_owned()),
            Some(']') if !first => {
                chars.next();
                out.push(']');
                return Ok(out);
            }
            Some(_) => member(chars)?,
        };
        first = false;
        let mut ahead = chars.clone();
        let is_range = ahead.take("-") && !matches!(ahead.peek(), None | Some(']'));
        match low {
            Member::One(low) if is_range => {
                *chars = ahead;
                match member(chars)? {
                    Member::One(high) if low <= high => {
                        out.push_str(&format!("{}-{}", literal(low), literal(high)));
                    }
                    _ => return Err(format!("a bad range that begins with `{low}`")),
                }
            }
            Member::Kind(kind) if is_range => {
                return Err(format!("a bad range that begins with `\\{kind}`"));
            }
            Member::One(one) => out.push_str(&literal(one)),
            Member::Kind(kind) => {
                out.push('\\');
                out.push(kind);
            }
        }
    }
}

fn member(chars: &mut Chars<'_>) -> Result<Member, String> {
    let Some(c) = chars.next() else {
        return Err("a class `[` without its `]`".to_owned());
    };
    if c != '\\' {
        return Ok(Member::One(c));
    }
    match chars.peek() {
        Some(kind) if "dDsSwW".contains(kind) => {
            chars.next();
            Ok(Member::Kind(kind))
        }
        Some('b') => {
            chars.next();
            Ok(Member::One('\x08'))
        }
        Some('1'..='7') => {
            let digits = chars.take_while(3, |c| ('0'..='7').contains(&c));
            u32::from_str_radix(digits, 8)
                .ok()
                .and_then(char::from_u32)
                .map(Member::One)
                .ok_or_else(|| format!("{digits} is no character"))
        }
        _ => escaped(chars).map(Member::One),
    }
}
