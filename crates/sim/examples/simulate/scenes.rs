//! Plans to be simulated, compiled and checked as the command does it: from definitions, inventories and recorded facts.

use jiff::Zoned;
use overhaul_check::{CONTROLLER, CheckedPlan, check};
use overhaul_model::cluster_kind::ClusterKind;
use overhaul_model::definition::{Definition, WrittenAction, WrittenBlock, WrittenStep};
use overhaul_model::facts::{FleetFacts, HostFacts, Known, Mount, Unit};
use overhaul_model::finding::Severity;
use overhaul_model::id::{HostName, StepId};
use overhaul_model::kind::Upgrader;
use overhaul_model::knowledge::NoMix;
use overhaul_model::plan::Plan;
use overhaul_model::step::Step;
use overhaul_sim::Scene;
use overhaul_source::definition::KnownKinds;
use overhaul_source::fleet::{Request, load};
use overhaul_source::{SourceFile, cluster_kind, definition, kind, read};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// When recorded facts say that they were gathered, in the middle of what they may be old.
const RECORDED: &str = "2026-01-01T00:00:00+00:00[UTC]";

/// What the waivers of some workflows name: the program of a provider that is not on every machine.
const PROVIDER: [&str; 2] = ["/usr/local/lib/overhaul/machines", "/usr/bin/true"];

#[derive(Deserialize)]
struct Recorded {
    hosts: FleetFacts,
}

/// A definition with its fleet and facts, as files of this repository.
struct Files {
    definition: PathBuf,
    fleet: PathBuf,
    facts: PathBuf,
    kinds: Vec<PathBuf>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The plan of `scenes/small.yaml`: seven hosts, for many runs.
pub fn small() -> Result<CheckedPlan, String> {
    compiled(&small_files())
}

/// The same with what a person amends in the midst of a run.
pub fn small_with_amendment() -> Result<Scene, String> {
    let small = small()?;
    let plan = written(&small_files(), &AMENDED)?;
    let amended = amendment(small.plan(), plan)?;
    let scene = Scene::new("small", small).map_err(|error| error.to_string())?;
    let scene = scene.with_amendment(amended);
    scene.map_err(|error| error.to_string())
}

/// A step that is added, and one that is changed, in the definition of the scene.
const AMENDED: [(&str, &str); 2] = [
    (
        "      - {name: it comes back by itself,",
        "      - {name: nothing is broken, shell: \"look\", touches: nothing, repeat: safe}\n      - {name: it comes back by itself,",
    ),
    (
        "content: \"on {{ host.name }}\\n\"",
        "content: \"new on {{ host.name }}\\n\"",
    ),
];

fn small_files() -> Files {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenes");
    Files {
        definition: own.join("small.yaml"),
        fleet: own.join("small.ini"),
        facts: root().join("lab/recorded/six/facts.json"),
        kinds: vec![own.join("small.kind.yaml")],
    }
}

/// The plan as one that takes the place of another; steps that are the same but for their line stay what they were.
fn amendment(of: &Plan, compiled: Compiled) -> Result<CheckedPlan, String> {
    let mut amended = compiled;
    amended.plan.parent = Some(of.hash().map_err(|error| error.to_string())?);
    let known: BTreeMap<&StepId, &Step> = of.steps().into_iter().map(|s| (&s.id, s)).collect();
    for step in amended.plan.root.steps_mut() {
        if let Some(old) = known.get(&step.id) {
            let line = std::mem::replace(&mut step.origin, old.origin.clone());
            if *step != **old {
                step.origin = line;
            }
        }
    }
    amended.checked()
}

/// The demo's definition and every workflow, by name: the plan, or why it is none that runs.
pub fn workflows() -> Result<BTreeMap<String, Result<CheckedPlan, String>>, String> {
    let root = root();
    let mut out = BTreeMap::new();
    let demo = Files {
        definition: root.join("lab/demo/upgrade.yaml"),
        fleet: Path::new(env!("CARGO_MANIFEST_DIR")).join("scenes/demo.ini"),
        facts: root.join("lab/recorded/six/facts.json"),
        kinds: Vec::new(),
    };
    out.insert("lab/demo".to_owned(), compiled(&demo));
    let folder = root.join("workflows");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        if !path.join("upgrade.yaml").is_file() {
            continue;
        }
        let beside = path.join("facts.json");
        let files = Files {
            definition: path.join("upgrade.yaml"),
            fleet: path.join("inventory"),
            facts: match beside.is_file() {
                true => beside,
                false => root.join("lab/recorded/six/facts.json"),
            },
            kinds: Vec::new(),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        out.insert(name.into_owned(), compiled(&files));
    }
    Ok(out)
}

/// A plan with the facts that it was made from.
struct Compiled {
    plan: Plan,
    facts: FleetFacts,
    begins: Zoned,
}

impl Compiled {
    fn checked(mut self) -> Result<CheckedPlan, String> {
        let controller = controller(&self.begins);
        self.facts.insert(HostName::new(CONTROLLER), controller);
        let checked = check(&self.plan, &self.facts, &BTreeSet::new(), &self.begins);
        let errors: Vec<String> = checked
            .findings
            .iter()
            .filter(|f| f.severity == Severity::Error && f.waived.is_none())
            .map(|f| format!("{} {}: {}", f.rule, f.subject, f.sentence))
            .collect();
        checked.passed.ok_or_else(|| errors.join("\n"))
    }
}

fn compiled(files: &Files) -> Result<CheckedPlan, String> {
    written(files, &[])?.checked()
}

/// The plan of a definition in which some texts stand for others.
fn written(files: &Files, instead: &[(&str, &str)]) -> Result<Compiled, String> {
    let (upgraders, clusters) = kinds(&files.kinds)?;
    let mut written = text(&files.definition)?.replace(PROVIDER[0], PROVIDER[1]);
    for (old, new) in instead {
        if !written.contains(old) {
            return Err(format!("{} has no `{old}`", files.definition.display()));
        }
        written = written.replace(old, new);
    }
    let file = SourceFile::new(files.definition.display().to_string(), written);
    let known = KnownKinds {
        upgraders: &upgraders,
        clusters: &clusters,
    };
    let mut definition =
        definition::parse(&file, known).map_err(|problems| problems.to_string())?;
    definition.knowledge.no_mix = no_mix(clusters);
    playbooks(&mut definition);
    let sources = [files.fleet.display().to_string()];
    let request = Request {
        sources: &sources,
        beside: None,
        working_folder: None,
        keys: &Default::default(),
    };
    let mut nothing_runs =
        |path: &str, _: &[&str]| -> Result<String, String> { Err(format!("{path} is not run")) };
    let fleet = load(request, &mut read::Folders::new(&mut nothing_runs)).map_err(|all| {
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        all.join("\n")
    })?;
    let facts: Recorded = serde_json::from_str(&text(&files.facts)?).map_err(|e| e.to_string())?;
    let begins: Zoned = RECORDED.parse().map_err(|e: jiff::Error| e.to_string())?;
    let mut facts = facts.hosts;
    another(&mut facts, "web2", "web3");
    another(&mut facts, "web3", "web4");
    units_too(&mut facts, "web1", "db1");
    let plan = overhaul_plan::compile(&definition, &fleet.fleet, &facts).map_err(|errors| {
        let all: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
        all.join("\n")
    })?;
    Ok(Compiled {
        plan,
        facts,
        begins,
    })
}

/// One host more than there are facts, if its model is there.
fn another(facts: &mut FleetFacts, model: &str, name: &str) {
    let Some(mut of) = facts.get(&HostName::new(model)).cloned() else {
        return;
    };
    if let Known::Measured { value, .. } = &mut of.machine_id {
        let length = value.chars().count();
        *value = value.chars().cycle().skip(1).take(length).collect();
    }
    facts.entry(HostName::new(name)).or_insert(of);
}

/// The demo's host has the database of the one and the web site of the other.
fn units_too(facts: &mut FleetFacts, of: &str, to: &str) {
    let units = facts
        .get(&HostName::new(of))
        .and_then(|of| of.units.value());
    let units = units.cloned().unwrap_or_default();
    let to = facts.get_mut(&HostName::new(to)).map(|to| &mut to.units);
    if let Some(Known::Measured { value, .. }) = to {
        let new = |unit: &Unit| !value.iter().any(|known| known.name == unit.name);
        let more: Vec<Unit> = units.into_iter().filter(new).collect();
        value.extend(more);
    }
}

/// Playbooks stand where they are written; nothing runs them here.
fn playbooks(definition: &mut Definition) {
    fn each(block: &mut WrittenBlock, visit: &mut impl FnMut(&mut WrittenStep)) {
        match block {
            WrittenBlock::Step(step) => visit(step),
            WrittenBlock::Scope(scope) => {
                visit(&mut scope.open);
                scope.body.iter_mut().for_each(|block| each(block, visit));
                visit(&mut scope.close);
            }
            WrittenBlock::Repair(repair) => {
                let blocks = repair.body.iter_mut().chain(&mut repair.remedy);
                blocks.for_each(|block| each(block, visit));
            }
        }
    }
    let mut any = false;
    let mut visit = |step: &mut WrittenStep| {
        if let WrittenAction::Ansible(playbook) = &mut step.action {
            playbook.inventory = Some("inventory".to_owned());
            any = true;
        }
    };
    for role in &mut definition.roles {
        for block in role.slots.values_mut().flatten() {
            each(block, &mut visit);
        }
    }
    for stage in &mut definition.stage_plan {
        for once in stage.before.iter_mut().chain(&mut stage.after) {
            visit(&mut once.step);
        }
    }
    if any {
        definition.ansible_playbook = Some("/usr/bin/ansible-playbook".to_owned());
    }
}

type Kinds = (BTreeMap<String, Upgrader>, Vec<ClusterKind>);

/// Versions that never meet in one cluster, by the kind of cluster.
fn no_mix(clusters: Vec<ClusterKind>) -> BTreeMap<String, NoMix> {
    let bordered = clusters.into_iter().filter(|kind| !kind.no_mix.is_empty());
    bordered
        .map(|kind| {
            let (units, apart) = (kind.detect.units, kind.no_mix);
            (kind.name, NoMix { units, apart })
        })
        .collect()
}

fn kinds(own: &[PathBuf]) -> Result<Kinds, String> {
    let folder = root().join("kinds");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
    paths.sort();
    paths.extend(own.iter().cloned());
    let (mut upgraders, mut clusters) = (BTreeMap::new(), Vec::new());
    for path in paths {
        let file = SourceFile::new(path.display().to_string(), text(&path)?);
        if cluster_kind::is_cluster_kind(&file) {
            clusters.push(cluster_kind::parse(&file).map_err(|p| p.to_string())?);
        } else {
            let kind = kind::parse(&file).map_err(|p| p.to_string())?;
            upgraders.insert(kind.name.clone(), kind);
        }
    }
    Ok((upgraders, clusters))
}

/// The controller has room for everything.
fn controller(now: &Zoned) -> HostFacts {
    let mut facts = HostFacts::unknown(now.timestamp(), "not asked");
    facts.mounts = Known::Measured {
        value: vec![Mount {
            path: "/".into(),
            source: "simulated".into(),
            kind: "simulated".into(),
            size_bytes: 1 << 44,
            free_bytes: 1 << 44,
            exec: true,
            read_only: false,
        }],
        at: now.timestamp(),
    };
    facts
}
