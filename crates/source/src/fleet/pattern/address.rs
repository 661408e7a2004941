//! Whether a text is one host name, address or range of them, with or without a port.
//!
//! Ansible splits a pattern at its colons only when it is none of these: `web:80` is one pattern, `web:db` are two.

/// A dotted name's or number's parts, and those of IPv6 without `::`.
const IPV6_PARTS: usize = 8;

/// Groups of hexadecimal digits that may stand beside a `::`.
const IPV6_PARTS_BESIDE_GAP_MAX: usize = 7;

/// Whether the text is a host (or a range of hosts), with or without `:PORT`.
pub(super) fn is_address(text: &str) -> bool {
    let mut host = text;
    if let Some(inner) = bracketed(host) {
        host = inner;
    }
    if let Some(name) = before_port(host) {
        host = name;
    }
    is_ipv6(host) || is_hostname(host)
}

/// `[HOST]:PORT`.
fn bracketed(text: &str) -> Option<&str> {
    let (host, port) = text.rsplit_once(':')?;
    let inner = host.strip_prefix('[')?.strip_suffix(']')?;
    (!inner.is_empty() && is_digits(port)).then_some(inner)
}

/// `HOST:PORT`, in which HOST has no colon outside of brackets.
fn before_port(text: &str) -> Option<&str> {
    let (host, port) = text.rsplit_once(':')?;
    let whole = pieces(host, ':').is_some_and(|pieces| pieces.len() == 1);
    (is_digits(port) && whole).then_some(host)
}

/// The text's pieces between the separators that stand outside of `[...]`; none when brackets do not match.
fn pieces(text: &str, separator: char) -> Option<Vec<&str>> {
    let mut out = Vec::new();
    let (mut start, mut inside) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            ']' if !inside => return None,
            '[' => inside = true,
            ']' => inside = false,
            c if c == separator && !inside => {
                out.push(text.get(start..at)?);
                start = at.saturating_add(c.len_utf8());
            }
            _ => {}
        }
    }
    out.push(text.get(start..)?);
    (!inside).then_some(out)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// `[FIRST:LAST]` or `[FIRST:LAST:STEP]`, whose ends both meet the condition.
fn is_range(text: &str, is_end: impl Fn(&str, &str) -> bool) -> bool {
    let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) else {
        return false;
    };
    let parts: Vec<&str> = inner.split(':').collect();
    match parts.as_slice() {
        [first, last] => is_end(first, last),
        [first, last, step] => is_end(first, last) && is_digits(step),
        _ => false,
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A group of an IPv6 address, or a range of them.
fn is_ipv6_part(text: &str) -> bool {
    (text.len() <= 4 && is_hex(text)) || is_range(text, |first, last| is_hex(first) && is_hex(last))
}

fn is_ipv6(text: &str) -> bool {
    let parts = |text: &str| match text {
        "" => Some(0),
        text => pieces(text, ':')
            .filter(|parts| parts.iter().all(|part| is_ipv6_part(part)))
            .map(|parts| parts.len()),
    };
    if let Some(found) = is_ipv6_with_dots(text) {
        return found;
    }
    match text.split_once("::") {
        None => parts(text) == Some(IPV6_PARTS),
        Some((left, right)) => match (parts(left), parts(right)) {
            (Some(0), Some(n)) | (Some(n), Some(0)) => n < IPV6_PARTS_BESIDE_GAP_MAX,
            (Some(left), Some(right)) => left.saturating_add(right) <= IPV6_PARTS_BESIDE_GAP_MAX,
            _ => false,
        },
    }
}

/// `::ffff:192.0.2.3` and its like; none when there is no dot outside of brackets.
fn is_ipv6_with_dots(text: &str) -> Option<bool> {
    let dotted = pieces(text, '.').filter(|parts| parts.len() > 1)?;
    let (first, rest) = dotted.split_first()?;
    let last_colon = pieces(first, ':')?.last()?.len();
    let (head, part) = first.split_at_checked(first.len().saturating_sub(last_colon))?;
    let head_fits = ["0:0:0:0:0:0:", "::", "::ffff:", "0:0:0:0:0:ffff:"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(head));
    Some(head_fits && rest.len() == 3 && is_ipv6_part(part) && rest.iter().all(|p| is_ipv6_part(p)))
}

/// Labels between dots: letters, digits, `_`, `-` and ranges; no label begins with `-` or ends with `-` or `_`.
fn is_hostname(text: &str) -> bool {
    pieces(text, '.').is_some_and(|labels| labels.iter().all(|label| is_label(label)))
}

fn is_label(label: &str) -> bool {
    let in_range = |first: &str, last: &str| {
        let letter = |end: &str| end.len() == 1 && end.bytes().all(|b| b.is_ascii_alphabetic());
        (is_digits(first) && is_digits(last)) || (letter(first) && letter(last))
    };
    let mut rest = label;
    while let Some(at) = rest.find('[') {
        let Some(end) = rest.find(']') else {
            return false;
        };
        let (Some(words), Some(range)) = (rest.get(..at), rest.get(at..=end)) else {
            return false;
        };
        if !words.chars().all(is_word) || !is_range(range, in_range) {
            return false;
        }
        rest = rest.get(end.saturating_add(1)..).unwrap_or_default();
    }
    !label.is_empty()
        && rest.chars().all(is_word)
        && !label.starts_with('-')
        && !label.ends_with(['-', '_'])
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn one_host_or_not() {
        for (text, expected) in [
            ("web", true),
            ("web:80", true),
            ("web:db", false),
            ("web:80:81", false),
            ("a.example.com", true),
            ("web[1:3]", true),
            ("web[a:f].example:22", true),
            ("web[0]", false),
            ("web-", false),
            ("_x", true),
            ("x_", false),
            ("", false),
            ("::1", true),
            ("::", true),
            ("1::", true),
            ("a:b", false),
            ("fe80::1:2", true),
            ("1:2:3:4:5:6:7:8", true),
            ("1:2:3:4:5:6:7", false),
            ("::1:2:3:4:5:6:7", false),
            ("1:2:3:4:5:6::7", true),
            ("::ffff:192.0.2.3", true),
            ("fe80::[1:f]", true),
            ("[::1]:22", true),
            ("[web]:22", true),
            ("10.0.0.[1:9]", true),
            ("web*", false),
            ("größe", true),
            ("a]b", false),
        ] {
            assert_eq!(is_address(text), expected, "{text}");
        }
    }
}
