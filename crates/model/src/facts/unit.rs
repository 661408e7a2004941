//! Units of systemd. A host has a hundred of them, and nearly all of them stand on every host in the same state: each
//! such state is in memory once, whatever the number of hosts.

use crate::word::Word;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// States that a thread remembers: some hundred units in a few states each. When there are more, it begins anew.
const STATES_MAX: usize = 4_096;

/// Longest state that is remembered, in bytes: what is longer is no name that many hosts share.
const STATE_BYTES_MAX: usize = 256;

thread_local! {
    static STATES: RefCell<States> = RefCell::default();
}

/// What was read on this thread, by its four texts in one, and the text that is looked up.
#[derive(Default)]
struct States {
    known: HashMap<Box<str>, Arc<UnitState>>,
    asked: String,
}

/// A unit of systemd in its state.
#[derive(Clone, PartialEq, Eq)]
pub struct Unit(Arc<UnitState>);

/// What is known of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnitState {
    /// Its full name, like `nginx.service`.
    pub name: Word,
    /// `loaded`, `masked`, `not-found`, ...
    pub load: Word,
    /// `active`, `inactive`, `failed`, ...
    pub active: Word,
    /// `running`, `exited`, `dead`, ...
    pub sub: Word,
}

impl UnitState {
    fn is(&self, [name, load, active, sub]: [&str; 4]) -> bool {
        self.name == name && self.load == load && self.active == active && self.sub == sub
    }
}

impl Unit {
    /// A unit of this name in this state.
    pub fn new(name: &str, load: &str, active: &str, sub: &str) -> Self {
        STATES.with_borrow_mut(|states| states.of([name, load, active, sub]))
    }
}

impl States {
    fn of(&mut self, texts: [&str; 4]) -> Unit {
        let [name, load, active, sub] = texts;
        let new = || {
            Arc::new(UnitState {
                name: name.into(),
                load: load.into(),
                active: active.into(),
                sub: sub.into(),
            })
        };
        self.asked.clear();
        for text in texts {
            self.asked.push_str(text);
            self.asked.push('\n');
        }
        match self.known.get(self.asked.as_str()) {
            // Foreign texts may hold line ends: then two states may look alike.
            Some(known) if known.is(texts) => return Unit(Arc::clone(known)),
            Some(_) => return Unit(new()),
            None if self.asked.len() > STATE_BYTES_MAX => return Unit(new()),
            None => {}
        }
        if self.known.len() >= STATES_MAX {
            self.known.clear();
        }
        let new = new();
        self.known
            .insert(self.asked.as_str().into(), Arc::clone(&new));
        Unit(new)
    }
}

impl Deref for Unit {
    type Target = UnitState;

    fn deref(&self) -> &UnitState {
        &self.0
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Serialize for Unit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Unit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Texts<'t> {
            #[serde(borrow)]
            name: Cow<'t, str>,
            #[serde(borrow)]
            load: Cow<'t, str>,
            #[serde(borrow)]
            active: Cow<'t, str>,
            #[serde(borrow)]
            sub: Cow<'t, str>,
        }
        let texts = Texts::deserialize(deserializer)?;
        Ok(Self::new(
            &texts.name,
            &texts.load,
            &texts.active,
            &texts.sub,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_states_are_one_and_like_looking_ones_are_two() {
        let stored =
            r#"{"name":"nginx.service","load":"loaded","active":"active","sub":"running"}"#;
        let first: Unit = serde_json::from_str(stored).unwrap();
        let again = Unit::new("nginx.service", "loaded", "active", "running");
        assert!(Arc::ptr_eq(&first.0, &again.0));
        assert_eq!(serde_json::to_string(&first).unwrap(), stored);
        let failed = Unit::new("nginx.service", "loaded", "failed", "failed");
        assert_ne!(first, failed);
        // One text for both.
        let (one, other) = (
            Unit::new("a\nb", "c", "d", "e"),
            Unit::new("a", "b\nc", "d", "e"),
        );
        assert_ne!(one, other);
        assert_eq!((&*other.name, &*other.load), ("a", "b\nc"));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let long = "x".repeat(STATE_BYTES_MAX);
        let (one, again) = (
            Unit::new(&long, "a", "b", "c"),
            Unit::new(&long, "a", "b", "c"),
        );
        assert!(one == again && !Arc::ptr_eq(&one.0, &again.0));
        for number in 0..2 * STATES_MAX {
            let name = format!("{number}.service");
            assert_eq!(&*Unit::new(&name, "loaded", "active", "running").name, name);
            assert!(STATES.with_borrow(|states| states.known.len()) <= STATES_MAX);
        }
    }

    #[test]
    fn a_text_with_escapes_and_a_lacking_one_are_read_as_ever() {
        let stored = r#"{"sub":"s","name":"a\"\u00e9","load":"l","active":"a"}"#;
        let unit: Unit = serde_json::from_str(stored).unwrap();
        assert_eq!(&*unit.name, "a\"é");
        let wrong = serde_json::from_str::<Unit>(r#"{"name":"a"}"#).unwrap_err();
        assert!(
            wrong.to_string().contains("missing field `load`"),
            "{wrong}"
        );
    }
}
