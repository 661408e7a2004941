//! `group_vars` and `host_vars`: which files count, and what they hold.

use super::book::{Book, loose};
use super::data::{self, DataTree};
use super::disk::{Disk, Kind};
use super::inventory::{Inventory, Variables};
use super::secrets;
use super::value::Var;
use super::vault::VaultKeys;
use crate::problem::Problems;
use std::collections::{BTreeSet, HashMap};

/// Endings of files with variables; a name without an ending counts as well.
const ENDINGS: [&str; 3] = [".yml", ".yaml", ".json"];

/// Depth of folders in `group_vars/NAME/`: links that lead in a circle end here.
const FOLDERS_DEEP_MAX: usize = 16;

/// The variables of one folder's `group_vars` and `host_vars`.
#[derive(Debug, Default)]
pub(super) struct Layer {
    /// Whether it stands beside the definition, not beside an inventory.
    pub(super) beside_definition: bool,
    pub(super) groups: HashMap<usize, Variables>,
    pub(super) hosts: HashMap<usize, Variables>,
}

/// Reads what the folders say of the inventory's groups and hosts.
pub(super) struct Layers<'l> {
    pub(super) book: &'l mut Book,
    pub(super) disk: &'l mut dyn Disk,
    pub(super) keys: &'l VaultKeys,
    pub(super) loose: &'l mut Vec<Problems>,
}

impl Layers<'_> {
    pub(super) fn read(
        &mut self,
        inventory: &Inventory,
        folder: &str,
        beside_definition: bool,
    ) -> Layer {
        let groups = self.of_kind(&inventory.group_places, folder, "group_vars");
        let hosts = self.of_kind(&inventory.host_places, folder, "host_vars");
        Layer {
            beside_definition,
            groups,
            hosts,
        }
    }

    fn of_kind(
        &mut self,
        named: &HashMap<String, usize>,
        folder: &str,
        kind: &str,
    ) -> HashMap<usize, Variables> {
        let mut out = HashMap::new();
        let folder = join(folder, kind);
        if self.disk.kind(&folder) != Kind::Folder {
            return out;
        }
        let here: BTreeSet<String> = self.names(&folder).into_iter().collect();
        // By the names that stand there: a fleet has more hosts than `host_vars` has files.
        for name in &here {
            let ending = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending));
            for stem in [Some(name.as_str()), ending].into_iter().flatten() {
                let Some(at) = named.get(stem) else {
                    continue;
                };
                if out.contains_key(at) {
                    continue;
                }
                let mut vars = Variables::new();
                for file in self.files_of(&folder, stem, &here) {
                    self.load(&file, &mut vars);
                }
                out.insert(*at, vars);
            }
        }
        out
    }

    fn names(&mut self, folder: &str) -> Vec<String> {
        match self.disk.names(folder) {
            Ok(mut names) => {
                names.sort();
                names
            }
            Err(message) => {
                self.loose.push(loose(folder, message, None));
                Vec::new()
            }
        }
    }

    /// The first of `NAME`, `NAME.yml`, `NAME.yaml`, `NAME.json` that is there; all files of a folder.
    fn files_of(&mut self, folder: &str, name: &str, here: &BTreeSet<String>) -> Vec<String> {
        let candidates = std::iter::once("").chain(ENDINGS);
        for ending in candidates {
            let file = format!("{name}{ending}");
            if !here.contains(&file) {
                continue;
            }
            let path = join(folder, &file);
            match self.disk.kind(&path) {
                Kind::Missing => {}
                Kind::Folder => return self.files_in(&path, 0),
                Kind::File | Kind::Program => return vec![path],
            }
        }
        Vec::new()
    }

    fn files_in(&mut self, folder: &str, depth: usize) -> Vec<String> {
        if depth >= FOLDERS_DEEP_MAX {
            let message = format!("folders are nested more than {FOLDERS_DEEP_MAX} deep");
            let help = "look for a link that leads back to a folder above it".to_owned();
            self.loose.push(loose(folder, message, Some(help)));
            return Vec::new();
        }
        let mut out = Vec::new();
        for name in self.names(folder) {
            if name.starts_with('.') || name.ends_with('~') {
                continue;
            }
            let path = join(folder, &name);
            let ending = ending_of(&name);
            match self.disk.kind(&path) {
                Kind::Folder if ending.is_empty() => {
                    out.extend(self.files_in(&path, depth.saturating_add(1)));
                }
                Kind::File | Kind::Program if ending.is_empty() || ENDINGS.contains(&ending) => {
                    out.push(path);
                }
                Kind::Folder | Kind::File | Kind::Program | Kind::Missing => {}
            }
        }
        out
    }

    fn load(&mut self, path: &str, into: &mut Variables) {
        let file = match self.disk.text(path) {
            Ok(file) => file,
            Err(message) => return self.loose.push(loose(path, message, None)),
        };
        let opened = match secrets::open(self.keys, file) {
            Ok(opened) => opened,
            Err(problem) => return self.loose.push(problem),
        };
        let id = self.book.open(opened.file, opened.was_encrypted);
        let Some(data) = data::read(self.book, id) else {
            return;
        };
        if data.is_empty() {
            return;
        }
        let what = data.what();
        let DataTree::Map(entries) = data.tree else {
            let message = format!("variables are written as names with values, not {what}");
            return self.book.problem(data.place, message, None);
        };
        for entry in entries {
            let place = entry.value.place;
            let value = entry.value.into_value();
            let value = match opened.was_encrypted {
                true => value.kept_secret(),
                false => value,
            };
            into.insert(entry.key, Var::new(value, place));
        }
    }
}

/// A path below a folder.
pub(super) fn join(folder: &str, name: &str) -> String {
    match folder {
        "" | "." => name.to_owned(),
        _ if folder.ends_with('/') => format!("{folder}{name}"),
        _ => format!("{folder}/{name}"),
    }
}

/// The ending with its point as Python's `splitext` cuts it: points at the beginning are none.
pub(super) fn ending_of(name: &str) -> &str {
    let bare = name.trim_start_matches('.');
    match bare.rfind('.') {
        Some(at) => bare.get(at..).unwrap_or_default(),
        None => "",
    }
}
