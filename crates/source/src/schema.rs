//! JSON Schemas of what is read, from the same table as the readers.

use crate::cluster_kind::CLUSTER_KIND;
use crate::definition::DEFINITION;
use crate::fleet::FLEET;
use crate::hooks::HOOKS;
use crate::kind::KIND;
use crate::shape::{Kind, Shape};
use crate::tracker::TRACKER;
use serde_json::{Map, Value, json};

/// What a file that a schema describes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Described {
    /// A fleet in our short form.
    Fleet,
    /// A definition.
    Upgrade,
    /// A kind of upgrader.
    Kind,
    /// A tracker.
    Tracker,
    /// A kind of cluster.
    ClusterKind,
    /// The operator's hooks.
    Hooks,
}

impl Described {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Fleet,
        Self::Upgrade,
        Self::Kind,
        Self::Tracker,
        Self::ClusterKind,
        Self::Hooks,
    ];

    /// The schema's file name.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Fleet => "fleet.schema.json",
            Self::Upgrade => "upgrade.schema.json",
            Self::Kind => "kind.schema.json",
            Self::Tracker => "tracker.schema.json",
            Self::ClusterKind => "cluster-kind.schema.json",
            Self::Hooks => "hooks.schema.json",
        }
    }
}

/// The JSON Schema (2020-12) of a file.
pub fn schema(described: Described) -> Value {
    let root: &'static Shape = match described {
        Described::Fleet => &FLEET,
        Described::Upgrade => &DEFINITION,
        Described::Kind => &KIND,
        Described::Tracker => &TRACKER,
        Described::ClusterKind => &CLUSTER_KIND,
        Described::Hooks => &HOOKS,
    };
    let mut definitions = Map::new();
    collect(root, &mut definitions);
    let root_schema = definitions.remove(root.id);
    let mut out = Map::new();
    out.insert(
        "$schema".into(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    out.insert("title".into(), root.what.into());
    if let Some(Value::Object(root)) = root_schema {
        out.extend(root);
    }
    out.insert("$defs".into(), Value::Object(definitions));
    Value::Object(out)
}

fn collect(shape: &'static Shape, definitions: &mut Map<String, Value>) {
    if definitions.contains_key(shape.id) {
        return;
    }
    // Stands here before its parts are visited, because measures hold measures.
    definitions.insert(shape.id.to_owned(), Value::Null);
    let mut properties = Map::new();
    for key in shape.all() {
        let mut property = kind(&key.kind, definitions);
        if let Value::Object(property) = &mut property {
            property.insert("description".to_owned(), key.says.into());
        }
        properties.insert(key.name.to_owned(), property);
    }
    let needed = shape.all().filter(|key| key.needed).map(|key| key.name);
    let mut out = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "required": needed.collect::<Vec<_>>(),
    });
    if !shape.one_of.is_empty() {
        let choices = shape
            .one_of
            .iter()
            .map(|key| json!({"required": [key.name]}));
        let choices: Vec<Value> = choices.collect();
        if let Value::Object(out) = &mut out {
            out.insert("oneOf".to_owned(), Value::Array(choices));
        }
    }
    definitions.insert(shape.id.to_owned(), out);
}

fn kind(of: &'static Kind, definitions: &mut Map<String, Value>) -> Value {
    match of {
        Kind::Text => json!({"type": ["string", "number", "boolean"]}),
        Kind::Words(words) => json!({"enum": words}),
        Kind::Int(low, high) => json!({"type": "integer", "minimum": low, "maximum": high}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Span => json!({"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$"}),
        Kind::Date => json!({"type": "string", "format": "date"}),
        Kind::Any => json!({}),
        Kind::Nothing => json!({"type": "null"}),
        Kind::List(item) => json!({"type": "array", "items": kind(item, definitions)}),
        Kind::Map(value) => {
            let value = kind(value, definitions);
            json!({"type": ["object", "null"], "additionalProperties": value})
        }
        Kind::Object(shape) => {
            collect(shape, definitions);
            json!({"$ref": format!("#/$defs/{}", shape.id)})
        }
        Kind::Either(kinds) => {
            let kinds: Vec<Value> = kinds.iter().map(|of| kind(of, definitions)).collect();
            json!({"anyOf": kinds})
        }
    }
}
