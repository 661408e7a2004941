//! Ranges in names: `web[01:50]`, `db[a:f]`, `node[0:10:2]`, several in one name.

/// What is wrong with a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RangeFault {
    #[error("a range is written [FIRST:LAST] or [FIRST:LAST:STEP]")]
    Form,
    #[error("the range lacks its end")]
    NoEnd,
    #[error("`{0}` and `{1}` are padded differently; both ends need the same number of digits")]
    Width(String, String),
    #[error("`{0}` comes after `{1}`")]
    Backwards(String, String),
    #[error("`{0}` and `{1}` are no two numbers and no two letters")]
    Mixed(String, String),
    #[error("the step of a range is a number from 1")]
    Step,
    #[error("the range has more than {0} names")]
    TooMany(usize),
}

/// Whether a name holds a range.
pub(super) fn has_range(name: &str) -> bool {
    name.split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .is_some_and(|(inner, _)| inner.contains(':'))
}

/// The names that a pattern stands for, in order; the pattern itself when it holds no range.
pub(super) fn expand(pattern: &str, names_max: usize) -> Result<Vec<String>, RangeFault> {
    let mut done = vec![String::new()];
    let mut rest = pattern;
    while has_range(rest) {
        let (head, tail) = rest.split_once('[').ok_or(RangeFault::Form)?;
        let (inner, tail) = tail.split_once(']').ok_or(RangeFault::Form)?;
        let room = names_max / done.len().max(1);
        let parts = parts(inner, room).map_err(|fault| match fault {
            RangeFault::TooMany(_) => RangeFault::TooMany(names_max),
            other => other,
        })?;
        done = done
            .iter()
            .flat_map(|name| parts.iter().map(move |part| format!("{name}{head}{part}")))
            .collect();
        rest = tail;
    }
    for name in &mut done {
        name.push_str(rest);
    }
    Ok(done)
}

fn parts(inner: &str, max: usize) -> Result<Vec<String>, RangeFault> {
    let mut bounds = inner.split(':');
    let (first, last) = match (bounds.next(), bounds.next()) {
        (Some(first), Some(last)) => (if first.is_empty() { "0" } else { first }, last),
        _ => return Err(RangeFault::Form),
    };
    let step = match bounds.next() {
        None => 1,
        Some(step) => step
            .parse::<usize>()
            .ok()
            .filter(|step| *step > 0)
            .ok_or(RangeFault::Step)?,
    };
    if bounds.next().is_some() {
        return Err(RangeFault::Form);
    }
    if last.is_empty() {
        return Err(RangeFault::NoEnd);
    }
    let both = || (first.to_owned(), last.to_owned());
    let backwards = || {
        let (first, last) = both();
        RangeFault::Backwards(first, last)
    };
    if let (Some(first), Some(last)) = (letter(first), letter(last)) {
        if first > last {
            return Err(backwards());
        }
        return Ok(LETTERS
            .get(first..=last)
            .unwrap_or_default()
            .chars()
            .step_by(step)
            .map(String::from)
            .collect());
    }
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = (digits(first) && digits(last))
        .then(|| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)))
        .flatten();
    let Some((from, to)) = numbers else {
        let (first, last) = both();
        return Err(RangeFault::Mixed(first, last));
    };
    let padded = first.len() > 1 && first.starts_with('0');
    if padded && first.len() != last.len() {
        let (first, last) = both();
        return Err(RangeFault::Width(first, last));
    }
    if from > to {
        return Err(backwards());
    }
    let count = (to - from) / u64::try_from(step).unwrap_or(u64::MAX);
    if usize::try_from(count).unwrap_or(usize::MAX) >= max {
        return Err(RangeFault::TooMany(max));
    }
    let width = if padded { first.len() } else { 0 };
    Ok((from..=to)
        .step_by(step)
        .map(|number| format!("{number:0width$}"))
        .collect())
}

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// A text of several letters counts as its first where it stands in the alphabet, as Ansible has it.
fn letter(text: &str) -> Option<usize> {
    LETTERS.find(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_expanded_as_ansible_does() {
        for (pattern, names) in [
            ("web", "web"),
            ("web[01:03]", "web01 web02 web03"),
            ("web[8:10].x", "web8.x web9.x web10.x"),
            ("db[a:c]", "dba dbb dbc"),
            ("n[0:4:2]", "n0 n2 n4"),
            ("n[:2]", "n0 n1 n2"),
            ("r[1:2]n[a:b]", "r1na r1nb r2na r2nb"),
        ] {
            assert_eq!(expand(pattern, 100).unwrap().join(" "), names, "{pattern}");
        }
    }

    #[test]
    fn bad_ranges_say_what_is_wrong() {
        for (pattern, fault) in [
            (
                "w[01:100]",
                "`01` and `100` are padded differently; both ends need the same number of digits",
            ),
            ("w[3:1]", "`3` comes after `1`"),
            ("w[1:]", "the range lacks its end"),
            (
                "w[1:x]",
                "`1` and `x` are no two numbers and no two letters",
            ),
            ("w[1:2:0]", "the step of a range is a number from 1"),
            (
                "w[1:2:3:4]",
                "a range is written [FIRST:LAST] or [FIRST:LAST:STEP]",
            ),
            ("w[0:100]", "the range has more than 100 names"),
            ("w[0:99]x[0:99]", "the range has more than 100 names"),
            (
                "w[0:99999999999999999999]",
                "`0` and `99999999999999999999` are no two numbers and no two letters",
            ),
        ] {
            assert_eq!(
                expand(pattern, 100).unwrap_err().to_string(),
                fault,
                "{pattern}"
            );
        }
    }
}
