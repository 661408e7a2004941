//! Asking a person for the passphrases of key files.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::keyring::FileKey;
use super::secret::Secret;

/// Tries at one key; also OpenSSH's number.
const TRIES_MAX: u32 = 3;

/// Asks a person for the passphrase of a key file; the number says how many answers were wrong. `None`
/// when there is nobody to ask. May block.
pub type Ask = dyn Fn(&Path, u32) -> Option<Secret> + Send + Sync;

/// Where passphrases come from. Each key file is asked for once, whoever needs it, and one at a time,
/// because there is one terminal. Nothing is asked before a server said that it takes the key.
#[derive(Clone, Default)]
pub struct Passphrases(Option<Arc<Person>>);

struct Person {
    ask: Box<Ask>,
    turn: Mutex<()>,
}

impl Passphrases {
    /// From a person.
    pub fn from(ask: impl Fn(&Path, u32) -> Option<Secret> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(Person {
            ask: Box::new(ask),
            turn: Mutex::new(()),
        })))
    }

    /// Opens a key or finds that nobody can. Goes on when its caller stops waiting, so that a question
    /// that stands on the terminal is not asked twice.
    pub(super) async fn open(&self, key: &Arc<FileKey>) {
        let (this, key) = (self.clone(), Arc::clone(key));
        let _done = tokio::task::spawn_blocking(move || this.open_now(&key)).await;
    }

    fn open_now(&self, key: &FileKey) {
        let Some(person) = &self.0 else {
            return key.give_up(0);
        };
        let _turn = person.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wrong = 0;
        // Whoever waited for the turn may find it open.
        while key.is_shut() {
            match (person.ask)(key.path(), wrong) {
                Some(passphrase) if key.open(&passphrase) => return,
                Some(_) => wrong += 1,
                None => return key.give_up(wrong),
            }
            if wrong == TRIES_MAX {
                key.give_up(wrong);
            }
        }
    }
}

impl PartialEq for Passphrases {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

impl Eq for Passphrases {}

impl fmt::Debug for Passphrases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "asked of a person",
            None => "nobody to ask",
        })
    }
}
