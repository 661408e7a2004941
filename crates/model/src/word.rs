//! Texts that many values have in common, kept once.

use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Texts that a thread remembers: a fleet has some hundred different names of units and kinds of file systems. When there
/// are more, it begins anew, and what comes then is shared with what follows it alone.
const WORDS_MAX: usize = 4_096;

/// Longest text that is remembered, in bytes: longer ones are hardly ever said twice.
const WORD_BYTES_MAX: usize = 96;

thread_local! {
    static WORDS: RefCell<HashSet<Arc<str>>> = RefCell::new(HashSet::new());
}

/// A text that is likely to be said of many hosts, like the name of a unit: equal ones that were read on one thread
/// are one text in memory. It is compared, printed and stored like any other.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Word(Arc<str>);

impl Word {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        if text.len() > WORD_BYTES_MAX {
            return Self(text.into());
        }
        WORDS.with_borrow_mut(|words| {
            if let Some(known) = words.get(text) {
                return Self(Arc::clone(known));
            }
            if words.len() >= WORDS_MAX {
                words.clear();
            }
            let new: Arc<str> = text.into();
            words.insert(Arc::clone(&new));
            Self(new)
        })
    }
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<Word> for String {
    fn from(word: Word) -> Self {
        word.as_str().to_owned()
    }
}

impl Deref for Word {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Word {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for Word {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl PartialEq<String> for Word {
    fn eq(&self, other: &String) -> bool {
        *self.0 == **other
    }
}

impl PartialEq<Word> for String {
    fn eq(&self, other: &Word) -> bool {
        **self == *other.0
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl serde::de::Visitor<'_> for Words {
            type Value = Word;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Word, E> {
                Ok(text.into())
            }
        }
        deserializer.deserialize_str(Words)
    }
}

/// Reads a text into one piece of memory, without a `String` in between.
pub(crate) struct Text;

impl serde::de::Visitor<'_> for Text {
    type Value = Arc<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Arc<str>, E> {
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_words_are_one_text_until_there_are_too_many() {
        let first = Word::from("nginx.service");
        let again: Word = serde_json::from_str("\"nginx.service\"").unwrap();
        assert_eq!(first, again);
        assert!(Arc::ptr_eq(&first.0, &again.0));
        let long = "x".repeat(WORD_BYTES_MAX + 1);
        assert!(!Arc::ptr_eq(
            &Word::from(long.as_str()).0,
            &Word::from(long.as_str()).0
        ));
        for number in 0..2 * WORDS_MAX {
            let _ = Word::from(number.to_string());
            assert!(WORDS.with_borrow(HashSet::len) <= WORDS_MAX);
        }
        assert_eq!(Word::from("nginx.service"), first);
    }

    #[test]
    fn a_word_is_stored_as_its_text() {
        let word = Word::from("a \"b\"\n");
        let stored = serde_json::to_string(&word).unwrap();
        assert_eq!(stored, r#""a \"b\"\n""#);
        assert_eq!(serde_json::from_str::<Word>(&stored).unwrap(), word);
        assert!(serde_json::from_str::<Word>("1").is_err());
    }
}
