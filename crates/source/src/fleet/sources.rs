//! From the sources that a person names to an inventory: files, folders, programs, lists of hosts.

use super::address::split_port;
use super::book::{Book, FileId, loose};
use super::common::check_host;
use super::data::{self, Data, DataEntry, DataTree, Unread};
use super::disk::{Disk, Kind};
use super::inventory::{Inventory, UNGROUPED_AT};
use super::layers::{Layers, ending_of, join};
use super::script::{self, ASKED_MAX};
use super::value::{Value, Var};
use super::vault::VaultKeys;
use super::{ini, json, secrets, yaml};
use crate::node::shortened;
use crate::problem::{Problems, SourceFile};

/// What is read.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    /// Files, folders, programs, or hosts with commas between them, as `ansible -i` takes them.
    pub sources: &'r [String],
    /// The folder of the definition, for the `group_vars` and `host_vars` in it.
    pub beside: Option<&'r str>,
    /// The folder that paths are relative to, absolute; paths stay as they are without it.
    pub working_folder: Option<&'r str>,
    /// The keys for what is encrypted.
    pub keys: &'r VaultKeys,
}

/// An inventory with the files that it was read from.
#[derive(Debug)]
pub struct Loaded {
    /// Hosts, groups and variables.
    pub inventory: Inventory,
    /// Files, problems and notes.
    pub book: Book,
}

/// Endings that Ansible passes over in a folder.
const IGNORED_ENDINGS: [&str; 12] = [
    ".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry",
];

/// Names that mean something else in a folder.
const IGNORED_NAMES: [&str; 3] = ["host_vars", "group_vars", "vars_plugins"];

/// Depth of folders in a folder of inventories: links that lead in a circle end here.
const FOLDERS_DEEP_MAX: usize = 16;

/// Reads an inventory as Ansible does.
///
/// # Errors
/// All problems of all its files.
pub fn inventory(request: Request<'_>, disk: &mut dyn Disk) -> Result<Loaded, Vec<Problems>> {
    let read = read(request, disk);
    match read.is_clean() {
        true => Ok(read.loaded),
        false => Err(read.problems()),
    }
}

/// An inventory as far as it could be read.
pub(super) struct ReadSoFar {
    pub(super) loaded: Loaded,
    /// What is wrong with things that are no readable files.
    loose: Vec<Problems>,
    /// Whether the groups stand below each other without a circle.
    pub(super) is_settled: bool,
}

impl ReadSoFar {
    pub(super) fn is_clean(&self) -> bool {
        self.loose.is_empty() && self.loaded.book.is_clean()
    }

    /// All problems, those of the files last.
    pub(super) fn problems(self) -> Vec<Problems> {
        let mut out = self.loose;
        out.extend(self.loaded.book.problems());
        out
    }
}

pub(super) fn read(request: Request<'_>, disk: &mut dyn Disk) -> ReadSoFar {
    let mut book = Book::default();
    let name = request.sources.first().map_or("", String::as_str);
    let nowhere = book.open(SourceFile::new(name, ""), false);
    let mut inventory = Inventory::new(nowhere.whole());
    let mut reader = Reader {
        book: &mut book,
        inventory: &mut inventory,
        disk,
        keys: request.keys,
        loose: Vec::new(),
    };
    let mut folders: Vec<String> = Vec::new();
    for source in request.sources {
        let folder = reader.source(source);
        folders.retain(|before| Some(before) != folder.as_ref());
        folders.extend(folder);
    }
    let mut found = reader.loose;
    let is_settled = inventory.settle(&book);
    let beside = request
        .beside
        .map(|folder| if folder.is_empty() { "." } else { folder });
    let mut layers = Layers {
        book: &mut book,
        disk,
        keys: request.keys,
        loose: &mut found,
    };
    let mut read: Vec<_> = folders
        .iter()
        .map(|folder| layers.read(&inventory, folder, false))
        .collect();
    // Laying the same files over themselves changes nothing.
    if let Some(beside) =
        beside.filter(|beside| folders.last().map(String::as_str) != Some(*beside))
    {
        read.push(layers.read(&inventory, beside, true));
    }
    inventory.layers = read;
    ReadSoFar {
        loaded: Loaded { inventory, book },
        loose: found,
        is_settled,
    }
}

struct Reader<'r> {
    book: &'r mut Book,
    inventory: &'r mut Inventory,
    disk: &'r mut dyn Disk,
    keys: &'r VaultKeys,
    loose: Vec<Problems>,
}

impl Reader<'_> {
    /// Reads one source; gives the folder whose `group_vars` and `host_vars` belong to it.
    fn source(&mut self, source: &str) -> Option<String> {
        let kind = self.disk.kind(source);
        if kind == Kind::Missing && source.contains(',') {
            self.host_list(source);
            return None;
        }
        self.at(source, kind, 0);
        Some(match kind {
            Kind::Folder => source.to_owned(),
            Kind::Missing | Kind::File | Kind::Program => folder_of(source).to_owned(),
        })
    }

    fn at(&mut self, path: &str, kind: Kind, depth: usize) {
        match kind {
            Kind::Folder => self.folder(path, depth),
            Kind::Program if self.is_script(path) => self.program(path),
            Kind::Program | Kind::File | Kind::Missing => match self.disk.text(path) {
                Ok(file) => self.text(file),
                Err(message) => self.loose.push(loose(path, message, None)),
            },
        }
    }

    fn folder(&mut self, path: &str, depth: usize) {
        if depth >= FOLDERS_DEEP_MAX {
            let message = format!("folders are nested more than {FOLDERS_DEEP_MAX} deep");
            let help = "look for a link that leads back to a folder above it".to_owned();
            return self.loose.push(loose(path, message, Some(help)));
        }
        let mut names = match self.disk.names(path) {
            Ok(names) => names,
            Err(message) => return self.loose.push(loose(path, message, None)),
        };
        names.sort();
        for name in names.iter().filter(|name| !is_ignored(name)) {
            let path = join(path, name);
            let kind = self.disk.kind(&path);
            self.at(&path, kind, depth.saturating_add(1));
        }
    }

    /// Whether an executable file is a program, and not a text that was marked by mistake.
    fn is_script(&mut self, path: &str) -> bool {
        match self.disk.text(path) {
            Ok(file) => file.text.starts_with("#!"),
            Err(_) => true,
        }
    }

    fn program(&mut self, path: &str) {
        let Some((file, said)) = self.said(path, &["--list"]) else {
            return;
        };
        let Some(DataTree::Map(groups)) = said.map(|said| said.tree) else {
            let message = "the program's answer to `--list` holds no groups";
            return self.book.problem(file.whole(), message, None);
        };
        let said = script::read(self.book, self.inventory, file, path, groups);
        if said.has_variables {
            return;
        }
        if said.hosts.len() > ASKED_MAX {
            let message = format!(
                "the program names {} hosts without `_meta`; at most {ASKED_MAX} are asked for one by one",
                said.hosts.len()
            );
            let help = "let it say the variables of all hosts under `_meta.hostvars`".to_owned();
            return self.book.problem(file.whole(), message, help);
        }
        for host in said.hosts {
            if let Some((_, Some(said))) = self.said(path, &["--host", &host]) {
                script::read_host(self.book, self.inventory, &host, said);
            }
        }
    }

    /// What a program said, as a file of the book; nothing where it said nothing.
    fn said(&mut self, path: &str, arguments: &[&str]) -> Option<(FileId, Option<Data>)> {
        let text = match self.disk.said(path, arguments) {
            Ok(text) => text,
            Err(message) => {
                let help = "start it by hand with the same words, and see what it says".to_owned();
                self.loose.push(loose(path, message, Some(help)));
                return None;
            }
        };
        let name = format!("{path} {}", arguments.join(" "));
        let file = self.book.open(SourceFile::new(name, ""), false);
        if text.trim().is_empty() {
            return Some((file, None));
        }
        match json::read(&text, file) {
            Ok(data) => Some((file, Some(data))),
            Err(error) => {
                let message = format!("what the program says is no JSON: {error}");
                self.book.problem(file.whole(), message, None);
                None
            }
        }
    }

    fn text(&mut self, file: SourceFile) {
        let opened = match secrets::open(self.keys, file) {
            Ok(opened) => opened,
            Err(problem) => return self.loose.push(problem),
        };
        let file = opened.file;
        let name = file.name.rsplit('/').next().unwrap_or_default();
        let ending = ending_of(name).to_owned();
        let path = file.name.clone();
        let id = self.book.open(file, opened.was_encrypted);
        match ending.as_str() {
            ".toml" => {
                let message = "inventories in TOML are not read";
                let help = "run `ansible-inventory --list --export` into a file ending in .json, and give that";
                self.book.problem(id.whole(), message, help.to_owned());
            }
            "" | ".yml" | ".yaml" | ".json" => self.yaml_or_ini(id, &path, &ending),
            _ => ini::read(self.book, self.inventory, id),
        }
        if opened.was_encrypted {
            self.keep_secret(id);
        }
    }

    /// YAML comes first; what is none may be an INI inventory whatever its name.
    fn yaml_or_ini(&mut self, id: FileId, path: &str, ending: &str) {
        let file = self.book.file(id);
        match data::try_read(&file, id) {
            Ok(data) if data.is_empty() => {}
            Ok(data) => match data.tree {
                DataTree::Map(groups) => self.groups(id, path, groups),
                DataTree::Leaf(_) | DataTree::List(_) => {
                    self.ini_or(id, ending, |book| {
                        let message =
                            "an inventory is written as groups with `hosts`, `children` and `vars`";
                        book.problem(id.whole(), message, None);
                    });
                }
            },
            Err(Unread(problems, left_out)) => {
                self.ini_or(id, ending, |book| book.absorb(id, problems, left_out));
            }
        }
    }

    /// Reads a file as INI if it is good INI, or looks like some; else says what is wrong with it as YAML.
    fn ini_or(&mut self, id: FileId, ending: &str, say: impl FnOnce(&Book)) {
        let file = self.book.file(id);
        let mut trial = Book::default();
        let page = trial.open(file.clone(), false);
        let mut alone = Inventory::new(page.whole());
        // Groups of earlier files are known in this one.
        for group in &self.inventory.groups {
            alone.group(&group.name, page.whole());
        }
        ini::read(&trial, &mut alone, page);
        if trial.is_clean() || (ending.is_empty() && !looks_like_yaml(&file.text)) {
            ini::read(self.book, self.inventory, id);
        } else {
            say(self.book);
        }
    }

    fn groups(&mut self, id: FileId, path: &str, groups: Vec<DataEntry>) {
        let plugin = groups.iter().find(|entry| entry.key == "plugin");
        if let Some(plugin) = plugin.filter(|entry| !entry.value.is_empty()) {
            let name = match &plugin.value.tree {
                DataTree::Leaf(Value::Text(name)) => shortened(name),
                _ => "?".to_owned(),
            };
            let message = format!("the inventory plugin `{name}` is not run");
            let help = "run `ansible-inventory --list --export` into a file ending in .json, and give that";
            return self
                .book
                .problem(plugin.key_place, message, help.to_owned());
        }
        if script::looks_like(&groups) {
            let said = script::read(self.book, self.inventory, id, path, groups);
            if !said.has_variables {
                let message =
                    "the file says nothing of its hosts' variables under `_meta.hostvars`";
                self.book.note(id.whole(), message, None);
            }
            return;
        }
        yaml::read(self.book, self.inventory, path, groups);
    }

    /// All values of an inventory that was encrypted are secrets.
    fn keep_secret(&mut self, id: FileId) {
        let of_groups = self
            .inventory
            .groups
            .iter_mut()
            .map(|group| &mut group.vars);
        let of_hosts = self.inventory.hosts.iter_mut().map(|host| &mut host.vars);
        for var in of_groups.chain(of_hosts).flat_map(|vars| vars.values_mut()) {
            if var.place.is_in(id) {
                *var = Var::new(var.value.clone().kept_secret(), var.place);
            }
        }
    }

    fn host_list(&mut self, source: &str) {
        let file = self.book.open(SourceFile::new(source, ""), false);
        for name in source
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            let (host, port) = split_port(name);
            let place = file.whole();
            if self.inventory.host_places.contains_key(host) || !check_host(self.book, host, place)
            {
                continue;
            }
            let port = port
                .filter(|port| *port > 0)
                .map(|port| Var::new(Value::Number(port.into()), place));
            self.inventory.host(host, UNGROUPED_AT, port, place, source);
        }
    }
}

fn is_ignored(name: &str) -> bool {
    name.starts_with('.')
        || IGNORED_NAMES.contains(&name)
        || IGNORED_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The folder that a file stands in.
pub(super) fn folder_of(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    }
}

/// Whether a text that is neither good YAML nor good INI was probably meant as YAML, by the first line
/// that is neither empty nor a remark.
pub(super) fn looks_like_yaml(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}');
    let first = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    match first {
        Some(line) if line.starts_with("---") || line.starts_with('{') => true,
        Some(line) if line.starts_with('[') => false,
        Some(line) => match line.split_once(':') {
            Some((key, rest)) => {
                (rest.is_empty() || rest.starts_with(' ')) && !key.contains([' ', '='])
            }
            None => false,
        },
        None => true,
    }
}
