//! What a person gives: definition, fleet, kinds, stored plans and facts. Files are read here only.

use crate::args::{FleetArgs, InputArgs, Switch};
use crate::failure::{Failure, file};
use crate::kinds::Kinds;
use crate::{near, programs, vault};
use overhaul_model::cluster_kind::ClusterKind;
use overhaul_model::definition::{DatasetKind, Definition, Release, SwitchError, WrittenAction};
use overhaul_model::effects::effects;
use overhaul_model::facts::FactsWanted;
use overhaul_model::fleet::{Fleet, Host};
use overhaul_model::id::{HostName, RoleName};
use overhaul_model::knowledge::Knowledge;
use overhaul_model::plan::{PLAN_FORMAT, Plan};
use overhaul_model::primitive::{Measure, Primitive};
use overhaul_model::secret::Secret;
use overhaul_model::strategy::Data;
use overhaul_source::{FleetInput, Problem, Problems, check_texts, definition, fleet, read};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Largest stored plan or facts file: those of 100,000 hosts take about 100 MB.
const JSON_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// A definition with its fleet, both whole and fitting each other.
#[derive(Debug)]
pub struct Loaded {
    /// The definition.
    pub definition: Definition,
    /// The fleet, with the passwords that it names.
    pub fleet: FleetInput,
}

impl Loaded {
    /// Reads and checks definition, fleet and kinds; the problems of all files are told together.
    ///
    /// # Errors
    /// When a file cannot be read or anything in it is wrong.
    pub fn from(args: &InputArgs) -> Result<Self, Failure> {
        let kinds = Kinds::with(args.kinds.as_deref())?;
        let definition_file = read::file(&args.definition)?;
        let fleet = read_fleet(&args.fleet, args.definition.parent())?;
        let definition = definition::parse(&definition_file, kinds.known());
        let (mut definition, fleet) = match (definition, fleet) {
            (Ok(definition), Ok(fleet)) => (definition, fleet),
            (definition, fleet) => {
                let wrong = fleet.err().into_iter().flatten();
                return Err(joined(definition.err().into_iter().chain(wrong)));
            }
        };
        reachable(&definition, &fleet)?;
        check_texts(&definition_file, &definition, &fleet)?;
        definition.knowledge.no_mix = kinds.no_mix();
        let folder = args.definition.parent();
        near::look_up(&mut definition, folder, &args.fleet.sources)?;
        for switch in &args.change {
            switched(&mut definition, switch)?;
        }
        Ok(Self { definition, fleet })
    }

    /// What the inventory says and this program does not use.
    pub fn notes(&self) -> Vec<String> {
        let named = |(file, note): &(String, Problem)| match note.line {
            0 => format!("remark: {file}: {}", note.message),
            line => format!("remark: {file}:{line}: {}", note.message),
        };
        self.fleet.notes.iter().map(named).collect()
    }

    /// The hosts that the definition is about.
    pub fn hosts(&self) -> BTreeMap<HostName, Host> {
        concerned(&self.definition, &self.fleet.fleet)
    }
}

/// Switches the change of a role, as `--change` asks for it.
fn switched(definition: &mut Definition, switch: &Switch) -> Result<(), Failure> {
    definition
        .switch(&switch.role, switch.change)
        .map_err(|error| {
            let failure = Failure::input(format!("--change {switch}: {error}"));
            match error {
                SwitchError::NoRole(_) => {
                    let names: Vec<&str> = definition.roles.iter().map(|r| r.role.as_str()).collect();
                    failure.hint(format!("the roles are {}", names.join(", ")))
                }
                SwitchError::Nonsense(_) => failure.hint(
                    "write in the role what becomes of its data on another machine: `carry: [PATH]`, or `data: none`",
                ),
            }
        })
}

/// Where MariaDB has its databases on Debian.
const MARIADB: &str = "/var/lib/mysql";

/// The paths that a definition copies to the controller. Of the whole root, its file systems say the size.
fn copied(definition: &Definition) -> Vec<String> {
    let roles = definition.roles.iter();
    let carrying = roles.filter(|role| role.strategy.data() == Data::Carry);
    let carried = carrying.flat_map(|role| role.carry.clone());
    let archived = definition.steps().filter_map(|step| match &step.action {
        WrittenAction::Archive(archive) => Some(archive.paths.clone()),
        _ => None,
    });
    // What is received is sized where it comes from.
    let datasets = definition.datasets.values();
    let kept = datasets.filter_map(|dataset| match &dataset.kind {
        DatasetKind::Paths { paths } => Some(paths.clone()),
        DatasetKind::Mariadb => Some(vec![MARIADB.to_owned()]),
        DatasetKind::Postgresql { .. } => None,
    });
    let all = carried.chain(archived.flatten()).chain(kept.flatten());
    let paths: BTreeSet<String> = all.filter(|path| path != "/").collect();
    paths.into_iter().collect()
}

/// The paths that a plan copies to the controller.
fn copied_by_plan(plan: &Plan) -> Vec<String> {
    let mut paths = BTreeSet::new();
    for step in plan.steps() {
        let named = match &step.work {
            Primitive::Persist(persist) => &persist.paths,
            // What is made for the way is not there yet.
            Primitive::Receive(receive) if receive.first.is_none() => &receive.data.paths,
            _ => continue,
        };
        paths.extend(named.iter().filter(|path| *path != "/").cloned());
    }
    let mut kinds = plan.datasets.values().map(|dataset| &dataset.kind);
    if kinds.any(|kind| *kind == DatasetKind::Mariadb) {
        paths.insert(MARIADB.to_owned());
    }
    paths.into_iter().collect()
}

fn joined(problems: impl Iterator<Item = Problems>) -> Failure {
    let mut parts = problems.map(Failure::from);
    let Some(mut first) = parts.next() else {
        return Failure::internal("a file was refused without a reason");
    };
    for next in parts {
        first.message = format!("{}\n\nerror: {}", first.message, next.message);
    }
    first
}

/// The hosts that a definition changes or whose services it names.
pub fn concerned(definition: &Definition, fleet: &Fleet) -> BTreeMap<HostName, Host> {
    let changed = definition.roles.iter().map(|role| &role.role);
    let serving = definition.services.values().map(|service| &service.on);
    changed
        .chain(serving)
        .flat_map(|role| fleet.of_role(role))
        .map(|host| (host.name.clone(), host.clone()))
        .collect()
}

/// What to ask the hosts of a definition beyond the usual.
pub fn wanted(definition: &Definition) -> FactsWanted {
    FactsWanted {
        postgresql: definition
            .datasets
            .values()
            .any(|dataset| matches!(dataset.kind, DatasetKind::Postgresql { .. })),
        upgrade: true,
        stored: definition.roles.iter().any(|role| role.rebuild.is_some()),
        installed: asks_for_packages(&definition.knowledge, &definition.to),
        paths: copied(definition),
        clusters: definition.clusters.values().cloned().collect(),
        ..FactsWanted::default()
    }
}

/// Whether what is known speaks of versions of packages, and not of the release alone.
fn asks_for_packages(knowledge: &Knowledge, to: &Release) -> bool {
    knowledge.packages().iter().any(|name| *name != to.os)
}

/// The code name of the release that a definition leads to, as its upgraders know it.
pub fn codename_ahead(definition: &Definition) -> Option<String> {
    let mut paths = definition.upgraders.values().flat_map(|kind| &kind.paths);
    let path = paths.find(|path| path.to == definition.to)?;
    Some(path.to_codename.clone())
}

/// What to ask the hosts of a plan beyond the usual.
pub fn wanted_by_plan(plan: &Plan) -> FactsWanted {
    FactsWanted {
        postgresql: plan
            .datasets
            .values()
            .any(|dataset| matches!(dataset.kind, DatasetKind::Postgresql { .. })),
        upgrade: true,
        stored: ends_machines(plan),
        installed: asks_for_packages(&plan.knowledge, &plan.to),
        paths: copied_by_plan(plan),
        clusters: kinds_of_clusters(plan),
        ..FactsWanted::default()
    }
}

/// The kinds of clusters that services of the plan form.
fn kinds_of_clusters(plan: &Plan) -> Vec<ClusterKind> {
    let measures = plan
        .services
        .values()
        .filter_map(|service| service.healthy.as_ref());
    let kinds: BTreeMap<&String, &ClusterKind> = measures
        .filter_map(|measure| match measure {
            Measure::Member(member) => Some((&member.kind.name, &member.kind)),
            _ => None,
        })
        .collect();
    kinds.into_values().cloned().collect()
}

/// Whether a step ends a machine: then what lies on it matters.
fn ends_machines(plan: &Plan) -> bool {
    let steps = plan.steps().into_iter();
    let mut effects = steps.flat_map(effects);
    effects.any(|effect| effect.takes_machine())
}

/// A fleet alone.
///
/// # Errors
/// When it cannot be read or is wrong.
pub fn fleet_alone(args: &FleetArgs) -> Result<FleetInput, Failure> {
    read_fleet(args, None)?.map_err(|wrong| joined(wrong.into_iter()))
}

/// The sudo passwords of a fleet, if one is given.
///
/// # Errors
/// When it cannot be read or is wrong.
pub fn passwords(args: &FleetArgs) -> Result<BTreeMap<HostName, Secret>, Failure> {
    if args.sources.is_empty() {
        return Ok(BTreeMap::new());
    }
    Ok(fleet_alone(args)?.passwords)
}

/// Reads a fleet; `beside` is the folder of the definition.
fn read_fleet(
    args: &FleetArgs,
    beside: Option<&Path>,
) -> Result<Result<FleetInput, Vec<Problems>>, Failure> {
    if args.sources.is_empty() {
        return Err(Failure::input("a definition needs its fleet")
            .hint("name the hosts with --fleet, as in --fleet fleet.yaml"));
    }
    let words = |path: &Path| path.to_string_lossy().into_owned();
    let sources: Vec<String> = args.sources.iter().map(|path| words(path)).collect();
    let keys = vault::keys(&args.vault)?;
    let here = std::env::current_dir().map_err(|error| file(Path::new("."), "read", &error))?;
    let (beside, here) = (beside.map(words), words(&here));
    let request = fleet::Request {
        sources: &sources,
        beside: beside.as_deref(),
        working_folder: Some(&here),
        keys: &keys,
    };
    Ok(fleet::load(
        request,
        &mut read::Folders::new(&mut programs::said),
    ))
}

/// No host that the definition changes or whose services it names is one that cannot be reached here.
fn reachable(definition: &Definition, input: &FleetInput) -> Result<(), Failure> {
    let changed = definition.roles.iter().map(|role| &role.role);
    let serving = definition.services.values().map(|service| &service.on);
    let roles: BTreeSet<&str> = changed.chain(serving).map(RoleName::as_str).collect();
    let wrong = input.refused.values().filter(|refused| {
        let mut own = refused.roles.iter();
        own.any(|role| roles.contains(role.as_str()))
    });
    let wrong: Vec<Problems> = wrong.map(|refused| refused.problems.clone()).collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(joined(wrong.into_iter())),
    }
}

/// Whether a file is a stored plan rather than a definition: it begins like JSON.
///
/// # Errors
/// When it cannot be read.
pub fn is_stored_plan(path: &Path) -> Result<bool, Failure> {
    let wrong = |error| file(path, "read", &error);
    let mut head = [0_u8; 256];
    let mut opened = File::open(path).map_err(wrong)?;
    let read = opened.read(&mut head).map_err(wrong)?;
    let first = head
        .iter()
        .take(read)
        .find(|byte| !byte.is_ascii_whitespace());
    Ok(first == Some(&b'{'))
}

/// A plan that `overhaul plan -o` wrote.
///
/// # Errors
/// When it cannot be read, is not a plan, or comes from a newer or an older program.
pub fn stored_plan(path: &Path) -> Result<Plan, Failure> {
    let text = read_capped(path)?;
    check_format(path, &text, "a plan", PLAN_FORMAT..=PLAN_FORMAT)?;
    parse(path, &text, "a plan")
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// Writes a value as JSON into a file that only its owner may read: hosts' variables are in it.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value).map_err(Failure::internal)?;
    text.push('\n');
    write_text(path, &text)
}

/// Writes a file that only its owner may read: beside its place, synced, and renamed, so that a full
/// disk leaves the old one as it was.
///
/// # Errors
/// When the file cannot be written.
pub fn write_text(path: &Path, text: &str) -> Result<(), Failure> {
    write_file(path, |out| out.write_all(text.as_bytes()))
}

/// The same for a file that is too large to be made as one text first.
///
/// # Errors
/// When the file cannot be written.
pub fn write_file(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), Failure> {
    let wrong = |error| file(path, "written", &error);
    let mut making = path.as_os_str().to_owned();
    making.push(format!(".{}.new", std::process::id()));
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&making)
        .and_then(|out| {
            let mut out = BufWriter::new(out);
            fill(&mut out)?;
            out.into_inner()?.sync_all()?;
            std::fs::rename(&making, path)
        });
    if written.is_err() {
        let _ = std::fs::remove_file(&making);
    }
    written.map_err(wrong)
}

fn read_capped(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    File::open(path)
        .and_then(|opened| opened.take(JSON_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| file(path, "read", &error))?;
    Ok(text)
}

pub fn check_format(
    path: &Path,
    text: &str,
    what: &str,
    known: RangeInclusive<u32>,
) -> Result<(), Failure> {
    let wrong = |format: u32, knows: String, hint: &str| {
        let path = path.display();
        Failure::input(format!(
            "{path}: {what} of format {format}; this program knows {knows}"
        ))
        .hint(hint)
    };
    match serde_json::from_str::<Format>(text) {
        Ok(Format { format }) if format > *known.end() => Err(wrong(
            format,
            format!("formats up to {}", known.end()),
            "use the version of overhaul that wrote it, or a newer one",
        )),
        Ok(Format { format }) if format < *known.start() => Err(wrong(
            format,
            format!("formats from {} on", known.start()),
            "an older version of overhaul wrote it: make it anew with overhaul plan -o FILE",
        )),
        Ok(_) => Ok(()),
        Err(error) => Err(not_json(path, &error, what)),
    }
}

pub fn parse<T: serde::de::DeserializeOwned>(
    path: &Path,
    text: &str,
    what: &str,
) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| not_json(path, &error, what))
}

fn not_json(path: &Path, error: &serde_json::Error, what: &str) -> Failure {
    Failure::input(format!("{} is not {what}: {error}", path.display()))
}
