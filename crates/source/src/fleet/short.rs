//! Our short form of a fleet, in YAML.

use super::ansible::is_setting;
use super::draft::{Draft, Settings, address_fault, is_template};
use super::input::Read;
use super::range::{expand, has_range};
use crate::node::{Entry, Node, Tree, shortened};
use crate::problem::Sink;
use crate::reader::{self, Fields};
use crate::shape::{Key, Kind, Shape, may, must};
use crate::words::{is_identifier, is_reserved, nearest};
use overhaul_model::fleet::{Transport, Vars};
use overhaul_model::secret::Secret;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// Hosts of one fleet: ten times what the design is measured with.
pub(super) const HOSTS_MAX: usize = 1_000_000;

const TEXT_OR_LIST: Kind = Kind::Either(&[Kind::Text, Kind::List(&Kind::Text)]);

const CONNECTION: &[Key] = &[
    may(
        "user",
        Kind::Text,
        "account to log in with; your own name if left out",
    ),
    may("port", Kind::Int(1, 65_535), "port of sshd; 22 if left out"),
    may(
        "identity_file",
        TEXT_OR_LIST,
        "private keys to try; agent and usual files if left out",
    ),
    may(
        "known_hosts",
        TEXT_OR_LIST,
        "files with known host keys; the usual ones if left out",
    ),
    may(
        "ssh_args",
        Kind::List(&Kind::Text),
        "further words for `ssh`, like [-o, ProxyJump=gate]",
    ),
    may(
        "transport",
        Kind::Words(&["native", "openssh"]),
        "the client; `openssh` for what only that program can do",
    ),
    may(
        "become",
        Kind::Words(&["sudo", "no"]),
        "`sudo` when work runs as another account; `no` if left out",
    ),
    may(
        "become_user",
        Kind::Text,
        "the account that work runs as with sudo; root if left out",
    ),
    may("become_password", Kind::Text, "password for sudo"),
    may(
        "state_dir",
        Kind::Text,
        "folder on the host for helper, receipts and spools",
    ),
    may(
        "vars",
        Kind::Map(&Kind::Any),
        "variables for templates and conditions",
    ),
];

const HOST_ONLY: &[Key] = &[
    may(
        "address",
        Kind::Text,
        "name or number to connect to; the host's name if left out",
    ),
    may("roles", TEXT_OR_LIST, "the roles of the host"),
    may(
        "zone",
        Kind::Text,
        "the failure domain that the host belongs to",
    ),
];

const NO_ADDRESS_RANGE: &str = "with a range of names the address needs a range of the same length";

static DEFAULTS: Shape = Shape {
    id: "defaults",
    what: "`defaults`",
    keys: &[CONNECTION],
    later: &[],
    one_of: &[],
};

static ROLE: Shape = Shape {
    id: "fleet_role",
    what: "a role",
    keys: &[&[may(
        "vars",
        Kind::Map(&Kind::Any),
        "variables of all hosts of the role",
    )]],
    later: &[],
    one_of: &[],
};

static HOST: Shape = Shape {
    id: "host",
    what: "a host",
    keys: &[HOST_ONLY, CONNECTION],
    later: &[],
    one_of: &[],
};

/// A fleet file.
pub(crate) static FLEET: Shape = Shape {
    id: "fleet",
    what: "a fleet",
    keys: &[&[
        must(
            "fleet",
            Kind::Text,
            "the fleet's name; two runs on one fleet exclude each other",
        ),
        may(
            "defaults",
            Kind::Object(&DEFAULTS),
            "what holds for all hosts that do not say otherwise",
        ),
        may(
            "roles",
            Kind::Map(&Kind::Either(&[Kind::Nothing, Kind::Object(&ROLE)])),
            "variables of roles",
        ),
        must(
            "hosts",
            Kind::Map(&Kind::Either(&[Kind::Nothing, Kind::Object(&HOST)])),
            "hosts by name; names may hold ranges like web[01:20]",
        ),
    ]],
    later: &[
        ("zones", "the order of zones comes with a later version"),
        ("include", "a fleet stands in one file"),
    ],
    one_of: &[],
};

/// Variables of a place, each with where it was written.
type Placed = BTreeMap<String, (Arc<serde_json::Value>, Range<usize>)>;

pub(super) fn read(sink: &Sink, root: &Node) -> Option<Read> {
    let fields = Fields::open(sink, root, &FLEET)?;
    let name = fields
        .get("fleet")
        .and_then(|node| reader::name(sink, node));
    let (defaults, default_vars) = match fields.get("defaults") {
        Some(node) => match Fields::open(sink, node, &DEFAULTS) {
            Some(fields) => {
                let read = (settings(&fields), vars(&fields));
                fields.done();
                read
            }
            None => Default::default(),
        },
        None => Default::default(),
    };
    let roles = fields.get("roles").map(|node| roles(sink, node));
    let roles = roles.unwrap_or_default();
    let mut hosts = Hosts {
        sink,
        defaults,
        default_vars,
        roles,
        read: Vec::new(),
        names: HashSet::new(),
    };
    if let Some(node) = fields.get("hosts") {
        for entry in reader::map(sink, node, "hosts") {
            hosts.entry(entry);
        }
    }
    hosts.check_roles();
    fields.done();
    Some(Read {
        name: name.unwrap_or_default(),
        hosts: hosts.read,
    })
}

struct RoleVars {
    vars: Placed,
    span: Range<usize>,
}

fn roles(sink: &Sink, node: &Node) -> BTreeMap<String, RoleVars> {
    let mut out = BTreeMap::new();
    for entry in reader::map(sink, node, "roles") {
        if !reader::check_name(sink, &entry.key, &entry.key_span) {
            continue;
        }
        let mut role = RoleVars {
            vars: Placed::new(),
            span: entry.key_span.clone(),
        };
        if !entry.value.is_null()
            && let Some(fields) = Fields::open(sink, &entry.value, &ROLE)
        {
            role.vars = vars(&fields);
            fields.done();
        }
        out.insert(entry.key.clone(), role);
    }
    out
}

struct Hosts<'s, 'f> {
    sink: &'s Sink<'f>,
    defaults: Settings,
    default_vars: Placed,
    roles: BTreeMap<String, RoleVars>,
    read: Vec<(Draft, Range<usize>)>,
    names: HashSet<String>,
}

impl Hosts<'_, '_> {
    fn entry(&mut self, entry: &Entry) {
        let sink = self.sink;
        let room = HOSTS_MAX.saturating_sub(self.read.len());
        let names = match expand(&entry.key, room) {
            Ok(names) => names,
            Err(fault) => return sink.add(&entry.key_span, fault.to_string()),
        };
        let fields = if entry.value.is_null() {
            None
        } else {
            match Fields::open(sink, &entry.value, &HOST) {
                Some(fields) => Some(fields),
                None => return,
            }
        };
        let (own, own_vars, host_roles, addresses) = match &fields {
            Some(fields) => (
                settings(fields),
                vars(fields),
                role_names(fields),
                addresses(fields, names.len()),
            ),
            None => Default::default(),
        };
        let zone = fields.as_ref().and_then(|fields| fields.get("zone"));
        let zone = zone.and_then(|node| reader::name(sink, node));
        if let Some(fields) = fields {
            fields.done();
        }
        let mut settings = own.over(&self.defaults);
        settings.zone = zone;
        let vars = self.merge(&host_roles, &own_vars, entry);
        for (index, name) in names.into_iter().enumerate() {
            if !reader::check_name(sink, &name, &entry.key_span) {
                return;
            }
            if !self.names.insert(name.clone()) {
                let message = format!("the host `{name}` stands in the fleet twice");
                sink.add(&entry.key_span, message);
                continue;
            }
            let address = addresses.get(index).cloned();
            let mut settings = settings.clone();
            settings.address = address.or(settings.address);
            let draft = Draft {
                name,
                roles: host_roles.clone(),
                settings,
                vars: vars.clone(),
            };
            self.read.push((draft, entry.key_span.clone()));
        }
    }

    /// Defaults, then roles, then the host; two roles that disagree are a problem unless the host decides.
    fn merge(&self, roles: &BTreeSet<String>, own: &Placed, entry: &Entry) -> Vars {
        let plain = |placed: &Placed| -> Vars {
            let pairs = placed.iter();
            pairs
                .map(|(name, (value, _))| (name.clone(), value.clone()))
                .collect()
        };
        let mut vars = plain(&self.default_vars);
        let mut from: BTreeMap<&str, &str> = BTreeMap::new();
        for role in roles {
            let Some(of_role) = self.roles.get(role) else {
                continue;
            };
            for (name, (value, _)) in &of_role.vars {
                if let Some(other) = from.insert(name, role)
                    && vars.get(name) != Some(value)
                    && !own.contains_key(name)
                {
                    let message = format!(
                        "the roles `{other}` and `{role}` give `{name}` different values for `{}`",
                        shortened(&entry.key)
                    );
                    let help = format!("set `{name}` under `vars` of the host");
                    self.sink.add_with_help(&entry.key_span, message, help);
                }
                vars.insert(name.clone(), value.clone());
            }
        }
        vars.extend(plain(own));
        vars
    }

    fn check_roles(&self) {
        let used: BTreeSet<&String> = self.read.iter().flat_map(|(host, _)| &host.roles).collect();
        for (name, role) in &self.roles {
            if !used.contains(name) {
                let message = format!("no host has the role `{name}`");
                let near = nearest(name, used.iter().map(|used| used.as_str()));
                let help = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "name it under `roles` of a host, or take it away".to_owned(),
                };
                self.sink.add_with_help(&role.span, message, help);
            }
        }
    }
}

fn settings(fields: &Fields) -> Settings {
    let sink = fields.sink;
    let port = fields.get("port").and_then(|node| {
        let port = reader::int(sink, node, 1..=65_535)?;
        u16::try_from(port).ok()
    });
    let state_dir = fields.get("state_dir").and_then(|node| {
        let path = reader::text(sink, node)?;
        if path.starts_with('/') {
            return Some(path);
        }
        sink.add_with_help(
            &node.span,
            "`state_dir` is no absolute path",
            "begin it with `/`",
        );
        None
    });
    let by_sudo = fields.get("become").and_then(|node| {
        let words = [("sudo", true), ("no", false)];
        reader::word(sink, node, &words)
    });
    Settings {
        address: None,
        port,
        user: fields.get("user").and_then(|node| account(sink, node)),
        identity_files: fields
            .get("identity_file")
            .map(|node| text_or_list(sink, node)),
        known_hosts: fields
            .get("known_hosts")
            .map(|node| text_or_list(sink, node)),
        ssh_args: fields
            .get("ssh_args")
            .map(|node| reader::list(sink, node, |node| reader::text(sink, node))),
        transport: fields.get("transport").and_then(|node| {
            let words = [
                ("native", Transport::Native),
                ("openssh", Transport::Openssh),
            ];
            reader::word(sink, node, &words)
        }),
        by_sudo,
        become_user: fields
            .get("become_user")
            .and_then(|node| account(sink, node)),
        state_dir,
        zone: None,
        password: password(fields),
    }
}

fn password(fields: &Fields) -> Option<Secret> {
    let node = fields.get("become_password")?;
    match &node.tree {
        Tree::Scalar { text, .. } if !node.is_null() => Some(Secret::new(text.clone())),
        _ => {
            fields.sink.add(&node.span, "a password is a text");
            None
        }
    }
}

fn account(sink: &Sink, node: &Node) -> Option<String> {
    let name = reader::text(sink, node)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-$@".contains(c);
    if name.starts_with('-') || !name.chars().all(allowed) {
        let message = format!("`{}` is no name of an account", shortened(&name));
        sink.add(&node.span, message);
        return None;
    }
    Some(name)
}

fn text_or_list(sink: &Sink, node: &Node) -> Vec<String> {
    match &node.tree {
        Tree::List(_) => reader::list(sink, node, |node| reader::text(sink, node)),
        _ => reader::text(sink, node).into_iter().collect(),
    }
}

fn role_names(fields: &Fields) -> BTreeSet<String> {
    let sink = fields.sink;
    match fields.get("roles") {
        Some(node) if matches!(node.tree, Tree::List(_)) => {
            let names = reader::list(sink, node, |node| reader::name(sink, node));
            names.into_iter().collect()
        }
        Some(node) => reader::name(sink, node).into_iter().collect(),
        None => BTreeSet::new(),
    }
}

/// One address for each name; none when none was written.
fn addresses(fields: &Fields, names: usize) -> Vec<String> {
    let sink = fields.sink;
    let Some(node) = fields.get("address") else {
        return Vec::new();
    };
    let Some(written) = reader::text(sink, node) else {
        return Vec::new();
    };
    let ranged = has_range(&written);
    let addresses = match expand(&written, names.saturating_add(1)) {
        Ok(addresses) => addresses,
        Err(fault) => {
            sink.add_with_help(&node.span, fault.to_string(), NO_ADDRESS_RANGE);
            return Vec::new();
        }
    };
    if let Some(fault) = addresses.iter().find_map(|address| address_fault(address)) {
        sink.add(&node.span, fault);
        return Vec::new();
    }
    if addresses.len() != names && (ranged || names > 1) {
        let message = format!("hosts: {names}, addresses here: {}", addresses.len());
        sink.add_with_help(&node.span, message, NO_ADDRESS_RANGE);
        return Vec::new();
    }
    addresses
}

fn vars(fields: &Fields) -> Placed {
    let sink = fields.sink;
    let mut out = Placed::new();
    let Some(node) = fields.get("vars") else {
        return out;
    };
    for entry in reader::map(sink, node, "variables") {
        let (name, value) = (&entry.key, entry.value.to_json());
        if is_reserved(name) {
            let message = format!("`{name}` is a name with a meaning of its own in templates");
            sink.add_with_help(&entry.key_span, message, "give the variable another name");
        } else if is_setting(name) {
            let message =
                format!("`{name}` is a setting of Ansible inventories, and does nothing here");
            let help = "this form has keys for it, like `user`, `identity_file`, `become_password` and `state_dir`";
            sink.add_with_help(&entry.key_span, message, help);
        } else if !is_identifier(name) {
            let message = format!("`{}` is no name of a variable", shortened(name));
            let help =
                "variables are made of letters, digits and `_`, so that templates can name them";
            sink.add_with_help(&entry.key_span, message, help);
        } else if is_template(&value) {
            let help = "values of variables are taken as they are; write the value out";
            sink.add_with_help(&entry.value.span, "a variable's value is no template", help);
        } else {
            out.insert(name.clone(), (Arc::new(value), entry.key_span.clone()));
        }
    }
    out
}
