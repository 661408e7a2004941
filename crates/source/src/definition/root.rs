//! A whole definition.

use super::calendar::{calendar, prework};
use super::knowledge::knowledge;
use super::measure::{chosen, unit};
use super::near::providers;
use super::order::share;
use super::role::{home_of, role};
use super::sequence::{check_together, in_order, together};
use super::shapes::{DATASET, DEFINITION, HEALTHY, RELEASE, SERVICE, WAIVER, WINDOW};
use super::stages::stages;
use crate::node::{self, Entry, Node, Tree, shortened};
use crate::problem::{Problems, Sink, SourceFile};
use crate::reader::{self, Fields};
use crate::templates::Desk;
use crate::words::suggestion;
use overhaul_model::cluster_kind::ClusterKind;
use overhaul_model::definition::{
    Dataset, DatasetKind, Definition, Release, RoleUpgrade, Service, Share,
};
use overhaul_model::finding::Waiver;
use overhaul_model::id::{DatasetName, HostName, Person, RoleName, RuleId, ServiceName};
use overhaul_model::kind::Upgrader;
use overhaul_model::strategy::Change;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The PostgreSQL cluster when none is named, as Debian names it.
const CLUSTER_DEFAULT: &str = "main";

/// How the paths of a dataset are written.
const DATASET_PATHS: &str =
    "write absolute paths without `.`, `..` and a `/` at the end, like [/srv/files]";

/// Hosts that may fail before no further one begins, when nothing is said: none, so that a night's first
/// surprise is its last.
const NO_FAILURE: Share = Share::Hosts(0);

/// Names that other parts of the file may refer to: those that were written, good or not, so that one
/// mistake gives one problem.
pub(crate) struct Names {
    pub(super) services: BTreeSet<String>,
    /// Datasets with the role that each lives on, where that can be told.
    pub(super) datasets: BTreeMap<String, Option<String>>,
    pub(super) upgraders: BTreeSet<String>,
    pub(super) roles: BTreeSet<String>,
    pub(super) providers: BTreeSet<String>,
}

/// The kinds that a definition may name.
#[derive(Clone, Copy, Debug)]
pub struct KnownKinds<'k> {
    /// Release upgraders, by name.
    pub upgraders: &'k BTreeMap<String, Upgrader>,
    /// Clusters.
    pub clusters: &'k [ClusterKind],
}

impl<'k> From<&'k BTreeMap<String, Upgrader>> for KnownKinds<'k> {
    /// Without any kind of cluster.
    fn from(upgraders: &'k BTreeMap<String, Upgrader>) -> Self {
        Self {
            upgraders,
            clusters: &[],
        }
    }
}

/// Reads a definition.
///
/// # Errors
/// All problems of the file at once; only the first one when it is no valid YAML.
pub fn parse<'k>(
    file: &SourceFile,
    kinds: impl Into<KnownKinds<'k>>,
) -> Result<Definition, Problems> {
    let sink = Sink::new(file);
    let read = read(&sink, kinds.into());
    sink.into_result(read)
}

fn read(
    sink: &Sink,
    KnownKinds {
        upgraders,
        clusters,
    }: KnownKinds<'_>,
) -> Option<Definition> {
    let root = node::parse(sink)?;
    let fields = Fields::open(sink, &root, &DEFINITION)?;
    let desk = Desk::new(sink);
    let name = fields
        .get("upgrade")
        .and_then(|node| reader::name(sink, node));
    let (from, to) = releases(sink, &fields);
    let services = fields
        .get("services")
        .map(|node| services(&desk, node, clusters));
    let services = services.unwrap_or_default();
    let service_homes = service_homes(&fields, &services);
    let datasets = fields
        .get("datasets")
        .map(|node| datasets(&desk, node, &service_homes))
        .unwrap_or_default();
    let names = names(&fields, &service_homes, &datasets, upgraders);
    let providers = fields.get("providers").map(|node| providers(&desk, node));
    let together_node = fields.get("together");
    let together = together_node.map(|node| together(sink, &names, node));
    let together = together.unwrap_or_default();
    let roles = fields
        .get("roles")
        .map(|node| roles(&desk, &names, node, &together));
    let pace = pace(&desk, &fields);
    let stages = stages(&desk, &names, fields.get("stages"));
    let waivers = fields
        .get("waivers")
        .map(|node| reader::list(sink, node, |node| waiver(sink, node)));
    let calendar = fields.get("calendar").and_then(|node| calendar(sink, node));
    let prework = fields.get("prework").and_then(|node| prework(sink, node));
    let place = |key| fields.get(key).map_or(0..0, |node| node.span.clone());
    let mut roles = roles.unwrap_or_default();
    let knowledge = knowledge(&desk, &names, &fields, &mut roles);
    check_together(sink, together_node, &together, &roles);
    if let (Some(from), Some(to)) = (&from, &to) {
        check_path(sink, from, to, &roles, upgraders, &place("to"));
    }
    fields.done();
    let used = roles.iter().map(|role| &role.upgrader);
    let used = used.filter_map(|name| Some((name.clone(), upgraders.get(name)?.clone())));
    let formed = services.values().filter_map(|service| {
        let kind = clusters
            .iter()
            .find(|kind| Some(&kind.name) == service.cluster.as_ref())?;
        Some((kind.name.clone(), kind.clone()))
    });
    let formed = formed.collect();
    Some(Definition {
        name: name?,
        from: from?,
        to: to?,
        services,
        datasets,
        upgraders: used.collect(),
        clusters: formed,
        roles,
        together,
        stages: stages.weave,
        stage_plan: stages.plan,
        one_zone_at_a_time: pace.one_zone_at_a_time,
        providers: providers.unwrap_or_default(),
        ansible_playbook: None,
        failure_budget: pace.failure_budget,
        knowledge,
        waivers: waivers.unwrap_or_default(),
        calendar: calendar.unwrap_or_default(),
        prework,
    })
}

/// What other parts of the definition may name.
fn names(
    fields: &Fields,
    service_homes: &BTreeMap<String, Option<String>>,
    datasets: &BTreeMap<DatasetName, Dataset>,
    upgraders: &BTreeMap<String, Upgrader>,
) -> Names {
    let dataset_names = fields.get("datasets").map(written);
    let dataset_homes = dataset_names.unwrap_or_default().into_iter().map(|name| {
        let dataset = datasets.get(&DatasetName::new(name.clone()));
        let home = dataset.and_then(|dataset| home_of(dataset, service_homes));
        (name, home)
    });
    Names {
        services: service_homes.keys().cloned().collect(),
        datasets: dataset_homes.collect(),
        upgraders: upgraders.keys().cloned().collect(),
        roles: fields
            .get("roles")
            .map(written)
            .into_iter()
            .flatten()
            .collect(),
        providers: fields
            .get("providers")
            .map(written)
            .into_iter()
            .flatten()
            .collect(),
    }
}

/// The services that were written, good or not, each with the role that it runs on where that can be told.
fn service_homes(
    fields: &Fields,
    services: &BTreeMap<ServiceName, Service>,
) -> BTreeMap<String, Option<String>> {
    let written = fields.get("services").map(written);
    let names = written.unwrap_or_default().into_iter();
    let with_home = names.map(|name| {
        let home = services.get(&ServiceName::new(name.clone()));
        (name, home.map(|service| service.on.to_string()))
    });
    with_home.collect()
}

/// What holds for all roles together.
struct Pace {
    one_zone_at_a_time: bool,
    failure_budget: Share,
}

fn pace(desk: &Desk, fields: &Fields) -> Pace {
    let zones = [("one-at-a-time", true), ("free", false)];
    let budget = fields.get("failure_budget");
    Pace {
        one_zone_at_a_time: fields.word("zones", &zones).unwrap_or(false),
        failure_budget: budget
            .and_then(|node| share(desk, node))
            .unwrap_or(NO_FAILURE),
    }
}

/// The releases before and after; the same where the system stays as it is.
fn releases(sink: &Sink, fields: &Fields) -> (Option<Release>, Option<Release>) {
    let read = |key| fields.get(key).and_then(|node| release(sink, node));
    let (from, to, stays) = (read("from"), read("to"), read("release"));
    let written = |key| fields.entries().iter().find(|entry| entry.key == key);
    if written("release").is_some() {
        if let Some(other) = written("from").or(written("to")) {
            let message = format!("`{}` has no meaning where the release stays", other.key);
            sink.add_with_help(&other.key_span, message, "take it or `release` away");
        }
        return (stays.clone(), stays);
    }
    for key in ["from", "to"] {
        if written(key).is_none() {
            let message = format!("an upgrade lacks the key `{key}`");
            let help = "write `from` and `to`, or `release` where the system stays as it is";
            sink.add_with_help(&fields.span, message, help);
        }
    }
    (from, to)
}

/// The names that stand in a map, whatever their values look like.
fn written(node: &Node) -> Vec<String> {
    match &node.tree {
        Tree::Map(entries) => entries.iter().map(|entry| entry.key.clone()).collect(),
        _ => Vec::new(),
    }
}

/// A release: keys, or `debian 13`.
pub(crate) fn release(sink: &Sink, node: &Node) -> Option<Release> {
    if let Tree::Map(_) = &node.tree {
        let fields = Fields::open(sink, node, &RELEASE)?;
        let (os, release) = (fields.text("os"), fields.text("release"));
        fields.done();
        return Some(Release {
            os: os?,
            release: release?,
        });
    }
    let written = reader::text(sink, node)?;
    let mut words = written.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(os), Some(release), None) => Some(Release {
            os: os.to_owned(),
            release: release.to_owned(),
        }),
        _ => {
            let message = format!("`{}` is no release", shortened(&written));
            let help = "write it like {os: debian, release: \"13\"} or debian 13";
            sink.add_with_help(&node.span, message, help);
            None
        }
    }
}

fn services(desk: &Desk, node: &Node, clusters: &[ClusterKind]) -> BTreeMap<ServiceName, Service> {
    let mut out = BTreeMap::new();
    for entry in reader::map(desk.sink, node, "services") {
        let good = reader::check_name(desk.sink, &entry.key, &entry.key_span);
        if let Some(service) = service(desk, entry, clusters).filter(|_| good) {
            out.insert(ServiceName::new(entry.key.clone()), service);
        }
    }
    out
}

fn service(desk: &Desk, entry: &Entry, clusters: &[ClusterKind]) -> Option<Service> {
    let sink = desk.sink;
    let fields = Fields::open(sink, &entry.value, &SERVICE)?;
    let on = fields.get("on").and_then(|node| reader::name(sink, node));
    let unit = fields.get("unit").and_then(|node| unit(desk, node));
    let healthy = fields.get("healthy").and_then(|node| {
        let fields = Fields::open(sink, node, &HEALTHY)?;
        let measure = chosen(desk, &fields);
        fields.done();
        measure
    });
    let window = fields.get("window").and_then(|node| {
        let fields = Fields::open(sink, node, &WINDOW)?;
        let budget = fields.span_of_time("budget");
        fields.done();
        budget
    });
    let cluster = fields
        .get("cluster")
        .and_then(|node| cluster(sink, node, &fields, clusters));
    let keep = fields.get("keep").and_then(|node| {
        let keep = reader::int(sink, node, 0..=100_000)?;
        if keep > 0 && !fields.has("healthy") && !fields.has("cluster") {
            let message = "`keep` counts healthy hosts, and nothing says what healthy is";
            sink.add_with_help(&node.span, message, "add `healthy`, or `cluster`");
        }
        u32::try_from(keep).ok()
    });
    let after = fields.get("after").map(|node| match &node.tree {
        Tree::List(_) => reader::list(sink, node, |node| reader::name(sink, node)),
        _ => reader::name(sink, node).into_iter().collect(),
    });
    fields.done();
    Some(Service {
        on: RoleName::new(on?),
        unit: unit?,
        healthy,
        window,
        keep: keep.unwrap_or(0),
        cluster,
        after: after
            .unwrap_or_default()
            .into_iter()
            .map(ServiceName::new)
            .collect(),
    })
}

/// The kind of cluster that the hosts of a service form.
fn cluster(sink: &Sink, node: &Node, fields: &Fields, clusters: &[ClusterKind]) -> Option<String> {
    let name = reader::text(sink, node)?;
    if fields.has("healthy") {
        let message = "the kind of cluster says what a healthy member is, and so does `healthy`";
        sink.add_with_help(&node.span, message, "leave one of them out");
    }
    if !clusters.iter().any(|kind| kind.name == name) {
        let message = format!("there is no kind of cluster `{}`", shortened(&name));
        let known = clusters.iter().map(|kind| kind.name.as_str());
        sink.add_with_help(
            &node.span,
            message,
            suggestion(&name, known, "the kinds are"),
        );
    }
    Some(name)
}

fn datasets(
    desk: &Desk,
    node: &Node,
    services: &BTreeMap<String, Option<String>>,
) -> BTreeMap<DatasetName, Dataset> {
    let sink = desk.sink;
    let mut out = BTreeMap::new();
    for entry in reader::map(sink, node, "datasets") {
        let good = reader::check_name(sink, &entry.key, &entry.key_span);
        let Some(fields) = Fields::open(sink, &entry.value, &DATASET) else {
            continue;
        };
        let of = fields.get("of").and_then(|node| {
            let of = reader::text(sink, node)?;
            if !services.contains_key(&of) {
                let message = format!("there is no service `{}`", shortened(&of));
                let known = services.keys().map(String::as_str);
                sink.add_with_help(
                    &node.span,
                    message,
                    suggestion(&of, known, "the services are"),
                );
            }
            Some(of)
        });
        let kind = dataset_kind(desk, &fields);
        let authority = fields
            .get("authority")
            .and_then(|node| reader::name(sink, node));
        let fresh_for = fields.span_of_time("fresh_for");
        fields.done();
        if let (true, Some(of), Some(kind)) = (good, of, kind) {
            let dataset = Dataset {
                of: ServiceName::new(of),
                kind,
                authority: authority.map(HostName::new),
                fresh_for,
            };
            out.insert(DatasetName::new(entry.key.clone()), dataset);
        }
    }
    out
}

/// The word for what a dataset is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Postgresql,
    Mariadb,
    Paths,
}

/// What a dataset is, with the keys that belong to that alone.
fn dataset_kind(desk: &Desk, fields: &Fields) -> Option<DatasetKind> {
    let sink = desk.sink;
    let kinds = [
        ("postgresql", Of::Postgresql),
        ("mariadb", Of::Mariadb),
        ("paths", Of::Paths),
    ];
    let of = fields.word("kind", &kinds)?;
    let (cluster, paths) = (fields.get("cluster"), fields.get("paths"));
    let clusters = cluster.filter(|_| of != Of::Postgresql);
    let foreign = clusters.map(|node| (node, "`cluster` belongs to `kind: postgresql`"));
    let files = paths.filter(|_| of != Of::Paths);
    let files = files.map(|node| (node, "`paths` belongs to `kind: paths`"));
    for (node, message) in foreign.into_iter().chain(files) {
        sink.add(&node.span, message);
    }
    match of {
        Of::Postgresql => {
            let cluster = cluster.and_then(|node| reader::name(sink, node));
            return Some(DatasetKind::Postgresql {
                cluster: cluster.unwrap_or_else(|| CLUSTER_DEFAULT.to_owned()),
            });
        }
        Of::Mariadb => return Some(DatasetKind::Mariadb),
        Of::Paths => {}
    }
    let found = paths.map(|node| super::strategy::paths(desk, node, "a dataset", DATASET_PATHS));
    match found {
        Some(paths) if !paths.is_empty() => Some(DatasetKind::Paths { paths }),
        _ => {
            let message = "a dataset of `kind: paths` names no path";
            sink.add_with_help(&fields.span, message, DATASET_PATHS);
            None
        }
    }
}

fn roles(desk: &Desk, names: &Names, node: &Node, together: &[Vec<RoleName>]) -> Vec<RoleUpgrade> {
    let entries = reader::map(desk.sink, node, "roles");
    if entries.is_empty() && desk.sink.count() == 0 {
        desk.sink
            .add(&node.span, "`roles` names no role, so nothing would change");
    }
    let roles = entries
        .iter()
        .filter_map(|entry| role(desk, names, entry))
        .collect();
    in_order(desk.sink, entries, roles, together)
}

/// Each upgrader that is used leads from the one release to the other.
fn check_path(
    sink: &Sink,
    from: &Release,
    to: &Release,
    roles: &[RoleUpgrade],
    upgraders: &BTreeMap<String, Upgrader>,
    span: &Range<usize>,
) {
    if from == to {
        if span.is_empty() {
            stays(sink, roles);
        } else {
            let help = "write `release` instead of both where the system stays as it is";
            sink.add_with_help(span, "`from` and `to` are the same release", help);
        }
        return;
    }
    let in_place = roles
        .iter()
        .filter(|role| role.strategy.change() == Change::InPlace);
    let used: BTreeSet<&String> = in_place.map(|role| &role.upgrader).collect();
    for upgrader in used.into_iter().filter_map(|name| upgraders.get(name)) {
        if upgrader
            .paths
            .iter()
            .any(|path| &path.from == from && &path.to == to)
        {
            continue;
        }
        let message = format!("`{}` knows no way from {from} to {to}", upgrader.name);
        let known: Vec<_> = upgrader
            .paths
            .iter()
            .map(|path| format!("{} to {}", path.from, path.to))
            .collect();
        sink.add_with_help(span, message, format!("it knows {}", known.join(", ")));
    }
}

/// Where the release stays, no role may change it.
fn stays(sink: &Sink, roles: &[RoleUpgrade]) {
    for role in roles {
        if role.strategy.change() != Change::Packages {
            let message = format!(
                "the release stays, and the role `{}` would change it",
                role.role
            );
            let help = "write `strategy: packages`, or `from` and `to` at the top";
            sink.add_with_help(&sink.below(role.origin.line), message, help);
        }
    }
}

fn waiver(sink: &Sink, node: &Node) -> Option<Waiver> {
    let fields = Fields::open(sink, node, &WAIVER)?;
    let (rule, subject) = (fields.text("rule"), fields.text("subject"));
    let (person, reason) = (fields.text("person"), fields.text("reason"));
    let expires = fields
        .get("expires")
        .and_then(|node| reader::date(sink, node));
    fields.done();
    Some(Waiver {
        rule: RuleId::new(rule?),
        subject: subject?,
        person: Person::new(person?),
        reason: reason?,
        expires: expires?,
    })
}
