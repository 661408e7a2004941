//! Lengths of time as people write them: `500ms`, `90s`, `15m`, `1h30m`, `2d`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

/// Longest span that a definition may name: a year, so that sums never overflow.
const SPAN_MS_MAX: u64 = 366 * 24 * 3_600_000;

const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Span {
    /// So many milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// So many seconds.
    pub const fn from_s(s: u64) -> Self {
        Self(s.saturating_mul(1_000))
    }

    /// The length in milliseconds.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// The length for the standard library.
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// From one moment to a later one; zero when the clock went backwards.
    pub fn between(from: jiff::Timestamp, to: jiff::Timestamp) -> Self {
        Self(u64::try_from(to.as_millisecond().saturating_sub(from.as_millisecond())).unwrap_or(0))
    }

    /// The moment this long after another; the last representable one if there is none.
    pub fn after(self, moment: jiff::Timestamp) -> jiff::Timestamp {
        moment
            .checked_add(self.as_duration())
            .unwrap_or(jiff::Timestamp::MAX)
    }

    /// The sum, at most the largest value.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left when the other is taken away; zero when that is longer.
    #[must_use]
    pub const fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, size) in UNITS {
            let count = rest / size;
            rest %= size;
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

/// The text is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time; write it like 500ms, 90s, 15m, 1h30m or 2d, at most 366d")]
pub struct NotASpan(pub String);

impl FromStr for Span {
    type Err = NotASpan;

    fn from_str(text: &str) -> Result<Self, NotASpan> {
        let wrong = || NotASpan(text.to_owned());
        let mut rest = text.trim();
        let mut total: u64 = 0;
        let mut last_size = u64::MAX;
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let (count, tail) = rest.split_at(digits);
            let letters = tail
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let count: u64 = count.parse().map_err(|_| wrong())?;
            let size = UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or_else(wrong)?
                .1;
            if size >= last_size {
                return Err(wrong());
            }
            last_size = size;
            total = count
                .checked_mul(size)
                .and_then(|ms| total.checked_add(ms))
                .ok_or_else(wrong)?;
            rest = tail;
        }
        if total > SPAN_MS_MAX {
            Err(wrong())
        } else {
            Ok(Self(total))
        }
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, ms) in [
            ("500ms", 500),
            ("90s", 90_000),
            ("15m", 900_000),
            ("1h30m", 5_400_000),
            ("0s", 0),
        ] {
            assert_eq!(text.parse::<Span>().unwrap().as_ms(), ms, "{text}");
        }
        for text in [
            "", "15", "m", "1m1h", "1m1m", "-5s", "1.5h", "9999999d", "5 m",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(ms in 0..SPAN_MS_MAX) {
            let span = Span::from_ms(ms);
            prop_assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = text.parse::<Span>();
        }
    }
}
