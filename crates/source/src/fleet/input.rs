//! What reading a fleet gives, and how its forms are told apart.

use super::book::loose;
use super::derive::derive;
use super::disk::{Disk, Kind, OneFile};
use super::draft::Draft;
use super::membership::Membership;
use super::short;
use super::sources::{self, Request};
use super::vault::VaultKeys;
use crate::node::{self, Dialect, Node, Tree};
use crate::problem::{Problem, Problems, Sink, SourceFile};
use overhaul_model::fleet::Fleet;
use overhaul_model::id::HostName;
use overhaul_model::secret::Secret;
use std::collections::BTreeMap;
use std::ops::Range;

/// A fleet as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetInput {
    /// The fleet.
    pub fleet: Fleet,
    /// Passwords for sudo, of hosts that need one.
    pub passwords: BTreeMap<HostName, Secret>,
    /// Hosts and groups in Ansible's order, for patterns.
    pub membership: Membership,
    /// Hosts that the inventory names and that cannot be reached here. They are no part of the fleet;
    /// whoever needs one of them is told why.
    pub refused: BTreeMap<String, Refused>,
    /// Variables that templates cannot name, although the inventory has them.
    pub left_out: BTreeMap<String, LeftOut>,
    /// What the inventory says and this tool does not use, each with its file; nothing of it stops a run.
    pub notes: Vec<(String, Problem)>,
}

/// A host that cannot be reached here.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// The roles that it would have.
    pub roles: std::collections::BTreeSet<String>,
    /// Why.
    pub problems: Problems,
}

/// Why a variable is none here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// It is encrypted, and a plan keeps no secrets.
    Encrypted,
    /// It holds a template of Ansible's.
    Template,
}

/// Reads a fleet from a single text.
///
/// # Errors
/// All problems of the file at once; only the first one when it is no valid YAML.
pub fn parse(file: &SourceFile) -> Result<FleetInput, Problems> {
    let request = Request {
        sources: std::slice::from_ref(&file.name),
        beside: None,
        working_folder: None,
        keys: &VaultKeys::default(),
    };
    load(request, &mut OneFile(file)).map_err(|mut list| match list.is_empty() {
        true => loose(
            &file.name,
            "it was refused without a reason".to_owned(),
            None,
        ),
        false => list.swap_remove(0),
    })
}

/// Reads a fleet: our short form, or whatever Ansible takes for an inventory.
///
/// # Errors
/// All problems of all its files.
pub fn load(request: Request<'_>, disk: &mut dyn Disk) -> Result<FleetInput, Vec<Problems>> {
    if request.sources.is_empty() {
        let message = "no fleet is given".to_owned();
        return Err(vec![loose("--fleet", message, None)]);
    }
    for source in request.sources {
        if disk.kind(source) == Kind::File
            && let Ok(file) = disk.text(source)
            && let Some(root) = short_root(&file)
        {
            if request.sources.len() == 1 {
                return short_form(&file, root).map_err(|problems| vec![problems]);
            }
            let message = "a fleet in the short form stands alone".to_owned();
            let help = "give it as the only --fleet".to_owned();
            return Err(vec![loose(&file.name, message, Some(help))]);
        }
    }
    let read = sources::read(request, disk);
    if !read.is_settled {
        return Err(read.problems());
    }
    let loaded = &read.loaded;
    let derived = derive(loaded, request);
    let book = &loaded.book;
    let mut gathered = Gathered::default();
    for (draft, place) in derived.hosts {
        if let Some((message, help)) = gathered.add(draft) {
            book.problem(place, message, help);
        }
    }
    if !read.is_clean() {
        return Err(read.problems());
    }
    if loaded.inventory.hosts.is_empty() {
        let message = "the inventory has no hosts".to_owned();
        let name = request.sources.join(", ");
        return Err(vec![loose(&name, message, None)]);
    }
    Ok(FleetInput {
        fleet: Fleet {
            name: derived.name,
            hosts: gathered.hosts,
        },
        passwords: gathered.passwords,
        membership: loaded.inventory.membership(),
        refused: derived.refused,
        left_out: derived.left_out,
        notes: book.notes(),
    })
}

/// What the short form is read to.
pub(super) struct Read {
    pub(super) name: String,
    /// Hosts with the place where each was written.
    pub(super) hosts: Vec<(Draft, Range<usize>)>,
}

fn short_form(file: &SourceFile, root: ShortRoot) -> Result<FleetInput, Problems> {
    let sink = Sink::new(file);
    let root = match root {
        ShortRoot::AsItIs(root) => Some(root),
        ShortRoot::ToBeTold => node::parse(&sink),
    };
    let input = root.and_then(|root| short::read(&sink, &root)).map(|read| {
        let drafts = read.hosts.iter().map(|(draft, _)| draft);
        let membership = Membership::of_hosts(drafts.map(|draft| {
            let roles = draft.roles.iter().map(String::as_str).collect();
            (draft.name.as_str(), roles)
        }));
        let mut gathered = Gathered::default();
        for (draft, span) in read.hosts {
            if let Some((message, help)) = gathered.add(draft) {
                sink.add_with_help(&span, message, help);
            }
        }
        if gathered.hosts.is_empty() && sink.count() == 0 {
            sink.add(&(0..0), "the fleet has no hosts");
        }
        FleetInput {
            fleet: Fleet {
                name: read.name,
                hosts: gathered.hosts,
            },
            passwords: gathered.passwords,
            membership,
            refused: BTreeMap::new(),
            left_out: BTreeMap::new(),
            notes: Vec::new(),
        }
    });
    sink.into_result(input)
}

/// Hosts of a fleet, while they come in.
#[derive(Default)]
struct Gathered {
    hosts: BTreeMap<HostName, overhaul_model::fleet::Host>,
    passwords: BTreeMap<HostName, Secret>,
    sshds: BTreeMap<(String, Option<u16>), HostName>,
}

impl Gathered {
    /// Takes a host; says what is wrong when its machine is there already, and what to do.
    fn add(&mut self, draft: Draft) -> Option<(String, String)> {
        let (host, password) = draft.into_host();
        let sshd = (host.connection.address.clone(), host.connection.port);
        let other = self.sshds.insert(sshd, host.name.clone());
        let wrong = other.map(|other| {
            let port = match host.connection.port {
                Some(port) => format!(" and port {port}"),
                None => String::new(),
            };
            let message = format!(
                "`{}` and `{other}` have the same address {}{port}",
                host.name, host.connection.address
            );
            let help = "a machine stands in a fleet once; give it all its roles under one name";
            (message, help.to_owned())
        });
        if let Some(password) = password {
            self.passwords.insert(host.name.clone(), password);
        }
        self.hosts.insert(host.name.clone(), host);
        wrong
    }
}

/// What was found out about a fleet in our short form while it was told apart from Ansible's forms.
enum ShortRoot {
    /// Its tree, which is the same in both dialects.
    AsItIs(Node),
    /// Something in it is wrong, or means something in Ansible's dialect only: to be read in our own.
    ToBeTold,
}

/// The tree of a file that is a fleet in our short form: YAML whose keys are not those of groups.
fn short_root(file: &SourceFile) -> Option<ShortRoot> {
    let ending = super::layers::ending_of(file.name.rsplit('/').next().unwrap_or_default());
    let yaml = matches!(ending, ".yaml" | ".yml" | ".json");
    if !yaml && (!ending.is_empty() || !sources::looks_like_yaml(&file.text)) {
        return None;
    }
    let sink = Sink::new(file);
    match node::parse_as(&sink, Dialect::Ansible) {
        Some(root) if !is_short_root(&root) => None,
        // Tags and merge keys alone are read in different ways, and each has one of these in it.
        Some(root) if sink.count() == 0 && !file.text.contains(['!', '<']) => {
            Some(ShortRoot::AsItIs(root))
        }
        Some(_) => Some(ShortRoot::ToBeTold),
        // What cannot be read at all is told in the words of the short form, if that stands in it.
        None => {
            let ours = yaml && file.text.lines().any(|line| line.starts_with("fleet:"));
            ours.then_some(ShortRoot::ToBeTold)
        }
    }
}

fn is_short_root(root: &Node) -> bool {
    let Tree::Map(entries) = &root.tree else {
        return false;
    };
    let is_map = |node: &Node| matches!(node.tree, Tree::Map(_));
    let value = |key: &str| entries.iter().find(|entry| entry.key == key);
    const OURS: [&str; 5] = ["defaults", "hosts", "include", "roles", "zones"];
    if let Some(name) = value("fleet") {
        return !is_map(&name.value);
    }
    let is_group = |node: &Node| match &node.tree {
        Tree::Map(sections) => sections
            .iter()
            .any(|section| matches!(section.key.as_str(), "hosts" | "children" | "vars")),
        _ => false,
    };
    match value("hosts") {
        Some(hosts) => value("all").is_none() && !is_group(&hosts.value),
        // Where nothing can be a group, Ansible would find no host either.
        None if entries
            .iter()
            .all(|entry| OURS.contains(&entry.key.as_str())) =>
        {
            true
        }
        None => {
            let may_be_group = |node: &Node| node.is_null() || is_map(node);
            value("plugin").is_none() && !entries.iter().any(|e| may_be_group(&e.value))
        }
    }
}
