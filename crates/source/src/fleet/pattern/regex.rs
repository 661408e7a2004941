//! Regular expressions as Python's `re` reads them, said in the words of `fancy-regex`.
//!
//! The two differ in small things that would otherwise change silently which hosts are meant: `\Z`, braces
//! that are no repetition, set operations in classes, escapes that Python refuses.

use super::regex_class::class;
use fancy_regex::{Regex, RegexBuilder};

/// Longest expression that is taken: people write some dozen characters.
const REGEX_BYTES_MAX: usize = 2_000;

/// Steps back in one match. Names are short: an honest expression needs some hundred.
const BACKTRACKS_MAX: usize = 50_000;

/// Memory for the compiled expression, in bytes: what a nested repetition like `(a{99}){99}` may not go beyond.
const COMPILED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Compiles a Python expression so that it must fit from the first character on, as `re.match` does.
///
/// # Errors
/// What Python would refuse too, and the few things that are not supported.
pub(super) fn compile(python: &str) -> Result<Regex, String> {
    if python.len() > REGEX_BYTES_MAX {
        return Err(format!("it is longer than {REGEX_BYTES_MAX} bytes"));
    }
    let inner = translate(python)?;
    RegexBuilder::new(&format!(r"\A(?:{inner})"))
        .backtrack_limit(BACKTRACKS_MAX)
        .delegate_size_limit(COMPILED_BYTES_MAX)
        .delegate_dfa_size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| error.to_string())
}

/// What stands before the place, for what a repetition may follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Item,
    Repetition,
    WholeRepetition,
}

/// A reader of the expression's characters.
#[derive(Clone)]
pub(super) struct Chars<'a> {
    rest: &'a str,
}

impl<'a> Chars<'a> {
    /// At the beginning of a text.
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The next character, which stays.
    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// The next character.
    pub(super) fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    /// Goes past a text if it comes next.
    pub(super) fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// The longest run of fitting characters, at most so many.
    pub(super) fn take_while(&mut self, max: usize, fits: impl Fn(char) -> bool) -> &'a str {
        let end: usize = self
            .rest
            .chars()
            .take(max)
            .take_while(|c| fits(*c))
            .map(char::len_utf8)
            .sum();
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or(("", self.rest));
        self.rest = rest;
        taken
    }
}

/// A character that stands for itself.
pub(super) fn literal(c: char) -> String {
    if c.is_ascii_alphanumeric() {
        c.to_string()
    } else {
        format!("\\x{{{:X}}}", u32::from(c))
    }
}

fn translate(python: &str) -> Result<String, String> {
    let mut chars = Chars::new(python);
    let mut out = String::new();
    let mut before = Before::Nothing;
    while let Some(c) = chars.next() {
        let (text, now) = match c {
            '\\' => escape(&mut chars)?,
            '[' => (class(&mut chars)?, Before::Item),
            '(' => group(&mut chars, python, &out)?,
            ')' => (")".to_owned(), Before::Item),
            '|' | '^' | '$' => (c.to_string(), Before::Nothing),
            '.' => (c.to_string(), Before::Item),
            '*' | '+' | '?' => repetition(c, before)?,
            '{' => braces(&mut chars, before)?,
            other => (literal(other), Before::Item),
        };
        out.push_str(&text);
        // A remark stands for nothing: what was before it stays before what follows.
        if !text.is_empty() {
            before = now;
        }
    }
    Ok(out)
}

fn repetition(c: char, before: Before) -> Result<(String, Before), String> {
    match (before, c) {
        (Before::Nothing, _) => Err(format!("nothing to repeat before `{c}`")),
        (Before::Item, _) => Ok((c.to_string(), Before::Repetition)),
        (Before::Repetition, '?' | '+') => Ok((c.to_string(), Before::WholeRepetition)),
        (Before::Repetition | Before::WholeRepetition, _) => Err("multiple repeat".to_owned()),
    }
}

/// `{m}`, `{m,}`, `{,n}`, `{m,n}`; anything else is a brace that stands for itself.
fn braces(chars: &mut Chars<'_>, before: Before) -> Result<(String, Before), String> {
    let rest = chars.rest;
    let low = chars.take_while(usize::MAX, |c| c.is_ascii_digit());
    let comma = chars.take(",");
    let high = if comma {
        chars.take_while(usize::MAX, |c| c.is_ascii_digit())
    } else {
        low
    };
    if (low.is_empty() && !comma) || !chars.take("}") {
        chars.rest = rest;
        return Ok((literal('{'), Before::Item));
    }
    if before != Before::Item {
        return repetition('{', before);
    }
    if chars.peek() == Some('+') {
        return Err("`{...}+` is not supported; write a group around it".to_owned());
    }
    let low = if low.is_empty() { "0" } else { low };
    let times = |digits: &str| digits.parse::<u32>().unwrap_or(u32::MAX);
    if !high.is_empty() && times(high) < times(low) {
        return Err("min repeat greater than max repeat".to_owned());
    }
    let bounds = if comma {
        format!("{low},{high}")
    } else {
        low.to_owned()
    };
    Ok((format!("{{{bounds}}}"), Before::Repetition))
}

/// What begins with `(`.
fn group(chars: &mut Chars<'_>, python: &str, out: &str) -> Result<(String, Before), String> {
    let open = |text: String| Ok((text, Before::Nothing));
    if !chars.take("?") {
        return open("(".to_owned());
    }
    for kept in [":", "=", "!", "<=", "<!", ">"] {
        if chars.take(kept) {
            return open(format!("(?{kept}"));
        }
    }
    if chars.take("P<") {
        let name = name(chars, '>')?;
        return open(format!("(?P<{name}>"));
    }
    if chars.take("P=") {
        let name = name(chars, ')')?;
        return Ok((format!("(?:\\k<{name}>)"), Before::Item));
    }
    if chars.take("#") {
        chars.take_while(usize::MAX, |c| c != ')');
        return if chars.take(")") {
            open(String::new())
        } else {
            Err("a remark `(?#` without its `)`".to_owned())
        };
    }
    open(flags(chars, python, out)?)
}

fn name(chars: &mut Chars<'_>, end: char) -> Result<String, String> {
    let name = chars.take_while(usize::MAX, |c| c.is_ascii_alphanumeric() || c == '_');
    let fits = !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit());
    if fits && chars.next() == Some(end) {
        Ok(name.to_owned())
    } else {
        Err("a group's name is letters, digits and `_`".to_owned())
    }
}

/// `(?i)` at the very beginning, `(?i:...)` and `(?-i:...)` anywhere.
fn flags(chars: &mut Chars<'_>, python: &str, out: &str) -> Result<String, String> {
    let flags = chars.take_while(usize::MAX, |c| c.is_ascii_alphabetic() || c == '-');
    if let Some(other) = flags.chars().find(|c| !"imsu-".contains(*c)) {
        return Err(format!("the flag `{other}` is not supported"));
    }
    // Texts are Unicode anyway, and the other side must not hear of it with a `-`.
    let kept: String = flags.chars().filter(|c| *c != 'u').collect();
    let text = match chars.next() {
        Some(':') if kept.is_empty() => "(?:".to_owned(),
        Some(':') => format!("(?{kept}:"),
        Some(')') if !out.is_empty() || !python.starts_with("(?") => {
            return Err("global flags stand at the beginning".to_owned());
        }
        Some(')') if kept.contains('-') => return Err("`-` needs a group of its own".to_owned()),
        Some(')') if kept.is_empty() => String::new(),
        Some(')') => format!("(?{kept})"),
        _ => return Err("`(?` is followed by something that is not supported".to_owned()),
    };
    if flags.is_empty() || kept.ends_with('-') {
        return Err("`(?` is followed by something that is not supported".to_owned());
    }
    Ok(text)
}

fn escape(chars: &mut Chars<'_>) -> Result<(String, Before), String> {
    match chars.peek() {
        Some('A') => anchor(chars, r"\A"),
        Some('Z') => anchor(chars, r"\z"),
        Some('b') => anchor(chars, r"\b"),
        Some('B') => anchor(chars, r"\B"),
        Some(c) if "dDsSwW".contains(c) => {
            chars.next();
            Ok((format!("\\{c}"), Before::Item))
        }
        Some(c @ '1'..='9') => {
            let digits = chars.take_while(3, |c| c.is_ascii_digit());
            if digits.len() == 3 && digits.bytes().all(|b| b < b'8') {
                let c = number(digits, 8)?;
                return Ok((literal(c), Before::Item));
            }
            if digits.len() == 3 {
                return Err(format!("`\\{c}...` is no group"));
            }
            Ok((format!("(?:\\{digits})"), Before::Item))
        }
        _ => Ok((literal(escaped(chars)?), Before::Item)),
    }
}

fn anchor(chars: &mut Chars<'_>, text: &str) -> Result<(String, Before), String> {
    chars.next();
    Ok((text.to_owned(), Before::Nothing))
}

/// The character that an escape stands for, in and out of classes.
pub(super) fn escaped(chars: &mut Chars<'_>) -> Result<char, String> {
    let hex = |chars: &mut Chars<'_>, digits: usize| {
        let text = chars.take_while(digits, |c| c.is_ascii_hexdigit());
        if text.len() == digits {
            number(text, 16)
        } else {
            Err("an incomplete escape".to_owned())
        }
    };
    match chars.next() {
        None => Err("it ends with a backslash".to_owned()),
        Some('a') => Ok('\x07'),
        Some('f') => Ok('\x0c'),
        Some('n') => Ok('\n'),
        Some('r') => Ok('\r'),
        Some('t') => Ok('\t'),
        Some('v') => Ok('\x0b'),
        Some('x') => hex(chars, 2),
        Some('u') => hex(chars, 4),
        Some('U') => hex(chars, 8),
        Some('0') => {
            let digits = chars.take_while(2, |c| ('0'..='7').contains(&c));
            number(&format!("0{digits}"), 8)
        }
        Some(c) if c.is_ascii_alphanumeric() => Err(format!("`\\{c}` is no escape")),
        Some(c) => Ok(c),
    }
}

fn number(digits: &str, base: u32) -> Result<char, String> {
    u32::from_str_radix(digits, base)
        .ok()
        .and_then(char::from_u32)
        .ok_or_else(|| format!("{digits} is no character"))
}

#[cfg(test)]
mod tests {
    use super::compile;

    #[test]
    fn expressions_mean_what_they_mean_in_python() {
        for (python, name, expected) in [
            ("web", "web-1", true),
            ("web$", "web-1", false),
            (r"web\Z", "web", true),
            (r"(web|db)\d+", "db12", true),
            ("(?!web)", "db", true),
            ("(?!web)", "web1", false),
            (r".*(?<=-a)\d", "x-a1", true),
            ("a{,2}b", "aab", true),
            ("a{x}", "a{x}", true),
            ("[a&&b]+$", "a&b", true),
            ("[[a]+$", "[a", true),
            ("[]a]", "]", true),
            (r"[\w.-]+$", "a.b-c", true),
            ("(?i)WEB", "web", true),
            ("(?i:W)eb", "web", true),
            ("(?P<x>a)(?P=x)", "aa", true),
            ("(?P<x>a)(?P=x)?$", "a", true),
            (r"(a)\1", "aa", true),
            (r"\x77eb", "web", true),
            ("a++b", "aab", true),
            ("w(?#remark)eb", "web", true),
        ] {
            let regex = compile(python).unwrap_or_else(|error| panic!("{python}: {error}"));
            assert_eq!(regex.is_match(name).unwrap(), expected, "{python} {name}");
        }
    }

    #[test]
    fn what_python_refuses_is_refused() {
        for python in [
            "*a", "a**", "(", ")", "[", "[z-a]", r"\h", r"\", "^*", "(?<n>a)", "a(?i)b", r"\1",
            "(?x)a b", "a{2,1}", "(?P<1>a)", "(?(1)a)", "(?", "(?-i)a",
        ] {
            assert!(compile(python).is_err(), "{python}");
        }
        assert!(compile(&"(a{999}){999}".repeat(20)).is_err());
    }
}
