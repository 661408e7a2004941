//! One part of a pattern: a sign, what hosts and groups are compared with, and which of the matches are meant.

use super::error::PatternFault;
use super::glob::Glob;
use super::regex::compile;
use fancy_regex::Regex;

/// What becomes of the hosts that a part matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// They are added.
    Add,
    /// `&`: no others are kept.
    Keep,
    /// `!`: they are left out.
    Drop,
}

/// A part of a pattern, read.
#[derive(Clone, Debug)]
pub(super) struct Name {
    /// What is done with the matches.
    pub(super) sign: Sign,
    /// As it was written, with its sign.
    pub(super) whole: String,
    /// Without sign and subscript.
    pub(super) base: String,
    /// What it is compared as.
    pub(super) way: Way,
    /// Which of the matches are meant; all without one.
    pub(super) subscript: Option<Subscript>,
}

/// How names are compared.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// The whole name.
    Exact,
    /// A glob.
    Glob(Glob),
    /// `~REGEX`, from the first character on.
    Regex(Box<Regex>),
}

/// Which of the matches are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subscript {
    /// `[2]`, `[-1]`.
    One(i64),
    /// `[1:3]`, both ends included, or `[1:]`.
    Slice { first: usize, last: Option<usize> },
}

impl Name {
    /// Reads a part that is not empty.
    ///
    /// # Errors
    /// A sign alone, or a wrong regular expression.
    pub(super) fn read(whole: &str) -> Result<Self, PatternFault> {
        let (sign, rest) = match whole.strip_prefix('!') {
            Some(rest) => (Sign::Drop, rest),
            None => match whole.strip_prefix('&') {
                Some(rest) => (Sign::Keep, rest),
                None => (Sign::Add, whole),
            },
        };
        if rest.is_empty() {
            let sign = whole.chars().next().unwrap_or('!');
            return Err(PatternFault::Bare(sign));
        }
        let (base, subscript) = split_subscript(rest);
        let way = if let Some(python) = base.strip_prefix('~') {
            Way::Regex(Box::new(compile(python).map_err(PatternFault::Regex)?))
        } else if base.contains(['*', '?', '[']) {
            Way::Glob(Glob::new(base))
        } else {
            Way::Exact
        };
        Ok(Self {
            sign,
            whole: whole.to_owned(),
            base: base.to_owned(),
            way,
            subscript,
        })
    }

    /// Whether every name must be looked at.
    pub(super) fn searches(&self) -> bool {
        !matches!(self.way, Way::Exact)
    }

    /// Whether a name fits.
    ///
    /// # Errors
    /// When a regular expression takes too long.
    pub(super) fn fits(&self, name: &str) -> Result<bool, PatternFault> {
        match &self.way {
            Way::Exact => Ok(self.base == name),
            Way::Glob(glob) => Ok(glob.fits(name)),
            Way::Regex(regex) => regex
                .is_match(name)
                .map_err(|_| PatternFault::Backtracking(name.to_owned())),
        }
    }

    /// Whether hosts are looked through even though a group has fitted: Ansible does so when the text may be
    /// more than a plain name.
    pub(super) fn may_be_host_too(&self) -> bool {
        self.searches() || self.base.contains('.')
    }
}

/// `NAME[1]`, `NAME[-1]`, `NAME[0:2]`, `NAME[1:]`, and the same with `-` for `:`. A regular expression has none.
fn split_subscript(text: &str) -> (&str, Option<Subscript>) {
    let parsed = || {
        let (base, inner) = text.strip_suffix(']')?.rsplit_once('[')?;
        if base.is_empty() || base.contains('\n') || text.starts_with('~') {
            return None;
        }
        subscript(inner).map(|subscript| (base, subscript))
    };
    match parsed() {
        Some((base, subscript)) => (base, Some(subscript)),
        None => (text, None),
    }
}

fn subscript(inner: &str) -> Option<Subscript> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // More digits than fit mean: beyond any host.
    let index = |text: &str| text.parse::<usize>().unwrap_or(usize::MAX);
    let signed = |text: &str| text.parse::<i64>().unwrap_or(i64::MAX);
    if let Some(number) = inner.strip_prefix('-').filter(|number| digits(number)) {
        return Some(Subscript::One(signed(number).saturating_neg()));
    }
    if digits(inner) {
        return Some(Subscript::One(signed(inner)));
    }
    let (first, last) = inner.split_once([':', '-'])?;
    if !digits(first) || !(last.is_empty() || digits(last)) {
        return None;
    }
    Some(match last {
        "" => Subscript::Slice {
            first: index(first),
            last: None,
        },
        // Ansible takes an end of 0 for none at all: `[2:0]` is `[2]`.
        zero if index(zero) == 0 => Subscript::One(signed(first)),
        last => Subscript::Slice {
            first: index(first),
            last: Some(index(last)),
        },
    })
}
