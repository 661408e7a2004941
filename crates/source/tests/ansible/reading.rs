//! Compares what inventories say: hosts, groups, variables.

use crate::case::{Placed, Wanted};
use crate::patterns;
use crate::reference::{Said, SaidGroup};
use crate::tally::Tally;
use overhaul_source::fleet::vault::{VaultKeys, decrypt};
use overhaul_source::fleet::{Loaded, Request, inventory};
use overhaul_source::read::Folders;
use serde_json::{Value, json};
use std::process::Command;
use zeroize::Zeroizing;

/// Compares everything about one inventory.
pub fn compare(case: &Placed, said: &Result<Said, String>, tally: &mut Tally) {
    let name = &case.case.name;
    tally.inventories += 1;
    match (&case.case.wanted, said, read(case)) {
        (Wanted::Same, Ok(said), Ok(ours)) => whole(case, said, &ours, tally),
        // What generated files say by chance may be refused, but then by both.
        (Wanted::Same, Err(_), Err(_)) if case.case.generated => tally.refused += 1,
        (Wanted::Refused, Err(_), Err(_)) => tally.refused += 1,
        (Wanted::RefusedByUs(_), Ok(_), Err(_)) | (Wanted::RefusedByThem(_), Err(_), Ok(_)) => {
            tally.known += 1
        }
        // A difference that is gone must not stay in the list of known ones.
        (Wanted::Differs(_), Ok(said), Ok(ours)) => {
            let mut apart = Tally::default();
            whole(case, said, &ours, &mut apart);
            match apart.has_differences() {
                true => tally.known += 1,
                false => tally.differs(name, "no longer differs"),
            }
        }
        (wanted, said, ours) => {
            let there = said
                .as_ref()
                .map_or_else(|error| format!("refused: {error}"), |_| "read".to_owned());
            let here = ours.map_or_else(|error| format!("refused: {error}"), |_| "read".to_owned());
            tally.differs(
                name,
                format!("wanted {wanted:?}; there {there}; here {here}"),
            );
        }
    }
}

fn whole(case: &Placed, said: &Said, ours: &Loaded, tally: &mut Tally) {
    let name = &case.case.name;
    let picture = ours.inventory.to_json();
    let members = ours.inventory.membership();
    tally.hosts += u64::try_from(said.hosts.len()).unwrap();
    if members.hosts != said.hosts {
        tally.differs(
            name,
            format!("hosts: {:?} there, {:?} here", said.hosts, members.hosts),
        );
        return;
    }
    let names: Vec<&String> = said.groups.iter().map(|group| &group.name).collect();
    if !names.iter().copied().eq(members.groups.keys()) {
        tally.differs(
            name,
            format!("groups: {names:?} there, {:?} here", members.groups.keys()),
        );
        return;
    }
    for group in &said.groups {
        tally.groups += 1;
        one_group(
            name,
            group,
            &picture["groups"][&group.name],
            &members.groups[&group.name],
            tally,
        );
    }
    let keys = keys(case);
    for (host, wanted) in &said.variables {
        let found = picture["hostvars"][host].as_object().unwrap();
        let all: std::collections::BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
        for variable in all {
            tally.variables += 1;
            let (there, here) = (
                wanted.get(variable).map(there),
                found.get(variable).map(|value| here(value, &keys)),
            );
            if !same(there.as_ref(), here.as_ref()) {
                tally.differs(
                    name,
                    format!("{host}: {variable}: {there:?} there, {here:?} here"),
                );
            }
        }
    }
    patterns::compare(case, said, &members, tally);
}

fn one_group(case: &str, there: &SaidGroup, here: &Value, members: &[String], tally: &mut Tally) {
    let wanted = json!({"hosts": there.hosts, "children": there.children, "priority": there.priority, "depth": there.depth});
    if *here != wanted {
        tally.differs(
            case,
            format!("group {}: {wanted} there, {here} here", there.name),
        );
    }
    if members != there.members {
        tally.differs(
            case,
            format!(
                "members of {}: {:?} there, {members:?} here",
                there.name, there.members
            ),
        );
    }
}

/// Whether two values are one. What we opened from a file that is encrypted as a whole is not shown, and stands for any plain value.
fn same(there: Option<&Value>, here: Option<&Value>) -> bool {
    match (there, here) {
        (Some(Value::Object(there)), Some(Value::Object(here)))
            if !here.contains_key("__opened") =>
        {
            there.len() == here.len()
                && there
                    .iter()
                    .all(|(key, value)| same(Some(value), here.get(key)))
        }
        (Some(Value::Array(there)), Some(Value::Array(here))) => {
            there.len() == here.len()
                && there
                    .iter()
                    .zip(here)
                    .all(|(there, here)| same(Some(there), Some(here)))
        }
        (Some(there), Some(here)) => {
            there == here
                || (here.get("__opened").is_some() && !there.is_object() && !there.is_array())
        }
        (there, here) => there == here,
    }
}

/// A value of theirs: dates are texts for us.
fn there(value: &Value) -> Value {
    mapped(value, &|map| map.get("__date").cloned())
}

/// A value of ours: what is encrypted is decrypted as far as there are keys.
fn here(value: &Value, keys: &VaultKeys) -> Value {
    mapped(value, &|map| {
        let text = map.get("__ansible_vault")?.as_str()?;
        Some(match (text, decrypt(text, keys)) {
            ("[secret]", _) => json!({"__opened": true}),
            (_, Ok(secret)) => json!({"__secret": secret.reveal()}),
            (_, Err(_)) => json!({"__encrypted": true}),
        })
    })
}

fn mapped(
    value: &Value,
    change: &dyn Fn(&serde_json::Map<String, Value>) -> Option<Value>,
) -> Value {
    match value {
        Value::Object(map) => change(map).unwrap_or_else(|| {
            let pairs = map
                .iter()
                .map(|(key, value)| (key.clone(), mapped(value, change)));
            Value::Object(pairs.collect())
        }),
        Value::Array(items) => items.iter().map(|item| mapped(item, change)).collect(),
        other => other.clone(),
    }
}

fn keys(case: &Placed) -> VaultKeys {
    let mut keys = VaultKeys::default();
    for (label, password) in &case.case.vault {
        keys.add(
            label.as_str(),
            Zeroizing::new(password.clone().into_bytes()),
        );
    }
    keys
}

fn read(case: &Placed) -> Result<Loaded, String> {
    let (sources, keys) = (case.sources(), keys(case));
    let beside = case.playbook();
    let request = Request {
        sources: &sources,
        beside: beside.as_deref(),
        working_folder: None,
        keys: &keys,
    };
    let mut run = said;
    let read = inventory(request, &mut Folders::new(&mut run));
    read.map_err(|all| {
        all.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "an inventory may be a program, which only its reader's caller runs"
)]
fn said(program: &str, arguments: &[&str]) -> Result<String, String> {
    let done = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| error.to_string())?;
    match done.status.success() {
        true => String::from_utf8(done.stdout).map_err(|error| error.to_string()),
        false => Err(format!("{program}: {}", done.status)),
    }
}
