//! JSON with its keys in their order, as programs and exports give it.

use super::book::FileId;
use super::data::{Data, DataEntry, DataTree};
use super::value::Value;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Whether a text may be JSON: then it is tried before YAML, as Ansible does.
pub(super) fn looks_like(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[', '"'])
}

/// What a JSON text holds. Its places are the file as a whole: such files are written by programs.
pub(super) fn read(text: &str, file: FileId) -> Result<Data, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let data = Tree(file).deserialize(&mut reader)?;
    reader.end()?;
    Ok(data)
}

#[derive(Clone, Copy)]
struct Tree(FileId);

impl Tree {
    fn leaf(self, value: Value) -> Data {
        Data {
            place: self.0.whole(),
            tree: DataTree::Leaf(value),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Data;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Data, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Data, E> {
        Ok(self.leaf(Value::Null))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Data, E> {
        Ok(self.leaf(Value::Bool(truth)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Data, E> {
        Ok(self.leaf(Value::Number(number.into())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Data, E> {
        Ok(self.leaf(Value::Number(number.into())))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Data, E> {
        let number = serde_json::Number::from_f64(number).ok_or_else(|| E::custom("no number"))?;
        Ok(self.leaf(Value::Number(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Data, E> {
        Ok(self.leaf(Value::Text(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Data, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Data {
            place: self.0.whole(),
            tree: DataTree::List(items),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Data, A::Error> {
        let mut entries: Vec<DataEntry> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some(key) = from.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format!(
                    "the key `{key}` stands here twice"
                )));
            }
            entries.push(DataEntry {
                key,
                is_text: true,
                key_place: self.0.whole(),
                value: from.next_value_seed(self)?,
            });
        }
        let special = match entries.as_mut_slice() {
            [one] => marked(one),
            _ => None,
        };
        Ok(match special {
            Some(value) => self.leaf(value),
            None => Data {
                place: self.0.whole(),
                tree: DataTree::Map(entries),
            },
        })
    }
}

/// The form in which Ansible writes encrypted and unsafe texts into JSON.
fn marked(entry: &DataEntry) -> Option<Value> {
    let DataTree::Leaf(Value::Text(text)) = &entry.value.tree else {
        return None;
    };
    match entry.key.as_str() {
        "__ansible_vault" => Some(Value::Encrypted(text.clone())),
        "__ansible_unsafe" => Some(Value::Unsafe(text.clone())),
        _ => None,
    }
}
