//! Which upgrade path each role takes, and its upgrader's texts with both code names.

use crate::draft::Draft;
use crate::error::Wrong;
use overhaul_model::definition::RoleUpgrade;
use overhaul_model::kind::{UpgradePath, Upgrader};
use overhaul_model::strategy::Change;
use serde_json::Value;
use std::collections::BTreeMap;
use std::rc::Rc;

/// An upgrader on one of its paths.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub upgrader: Rc<Upgrader>,
}

pub(crate) fn resolve(draft: &mut Draft<'_>) {
    let in_place = |role: &&RoleUpgrade| role.strategy.change() == Change::InPlace;
    // All roles go from one release to one other, so that an upgrader has one way for all of them.
    let mut found: BTreeMap<&String, Way> = BTreeMap::new();
    for role in draft.definition.roles.iter().filter(in_place) {
        if let Some(way) = found.get(&role.upgrader) {
            draft.ways.insert(role.role.clone(), way.clone());
            continue;
        }
        let Some(upgrader) = draft.definition.upgraders.get(&role.upgrader) else {
            draft.wrong(
                &role.origin,
                Wrong::NoUpgrader(role.upgrader.clone()),
                "`apt` is the one that comes with Overhaul",
            );
            continue;
        };
        if let Some(way) = way(draft, role, upgrader) {
            found.insert(&role.upgrader, way.clone());
            draft.ways.insert(role.role.clone(), way);
        }
    }
}

fn way(draft: &mut Draft<'_>, role: &RoleUpgrade, upgrader: &Upgrader) -> Option<Way> {
    let (from, to) = (&draft.definition.from, &draft.definition.to);
    let Some(path) = upgrader
        .paths
        .iter()
        .find(|path| path.from == *from && path.to == *to)
    else {
        let known: Vec<String> = upgrader
            .paths
            .iter()
            .map(|path| format!("{} to {}", path.from, path.to))
            .collect();
        let what = Wrong::NoPath {
            upgrader: upgrader.name.clone(),
            from: from.to_string(),
            to: to.to_string(),
        };
        draft.wrong(
            &role.origin,
            what,
            format!(
                "it knows {}; no release may be left out on the way",
                known.join(", ")
            ),
        );
        return None;
    };
    for codename in [&path.from_codename, &path.to_codename] {
        let plain = !codename.is_empty()
            && codename
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !plain {
            // It goes into scripts as it is.
            let what = Wrong::CodeName(codename.clone());
            draft.wrong(&role.origin, what, "correct it in the upgrader's `paths:`");
            return None;
        }
    }
    match with_codenames(upgrader, path) {
        Ok(upgrader) => Some(Way {
            upgrader: Rc::new(upgrader),
        }),
        Err(error) => {
            let what = Wrong::Upgrader {
                upgrader: upgrader.name.clone(),
                why: error.to_string(),
            };
            draft.wrong(&role.origin, what, "correct the upgrader's description");
            None
        }
    }
}

/// All texts of the upgrader with `{{ from_codename }}` and `{{ to_codename }}` filled in, so that the plan
/// needs nothing beside the host's variables and both releases when it runs.
fn with_codenames(upgrader: &Upgrader, path: &UpgradePath) -> Result<Upgrader, serde_json::Error> {
    let mut value = serde_json::to_value(upgrader)?;
    fill(
        &mut value,
        &[
            ("from_codename", &path.from_codename),
            ("to_codename", &path.to_codename),
        ],
    );
    serde_json::from_value(value)
}

fn fill(value: &mut Value, names: &[(&str, &str)]) {
    match value {
        Value::String(text) => {
            for (name, with) in names {
                for form in [format!("{{{{ {name} }}}}"), format!("{{{{{name}}}}}")] {
                    if text.contains(&form) {
                        *text = text.replace(&form, with);
                    }
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| fill(value, names)),
        Value::Object(map) => map.values_mut().for_each(|value| fill(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
