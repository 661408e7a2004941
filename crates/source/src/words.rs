//! Spelling: which names are valid, what a near miss was meant to be, slugs of titles.

use overhaul_model::template::RESERVED;

/// Longest name of a host, role, service, dataset or zone: what fits into a file name with room to spare.
pub(crate) const NAME_CHARS_MAX: usize = 128;

/// Longest word that a near miss is looked for: beyond it the comparison costs more than it helps.
const COMPARED_CHARS_MAX: usize = 48;

/// Names that variables must not take besides [`RESERVED`]: kinds of upgraders use them.
const RESERVED_FOR_KINDS: [&str; 2] = ["from_codename", "to_codename"];

/// Why a text cannot be a name, if it cannot.
pub(crate) fn name_fault(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() {
        return Some("a name is empty".to_owned());
    }
    if name.chars().count() > NAME_CHARS_MAX {
        return Some(format!("a name has more than {NAME_CHARS_MAX} characters"));
    }
    if let Some(wrong) = name.chars().find(|c| !allowed(*c)) {
        return Some(format!("`{wrong}` cannot stand in a name"));
    }
    (!name.starts_with(|c: char| c.is_ascii_alphanumeric()))
        .then(|| "a name begins with a letter or a digit".to_owned())
}

/// What valid names look like, for help.
pub(crate) const NAME_HELP: &str = "names are made of letters, digits, `.`, `_` and `-`";

/// Whether templates can name it.
pub(crate) fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether templates give the name a meaning of their own.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || RESERVED_FOR_KINDS.contains(&name)
}

/// Longest slug; the compiler of plans cuts at the same length.
const SLUG_CHARS_MAX: usize = 60;

/// The title in lower case, each run of other characters as one `-`.
pub(crate) fn slug(title: &str) -> String {
    let mut out = String::with_capacity(title.len());
    for c in title.chars() {
        if out.len() >= SLUG_CHARS_MAX {
            break;
        }
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.truncate(out.trim_end_matches('-').len());
    out
}

/// The candidate that a word was probably meant to be.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let length = word.chars().count();
    if length == 0 || length > COMPARED_CHARS_MAX {
        return None;
    }
    // Short words are near to everything.
    let allowed = (length / 3).min(3);
    let lower = word.to_ascii_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count() <= COMPARED_CHARS_MAX)
        .map(|candidate| (distance(&lower, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean" with the nearest candidate, else the list of what there is.
pub(crate) fn suggestion<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
    there_is: &str,
) -> String {
    if let Some(near) = nearest(word, candidates.clone()) {
        return format!("did you mean `{near}`?");
    }
    let shown: Vec<_> = candidates.into_iter().map(|c| format!("`{c}`")).collect();
    match shown.len() {
        0 => {
            let things = there_is.trim_start_matches("the ");
            format!("there are no {}", things.trim_end_matches(" are"))
        }
        count if count > SUGGESTED_MAX => format!(
            "{there_is}: {} and {} more",
            shown.get(..SUGGESTED_MAX).unwrap_or_default().join(", "),
            count.saturating_sub(SUGGESTED_MAX)
        ),
        _ => format!("{there_is}: {}", shown.join(", ")),
    }
}

/// Candidates that one line of help lists.
const SUGGESTED_MAX: usize = 24;

/// Edits (insert, delete, change, swap of neighbours) that lead from one word to another.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i.saturating_add(1)];
        for (j, cb) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX);
            let changed = at(&last, j).saturating_add(usize::from(ca != cb));
            let deleted = at(&last, j.saturating_add(1)).saturating_add(1);
            let inserted = at(&row, j).saturating_add(1);
            let mut best = changed.min(deleted).min(inserted);
            let swapped = i > 0
                && j > 0
                && a.get(i.saturating_sub(1)) == Some(cb)
                && b.get(j.saturating_sub(1)) == Some(ca);
            if swapped {
                best = best.min(at(&before_last, j.saturating_sub(1)).saturating_add(1));
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_found_and_far_ones_are_not() {
        let keys = ["address", "roles", "zone", "identity_file", "vars"];
        for (word, meant) in [
            ("adress", Some("address")),
            ("Role", Some("roles")),
            ("zoen", Some("zone")),
            ("identity-file", Some("identity_file")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), meant, "{word}");
        }
    }

    #[test]
    fn slugs_are_stable_words() {
        for (title, word) in [
            (
                "move the cluster to the new major",
                "move-the-cluster-to-the-new-major",
            ),
            ("  Stop (nginx)! ", "stop-nginx"),
            ("ÄÖ", ""),
        ] {
            assert_eq!(slug(title), word);
        }
    }
}
