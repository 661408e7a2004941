//! Names of hosts as inventories write them: with ranges, with a port.

use super::range::{RangeFault, expand};

/// What is wrong with a host's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatternFault {
    #[error("{0}")]
    Range(#[from] RangeFault),
    #[error("a `:` at the end needs a port behind it")]
    NoPort,
    #[error("a `[` without its `]`")]
    Open,
    #[error("nothing stands here")]
    Empty,
}

/// The hosts that a pattern stands for, and the port behind it.
pub(super) fn hosts_of(
    pattern: &str,
    names_max: usize,
) -> Result<(Vec<String>, Option<u32>), PatternFault> {
    if pattern.is_empty() {
        return Err(PatternFault::Empty);
    }
    let (host, port) = split_port(pattern);
    if port.is_none() && pattern.trim().ends_with(':') {
        return Err(PatternFault::NoPort);
    }
    if !host.contains('[') {
        return Ok((vec![host.to_owned()], port));
    }
    if !host.contains(']') {
        return Err(PatternFault::Open);
    }
    let names = expand(host, names_max)?;
    match names.first().is_some_and(|name| name.contains('[')) {
        true => Err(RangeFault::Form.into()),
        false => Ok((names, port)),
    }
}

/// The host and its port. What Ansible does not take for an address keeps its colon, and no port.
pub(super) fn split_port(pattern: &str) -> (&str, Option<u32>) {
    let bracketed = bracketed_port(pattern).unwrap_or((pattern, None));
    let (host, port) = match plain_port(bracketed.0) {
        Some((host, port)) => (host, Some(port)),
        None => bracketed,
    };
    match port {
        Some(_) if is_address(host) => (host, port),
        _ => (pattern, None),
    }
}

fn number(digits: &str) -> Option<u32> {
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().ok())?
}

/// `[HOST]:PORT`.
fn bracketed_port(pattern: &str) -> Option<(&str, Option<u32>)> {
    let (host, port) = pattern.strip_prefix('[')?.rsplit_once("]:")?;
    (!host.is_empty()).then_some((host, Some(number(port)?)))
}

/// `HOST:PORT`, where HOST has no colon outside its brackets.
fn plain_port(pattern: &str) -> Option<(&str, u32)> {
    let (host, port) = pattern.rsplit_once(':')?;
    let port = number(port)?;
    let mut inside = false;
    for c in host.chars() {
        match (c, inside) {
            ('[', false) => inside = true,
            (']', true) => inside = false,
            (':' | ']', false) => return None,
            _ => {}
        }
    }
    (!inside).then_some((host, port))
}

/// Whether a text is a number or a name of a network host, ranges in it included.
fn is_address(text: &str) -> bool {
    let numeric = text.contains(':')
        && text
            .chars()
            .all(|c| c.is_ascii_hexdigit() || ":.[]".contains(c));
    numeric || labels(text).is_some_and(|labels| labels.iter().all(|label| is_label(label)))
}

/// The parts between points outside brackets.
fn labels(text: &str) -> Option<Vec<&str>> {
    let mut out = Vec::new();
    let mut start: usize = 0;
    let mut inside = false;
    for (at, c) in text.char_indices() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            '.' if !inside => {
                out.push(text.get(start..at)?);
                start = at.saturating_add(1);
            }
            _ => {}
        }
    }
    out.push(text.get(start..)?);
    Some(out)
}

/// Letters, digits, `_`, `-` and ranges; no `-` at its beginning, neither `-` nor `_` at its end.
fn is_label(label: &str) -> bool {
    let mut rest = label;
    let mut first = true;
    while let Some(c) = rest.chars().next() {
        if c == '[' {
            let Some((range, tail)) = rest.get(1..).and_then(|rest| rest.split_once(']')) else {
                return false;
            };
            if !is_range(range) {
                return false;
            }
            rest = tail;
        } else {
            if !(c.is_alphanumeric() || c == '_' || (c == '-' && !first)) {
                return false;
            }
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        first = false;
    }
    !first && !label.ends_with(['-', '_'])
}

fn is_range(range: &str) -> bool {
    let digits = |text: &str| number(text).is_some() || text.len() > 9;
    let letter = |text: &str| text.len() == 1 && text.bytes().all(|b| b.is_ascii_alphabetic());
    let mut parts = range.split(':');
    let (Some(first), Some(last)) = (parts.next(), parts.next()) else {
        return false;
    };
    let both = (digits(first) && digits(last)) || (letter(first) && letter(last));
    both && parts.next().is_none_or(digits) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_split_as_ansible_does() {
        for (pattern, hosts, port) in [
            ("web", "web", None),
            ("web:2222", "web", Some(2222)),
            ("10.0.0.1:22", "10.0.0.1", Some(22)),
            (
                "web[1:2].example:2200",
                "web1.example web2.example",
                Some(2200),
            ),
            ("[1:2]web:22", "1web 2web", Some(22)),
            ("[web]:22", "web", Some(22)),
            ("[2001:db8::1]:22", "2001:db8::1", Some(22)),
            ("2001:db8::1", "2001:db8::1", None),
            ("web_:22", "web_:22", None),
            ("a-[a:c]", "a-a a-b a-c", None),
            ("_x:1", "_x", Some(1)),
        ] {
            let (found, at) = hosts_of(pattern, 100).unwrap();
            assert_eq!((found.join(" ").as_str(), at), (hosts, port), "{pattern}");
        }
        for pattern in ["web:", "web[1:2", "web[1]", ""] {
            assert!(hosts_of(pattern, 100).is_err(), "{pattern}");
        }
    }
}
