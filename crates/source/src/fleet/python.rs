//! Values of an INI inventory: what Python's `literal_eval` reads, else texts.

use super::data::key_of;
use super::scalar::number;
use super::value::Value;
use serde_json::Number;

/// Depth of nesting of a literal; Python's own reader takes no deeper one either.
const DEPTH_MAX: usize = 200;

/// The value that a text stands for.
pub(super) fn value(text: &str) -> Value {
    let mut reader = Reader {
        rest: text.trim_start_matches([' ', '\t']),
        depth: 0,
    };
    let read = reader.expression();
    reader.blanks();
    match read {
        Some(Literal::Value(value)) if reader.at_end() => value,
        _ => Value::Text(text.to_owned()),
    }
}

/// What was read; bytes join with bytes only.
enum Literal {
    Value(Value),
    Bytes(String),
}

impl Literal {
    fn into_value(self) -> Value {
        match self {
            Self::Value(value) => value,
            Self::Bytes(text) => Value::Text(text),
        }
    }
}

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\u{c}']);
    }

    /// Whether nothing or only a remark follows.
    fn at_end(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with('#')
    }

    fn eat(&mut self, sign: &str) -> bool {
        self.blanks();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A literal, or several with commas between them: those are a tuple also without brackets.
    fn expression(&mut self) -> Option<Literal> {
        let first = self.literal()?;
        let mut items = Vec::new();
        while self.eat(",") {
            self.blanks();
            if items.is_empty() && self.at_end() {
                return Some(Literal::Value(Value::List(vec![first.into_value()])));
            }
            if self.at_end() {
                break;
            }
            items.push(self.literal()?.into_value());
        }
        if items.is_empty() {
            return Some(Literal::Value(first.into_value()));
        }
        items.insert(0, first.into_value());
        Some(Literal::Value(Value::List(items)))
    }

    fn literal(&mut self) -> Option<Literal> {
        self.blanks();
        self.depth = self.depth.saturating_add(1);
        if self.depth > DEPTH_MAX {
            return None;
        }
        let read = match self.rest.chars().next()? {
            '[' => self.items("[", "]").map(Value::List).map(Literal::Value),
            '(' => self.tuple(),
            '{' => self.braces().map(Literal::Value),
            _ => match self.strings() {
                Some(text) => Some(text),
                None => self.word().map(Literal::Value),
            },
        };
        self.depth = self.depth.saturating_sub(1);
        read
    }

    fn items(&mut self, open: &str, close: &str) -> Option<Vec<Value>> {
        self.eat(open);
        let mut out = Vec::new();
        while !self.eat(close) {
            out.push(self.literal()?.into_value());
            if !self.eat(",") {
                return self.eat(close).then_some(out);
            }
        }
        Some(out)
    }

    /// `(1)` is a number, `(1,)` and `()` are tuples.
    fn tuple(&mut self) -> Option<Literal> {
        self.eat("(");
        if self.eat(")") {
            return Some(Literal::Value(Value::List(Vec::new())));
        }
        let first = self.literal()?;
        if self.eat(")") {
            return Some(first);
        }
        let mut out = vec![first.into_value()];
        while self.eat(",") {
            if self.eat(")") {
                return Some(Literal::Value(Value::List(out)));
            }
            out.push(self.literal()?.into_value());
        }
        self.eat(")").then_some(Literal::Value(Value::List(out)))
    }

    /// A dictionary, or a set.
    fn braces(&mut self) -> Option<Value> {
        self.eat("{");
        if self.eat("}") {
            return Some(Value::Map(Vec::new()));
        }
        let first = self.literal()?.into_value();
        if !self.eat(":") {
            return self.set(first);
        }
        let mut out: Vec<(String, Value)> = Vec::new();
        let mut key = hashable(&first)?;
        loop {
            let value = self.literal()?.into_value();
            match out.iter_mut().find(|(before, _)| *before == key) {
                Some((_, before)) => *before = value,
                None => out.push((key, value)),
            }
            let more = self.eat(",");
            if self.eat("}") {
                return Some(Value::Map(out));
            }
            if !more {
                return None;
            }
            key = hashable(&self.literal()?.into_value())?;
            if !self.eat(":") {
                return None;
            }
        }
    }

    /// The items of a set. Its order is Python's own affair; here it is that of the text.
    fn set(&mut self, first: Value) -> Option<Value> {
        let mut out = vec![first];
        loop {
            let more = self.eat(",");
            if self.eat("}") {
                return out
                    .iter()
                    .all(|item| hashable(item).is_some())
                    .then_some(Value::List(out));
            }
            if !more {
                return None;
            }
            let item = self.literal()?.into_value();
            if !out.contains(&item) {
                out.push(item);
            }
        }
    }

    /// Neighbouring strings are one.
    fn strings(&mut self) -> Option<Literal> {
        let (bytes, mut out) = self.string()?;
        loop {
            self.blanks();
            let before = self.rest;
            match self.string() {
                Some((same, more)) if same == bytes => out.push_str(&more),
                Some(_) => return None,
                None => {
                    self.rest = before;
                    break;
                }
            }
        }
        Some(match bytes {
            true => Literal::Bytes(out),
            false => Literal::Value(Value::Text(out)),
        })
    }

    /// One string with its prefix, and whether it is one of bytes.
    fn string(&mut self) -> Option<(bool, String)> {
        let end = self.rest.find(['\'', '"'])?;
        let prefix = self.rest.get(..end)?.to_ascii_lowercase();
        let (bytes, raw) = match prefix.as_str() {
            "" | "u" => (false, false),
            "r" => (false, true),
            "b" => (true, false),
            "rb" | "br" => (true, true),
            _ => return None,
        };
        self.rest = self.rest.get(end..)?;
        let quote = self.rest.get(..1)?;
        let triple = quote.repeat(3);
        let quote = match self.rest.starts_with(&triple) {
            true => triple.as_str(),
            false => quote,
        };
        self.rest = self.rest.get(quote.len()..)?;
        let mut out = String::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix(quote) {
                self.rest = rest;
                return Some((bytes, out));
            }
            let c = self.next()?;
            if bytes && !c.is_ascii() {
                return None;
            }
            match c {
                '\\' if raw => {
                    out.push(c);
                    out.push(self.next()?);
                }
                '\\' => self.escape(bytes, &mut out)?,
                _ => out.push(c),
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = self.rest.get(c.len_utf8()..)?;
        Some(c)
    }

    fn escape(&mut self, bytes: bool, out: &mut String) -> Option<()> {
        let c = self.next()?;
        let plain = match c {
            '\\' | '\'' | '"' => c,
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '0'..='7' => {
                let more = self.rest.bytes().take(2);
                let more = more.take_while(|byte| matches!(byte, b'0'..=b'7')).count();
                let digits = format!("{c}{}", self.rest.get(..more)?);
                self.rest = self.rest.get(more..)?;
                char::from_u32(u32::from_str_radix(&digits, 8).ok()?)?
            }
            'x' => self.hex(2)?,
            'u' if !bytes => self.hex(4)?,
            'U' if !bytes => self.hex(8)?,
            // Names of characters are not known here, so that the text stays a text.
            'N' if !bytes => return None,
            other => {
                out.push('\\');
                other
            }
        };
        out.push(plain);
        Some(())
    }

    fn hex(&mut self, digits: usize) -> Option<char> {
        let (number, rest) = self.rest.split_at_checked(digits)?;
        let clean = number.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.rest = rest;
        char::from_u32(clean.then(|| u32::from_str_radix(number, 16).ok())??)
    }

    fn word(&mut self) -> Option<Value> {
        let negative = self.rest.starts_with('-');
        let has_sign = negative || self.rest.starts_with('+');
        if has_sign {
            self.rest = self.rest.get(1..)?;
            self.blanks();
        }
        if !has_sign && self.eat("...") {
            return Some(Value::Text("...".to_owned()));
        }
        let bytes = self.rest.as_bytes();
        let mut end: usize = 0;
        while let Some(byte) = bytes.get(end) {
            let before = end.checked_sub(1).and_then(|at| bytes.get(at));
            // A sign inside a number stands behind its `e`.
            let sign = matches!(byte, b'+' | b'-')
                && matches!(before, Some(b'e' | b'E'))
                && !self.rest.starts_with("0x");
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || sign) {
                break;
            }
            end = end.saturating_add(1);
        }
        let (word, rest) = self.rest.split_at_checked(end)?;
        let value = match word {
            "None" if !has_sign => Value::Null,
            "True" if !has_sign => Value::Bool(true),
            "False" if !has_sign => Value::Bool(false),
            other => Value::Number(number_of(negative, other)?),
        };
        self.rest = rest;
        Some(value)
    }
}

/// What Python can use as a key, as JSON writes it.
fn hashable(key: &Value) -> Option<String> {
    match key {
        Value::List(_) | Value::Map(_) => None,
        other => Some(key_of(other).0),
    }
}

fn number_of(negative: bool, word: &str) -> Option<Number> {
    if !word.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            // `0x_ff` is a number, too.
            let digits = without_underscores(digits.strip_prefix('_').unwrap_or(digits))?;
            return number(negative, u64::from_str_radix(&digits, radix).ok()?);
        }
    }
    let whole = lower
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'_');
    if whole {
        let digits = without_underscores(&lower)?;
        // Python refuses leading zeros, so that they stay texts.
        let padded =
            digits.len() > 1 && digits.starts_with('0') && digits.bytes().any(|b| b != b'0');
        return if padded {
            None
        } else {
            number(negative, digits.parse().ok()?)
        };
    }
    let (mantissa, exponent) = match lower.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (lower.as_str(), None),
    };
    let mut parts = mantissa.splitn(2, '.');
    let (front, back) = (parts.next()?, parts.next().unwrap_or_default());
    let some = |digits: &str| digits.is_empty() || without_underscores(digits).is_some();
    let exponent_fits = exponent.is_none_or(|digits| {
        let bare = digits.strip_prefix(['+', '-']).unwrap_or(digits);
        without_underscores(bare).is_some()
    });
    if !some(front) || !some(back) || (front.is_empty() && back.is_empty()) || !exponent_fits {
        return None;
    }
    let parsed: f64 = lower.replace('_', "").parse().ok()?;
    Number::from_f64(if negative { -parsed } else { parsed })
}

/// Digits with single underscores between them, without those.
fn without_underscores(digits: &str) -> Option<String> {
    let fits = !digits.is_empty()
        && !digits.starts_with('_')
        && !digits.ends_with('_')
        && !digits.contains("__")
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && digits
            .bytes()
            .all(|byte| byte == b'_' || byte.is_ascii_hexdigit());
    fits.then(|| digits.replace('_', ""))
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
            ("- 5", json!(-5)),
            ("--5", json!("--5")),
            ("-True", json!("-True")),
            ("0x1F", json!(31)),
            ("0x_f", json!(15)),
            ("1_000", json!(1000)),
            ("1__0", json!("1__0")),
            ("0644", json!("0644")),
            ("00", json!(0)),
            ("1.5", json!(1.5)),
            ("1.", json!(1.0)),
            (".5", json!(0.5)),
            (".", json!(".")),
            ("1e3", json!(1000.0)),
            ("1-2", json!("1-2")),
            ("True", json!(true)),
            ("true", json!("true")),
            ("None", json!(null)),
            ("...", json!("...")),
            ("'80'", json!("80")),
            ("\"a\" 'b'", json!("ab")),
            ("r'a\\n'", json!("a\\n")),
            ("b'a' b'b'", json!("ab")),
            ("b'a' 'b'", json!("b'a' 'b'")),
            ("'''a'b'''", json!("a'b")),
            ("'\\x41\\101\\u00fc\\q'", json!("AAü\\q")),
            ("['a', 1, (2,), (3), ()]", json!(["a", 1, [2], 3, []])),
            ("80,443", json!([80, 443])),
            ("80,", json!([80])),
            ("80,web", json!("80,web")),
            ("{1, 2, 1}", json!([1, 2])),
            ("{'a': {'b': []}, 1: 2,}", json!({"a": {"b": []}, "1": 2})),
            ("{a: 1}", json!("{a: 1}")),
            ("{[]: 1}", json!("{[]: 1}")),
            ("10.0.0.1", json!("10.0.0.1")),
            ("80 # web", json!(80)),
            ("a # b", json!("a # b")),
            ("[1, 2", json!("[1, 2")),
            ("", json!("")),
            ("99999999999999999999", json!("99999999999999999999")),
            ("'a", json!("'a")),
            ("10m", json!("10m")),
        ] {
            assert_eq!(value(text).to_json(), meant, "{text}");
        }
        let deep = "[".repeat(5_000);
        assert_eq!(value(&deep).to_json(), json!(deep));
    }
}
