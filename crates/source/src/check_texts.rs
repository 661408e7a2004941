//! A definition against a fleet: roles that exist, texts that name only what is there, on every host
//! concerned.

mod certain;

use crate::fleet::{FleetInput, LeftOut};
use crate::problem::{Problems, Sink, SourceFile};
use crate::templates::FUNCTIONS;
use crate::words::{nearest, slug, suggestion};
use overhaul_model::definition::{
    Definition, Guard, Playbook, RoleUpgrade, Slot, StagePlan, WrittenAction, WrittenBlock,
    WrittenMachine, WrittenStep,
};
use overhaul_model::fleet::{Fleet, Host};
use overhaul_model::id::{HostName, RoleName, StepId};
use overhaul_model::kind::{Upgrader, UpgraderStep};
use overhaul_model::primitive::{Measure, Primitive};
use overhaul_model::template::{
    Context, Quoting, Renderer, step_word, texts_of_json, texts_of_measure, texts_of_primitive,
};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::ops::Range;
use std::rc::Rc;

/// Hosts that one problem names; the rest is counted.
const HOSTS_NAMED: usize = 3;

/// Names that templates find on every host.
const ALWAYS: [(&str, &[&str]); 3] = [
    ("host", &["name", "address", "zone", "roles"]),
    ("from", &["os", "release"]),
    ("to", &["os", "release"]),
];

/// Names that the texts of upgraders find besides.
const IN_KINDS: [&str; 2] = ["from_codename", "to_codename"];

/// Checks that roles of the definition have hosts, and that every text of it finds what it names.
///
/// `file` is the definition's own, for showing its lines.
///
/// # Errors
/// All problems at once, each with the hosts that it concerns.
pub fn check_texts(
    file: &SourceFile,
    definition: &Definition,
    input: &FleetInput,
) -> Result<(), Problems> {
    let sink = Sink::new(file);
    let fleet = &input.fleet;
    let checker = Checker {
        sink: &sink,
        renderer: Renderer::new(),
        definition,
        fleet,
        left_out: &input.left_out,
        read: RefCell::default(),
        proven: RefCell::default(),
        by_role: by_role(fleet),
    };
    checker.links();
    for role in &definition.roles {
        checker.role(role);
    }
    for stage in &definition.stage_plan {
        checker.stage(stage);
    }
    for service in definition.services.values() {
        if let Some(healthy) = &service.healthy {
            let hosts = checker.all_of(&service.on);
            let place = Place::InFile(1);
            checker.texts(
                &owned(texts_of_measure(healthy)),
                &hosts,
                &place,
                &Outputs::new(),
            );
        }
    }
    sink.into_result(Some(()))
}

/// Outputs of earlier steps, by the step's word.
type Outputs<'h> = BTreeMap<String, StepOutputs<'h>>;

/// What an earlier step gives.
struct StepOutputs<'h> {
    names: BTreeSet<String>,
    /// The hosts where the step is planned; all of the role when `None`.
    hosts: Option<BTreeSet<&'h HostName>>,
}

impl StepOutputs<'_> {
    fn is_planned_on(&self, host: &Host) -> bool {
        let hosts = self.hosts.as_ref();
        hosts.is_none_or(|hosts| hosts.contains(&host.name))
    }
}

/// Some hosts of a role.
#[derive(Clone)]
struct Hosts<'h> {
    role: &'h RoleName,
    hosts: Rc<[&'h Host]>,
    /// Whether they are all of it.
    all: bool,
}

/// What is known of a text without any host.
struct Read {
    names: BTreeSet<String>,
    /// The names with which alone it can be rendered, when it holds nothing else.
    only_names: Option<BTreeSet<String>>,
}

/// Texts with how values are written into them.
type Texts = Vec<(String, Quoting)>;

/// Where a text stands.
enum Place<'p> {
    /// In the definition, on this line or below.
    InFile(u32),
    /// In the file of an upgrader.
    InKind(&'p str, &'p str),
}

struct Checker<'c, 's, 'f> {
    sink: &'s Sink<'f>,
    renderer: Renderer,
    definition: &'c Definition,
    fleet: &'c Fleet,
    /// Variables that the inventory has and templates cannot name.
    left_out: &'c BTreeMap<String, LeftOut>,
    /// Texts that were read: those of upgraders come again with each role.
    read: RefCell<HashMap<String, Rc<Read>>>,
    /// Of a role and a name: whether every host of the role has a value for it.
    proven: RefCell<HashMap<&'c RoleName, HashMap<String, bool>>>,
    by_role: HashMap<&'c RoleName, Rc<[&'c Host]>>,
}

/// The fleet's hosts by role, in the order of their names.
fn by_role(fleet: &Fleet) -> HashMap<&RoleName, Rc<[&Host]>> {
    let mut out: HashMap<&RoleName, Vec<&Host>> = HashMap::new();
    for host in fleet.hosts.values() {
        for role in &host.roles {
            out.entry(role).or_default().push(host);
        }
    }
    let shared = out.into_iter();
    shared.map(|(role, hosts)| (role, hosts.into())).collect()
}

impl<'c> Checker<'c, '_, '_> {
    fn all_of(&self, role: &'c RoleName) -> Hosts<'c> {
        let none = || Rc::from(Vec::new());
        Hosts {
            role,
            hosts: self.by_role.get(role).map_or_else(none, Rc::clone),
            all: true,
        }
    }

    fn read(&self, text: &str) -> Rc<Read> {
        if let Some(read) = self.read.borrow().get(text) {
            return Rc::clone(read);
        }
        let read = Rc::new(Read {
            // Texts that are no templates were reported when they were read.
            names: self.renderer.names(text).unwrap_or_default(),
            only_names: certain::only_names(text),
        });
        let mut known = self.read.borrow_mut();
        known.insert(text.to_owned(), Rc::clone(&read));
        read
    }

    /// Whether every host of a role has a value for all these names, so that nothing has to be rendered to know it.
    fn all_have(&self, hosts: &Hosts<'c>, names: &BTreeSet<String>, in_kind: bool) -> bool {
        let mut proven = self.proven.borrow_mut();
        let of_role = proven.entry(hosts.role).or_default();
        names.iter().all(|name| {
            if in_kind && IN_KINDS.contains(&name.as_str()) {
                return true;
            }
            if let Some(known) = of_role.get(name.as_str()) {
                return *known;
            }
            let all = self.all_of(hosts.role);
            let has = all.hosts.iter().all(|host| certain::has_value(name, host));
            of_role.insert(name.clone(), has);
            has
        })
    }

    /// Roles that the definition names and the fleet does not have.
    fn links(&self) {
        let known: BTreeSet<&RoleName> = self.fleet.hosts.values().flat_map(|h| &h.roles).collect();
        let complain = |role: &RoleName, line: u32, what: String| {
            if known.contains(role) {
                return;
            }
            let names = known.iter().map(|name| name.as_str());
            let help = suggestion(role.as_str(), names, "the fleet's roles are");
            self.sink
                .add_with_help(&self.find(line, role.as_str()), what, help);
        };
        for role in &self.definition.roles {
            let what = format!("no host of the fleet has the role `{}`", role.role);
            complain(&role.role, role.origin.line, what);
        }
        for (name, service) in &self.definition.services {
            let what = format!(
                "the service `{name}` runs on the role `{}`, which no host of the fleet has",
                service.on
            );
            complain(&service.on, 1, what);
        }
    }

    /// Steps that are done once: on a role's first host, or on none, where only the releases are known.
    fn stage(&self, stage: &'c StagePlan) {
        for once in stage.before.iter().chain(&stage.after) {
            let line = once.step.origin.line;
            if let Some(on) = &once.on {
                let all = self.all_of(on);
                let first = Hosts {
                    hosts: all.hosts.iter().take(1).copied().collect(),
                    all: false,
                    ..all
                };
                self.step(&once.step, &first, &mut Outputs::new());
                continue;
            }
            let context = Context::new(None, &self.definition.from, &self.definition.to);
            for (text, quoting) in texts_of_step(&once.step) {
                if let Err(error) = self.renderer.text(&text, quoting, &context) {
                    let first = text.lines().next().unwrap_or_default();
                    let help = "the step is done on no host, so it has no variables";
                    let span = self.find(line, first);
                    self.sink.add_with_help(&span, error.to_string(), help);
                }
            }
        }
    }

    fn role(&self, role: &'c RoleUpgrade) {
        let hosts = self.all_of(&role.role);
        let mut outputs = Outputs::new();
        let line = Place::InFile(role.origin.line);
        self.texts(&texts_of_guards(&role.guards), &hosts, &line, &outputs);
        let upgrader = self.definition.upgraders.get(&role.upgrader);
        for slot in Slot::ALL {
            for block in role.slots.get(&slot).into_iter().flatten() {
                self.block(block, &hosts, &mut outputs);
            }
            // The upgrader's own steps begin at the end of this slot.
            if slot == Slot::Prepare {
                upgrader
                    .iter()
                    .for_each(|kind| self.upgrader(kind, &hosts, &mut outputs));
            }
        }
    }

    fn block(&self, block: &WrittenBlock, hosts: &Hosts<'c>, outputs: &mut Outputs<'c>) {
        for step in block.steps() {
            self.step(step, hosts, outputs);
        }
        for (when, line) in block.repairs() {
            let texts = owned(texts_of_measure(when));
            self.texts(&texts, hosts, &Place::InFile(line), outputs);
        }
    }

    fn step(&self, step: &WrittenStep, hosts: &Hosts<'c>, outputs: &mut Outputs<'c>) {
        let hosts = self.concerned(step, hosts);
        let place = Place::InFile(step.origin.line);
        self.texts(&texts_of_step(step), &hosts, &place, outputs);
        let names = step.outputs.keys().cloned().collect();
        note_outputs(outputs, &slug(&step.name), names, &hosts);
    }

    /// The hosts for which the step's condition holds.
    fn concerned(&self, step: &WrittenStep, hosts: &Hosts<'c>) -> Hosts<'c> {
        let Some(when) = &step.when else {
            return hosts.clone();
        };
        let names = self.renderer.condition_names(when).unwrap_or_default();
        let roots: BTreeSet<&str> = names.iter().map(|name| root(name)).collect();
        let mut failed: BTreeMap<String, Vec<&HostName>> = BTreeMap::new();
        let mut concerned = Vec::new();
        let mut seen: HashMap<String, Result<bool, String>> = HashMap::new();
        for host in hosts.hosts.iter() {
            let lack = names
                .iter()
                .find(|name| missing(name, host, &Outputs::new(), false, self.left_out).is_some());
            let values =
                (lack.is_none() && !roots.contains("host")).then(|| values_of(host, &roots));
            let known = values.as_ref().and_then(|values| seen.get(values)).cloned();
            let answer = known.unwrap_or_else(|| {
                let answer = self.renderer.holds(when, &self.context(host));
                answer.map_err(|error| match lack {
                    Some(name) => format!("`{name}` is not defined"),
                    None => error.to_string(),
                })
            });
            if let Some(values) = values {
                seen.insert(values, answer.clone());
            }
            match answer {
                Ok(true) => concerned.push(*host),
                Ok(false) => {}
                Err(why) => failed.entry(why).or_default().push(&host.name),
            }
        }
        for (why, hosts) in failed {
            let message = format!("the condition cannot be decided on {}: {why}", list(&hosts));
            let first_line = when.lines().next().unwrap_or_default();
            self.sink
                .add(&self.find(step.origin.line, first_line), message);
        }
        Hosts {
            role: hosts.role,
            all: hosts.all && concerned.len() == hosts.hosts.len(),
            hosts: concerned.into(),
        }
    }

    fn upgrader(&self, kind: &Upgrader, hosts: &Hosts<'c>, outputs: &mut Outputs<'c>) {
        let scopes = kind.scopes.iter();
        let opens = scopes.clone().map(|scope| &scope.open);
        let closes = scopes.map(|scope| &scope.close);
        let steps = kind.prepare.iter().chain(opens).chain(&kind.change);
        for step in steps.chain(&kind.settle).chain(closes) {
            let place = Place::InKind(&kind.name, &step.title);
            self.texts(&texts_of_upgrader_step(step), hosts, &place, outputs);
            let names = step.outputs.keys().cloned().collect();
            note_outputs(outputs, &step.name, names, hosts);
        }
    }

    fn context(&self, host: &Host) -> Context {
        Context::new(Some(host), &self.definition.from, &self.definition.to)
    }

    fn texts(&self, texts: &Texts, hosts: &Hosts<'c>, place: &Place, outputs: &Outputs<'_>) {
        for (text, quoting) in texts {
            self.text(text, *quoting, hosts, place, outputs);
        }
    }

    fn text(
        &self,
        text: &str,
        quoting: Quoting,
        hosts: &Hosts<'c>,
        place: &Place,
        outputs: &Outputs<'_>,
    ) {
        let read = self.read(text);
        let names = &read.names;
        let in_kind = matches!(place, Place::InKind(..));
        let mut certain = read.only_names.iter();
        if names.is_empty() || certain.any(|names| self.all_have(hosts, names, in_kind)) {
            return;
        }
        let roots: BTreeSet<&str> = names.iter().map(|name| root(name)).collect();
        let mut seen: HashMap<String, Option<Fault>> = HashMap::new();
        let mut failed: BTreeMap<Fault, Vec<&HostName>> = BTreeMap::new();
        for host in hosts.hosts.iter() {
            let lacks = names
                .iter()
                .filter_map(|name| missing(name, host, outputs, in_kind, self.left_out));
            let lacks: Vec<Fault> = lacks.collect();
            let values = lacks.is_empty().then(|| values_of(host, &roots));
            if let Some(before) = values.as_ref().and_then(|values| seen.get(values)) {
                if let Some(fault) = before {
                    failed.entry(fault.clone()).or_default().push(&host.name);
                }
                continue;
            }
            // Rendering has the last word: `default` and `is defined` make a missing name harmless.
            let context = self.with_outputs(host, outputs, in_kind);
            let error = self.renderer.text(text, quoting, &context).err();
            let faults = match error {
                None => Vec::new(),
                Some(_) if !lacks.is_empty() => lacks,
                // Values of outputs are not known yet, so what is done with them cannot be judged.
                Some(_) if roots.contains("steps") => Vec::new(),
                Some(error) => vec![Fault {
                    message: error.to_string(),
                    help: None,
                    name: names.iter().next().cloned().unwrap_or_default(),
                }],
            };
            if let Some(values) = values {
                seen.insert(values, faults.first().cloned());
            }
            for fault in faults {
                failed.entry(fault).or_default().push(&host.name);
            }
        }
        for (fault, hosts) in failed {
            let message = format!("{} on {}", fault.message, list(&hosts));
            self.complain(place, text, &fault.name, message, fault.help);
        }
    }

    fn complain(
        &self,
        place: &Place,
        text: &str,
        name: &str,
        message: String,
        help: Option<String>,
    ) {
        match place {
            Place::InKind(kind, step) => {
                let message = format!("upgrader `{kind}`, step `{step}`: {message}");
                self.sink.add_loose(message, help);
            }
            Place::InFile(line) => {
                let first = text.lines().find(|line| line.contains(name));
                let around = self.find(*line, first.unwrap_or(text).trim());
                let inner = self.sink.file.text.get(around.clone()).unwrap_or_default();
                let span = match inner.find(name) {
                    Some(at) => {
                        let start = around.start.saturating_add(at);
                        start..start.saturating_add(name.len())
                    }
                    None => self.find(*line, name),
                };
                match help {
                    Some(help) => self.sink.add_with_help(&span, message, help),
                    None => self.sink.add(&span, message),
                }
            }
        }
    }

    /// Where a text stands on a line or below it; the line itself when it is nowhere to be found.
    fn find(&self, line: u32, text: &str) -> Range<usize> {
        let below = self.sink.below(line);
        let found = self
            .sink
            .file
            .text
            .get(below.clone())
            .filter(|_| !text.is_empty())
            .and_then(|rest| rest.find(text));
        match found {
            Some(at) => {
                let start = below.start.saturating_add(at);
                start..start.saturating_add(text.len())
            }
            None => below.start..below.start,
        }
    }

    fn with_outputs(&self, host: &Host, outputs: &Outputs<'_>, in_kind: bool) -> Context {
        let mut context = self.context(host);
        if in_kind {
            for name in IN_KINDS {
                context = context.with(name, name);
            }
        }
        for (word, of_step) in outputs {
            if of_step.is_planned_on(host) {
                let names = of_step.names.iter();
                let values = names.map(|name| (name.clone(), Value::from("0")));
                context.add_outputs(&StepId::new(word.clone()), &values.collect());
            }
        }
        context
    }
}

fn note_outputs<'h>(
    outputs: &mut Outputs<'h>,
    word: &str,
    names: BTreeSet<String>,
    hosts: &Hosts<'h>,
) {
    let some = || hosts.hosts.iter().map(|host| &host.name).collect();
    let hosts = (!hosts.all).then(some);
    outputs.insert(step_word(&StepId::new(word)), StepOutputs { names, hosts });
}

fn root(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// Up to three hosts by name, the rest counted.
fn list(hosts: &[&HostName]) -> String {
    let named: Vec<_> = hosts
        .iter()
        .take(HOSTS_NAMED)
        .map(|host| format!("`{host}`"))
        .collect();
    match hosts.len().saturating_sub(HOSTS_NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// The values that a host gives to some names, as one text: hosts with equal ones render alike.
fn values_of(host: &Host, roots: &BTreeSet<&str>) -> String {
    let mut out = match &host.zone {
        Some(_) if roots.contains("host") => "zoned\n".to_owned(),
        _ => String::new(),
    };
    for value in roots.iter().filter_map(|root| host.vars.get(*root)) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{value}");
    }
    out
}

/// What a text cannot do on a host.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    message: String,
    help: Option<String>,
    /// The name in the text that it is about.
    name: String,
}

/// Why a name means nothing on a host, if it does not.
fn missing(
    name: &str,
    host: &Host,
    outputs: &Outputs<'_>,
    in_kind: bool,
    left_out: &BTreeMap<String, LeftOut>,
) -> Option<Fault> {
    let mut parts = name.split('.');
    let first = parts.next().unwrap_or_default();
    let lack = |near: Option<String>| Fault {
        message: format!("`{name}` is not defined"),
        help: near.map(|near| format!("did you mean `{near}`?")),
        name: name.to_owned(),
    };
    if first == "steps" {
        let (word, output) = (parts.next()?, parts.next());
        let (message, help) = missing_output(word, output, host, outputs)?;
        return Some(Fault {
            message,
            help,
            name: name.to_owned(),
        });
    }
    if FUNCTIONS.contains(&first) || (in_kind && IN_KINDS.contains(&first)) {
        return None;
    }
    if let Some((_, fields)) = ALWAYS.iter().find(|(always, _)| *always == first) {
        let field = parts.next()?;
        let near = nearest(field, fields.iter().copied());
        let near = near.map(|near| format!("{first}.{near}"));
        return (!fields.contains(&field)).then(|| lack(near));
    }
    if !host.vars.contains_key(first)
        && let Some(why) = left_out.get(first)
    {
        return Some(unusable(first, *why));
    }
    let Some(mut value) = host.vars.get(first).map(std::sync::Arc::as_ref) else {
        let known = host.vars.keys().map(String::as_str);
        let near = nearest(first, known.chain(ALWAYS.iter().map(|(name, _)| *name)));
        return Some(lack(near.map(str::to_owned)));
    };
    let mut way = first.to_owned();
    for part in parts {
        match value {
            Value::Object(map) => match map.get(part) {
                Some(inner) => {
                    value = inner;
                    way = format!("{way}.{part}");
                }
                None => {
                    let near = nearest(part, map.keys().map(String::as_str));
                    return Some(lack(near.map(|near| format!("{way}.{near}"))));
                }
            },
            // A list may be asked for its length and the like; rendering says whether that works.
            _ => return None,
        }
    }
    None
}

/// What is said of a variable that the inventory has and templates cannot name.
fn unusable(name: &str, why: LeftOut) -> Fault {
    let (message, help) = match why {
        LeftOut::Encrypted => (
            format!("`{name}` is encrypted: a plan keeps no secrets"),
            "let the command read the secret on the host itself",
        ),
        LeftOut::Template => (
            format!("`{name}` holds a template of Ansible's, which is not worked out here"),
            "write the value out in the inventory",
        ),
    };
    Fault {
        message,
        help: Some(help.to_owned()),
        name: name.to_owned(),
    }
}

fn missing_output(
    word: &str,
    output: Option<&str>,
    host: &Host,
    outputs: &Outputs<'_>,
) -> Option<(String, Option<String>)> {
    let Some(of_step) = outputs.get(word) else {
        let known = outputs.iter().filter(|(_, step)| !step.names.is_empty());
        let known: Vec<&str> = known.map(|(word, _)| word.as_str()).collect();
        let help = suggestion(
            word,
            known.iter().copied(),
            "earlier steps with outputs are",
        );
        return Some((
            format!("no earlier step of this role is called `{word}`: its output is not defined"),
            (!known.is_empty()).then_some(help),
        ));
    };
    if !of_step.is_planned_on(host) {
        return Some((
            format!("the step `{word}` is left out by its condition, so it has no output"),
            Some("give this step the same condition".to_owned()),
        ));
    }
    let output = output?;
    let known = of_step.names.iter().map(String::as_str);
    (!of_step.names.contains(output)).then(|| {
        (
            format!("the step `{word}` has no output `{output}`"),
            Some(suggestion(output, known, "its outputs are")),
        )
    })
}

fn owned(texts: Vec<(&str, Quoting)>) -> Texts {
    let owned = texts.into_iter();
    owned
        .map(|(text, quoting)| (text.to_owned(), quoting))
        .collect()
}

fn texts_of_guards(guards: &[Guard]) -> Texts {
    let measures = guards.iter().filter_map(Guard::measure);
    owned(measures.flat_map(texts_of_measure).collect())
}

fn texts_of_step(step: &WrittenStep) -> Texts {
    let mut out = texts_of_action(&step.action);
    out.extend(texts_of_measures(&step.check, &step.verify));
    if let Some(undo) = &step.undo {
        out.extend(owned(texts_of_primitive(&Primitive::Exec(undo.clone()))));
    }
    out.extend(texts_of_guards(&step.guards));
    out
}

fn texts_of_measures(check: &Option<Measure>, verify: &Option<Measure>) -> Texts {
    let measures = check.iter().chain(verify);
    owned(measures.flat_map(texts_of_measure).collect())
}

fn texts_of_upgrader_step(step: &UpgraderStep) -> Texts {
    let mut out = owned(texts_of_primitive(&step.work));
    out.extend(texts_of_measures(&step.check, &step.verify));
    out
}

fn texts_of_action(action: &WrittenAction) -> Texts {
    let plain = |text: &String| (text.clone(), Quoting::Plain);
    let of = |primitive: Primitive| owned(texts_of_primitive(&primitive));
    match action {
        WrittenAction::Run(exec) => of(Primitive::Exec(exec.clone())),
        WrittenAction::Service { unit, .. } => vec![plain(unit)],
        WrittenAction::Packages { install, remove } => {
            install.iter().chain(remove).map(plain).collect()
        }
        WrittenAction::File(file) => of(Primitive::WriteFile(file.clone())),
        WrittenAction::Edit(edit) => of(Primitive::EditFile(edit.clone())),
        WrittenAction::Machine(machine) => texts_of_machine(machine),
        WrittenAction::Volume(volume) => {
            let named = volume.machine.iter().chain([&volume.name]);
            let mut out: Texts = named.map(plain).collect();
            let params = volume.params.values().flat_map(texts_of_json);
            out.extend(params.map(|text| (text.to_owned(), Quoting::Plain)));
            out
        }
        WrittenAction::Address(address) => {
            let named = address.machine.iter().chain(&address.from);
            let mut out: Texts = named.chain([&address.name]).map(plain).collect();
            let params = address.params.values().flat_map(texts_of_json);
            out.extend(params.map(|text| (text.to_owned(), Quoting::Plain)));
            out
        }
        WrittenAction::Ansible(playbook) => texts_of_playbook(playbook),
        WrittenAction::Wait(wait) => of(Primitive::Wait(wait.clone())),
        WrittenAction::Gate(ask) => of(Primitive::Ask(ask.clone())),
        WrittenAction::Announce(announce) => of(Primitive::Announce(announce.clone())),
        WrittenAction::Later { work, .. } => of(Primitive::NotAvailable(work.clone())),
        // Paths and name stand for themselves.
        WrittenAction::Archive(_)
        | WrittenAction::Transfer { .. }
        | WrittenAction::Cluster { .. }
        | WrittenAction::QuiesceOthers { .. }
        | WrittenAction::Reboot { .. }
        | WrittenAction::MoveCluster { .. } => Vec::new(),
    }
}

fn texts_of_machine(machine: &WrittenMachine) -> Texts {
    let plain = |text: &str| (text.to_owned(), Quoting::Plain);
    let named = machine
        .machine
        .iter()
        .chain(&machine.other)
        .chain(&machine.image);
    let mut out: Texts = named.map(|text| plain(text)).collect();
    out.extend(machine.params.values().flat_map(texts_of_json).map(plain));
    out
}

fn texts_of_playbook(playbook: &Playbook) -> Texts {
    let plain = |text: &str| (text.to_owned(), Quoting::Plain);
    let mut out: Texts = playbook.limit.iter().map(|text| plain(text)).collect();
    let vars = playbook.extra_vars.values();
    out.extend(vars.flat_map(texts_of_json).map(plain));
    out
}
