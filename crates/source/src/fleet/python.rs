//! Values of an INI inventory: Python literals where they are some, else texts.

use serde_json::{Map, Number, Value};

/// Depth of nesting of a literal; deeper ones stay texts.
const DEPTH_MAX: usize = 16;

/// The value that a text stands for.
pub(super) fn value(text: &str) -> Value {
    let mut reader = Reader {
        rest: text.trim(),
        depth: 0,
    };
    let read = reader.literal();
    reader.blanks();
    let at_end = reader.rest.is_empty() || reader.rest.starts_with('#');
    match read {
        Some(value) if at_end => value,
        _ => Value::String(text.to_owned()),
    }
}

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, sign: char) -> bool {
        self.blanks();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn literal(&mut self) -> Option<Value> {
        self.blanks();
        self.depth = self.depth.saturating_add(1);
        if self.depth > DEPTH_MAX {
            return None;
        }
        let read = match self.rest.chars().next()? {
            '\'' | '"' => self.strings(),
            '[' => self.items('[', ']').map(Value::Array),
            '(' => self.tuple(),
            '{' => self.dict(),
            _ => self.word(),
        };
        self.depth = self.depth.saturating_sub(1);
        read
    }

    /// Neighbouring strings are one.
    fn strings(&mut self) -> Option<Value> {
        let mut out = String::new();
        while let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            self.eat(quote);
            let mut chars = self.rest.char_indices();
            loop {
                let (at, c) = chars.next()?;
                if c == quote {
                    self.rest = self.rest.get(at.saturating_add(1)..)?;
                    break;
                }
                if c != '\\' {
                    out.push(c);
                    continue;
                }
                match chars.next()?.1 {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    c @ ('\\' | '\'' | '"') => out.push(c),
                    other => out.extend(['\\', other]),
                }
            }
            self.blanks();
        }
        Some(Value::String(out))
    }

    fn items(&mut self, open: char, close: char) -> Option<Vec<Value>> {
        self.eat(open);
        let mut out = Vec::new();
        while !self.eat(close) {
            out.push(self.literal()?);
            if !self.eat(',') {
                return self.eat(close).then_some(out);
            }
        }
        Some(out)
    }

    /// `(1)` is a number, `(1,)` and `()` are tuples.
    fn tuple(&mut self) -> Option<Value> {
        let start = self.rest;
        let items = self.items('(', ')')?;
        let taken = start.len().saturating_sub(self.rest.len());
        let inner = start.get(..taken)?.trim_end_matches(')').trim_end();
        match <[Value; 1]>::try_from(items) {
            Ok([only]) if !inner.ends_with(',') => Some(only),
            Ok(only) => Some(Value::Array(only.into())),
            Err(items) => Some(Value::Array(items)),
        }
    }

    fn dict(&mut self) -> Option<Value> {
        self.eat('{');
        let mut out = Map::new();
        while !self.eat('}') {
            let Value::String(key) = self.literal()? else {
                return None;
            };
            if !self.eat(':') {
                return None;
            }
            let value = self.literal()?;
            out.insert(key, value);
            if !self.eat(',') {
                return self.eat('}').then_some(Value::Object(out));
            }
        }
        Some(Value::Object(out))
    }

    fn word(&mut self) -> Option<Value> {
        let ends = |c: char| !(c.is_ascii_alphanumeric() || "+-._".contains(c));
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end)?;
        let value = match word {
            "None" => Value::Null,
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            number => Value::Number(number_of(number)?),
        };
        self.rest = rest;
        Some(value)
    }
}

fn number_of(word: &str) -> Option<Number> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let between = |pair: &[u8]| matches!(pair, [a, b'_', ..] if !a.is_ascii_alphanumeric());
    if digits.ends_with('_') || digits.contains("__") || digits.as_bytes().windows(2).any(between) {
        return None;
    }
    let bare = digits.replace('_', "");
    let lower = bare.to_ascii_lowercase();
    let radix = |prefix: &str, radix| {
        let digits = lower.strip_prefix(prefix)?;
        let clean = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
        clean.then(|| i64::from_str_radix(digits, radix).ok())?
    };
    let whole = if lower.bytes().all(|byte| byte.is_ascii_digit()) {
        // Python refuses leading zeros, so that they stay texts.
        let padded = lower.len() > 1 && lower.starts_with('0') && lower.bytes().any(|b| b != b'0');
        if padded {
            return None;
        }
        lower.parse::<i64>().ok()
    } else {
        radix("0x", 16)
            .or_else(|| radix("0o", 8))
            .or_else(|| radix("0b", 2))
    };
    if let Some(whole) = whole {
        let signed = if negative {
            whole.checked_neg()?
        } else {
            whole
        };
        return Some(Number::from(signed));
    }
    let float = lower
        .chars()
        .all(|c| c.is_ascii_digit() || ".e+-".contains(c))
        && lower.contains(['.', 'e']);
    let number = float.then(|| lower.parse::<f64>().ok())??;
    Number::from_f64(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_those_of_python_and_else_texts() {
        for (text, meant) in [
            ("80", json!(80)),
            ("-5", json!(-5)),
            ("0x1F", json!(31)),
            ("1_000", json!(1000)),
            ("0644", json!("0644")),
            ("1.5", json!(1.5)),
            ("1e3", json!(1000.0)),
            ("True", json!(true)),
            ("true", json!("true")),
            ("None", json!(null)),
            ("'80'", json!("80")),
            ("\"a\" 'b'", json!("ab")),
            ("['a', 1, (2,), (3)]", json!(["a", 1, [2], 3])),
            ("{'a': {'b': []}}", json!({"a": {"b": []}})),
            ("{a: 1}", json!("{a: 1}")),
            ("10.0.0.1", json!("10.0.0.1")),
            ("80 # web", json!(80)),
            ("a # b", json!("a # b")),
            ("[1, 2", json!("[1, 2")),
            ("", json!("")),
            ("99999999999999999999", json!("99999999999999999999")),
            ("'a", json!("'a")),
        ] {
            assert_eq!(value(text), meant, "{text}");
        }
        assert_eq!(value(&"[".repeat(500)), json!("[".repeat(500)));
    }
}
