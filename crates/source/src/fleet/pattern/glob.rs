//! Shell-like globs by the rules of Python's `fnmatch`: `*`, `?`, `[seq]`, `[!seq]`; the whole name must fit, and case counts.

/// A glob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(Vec<Token>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    One(char),
    Any,
    Many,
    Of {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Glob {
    /// Reads a glob; there is none that is wrong: a `[` without its end stands for itself.
    pub(super) fn new(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some(c) = chars.get(at) {
            at = at.saturating_add(1);
            tokens.push(match c {
                '*' if tokens.last() == Some(&Token::Many) => continue,
                '*' => Token::Many,
                '?' => Token::Any,
                '[' => match class(chars.get(at..).unwrap_or_default()) {
                    Some((token, length)) => {
                        at = at.saturating_add(length);
                        token
                    }
                    None => Token::One('['),
                },
                other => Token::One(*other),
            });
        }
        Self(tokens)
    }

    /// Whether the whole name fits. Takes no more than (length of the glob) x (length of the name) steps.
    pub(super) fn fits(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut token, mut at) = (0_usize, 0_usize);
        // Where to go on when what follows the last `*` does not fit: with one character more for it.
        let mut again: Option<(usize, usize)> = None;
        loop {
            match (self.0.get(token), name.get(at)) {
                (None, None) => return true,
                (Some(Token::Many), _) => {
                    token = token.saturating_add(1);
                    again = Some((token, at));
                }
                (Some(wanted), Some(c)) if wanted.is(*c) => {
                    token = token.saturating_add(1);
                    at = at.saturating_add(1);
                }
                (_, _) => match again {
                    Some((back, from)) if from < name.len() => {
                        (token, at) = (back, from.saturating_add(1));
                        again = Some((back, at));
                    }
                    _ => return false,
                },
            }
        }
    }
}

impl Token {
    fn is(&self, c: char) -> bool {
        match self {
            Self::One(own) => *own == c,
            Self::Any => true,
            Self::Many => false,
            Self::Of { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

/// A class from behind its `[`, and how many characters it takes with its `]`; none without an end.
fn class(chars: &[char]) -> Option<(Token, usize)> {
    let negated = chars.first() == Some(&'!');
    let start = usize::from(negated);
    // A `]` right at the beginning belongs to the class.
    let search = start.saturating_add(usize::from(chars.get(start) == Some(&']')));
    let end = chars
        .iter()
        .skip(search)
        .position(|c| *c == ']')?
        .saturating_add(search);
    let mut inner = chars.get(start..end)?;
    let mut ranges = Vec::new();
    while let Some((low, rest)) = inner.split_first() {
        match rest {
            ['-', high, after @ ..] => {
                // A range that is backwards holds nothing.
                if low <= high {
                    ranges.push((*low, *high));
                }
                inner = after;
            }
            _ => {
                ranges.push((*low, *low));
                inner = rest;
            }
        }
    }
    Some((Token::Of { negated, ranges }, end.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn globs() {
        for (glob, name, expected) in [
            ("web*", "web1", true),
            ("web*", "aweb", false),
            ("*", "", true),
            ("w?b", "web", true),
            ("w?b", "wb", false),
            ("[wd]*", "db", true),
            ("[!wd]*", "db", false),
            ("[!wd]*", "lb", true),
            ("web[0-2]", "web2", true),
            ("web[0-2]", "web3", false),
            ("[z-a]x", "zx", false),
            ("[!z-a]x", "zx", true),
            ("[]a]", "]", true),
            ("[!]a]", "b", true),
            ("[a-]", "-", true),
            ("[a", "[a", true),
            ("a-z[a-c-e]", "a-z-", true),
            ("*a*b*c*", "xxaxxbxxc", true),
            ("*a*b*c*", "xxaxxcxxb", false),
            ("WEB", "web", false),
            ("[^a]", "^", true),
            ("[\\d]", "\\", true),
        ] {
            assert_eq!(Glob::new(glob).fits(name), expected, "{glob} {name}");
        }
    }
}
