//! Values of variables: what Ansible knows besides JSON is kept apart, above all what is encrypted.

use super::book::Place;
use overhaul_model::secret::Secret;
use serde_json::{Map, Number, Value as Json};
use std::sync::Arc;

/// A value as an inventory holds it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A truth.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text, which Ansible takes for a template where it looks like one.
    Text(String),
    /// A text that is no template whatever it looks like (`!unsafe`).
    Unsafe(String),
    /// A text that is encrypted (`!vault`), as it stands in the file.
    Encrypted(String),
    /// A text out of a file that is encrypted as a whole, and was opened with a key.
    Opened(Secret),
    /// Values in their order.
    List(Vec<Value>),
    /// Values by name, in the order in which they were written.
    Map(Vec<(String, Value)>),
}

/// What about a value must be known before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// It can be used as it is.
    Plain,
    /// Something in it is a template.
    Template,
    /// Something in it is encrypted, or was until a key was given.
    Encrypted,
}

/// A variable's value with its place.
#[derive(Clone, Debug)]
pub struct Var {
    /// The value.
    pub value: Value,
    /// Where it was written.
    pub place: Place,
    /// The value for templates and plans; only when it is plain.
    pub(super) plain: Option<Arc<Json>>,
    /// What must be known about it.
    pub nature: Nature,
}

impl Var {
    pub(super) fn new(value: Value, place: Place) -> Self {
        let nature = value.nature();
        let plain = (nature == Nature::Plain).then(|| Arc::new(value.to_json()));
        Self {
            value,
            place,
            plain,
            nature,
        }
    }
}

impl Value {
    fn nature(&self) -> Nature {
        match self {
            Self::Encrypted(_) | Self::Opened(_) => Nature::Encrypted,
            Self::Text(text) if is_template(text) => Nature::Template,
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Unsafe(_) => {
                Nature::Plain
            }
            Self::List(items) => worst(items.iter()),
            Self::Map(pairs) => worst(pairs.iter().map(|(_, value)| value)),
        }
    }

    /// The value as `ansible-inventory` prints it: what is encrypted stays so, and is marked.
    pub fn to_json(&self) -> Json {
        let marked = |name: &str, text: &str| {
            let pair = (name.to_owned(), Json::String(text.to_owned()));
            Json::Object(Map::from_iter([pair]))
        };
        match self {
            Self::Null => Json::Null,
            Self::Bool(truth) => Json::Bool(*truth),
            Self::Number(number) => Json::Number(number.clone()),
            Self::Text(text) | Self::Unsafe(text) => Json::String(text.clone()),
            Self::Encrypted(text) => marked("__ansible_vault", text),
            Self::Opened(_) => marked("__ansible_vault", "[secret]"),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(pairs) => {
                let pairs = pairs
                    .iter()
                    .map(|(key, value)| (key.clone(), value.to_json()));
                Json::Object(pairs.collect())
            }
        }
    }

    /// The value with every text in it kept secret.
    pub(super) fn kept_secret(self) -> Self {
        let opened = |text: String| Self::Opened(Secret::new(text));
        match self {
            Self::Text(text) | Self::Unsafe(text) => opened(text),
            Self::Number(number) => opened(number.to_string()),
            Self::Bool(truth) => opened(truth.to_string()),
            Self::List(items) => Self::List(items.into_iter().map(Self::kept_secret).collect()),
            Self::Map(pairs) => {
                let pairs = pairs.into_iter();
                Self::Map(
                    pairs
                        .map(|(key, value)| (key, value.kept_secret()))
                        .collect(),
                )
            }
            Self::Null | Self::Encrypted(_) | Self::Opened(_) => self,
        }
    }
}

fn worst<'v>(values: impl Iterator<Item = &'v Value>) -> Nature {
    let mut out = Nature::Plain;
    for value in values {
        match value.nature() {
            Nature::Encrypted => return Nature::Encrypted,
            Nature::Template => out = Nature::Template,
            Nature::Plain => {}
        }
    }
    out
}

/// Whether Ansible would take a text for a template.
pub(super) fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}
