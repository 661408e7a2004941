//! Plain scalars by the rules of YAML 1.1 as PyYAML has them, which is what Ansible reads.

use super::value::Value;
use serde_json::Number;

/// What a scalar without quotes means.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    let may_be_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    if !may_be_number {
        return Value::Text(text.to_owned());
    }
    whole(text)
        .or_else(|| fraction(text))
        .map(Value::Number)
        .or_else(|| time(text).map(Value::Text))
        .unwrap_or_else(|| Value::Text(text.to_owned()))
}

/// The sign, and what stands behind it.
fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn all(text: &str, of: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(of)
}

fn digit(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'_'
}

/// A number of a type that keeps every digit; others stay texts.
pub(super) fn number(negative: bool, magnitude: u64) -> Option<Number> {
    if !negative {
        return Some(magnitude.into());
    }
    match i64::try_from(magnitude) {
        Ok(magnitude) => Some(magnitude.saturating_neg().into()),
        Err(_) => (magnitude == i64::MIN.unsigned_abs()).then(|| i64::MIN.into()),
    }
}

/// A whole number, if the scalar is one.
pub(super) fn whole(text: &str) -> Option<Number> {
    let (negative, digits) = signed(text);
    let bare = || digits.replace('_', "");
    let radix = |rest: &str, radix| u64::from_str_radix(&rest.replace('_', ""), radix).ok();
    let magnitude = if let Some(rest) = digits.strip_prefix("0b") {
        let fits = all(rest, |byte| matches!(byte, b'0' | b'1' | b'_'));
        fits.then(|| radix(rest, 2))?
    } else if let Some(rest) = digits.strip_prefix("0x") {
        let fits = all(rest, |byte| byte.is_ascii_hexdigit() || byte == b'_');
        fits.then(|| radix(rest, 16))?
    } else if digits == "0" {
        Some(0)
    } else if let Some(rest) = digits.strip_prefix('0') {
        let fits = all(rest, |byte| matches!(byte, b'0'..=b'7' | b'_'));
        let zero = rest.bytes().all(|byte| byte == b'_');
        fits.then(|| if zero { Some(0) } else { radix(rest, 8) })?
    } else if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        None
    } else if all(digits, digit) {
        bare().parse().ok()
    } else {
        sixties(digits)
    };
    number(negative, magnitude?)
}

/// `1:30` counts sixties.
fn sixties(digits: &str) -> Option<u64> {
    let mut parts = digits.split(':');
    let first = parts.next().filter(|first| all(first, digit))?;
    let mut out: u64 = first.replace('_', "").parse().ok()?;
    let mut more = false;
    for part in parts {
        out = out.checked_mul(60)?.checked_add(sixtieth(part)?)?;
        more = true;
    }
    more.then_some(out)
}

fn sixtieth(part: &str) -> Option<u64> {
    let fits = matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    fits.then(|| part.parse().ok())?
}

/// A number with a point. Infinities and what is no number stay texts.
pub(super) fn fraction(text: &str) -> Option<Number> {
    let (negative, digits) = signed(text);
    let (front, back) = digits.split_once('.')?;
    let (back, exponent) = match back.find(['e', 'E']) {
        Some(at) => back.split_at_checked(at)?,
        None => (back, ""),
    };
    let exponent_fits = match exponent.as_bytes() {
        [] => true,
        [_, b'+' | b'-', rest @ ..] => !rest.is_empty() && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !exponent_fits || !back.bytes().all(digit) {
        return None;
    }
    let value: f64 = if front.is_empty() {
        let unsigned = digits.len() == text.len();
        let fits = unsigned && back.starts_with(|c: char| c.is_ascii_digit());
        fits.then(|| digits.replace('_', "").parse().ok())??
    } else if front.contains(':') && exponent.is_empty() {
        let (sixties, last) = front.rsplit_once(':')?;
        sixtieth(last)?;
        let above = if all(sixties, digit) {
            sixties.replace('_', "").parse::<f64>().ok()?
        } else {
            whole(sixties)?.as_f64()?
        };
        let below: f64 = format!("{last}.{}", back.replace('_', "")).parse().ok()?;
        above.mul_add(60.0, below)
    } else {
        let fits = front.starts_with(|c: char| c.is_ascii_digit()) && all(front, digit);
        fits.then(|| digits.replace('_', "").parse().ok())??
    };
    Number::from_f64(if negative { -value } else { value })
}

/// A day or a time, as Ansible writes it out: `2026-01-31`, `2026-01-31T10:00:00+00:00`.
fn time(text: &str) -> Option<String> {
    let number = |text: &str, widths: std::ops::RangeInclusive<usize>| {
        let fits = widths.contains(&text.len()) && all(text, |byte| byte.is_ascii_digit());
        fits.then(|| text.parse::<u32>().ok())?
    };
    let (year, rest) = text.split_once('-')?;
    let (month, rest) = rest.split_once('-')?;
    let year = number(year, 4..=4)?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (day, rest) = rest.split_at_checked(end)?;
    if rest.is_empty() {
        let day = number(day, 2..=2)?;
        let month = number(month, 2..=2)?;
        return Some(format!("{year:04}-{month:02}-{day:02}"));
    }
    let (month, day) = (number(month, 1..=2)?, number(day, 1..=2)?);
    let rest = match rest.strip_prefix(['T', 't']) {
        Some(rest) => rest,
        None => rest.trim_start_matches([' ', '\t']),
    };
    let mut parts = rest.splitn(3, ':');
    let hour = number(parts.next()?, 1..=2)?;
    let minute = number(parts.next()?, 2..=2)?;
    let rest = parts.next()?;
    let (second, rest) = rest.split_at_checked(2)?;
    let second = number(second, 2..=2)?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            rest.split_at_checked(end)?
        }
        None => ("", rest),
    };
    let micros: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let micros = if micros == "000000" {
        String::new()
    } else {
        format!(".{micros}")
    };
    let zone = zone_of(zone.trim_start_matches([' ', '\t']))?;
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{micros}{zone}"
    ))
}

fn zone_of(zone: &str) -> Option<String> {
    if zone.is_empty() {
        return Some(String::new());
    }
    if zone == "Z" {
        return Some("+00:00".to_owned());
    }
    let sign = zone.chars().next().filter(|c| "+-".contains(*c))?;
    let (hours, minutes) = match zone.get(1..)?.split_once(':') {
        Some((hours, minutes)) => (hours, minutes),
        None => (zone.get(1..)?, "00"),
    };
    let digits = |text: &str| all(text, |byte| byte.is_ascii_digit());
    let fits = digits(hours) && hours.len() <= 2 && digits(minutes) && minutes.len() == 2;
    fits.then(|| format!("{sign}{hours:0>2}:{minutes}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_scalars_mean_what_pyyaml_says() {
        for (text, meant) in [
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("y", json!("y")),
            ("~", json!(null)),
            ("0644", json!(420)),
            ("0o17", json!("0o17")),
            ("089", json!("089")),
            ("0x1F", json!(31)),
            ("0b11", json!(3)),
            ("1_000", json!(1000)),
            ("+5", json!(5)),
            ("22:22", json!(1342)),
            ("22:99", json!("22:99")),
            ("1.5", json!(1.5)),
            ("1.", json!(1.0)),
            (".5", json!(0.5)),
            ("-.5", json!("-.5")),
            ("1e3", json!("1e3")),
            ("1.5e3", json!("1.5e3")),
            ("1.5e+3", json!(1500.0)),
            ("1:30.5", json!(90.5)),
            (".inf", json!(".inf")),
            ("10.0.0.1", json!("10.0.0.1")),
            ("2026-01-31", json!("2026-01-31")),
            ("2026-1-31", json!("2026-1-31")),
            (
                "2001-12-14t21:59:43.10-05:00",
                json!("2001-12-14T21:59:43.100000-05:00"),
            ),
            ("2001-12-14 21:59:43 Z", json!("2001-12-14T21:59:43+00:00")),
            (
                "18446744073709551615",
                json!(18_446_744_073_709_551_615_u64),
            ),
            ("18446744073709551616", json!("18446744073709551616")),
            ("1-2", json!("1-2")),
            ("-", json!("-")),
            ("0.0.0", json!("0.0.0")),
        ] {
            assert_eq!(resolve(text).to_json(), meant, "{text}");
        }
    }
}
