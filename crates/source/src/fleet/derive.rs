//! From what an inventory says to the fleet: groups become roles, variables become settings.

use super::ansible::{self, Source};
use super::book::{Book, Place};
use super::draft::Draft;
use super::evaluate::Evaluator;
use super::input::{LeftOut, Refused};
use super::inventory::{Inventory, InventoryHost, UNGROUPED_AT};
use super::order::groups_of;
use super::sources::{Loaded, Request, folder_of};
use super::value::Nature;
use super::view::{Merged, Merger, is_ansibles_own};
use crate::node::shortened;
use crate::words::{NAME_HELP, is_reserved, name_fault, slug};
use overhaul_model::fleet::Vars;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// The variable of all hosts that names the fleet; else the file's name does.
const FLEET_NAME: &str = "overhaul_fleet";

/// What a fleet is made of.
pub(super) struct Derived {
    pub(super) name: String,
    pub(super) hosts: Vec<(Draft, Place)>,
    pub(super) refused: BTreeMap<String, Refused>,
    pub(super) left_out: BTreeMap<String, LeftOut>,
}

pub(super) fn derive(loaded: &Loaded, request: Request<'_>) -> Derived {
    let Loaded { inventory, book } = loaded;
    let evaluator = Evaluator::new(request.keys);
    let mut merger = Merger::new(inventory);
    let mut out = Derived {
        name: String::new(),
        hosts: Vec::new(),
        refused: BTreeMap::new(),
        left_out: BTreeMap::new(),
    };
    let mut templates: BTreeMap<Place, BTreeSet<&str>> = BTreeMap::new();
    for (at, host) in inventory.hosts.iter().enumerate() {
        let merged = merger.of(at, host);
        let own = own_names(inventory, host, request);
        let roles = roles_of(inventory, book, host);
        let source = Source {
            book,
            evaluator: &evaluator,
            vars: &merged,
            own: &own,
            working_folder: request.working_folder,
        };
        if let Some((place, message)) = source.other_connection() {
            let help = "take the host out of this inventory, or the setting away".to_owned();
            book.note(place, message.clone(), help.clone());
            let problems = book.apart(place, message, Some(help));
            out.refused
                .insert(host.name.clone(), Refused { roles, problems });
            continue;
        }
        let vars = plain_vars(book, &merged, &mut out.left_out, &mut templates);
        let draft = Draft {
            name: host.name.clone(),
            roles,
            settings: source.settings(),
            vars,
        };
        out.hosts.push((draft, host.place));
    }
    say_templates(book, &templates);
    out.name = fleet_name(book, inventory, &mut merger, request);
    out
}

/// The names that Ansible sets itself and settings often use.
fn own_names<'o>(
    inventory: &Inventory,
    host: &InventoryHost,
    request: Request<'_>,
) -> BTreeMap<&'o str, Json> {
    let name = host.name.as_str();
    let number = name.split('.').all(|part| part.parse::<u8>().is_ok());
    let short = match number {
        true => name,
        false => name.split('.').next().unwrap_or(name),
    };
    let groups: BTreeSet<&str> = groups_of(inventory, host)
        .into_iter()
        .filter_map(|at| inventory.groups.get(at))
        .map(|group| group.name.as_str())
        .collect();
    let absolute = |path: &str| match request.working_folder {
        Some(folder) if path == "." => folder.to_owned(),
        Some(folder) if !path.starts_with('/') => super::layers::join(folder, path),
        _ => path.to_owned(),
    };
    let mut out = BTreeMap::from([
        ("inventory_hostname", json!(name)),
        ("inventory_hostname_short", json!(short)),
        ("group_names", json!(groups)),
        ("inventory_file", json!(absolute(&host.source))),
        ("inventory_dir", json!(absolute(folder_of(&host.source)))),
    ]);
    if let Some(beside) = request.beside {
        out.insert("playbook_dir", json!(absolute(beside)));
    }
    out
}

fn roles_of(inventory: &Inventory, book: &Book, host: &InventoryHost) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for at in groups_of(inventory, host) {
        let Some(group) = inventory.groups.get(at).filter(|_| at != UNGROUPED_AT) else {
            continue;
        };
        match name_fault(&group.name) {
            None => {
                out.insert(group.name.clone());
            }
            Some(fault) => {
                let message = format!("the group `{}` is no role: {fault}", shortened(&group.name));
                book.note(group.place, message, NAME_HELP.to_owned());
            }
        }
    }
    out
}

/// Variables that are not settings of ours, as far as a plan may hold them.
fn plain_vars<'i>(
    book: &Book,
    merged: &Merged<'i>,
    left_out: &mut BTreeMap<String, LeftOut>,
    templates: &mut BTreeMap<Place, BTreeSet<&'i str>>,
) -> Vars {
    let mut out = Vars::new();
    for (name, var) in merged {
        if ansible::is_setting(name) || *name == FLEET_NAME || is_ansibles_own(name) {
            continue;
        }
        if is_reserved(name) {
            let message = format!("`{name}` is a name with a meaning of its own in templates");
            let help = "give the variable another name";
            book.problem(var.place, message, help.to_owned());
            continue;
        }
        match (&var.plain, var.nature) {
            (Some(plain), _) => {
                out.insert((*name).to_owned(), plain.clone());
            }
            (None, Nature::Encrypted) => {
                left_out.insert((*name).to_owned(), LeftOut::Encrypted);
            }
            (None, Nature::Template | Nature::Plain) => {
                templates.entry(var.place).or_default().insert(name);
                left_out
                    .entry((*name).to_owned())
                    .or_insert(LeftOut::Template);
            }
        }
    }
    out
}

/// One note for each file with templates: an inventory may hold thousands of them.
fn say_templates(book: &Book, templates: &BTreeMap<Place, BTreeSet<&str>>) {
    let mut by_file: BTreeMap<&str, (Place, BTreeSet<&str>)> = BTreeMap::new();
    for (place, names) in templates {
        let (file, _) = book.line(*place);
        let entry = by_file.entry(file).or_insert((*place, BTreeSet::new()));
        entry.1.extend(names);
    }
    for (place, names) in by_file.into_values() {
        let first = names.first().copied().unwrap_or_default();
        let message = match names.len() {
            0 | 1 => format!("the variable `{first}` holds a template and is left out"),
            more => format!(
                "the variable `{first}` and {} more hold templates and are left out",
                more.saturating_sub(1)
            ),
        };
        let help = "values of variables are taken as they are; write the value out if it is needed";
        book.note(place, message, help.to_owned());
    }
}

fn fleet_name(
    book: &Book,
    inventory: &Inventory,
    merger: &mut Merger<'_>,
    request: Request<'_>,
) -> String {
    if let Some(var) = merger.of_all().get(FLEET_NAME) {
        let json = var.value.to_json();
        let name = json
            .as_str()
            .map_or_else(|| json.to_string(), str::to_owned);
        if let Some(fault) = name_fault(&name) {
            let message = format!("`{}` is no valid name: {fault}", shortened(&name));
            book.problem(var.place, message, NAME_HELP.to_owned());
        }
        return name;
    }
    let first = request.sources.first().map_or("", String::as_str);
    let list = inventory.hosts.iter().any(|host| host.source.contains(','));
    let file = first.trim_end_matches('/').rsplit('/').next();
    let stem = file
        .unwrap_or_default()
        .split('.')
        .find(|part| !part.is_empty())
        .unwrap_or_default();
    match slug(stem) {
        name if name.is_empty() || list => "fleet".to_owned(),
        name => name,
    }
}
