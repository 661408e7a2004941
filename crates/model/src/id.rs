//! One newtype per kind of name or id, so that a host is never mistaken for a role.

use crate::word::Text;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        ///
        /// A copy shares the text: a run has some hundred thousand positions, and few names.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Wraps the text; its spelling was checked where it was read.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into().into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $type {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text).map(Self)
            }
        }
    };
}

name!(
    /// A host's name in the inventory: neither its address nor its identity.
    HostName
);
name!(
    /// A group of hosts that change in the same way.
    RoleName
);
name!(
    /// A failure domain.
    ZoneName
);
name!(
    /// A service that users notice when it is down.
    ServiceName
);
name!(
    /// Data that has one authority at any time.
    DatasetName
);
name!(
    /// A named part of an upgrade, run in order.
    StageName
);
name!(
    /// A program that makes, changes and ends machines.
    ProviderName
);
name!(
    /// One execution of a plan and its amendments.
    RunId
);
name!(
    /// The random id that a target makes together with its receipt store.
    InstallId
);
name!(
    /// A random word that tells two makers of the same request apart.
    Nonce
);
name!(
    /// Who asked or decided: a login name, proven by the socket or the operating system.
    Person
);
name!(
    /// A law of the checker, like `verified-copy`.
    RuleId
);
name!(
    /// The stable path of a step in its plan, like `upgrade/database/change/full-upgrade`.
    StepId
);
name!(
    /// Names one attempt of one step on one target; equal keys are the same attempt.
    AttemptKey
);

/// The controller's name among hosts; no inventory can have it, because of its parentheses.
const CONTROLLER: &str = "(controller)";

thread_local! {
    /// The same, made once for each thread: it is asked for at every look at a step, and threads that count the holders
    /// of one text wait for each other.
    static CONTROLLER_NAME: HostName = HostName::new(CONTROLLER);
}

impl HostName {
    /// The controller itself, where it is registered and keeps receipts as a host does.
    pub fn controller() -> Self {
        CONTROLLER_NAME.with(Self::clone)
    }

    /// Whether it is the controller.
    pub fn is_controller(&self) -> bool {
        &*self.0 == CONTROLLER
    }
}

impl StepId {
    /// The id of a child of this block.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        if self.0.is_empty() {
            Self::new(name)
        } else {
            Self(format!("{}/{name}", self.0).into())
        }
    }

    /// Its last part: the slug of the step's own name.
    pub fn last(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, last)| last)
    }
}

/// Where a run can stand: a step, and the host whose lane it belongs to.
///
/// Written `step@host`, or `step` alone when the step belongs to no host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The step.
    pub step: StepId,
    /// The lane; `None` for steps of the whole run.
    pub host: Option<HostName>,
}

impl Position {
    /// A position in a host's lane.
    pub fn on(step: StepId, host: HostName) -> Self {
        Self {
            step,
            host: Some(host),
        }
    }

    /// A position in no host's lane.
    pub fn alone(step: StepId) -> Self {
        Self { step, host: None }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) => write!(f, "{}@{host}", self.step),
            None => write!(f, "{}", self.step),
        }
    }
}

/// The text is not a position: it is empty, or a side of its `@` is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a position; one is written `step` or `step@host`")]
pub struct NotAPosition(pub String);

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let wrong = || NotAPosition(text.to_owned());
        match text.rsplit_once('@') {
            Some((step, host)) if !step.is_empty() && !host.is_empty() => {
                Ok(Self::on(step.into(), host.into()))
            }
            None if !text.is_empty() => Ok(Self::alone(text.into())),
            _ => Err(wrong()),
        }
    }
}

impl Serialize for Position {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl serde::de::Visitor<'_> for Words {
            type Value = Position;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a position")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Position, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Words)
    }
}

/// A SHA-256 digest, in lower-case hexadecimal. A copy shares the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(Arc<str>);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self::from_raw(&Sha256::digest(bytes.as_ref()))
    }

    /// The digest of a value's JSON. Maps in the model are ordered, so equal values give equal text.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn of_json<T: Serialize>(value: &T) -> Result<Self, serde_json::Error> {
        Ok(Self::of(serde_json::to_vec(value)?))
    }

    /// From the bytes of a finished SHA-256.
    pub fn from_raw(raw: &[u8]) -> Self {
        let digit = |four: u8| match four {
            0..=9 => char::from(b'0'.saturating_add(four)),
            _ => char::from(b'a'.saturating_add(four).saturating_sub(10)),
        };
        let mut text = String::with_capacity(raw.len().saturating_mul(2));
        for byte in raw {
            text.push(digit(byte >> 4));
            text.push(digit(byte & 15));
        }
        Self(text.into())
    }

    /// From text that something else wrote.
    ///
    /// # Errors
    /// When the text is not 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, NotADigest> {
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            Err(NotADigest)
        }
    }

    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not a SHA-256 digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest of 64 hexadecimal digits")]
pub struct NotADigest;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_they_are_written() {
        for text in ["upgrade/db/stop@db1", "finish/say", "a@b@c"] {
            assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        }
        for text in ["", "@", "a@", "@b"] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_digest_is_the_one_that_sha256sum_prints() {
        let digest = Digest::of("abc");
        assert_eq!(
            digest.as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(Digest::parse(digest.as_str()).unwrap(), digest);
        assert!(Digest::parse("ba78").is_err());
    }
}
