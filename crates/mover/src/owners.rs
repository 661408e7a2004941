//! Owners by number and by name: another image may number the same account otherwise.
//!
//! The rule. A number whose name exists on the destination becomes that name's number. Any other number
//! stays what it is, but not if it belongs to an account of another name there: files would change
//! hands. Nor may two numbers become one. No name service is asked: `/etc/passwd` and `/etc/group` are
//! read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Accounts of a host by number, first name first.
pub(crate) type Table = Vec<(u32, String)>;

/// Largest account file that is read.
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// The accounts and groups of the system below `base`; empty where there are none.
pub(crate) fn tables(base: &Path) -> (Table, Table) {
    (
        table(&base.join("etc/passwd")),
        table(&base.join("etc/group")),
    )
}

fn table(path: &Path) -> Table {
    let small = fs::metadata(path).is_ok_and(|meta| meta.len() <= FILE_BYTES_MAX);
    let text = if small {
        fs::read(path).unwrap_or_default()
    } else {
        Vec::new()
    };
    let text = String::from_utf8_lossy(&text);
    let mut seen = BTreeSet::new();
    let line = |line: &str| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        Some((number.parse::<u32>().ok()?, name.to_owned()))
    };
    let all = text.lines().filter_map(line);
    all.filter(|(number, _)| seen.insert(*number)).collect()
}

/// Users and groups of one host as numbers of another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owners {
    pub(crate) users: Map,
    pub(crate) groups: Map,
}

/// Numbers of one host as numbers of another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Map {
    what: &'static str,
    /// Numbers that change, and those that must not be taken over.
    rule: BTreeMap<u32, Result<u32, String>>,
    /// Names of the destination.
    there: BTreeMap<u32, String>,
    /// Numbers of the destination that a name leads to.
    taken: BTreeSet<u32>,
}

impl Map {
    fn new(what: &'static str, from: &[(u32, String)], to: &[(u32, String)]) -> Self {
        let mut by_name = BTreeMap::new();
        for (number, name) in to {
            by_name.entry(name.as_str()).or_insert(*number);
        }
        let there: BTreeMap<u32, String> = to.iter().cloned().collect();
        let mut rule = BTreeMap::new();
        let mut taken = BTreeSet::new();
        for (number, name) in from {
            let Some(meant) = by_name.get(name.as_str()) else {
                continue;
            };
            let only = taken.insert(*meant);
            let clash = || format!("two {what}s of the source would become {meant} (`{name}`)");
            rule.insert(*number, if only { Ok(*meant) } else { Err(clash()) });
        }
        let names = from.iter().cloned().collect::<BTreeMap<_, _>>();
        for (number, name) in names {
            if let (false, Some(other)) = (rule.contains_key(&number), there.get(&number)) {
                let why = format!(
                    "belongs to {what} `{name}` ({number}), which does not exist here, where {number} is `{other}`; create `{name}` first"
                );
                rule.insert(number, Err(why));
            }
        }
        Self {
            what,
            rule,
            there,
            taken,
        }
    }

    fn back(&self) -> BTreeMap<u32, u32> {
        let pairs = self.rule.iter();
        pairs
            .filter_map(|(here, there)| Some((*there.as_ref().ok()?, *here)))
            .collect()
    }

    /// The number there.
    pub(crate) fn map(&self, number: u32) -> Result<u32, String> {
        if let Some(rule) = self.rule.get(&number) {
            return rule.clone();
        }
        let what = self.what;
        match self.there.get(&number) {
            None if !self.taken.contains(&number) => Ok(number),
            None => Err(format!("two {what}s of the source would become {number}")),
            Some(name) if number != 0 => Err(format!(
                "belongs to {what} {number}, which has no name at the source and is `{name}` here"
            )),
            Some(_) => Ok(number),
        }
    }
}

impl Owners {
    /// From the accounts of one host to those of another.
    pub(crate) fn new(from: (&Table, &Table), to: (&Table, &Table)) -> Self {
        Self {
            users: Map::new("user", from.0, to.0),
            groups: Map::new("group", from.1, to.1),
        }
    }

    /// What is read at the destination, as the source would say it.
    pub(crate) fn back(&self) -> Back {
        Back {
            users: self.users.back(),
            groups: self.groups.back(),
        }
    }
}

/// Numbers of the destination as the source's. Others stay as they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Back {
    pub(crate) users: BTreeMap<u32, u32>,
    pub(crate) groups: BTreeMap<u32, u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_rule_and_numbers_change_no_hands() {
        let table = |pairs: &[(u32, &str)]| -> Table {
            pairs
                .iter()
                .map(|(n, name)| (*n, (*name).to_owned()))
                .collect()
        };
        let from = table(&[
            (0, "root"),
            (33, "www-data"),
            (110, "app"),
            (111, "gone"),
            (112, "new"),
        ]);
        let to = table(&[
            (0, "root"),
            (33, "www-data"),
            (111, "app"),
            (200, "other"),
            (300, "x"),
        ]);
        let map = Map::new("user", &from, &to);
        for (number, expected) in [
            (0, Ok(0)),
            (33, Ok(33)),
            (110, Ok(111)),
            (111, Err("create `gone` first")),
            (112, Ok(112)),
            (150, Ok(150)),
            (300, Err("is `x` here")),
        ] {
            match (map.map(number), expected) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, wanted),
                (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
                (found, wanted) => panic!("{number}: {found:?} instead of {wanted:?}"),
            }
        }
        let map = Map::new("user", &table(&[(1, "a")]), &table(&[(2, "a")]));
        assert_eq!(map.map(1), Ok(2));
        assert!(map.map(2).is_err(), "it would fall together with `a`");
    }
}
