//! The published schemas and the readers know the same keys.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use overhaul_source::{Described, schema};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Checks a value against the few words that our schemas use.
fn fits(value: &Value, of: &Value, root: &Value) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("{why}: {value} against {of}"));
    if let Some(path) = of.get("$ref").and_then(Value::as_str) {
        return fits(
            value,
            root.pointer(path.trim_start_matches('#')).unwrap(),
            root,
        );
    }
    if let Some(any) = of.get("anyOf").and_then(Value::as_array) {
        return if any.iter().any(|of| fits(value, of, root).is_ok()) {
            Ok(())
        } else {
            wrong("no choice fits")
        };
    }
    if let Some(words) = of.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        return wrong("not one of the words");
    }
    let types: Vec<&str> = match of.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().map(|t| t.as_str().unwrap()).collect(),
        _ => Vec::new(),
    };
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_i64() && types.contains(&"integer") => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.is_empty() && !types.contains(&is) {
        return wrong("wrong type");
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| match of.get("items") {
            Some(of) => fits(item, of, root),
            None => Ok(()),
        }),
        Value::Object(map) => fits_object(map, of, root).map_err(|why| format!("{why}: {value}")),
        _ => Ok(()),
    }
}

fn fits_object(map: &Map<String, Value>, of: &Value, root: &Value) -> Result<(), String> {
    let needed = of
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    for key in needed {
        if !map.contains_key(key.as_str().unwrap()) {
            return Err("a key is lacking".to_owned());
        }
    }
    if let Some(choices) = of.get("oneOf").and_then(Value::as_array) {
        let holds = |choice: &&Value| map.contains_key(choice["required"][0].as_str().unwrap());
        if choices.iter().filter(holds).count() != 1 {
            return Err("not exactly one choice".to_owned());
        }
    }
    map.iter().try_for_each(|(key, value)| {
        let known = of.get("properties").and_then(|known| known.get(key));
        match (known, of.get("additionalProperties")) {
            (Some(of), _) => fits(value, of, root),
            (None, Some(Value::Bool(false))) => Err(format!("unknown key {key}")),
            (None, Some(of)) => fits(value, of, root),
            (None, None) => Ok(()),
        }
    })
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text.trim_start_matches('\u{feff}')).unwrap()
}

/// What the readers take, the schemas take.
#[test]
fn good_files_fit_their_schemas() {
    for (described, text) in [
        (Described::Fleet, include_str!("cases/fleet-good.txt")),
        (Described::Upgrade, include_str!("cases/upgrade-good.txt")),
        (Described::Kind, include_str!("cases/kind-good.txt")),
        (
            Described::ClusterKind,
            include_str!("cases/cluster-kind-good.txt"),
        ),
        (Described::Hooks, include_str!("cases/hooks-good.txt")),
    ] {
        let schema = schema(described);
        for block in text.split("##### ").skip(1) {
            let (name, text) = block.split_once('\n').unwrap();
            if name.ends_with(".yaml") {
                fits(&yaml(text), &schema, &schema).unwrap_or_else(|why| panic!("{name}: {why}"));
            }
        }
    }
}

/// Every key of a schema stands in a good file, so that each one is known to be read.
#[test]
fn every_key_of_the_schemas_is_read() {
    fn keys(value: &Value, out: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                out.extend(map.keys().cloned());
                map.values().for_each(|value| keys(value, out));
            }
            Value::Array(items) => items.iter().for_each(|value| keys(value, out)),
            _ => {}
        }
    }
    for (described, text) in [
        (Described::Fleet, include_str!("cases/fleet-good.txt")),
        (Described::Upgrade, include_str!("cases/upgrade-good.txt")),
        (
            Described::ClusterKind,
            include_str!("cases/cluster-kind-good.txt"),
        ),
        (Described::Hooks, include_str!("cases/hooks-good.txt")),
    ] {
        let mut written = BTreeSet::new();
        for block in text.split("##### ").skip(1) {
            let (name, text) = block.split_once('\n').unwrap();
            if name.ends_with(".yaml") {
                keys(&yaml(text), &mut written);
            }
        }
        let schema = schema(described);
        let objects = schema["$defs"]
            .as_object()
            .unwrap()
            .values()
            .chain([&schema]);
        for object in objects {
            for key in object["properties"].as_object().unwrap().keys() {
                assert!(
                    written.contains(key),
                    "{described:?}: no good case has `{key}`"
                );
            }
        }
    }
}

/// The published schemas are written anew by `OVERHAUL_UPDATE_SCHEMAS=1 cargo nextest run -p overhaul-source published`.
#[test]
fn the_published_schemas_are_those_of_the_readers() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema");
    for described in Described::ALL {
        let path = folder.join(described.file_name());
        let text = serde_json::to_string_pretty(&schema(described)).unwrap() + "\n";
        if option_env!("OVERHAUL_UPDATE_SCHEMAS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let published = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(published == text, "{} is out of date", path.display());
    }
}
