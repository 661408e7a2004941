//! What a plan's steps do to a simulated host, and which of its measures ask for what of that.
//!
//! Commands are opaque: a command "has been done" when its step was carried out, and a measure that stands as check
//! or verify of a step asks just that. What the model has words for (units, files, releases, machines, copies) is
//! kept as such, so that measures of other steps see it too.

use overhaul_model::action::{Action, ClusterOp, MoveOp, ServiceOp, UpgradePart};
use overhaul_model::belonging::Which;
use overhaul_model::definition::{OutputFrom, Release, Slot};
use overhaul_model::fleet::Host;
use overhaul_model::id::{HostName, Position, ServiceName, StepId};
use overhaul_model::plan::{Block, Child, Plan};
use overhaul_model::primitive::{Command, Exec, Existing, MachineOp, Measure, Primitive};
use overhaul_model::step::Step;
use overhaul_model::template::{Context, Renderer};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// No work takes less: a fault in the midst of it must have a place.
const LENGTH_MS_MIN: u64 = 10;

/// What stands behind the name of what a restore has set aside.
const ASIDE: &str = ".overhaul-before";

/// What a step does beside having been done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deed {
    /// Nothing else.
    Plain,
    /// A unit changes.
    Unit { unit: String, op: ServiceOp },
    /// The release becomes this one.
    Release(Release),
    /// A file is written; its text comes with the order.
    File,
    /// A file is edited.
    Edit,
    /// The host boots anew.
    Reboot,
    /// The controller gets a file.
    Copy { file: String, paths: Vec<String> },
    /// Paths come back from a file of the controller.
    PutBack {
        file: String,
        paths: Vec<String>,
        /// Where what was in the way lies then.
        aside: Vec<String>,
    },
    /// What was set aside is removed.
    Clear { paths: Vec<String> },
    /// Data of another host comes to this one.
    Received,
    /// A file of the controller is sent and read, and nothing else.
    ReadBack { file: String },
    /// A volume leaves the host with what lies below the path, or comes to it.
    Volume { path: String, comes: bool },
    /// A machine.
    Machine {
        op: MachineOp,
        release: Option<Release>,
    },
}

impl Deed {
    fn of(step: &Step, units: &BTreeMap<ServiceName, String>) -> Self {
        match (&step.work, &step.action) {
            (Primitive::Reboot(_), _) => Self::Reboot,
            (Primitive::WriteFile(_), _) => Self::File,
            (Primitive::EditFile(_), _) => Self::Edit,
            (Primitive::Persist(p), _) => Self::Copy {
                file: p.file.clone(),
                paths: p.paths.clone(),
            },
            (Primitive::Fetch(f), _) => Self::Copy {
                file: f.file.clone(),
                paths: vec![f.file.clone()],
            },
            (Primitive::Restore(r), _) => Self::PutBack {
                file: r.file.clone(),
                paths: r.paths.clone(),
                aside: match r.existing {
                    Existing::SetAside => r.paths.iter().map(|p| format!("{p}{ASIDE}")).collect(),
                    Existing::Refuse => Vec::new(),
                },
            },
            (Primitive::Exec(exec), _) if let Some(paths) = cleared(exec) => Self::Clear { paths },
            (Primitive::Receive(_), _) => Self::Received,
            (Primitive::Feed(f), _) => Self::ReadBack {
                file: f.file.clone(),
            },
            // What happens beside the host's machine, it does not notice.
            (Primitive::Machine(act), _) if act.which != Which::Own && !act.takes_over() => {
                Self::Plain
            }
            (Primitive::Machine(act), Action::Machine { release, .. }) => Self::Machine {
                op: act.op,
                release: release.clone(),
            },
            (
                Primitive::Belonging(_),
                Action::Moves {
                    op: op @ (MoveOp::Come | MoveOp::Leave),
                    mount: Some(path),
                    ..
                },
            ) => Self::Volume {
                path: path.clone(),
                comes: *op == MoveOp::Come,
            },
            (_, Action::Service { unit, op, .. }) => Self::Unit {
                unit: unit.trim_end_matches(".service").to_owned(),
                op: *op,
            },
            (_, Action::Cluster { service, op }) => match (units.get(service), op) {
                (None, _) | (_, ClusterOp::Forget) => Self::Plain,
                (Some(unit), ClusterOp::Leave) => Self::Unit {
                    unit: unit.clone(),
                    op: ServiceOp::Stop,
                },
                // It takes away that the unit is held, too.
                (Some(unit), ClusterOp::Join | ClusterOp::Bootstrap) => Self::Unit {
                    unit: unit.clone(),
                    op: ServiceOp::LetGo,
                },
            },
            (
                _,
                Action::ReleaseUpgrade {
                    part: UpgradePart::Change,
                    to,
                    ..
                },
            ) => Self::Release(to.clone()),
            _ => Self::Plain,
        }
    }

    /// Whether its bytes go over the connection, so that it ends with it.
    pub fn streams(&self) -> bool {
        matches!(
            self,
            Self::Copy { .. } | Self::PutBack { .. } | Self::Received | Self::ReadBack { .. }
        )
    }
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct StepMeaning {
    pub deed: Deed,
    /// What a provider tells at its end.
    pub told: BTreeMap<String, Value>,
    pub slot: Slot,
    /// Whether the controller's own helper does it.
    pub near: bool,
    /// The step whose work this one takes away: the `open` of the scope that it closes.
    pub takes_away: Option<StepId>,
}

/// What a measure is about.
#[derive(Debug, Default)]
pub(crate) struct About {
    /// Services on hosts whose health it is.
    pub health: Vec<(ServiceName, HostName)>,
    /// By host, the steps of which it is check or verify.
    pub asked_for: HashMap<HostName, BTreeSet<StepId>>,
    /// By host, the bodies of repairs whose failure it tells.
    pub repairs: HashMap<HostName, BTreeSet<StepId>>,
}

/// What measures are about while that is collected, by the measure as it is written.
#[derive(Default)]
struct Asked(BTreeMap<String, (Measure, About)>);

impl Asked {
    fn about(&mut self, measure: &Measure) -> &mut About {
        let written = serde_json::to_string(measure).unwrap_or_default();
        let new = || (measure.clone(), About::default());
        &mut self.0.entry(written).or_insert_with(new).1
    }
}

/// A whole plan.
#[derive(Debug)]
pub(crate) struct Meaning {
    steps: HashMap<StepId, Arc<StepMeaning>>,
    /// Units of services.
    units: BTreeMap<ServiceName, String>,
    /// What rendered measures are about, by a text of each.
    about: HashMap<String, Vec<(Measure, About)>>,
    /// Milliseconds that steps take at least and at most, where their own lengths count.
    lengths: HashMap<Position, (u64, u64)>,
}

impl Meaning {
    pub fn of(plan: &Plan) -> Self {
        let mut closes = BTreeMap::new();
        let mut repairs = Vec::new();
        walk(&plan.root, &mut closes, &mut repairs);
        let mut this = Self {
            steps: HashMap::new(),
            units: units(plan),
            about: HashMap::new(),
            lengths: HashMap::new(),
        };
        let mut asked = Asked::default();
        let renderer = Renderer::new();
        for (name, service) in &plan.services {
            for host in service.hosts.iter().filter_map(|h| plan.hosts.get(h)) {
                let context = Context::new(Some(host), &plan.from, &plan.to);
                let healthy = service.healthy.as_ref();
                if let Some(Ok(measure)) = healthy.map(|m| renderer.measure(m, &context)) {
                    let of = asked.about(&measure);
                    of.health.push((name.clone(), host.name.clone()));
                }
            }
        }
        let placed = plan.positions();
        for place in &placed {
            this.steps.entry(place.step.id.clone()).or_insert_with(|| {
                Arc::new(StepMeaning {
                    deed: Deed::of(place.step, &this.units),
                    told: told(place.step),
                    slot: place.step.slot,
                    near: place.step.work.runs_on_controller(),
                    takes_away: closes.get(&place.step.id).cloned(),
                })
            });
        }
        let mut contexts: BTreeMap<HostName, Context> = BTreeMap::new();
        for (name, host) in &plan.hosts {
            contexts.insert(name.clone(), this.context(plan, name, host));
        }
        for place in &placed {
            let Some(host) = &place.position.host else {
                continue;
            };
            let Some(context) = contexts.get(host) else {
                continue;
            };
            for measure in [&place.step.check, &place.step.verify]
                .into_iter()
                .flatten()
            {
                if let Ok(measure) = renderer.measure(measure, context) {
                    let of = asked.about(&measure);
                    let of = of.asked_for.entry(host.clone()).or_default();
                    of.insert(place.step.id.clone());
                }
            }
        }
        for (when, body) in repairs {
            for (name, context) in &contexts {
                if let Ok(measure) = renderer.measure(when, context) {
                    let of = asked.about(&measure);
                    let of = of.repairs.entry(name.clone()).or_default();
                    of.extend(body.iter().cloned());
                }
            }
        }
        for (measure, about) in asked.0.into_values() {
            let alike = this.about.entry(text(&measure).to_owned()).or_default();
            alike.push((measure, about));
        }
        this
    }

    /// What texts of a host can refer to, with the outputs that all of its steps will have.
    fn context(&self, plan: &Plan, name: &HostName, host: &Host) -> Context {
        let mut context = Context::new(Some(host), &plan.from, &plan.to);
        for place in plan.positions() {
            if place.position.host.as_ref() == Some(name) {
                let mut outputs = said(&place.step.id, name, &place.step.outputs);
                outputs.extend(told(place.step));
                context.add_outputs(&place.step.id, &outputs);
            }
        }
        context
    }

    /// Steps take about as long as the plan expects of them.
    #[must_use]
    pub fn at_pace(mut self, plan: &Plan) -> Self {
        for place in plan.positions() {
            let expected = plan.expected(place.step, place.position.host.as_ref());
            let fifth = expected.as_ms() / 5;
            let range = (
                expected.as_ms().saturating_sub(fifth).max(LENGTH_MS_MIN),
                expected.as_ms().saturating_add(fifth).max(LENGTH_MS_MIN),
            );
            self.lengths.insert(place.position, range);
        }
        self
    }

    /// What a step takes at least and at most in milliseconds, where its own length counts.
    pub fn length(&self, position: &Position) -> Option<(u64, u64)> {
        self.lengths.get(position).copied()
    }

    pub fn step(&self, id: &StepId) -> Option<&Arc<StepMeaning>> {
        self.steps.get(id)
    }

    /// Whether all that a step does is to have been done: nothing else of the host changes with it, and nothing takes
    /// it away.
    pub fn is_plain(&self, id: &StepId) -> bool {
        let step = self.steps.get(id);
        let closed = self
            .steps
            .values()
            .any(|s| s.takes_away.as_ref() == Some(id));
        let about = self.about.values().flatten();
        let mut bodies = about.flat_map(|(_, about)| about.repairs.values());
        let repaired = bodies.any(|body| body.contains(id));
        !closed
            && !repaired
            && step.is_some_and(|s| s.deed == Deed::Plain && s.takes_away.is_none())
    }

    /// The unit of a service.
    pub fn unit(&self, service: &ServiceName) -> Option<&String> {
        self.units.get(service)
    }

    /// What a measure is about.
    pub fn about(&self, measure: &Measure) -> Option<&About> {
        let mut alike = self.about.get(text(measure))?.iter();
        let found = alike.find(|(known, _)| known == measure)?;
        Some(&found.1)
    }
}

/// The paths that a command clears away, if that is all that it does.
fn cleared(exec: &Exec) -> Option<Vec<String>> {
    let Command::Argv(argv) = &exec.command else {
        return None;
    };
    let paths = argv.iter().filter(|word| word.ends_with(ASIDE)).cloned();
    let paths: Vec<String> = paths.collect();
    let removes = argv.first().is_some_and(|program| program == "rm");
    (removes && !paths.is_empty()).then_some(paths)
}

/// What a step's standard output gives, the same every time.
pub(crate) fn said(
    step: &StepId,
    host: &HostName,
    wanted: &BTreeMap<String, OutputFrom>,
) -> BTreeMap<String, Value> {
    let value = |name: &String| Value::String(format!("{name} of {} on {host}", step.last()));
    wanted
        .keys()
        .map(|name| (name.clone(), value(name)))
        .collect()
}

/// What a provider tells of a volume or an address, the same every time.
pub(crate) fn told(step: &Step) -> BTreeMap<String, Value> {
    let Primitive::Belonging(act) = &step.work else {
        return BTreeMap::new();
    };
    let identity = format!("{} {}", act.kind.word(), act.name).replace(' ', "-");
    [
        ("identity", identity),
        ("device", "/dev/vdb".to_owned()),
        ("address", "192.0.2.1".to_owned()),
    ]
    .into_iter()
    .map(|(name, text)| (name.to_owned(), Value::from(text)))
    .collect()
}

fn units(plan: &Plan) -> BTreeMap<ServiceName, String> {
    let services = plan.services.iter();
    let bare = |unit: &str| unit.trim_end_matches(".service").to_owned();
    services
        .map(|(name, service)| (name.clone(), bare(&service.unit)))
        .collect()
}

/// A text of a measure that few others have: to look among those alone, without writing it down as a whole.
fn text(measure: &Measure) -> &str {
    match measure {
        Measure::Command(exec) => match &exec.command {
            Command::Argv(argv) => argv.last().map_or("", String::as_str),
            Command::Shell(script) => script,
        },
        Measure::Unit { unit, .. } => unit,
        Measure::Release { version, .. } => version,
        Measure::PackagesClean | Measure::Member(_) => "",
        Measure::PackagesInstalled { names } => names.first().map_or("", String::as_str),
        Measure::FileIs(file) => &file.path,
        Measure::FileEdited(edit) => &edit.path,
        Measure::Http { url, .. } => url,
        Measure::Tcp { address } => address,
        Measure::All(parts) => parts.first().map_or("", text),
    }
}

/// Closes with their opens, and repairs with the steps of their bodies.
fn walk<'p>(
    block: &'p Block,
    closes: &mut BTreeMap<StepId, StepId>,
    repairs: &mut Vec<(&'p Measure, BTreeSet<StepId>)>,
) {
    match block {
        Block::Scope { open, close, .. } => {
            closes.insert(close.id.clone(), open.id.clone());
        }
        Block::Repair { body, when, .. } => {
            let mut steps = BTreeSet::new();
            collect(body, &mut steps);
            repairs.push((when, steps));
        }
        Block::Step(_) | Block::Sequence { .. } | Block::Parallel { .. } | Block::Roll { .. } => {}
    }
    for child in block.children() {
        if let Child::Block(block) = child {
            walk(block, closes, repairs);
        }
    }
}

fn collect(block: &Block, out: &mut BTreeSet<StepId>) {
    if let Block::Step(step) = block {
        out.insert(step.id.clone());
    }
    for child in block.children() {
        match child {
            Child::Step(step) => {
                out.insert(step.id.clone());
            }
            Child::Block(block) => collect(block, out),
        }
    }
}
