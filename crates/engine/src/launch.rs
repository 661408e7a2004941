//! From a command of the machine to everything that its task needs: the step, the words for its
//! templates, the order for its host.

use crate::error::EngineError;
use crate::ports::{MachineOrder, Order};
use overhaul_machine::Run;
use overhaul_model::authority::claims;
use overhaul_model::belonging::Which;
use overhaul_model::event::{Generation, Outcome};
use overhaul_model::fleet::Host;
use overhaul_model::id::{AttemptKey, Digest, HostName, InstallId, Position, StepId};
use overhaul_model::machine::Machine;
use overhaul_model::planted;
use overhaul_model::primitive::{MachineOp, Measure, Measurement, Primitive};
use overhaul_model::step::Step;
use overhaul_model::template::{Context, Quoting, Renderer, TemplateError, step_word};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Characters of a digest that make an attempt's key: 128 bits never meet by accident.
const KEY_CHARS: usize = 32;

/// The key of an attempt: of nothing else, on any target, in any run.
pub(crate) fn attempt_key(
    run: &Run,
    position: &Position,
    attempt: u32,
) -> Result<AttemptKey, EngineError> {
    let attempt = if planted::is("attempts-share-a-key") {
        1
    } else {
        attempt
    };
    let step = run.step_digest(position);
    let digest = Digest::of_json(&(run.id(), position, attempt, step))?;
    let key = digest.as_str().get(..KEY_CHARS).unwrap_or(digest.as_str());
    Ok(AttemptKey::new(key))
}

/// Attempts behind the present one whose receipts are asked for where rows of the journal were lost: more than
/// retries and people begin at one step.
const LOST_ATTEMPTS_MAX: u32 = 16;

/// Attempts before the present one that its host is told of.
const EARLIER_ATTEMPTS_MAX: u32 = 16;

/// What a task about a step needs.
pub(crate) struct Errand {
    pub position: Position,
    pub attempt: u32,
    pub step: Arc<Step>,
    digest: Digest,
    /// What its texts refer to; nothing when none of them refers to anything.
    pub context: Option<Context>,
    generation: Generation,
    key: AttemptKey,
    /// Whether its receipt has told that it began.
    pub begun: bool,
    /// Of a journal that lost rows: later attempts that may have been begun, the latest first.
    pub lost: Vec<AttemptKey>,
    /// The attempts before it, the latest first.
    earlier: Vec<AttemptKey>,
    /// For `Feed` and `Restore`: the digest that its file must have.
    file_digest: Option<String>,
    /// For `Machine`: who is meant.
    machine: Option<MachineOrder>,
    /// The receipt store of the one who carries it out, as the journal knows it.
    pub receipts: Option<(InstallId, u64)>,
}

impl Errand {
    /// `None` when the plan has no such step, or the run no controller or no attempt at it.
    pub fn new(run: &Run, position: &Position, attempt: u32, key: AttemptKey) -> Option<Self> {
        let step = Arc::clone(run.step(position)?);
        let executor = match step.work.runs_on_controller() {
            true => Some(HostName::controller()),
            false => position.host.clone(),
        };
        let receipts = executor.as_ref().and_then(|h| run.receipts_of(h));
        Some(Self {
            digest: run.step_digest(position)?.clone(),
            context: run.refers(position).then(|| context(run, position)),
            generation: run.generation()?.clone(),
            file_digest: fed_file(&step.work).and_then(|(_, from)| digest_of(run, position, from)),
            receipts: receipts.map(|(id, sequence)| (id.clone(), sequence)),
            machine: machine_order(run, position, &step),
            lost: lost_attempts(run, position, attempt),
            earlier: earlier_attempts(run, position, attempt),
            begun: false,
            position: position.clone(),
            attempt,
            step,
            key,
        })
    }

    /// The gate's question; as it was written when it cannot be rendered: a person reads it anyway.
    pub fn question(&self) -> String {
        let Primitive::Ask(ask) = &self.step.work else {
            return self.step.title.clone();
        };
        self.said(&ask.question)
            .unwrap_or_else(|_| ask.question.clone())
    }

    /// A text of the step with its values.
    pub fn said(&self, text: &str) -> Result<String, TemplateError> {
        match &self.context {
            Some(context) => Renderer::new().text(text, Quoting::Plain, context),
            None => Ok(text.to_owned()),
        }
    }

    /// The order for the host, rendered; otherwise the outcome of an act that certainly did not begin.
    pub fn order(&self) -> Result<Order, Outcome> {
        let not_begun = |why: String| Outcome::Failed {
            why,
            tail: String::new(),
            end: None,
        };
        let host = self.position.host.clone();
        let host = match (host, &self.step.work) {
            (Some(host), _) => host,
            (None, Primitive::Local(_)) => HostName::controller(),
            (None, _) => return Err(not_begun("the step is in no host's lane".to_owned())),
        };
        let work = match &self.context {
            Some(context) => Renderer::new()
                .primitive(&self.step.work, context)
                .map_err(|e| not_begun(format!("its text cannot be rendered: {e}")))?,
            None => self.step.work.clone(),
        };
        let file_digest = match fed_file(&self.step.work) {
            Some((file, from)) => {
                let digest = self.file_digest.as_deref();
                let parsed = digest.and_then(|d| Digest::parse(d).ok());
                Some(parsed.ok_or_else(|| {
                    not_begun(format!(
                        "the digest of {file} is not known: step `{from}` gave no output `sha256`"
                    ))
                })?)
            }
            None => None,
        };
        Ok(Order {
            claims: claims(&self.step.action, &work),
            host,
            generation: self.generation.clone(),
            key: self.key.clone(),
            position: self.position.clone(),
            step: self.digest.clone(),
            work,
            limits: self.step.limits,
            outputs: self.step.outputs.clone(),
            begun: self.begun,
            earlier: self.earlier.clone(),
            file_digest,
            machine: self.machine.clone(),
        })
    }
}

/// A measure with its values, or why it cannot be measured.
pub(crate) fn rendered<'m>(
    measure: &'m Measure,
    context: Option<&Context>,
) -> Result<Cow<'m, Measure>, Measurement> {
    let Some(context) = context else {
        return Ok(Cow::Borrowed(measure));
    };
    let rendered = Renderer::new().measure(measure, context);
    rendered.map(Cow::Owned).map_err(|e| Measurement::Unknown {
        reason: format!("its text cannot be rendered: {e}"),
    })
}

/// What texts at a position can refer to: frozen variables, and the outputs of earlier steps.
pub(crate) fn context(run: &Run, position: &Position) -> Context {
    let plan = run.plan();
    let host = position.host.as_ref().and_then(|h| host_now(run, h));
    let mut context = Context::new(host.as_deref(), &plan.from, &plan.to);
    for (step, outputs) in run.outputs_for(position) {
        context.add_outputs(step, outputs);
    }
    context
}

/// Attempts after this one that lost rows may have told of. An attempt's key follows from run, step and number,
/// so that they can be asked for.
fn lost_attempts(run: &Run, position: &Position, attempt: u32) -> Vec<AttemptKey> {
    if !run.is_salvaged() || attempt == 0 {
        return Vec::new();
    }
    let last = attempt.saturating_add(LOST_ATTEMPTS_MAX);
    (attempt.saturating_add(1)..=last)
        .rev()
        .filter_map(|later| attempt_key(run, position, later).ok())
        .collect()
}

fn earlier_attempts(run: &Run, position: &Position, attempt: u32) -> Vec<AttemptKey> {
    let first = attempt.saturating_sub(EARLIER_ATTEMPTS_MAX).max(1);
    (first..attempt)
        .rev()
        .filter_map(|earlier| attempt_key(run, position, earlier).ok())
        .collect()
}

/// The controller's file that work takes, and the step that knows its digest.
fn fed_file(work: &Primitive) -> Option<(&str, &str)> {
    match work {
        Primitive::Feed(feed) => Some((&feed.file, &feed.digest_from)),
        Primitive::Restore(restore) => Some((&restore.file, &restore.digest_from)),
        _ => None,
    }
}

/// The host as it is now: a machine that was made anew may have another address.
fn host_now<'r>(run: &'r Run, name: &HostName) -> Option<Cow<'r, Host>> {
    let mut host = Cow::Borrowed(run.plan().hosts.get(name)?);
    if let Some(address) = run.machine(name).and_then(|m| m.address.clone()) {
        host.to_mut().connection.address = address;
    }
    Some(host)
}

fn machine_order(run: &Run, position: &Position, step: &Step) -> Option<MachineOrder> {
    let (provider, which) = match &step.work {
        Primitive::Machine(act) => (act.provider.as_ref(), act.which),
        Primitive::Belonging(act) => (Some(&act.provider), act.which),
        _ => return None,
    };
    let plan = run.plan();
    let host = position.host.as_ref()?;
    let id_of = |machine: Option<&Machine>| machine.and_then(|m| m.machine_id.clone());
    let known = run.machine_of(host, which);
    let own = id_of(run.machine(host)).or_else(|| plan.machines.get(host).cloned());
    let launches = matches!(&step.work, Primitive::Machine(act) if act.op == MachineOp::Create);
    let expected = match which {
        Which::Own => own,
        // What is launched must be another one than the host's.
        Which::Beside if launches => own,
        Which::Beside | Which::Old => id_of(known),
    };
    Some(MachineOrder {
        provider: provider.and_then(|name| plan.providers.get(name)).cloned(),
        token: run.token(position).cloned(),
        expected,
        known: known.cloned(),
        own: run.machine(host).cloned(),
        replaced: run.machine_of(host, Which::Old).cloned(),
    })
}

fn digest_of(run: &Run, position: &Position, from: &str) -> Option<String> {
    let is_meant = |id: &StepId| id.as_str() == from || step_word(id) == step_word(&from.into());
    let outputs = run.outputs_for(position);
    let found: Option<&BTreeMap<_, _>> = outputs
        .iter()
        .rev()
        .find(|(id, _)| is_meant(id))
        .map(|(_, outputs)| *outputs);
    Some(found?.get("sha256")?.as_str()?.to_owned())
}
