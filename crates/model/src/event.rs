//! The journal's events: numbered, append-only, the only truth about a run.

use crate::definition::Slot;
use crate::facts::BootProof;
use crate::id::{
    AttemptKey, Digest, HostName, InstallId, Nonce, Person, Position, RunId, ServiceName,
    StageName, StepId,
};
use crate::plan::Plan;
use crate::primitive::Measurement;
use crate::receipt::WorkEnd;
use crate::span::Span;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The version of the journal's stored form; a program refuses a newer one.
pub const JOURNAL_FORMAT: u32 = 1;

/// Who may act on the fleet: compared by counter, then nonce.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Generation {
    /// The fleet's name.
    pub fleet: String,
    /// The run.
    pub run: RunId,
    /// Grows by one with every controller that takes the run.
    pub counter: u64,
    /// Tells two controllers with one counter apart.
    pub nonce: Nonce,
}

/// A row of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// When it was written, by the controller's clock.
    pub at: Timestamp,
    /// The digest of the row before it; of nothing for the first.
    pub before: Digest,
    /// What happened.
    pub event: Event,
}

impl Record {
    /// The digest that the next row carries.
    ///
    /// # Errors
    /// When the row cannot be written as JSON.
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        Digest::of_json(self)
    }

    /// What the first row carries as the digest of the row before it.
    pub fn genesis() -> Digest {
        Digest::of("")
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Event {
    /// The first event: a run of a plan began.
    RunOpened {
        /// The run.
        run: RunId,
        /// The plan's hash.
        plan: Digest,
        /// Who began it.
        person: Person,
        /// The findings that were waived or only warned of, as sentences.
        warned: Vec<String>,
    },
    /// A controller took the run: the first one, or one that resumes it.
    ControllerTook {
        /// Its generation.
        generation: Generation,
        /// Who started it.
        person: Person,
    },
    /// Another plan takes the place of the run's: written when no controller has the run.
    Amended {
        /// Who decided it.
        person: Person,
        /// Why.
        reason: String,
        /// The plan; its parent is the one before it.
        plan: Box<Plan>,
        /// New names of steps that were begun, each with the old one.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        was: BTreeMap<StepId, StepId>,
        /// The findings that were waived or only warned of, as sentences.
        warned: Vec<String>,
    },
    /// The rows before this one are those of a damaged journal that were whole. Hosts may have done more than
    /// they tell.
    Salvaged {
        /// Who did it.
        person: Person,
        /// Rows that were kept.
        kept: u64,
        /// The last row that there certainly was.
        known: u64,
        /// What was wrong with the rest.
        why: String,
        /// Controllers count on from here: more than the lost rows can have counted.
        counter: u64,
    },
    /// What the controller that took the run may begin; without this row, everything.
    Limited {
        /// The limits of its sitting.
        sitting: Sitting,
    },
    /// A host accepted the generation, and told its identity.
    HostRegistered {
        /// The host.
        host: HostName,
        /// The identity of its receipt store.
        install_id: InstallId,
        /// The store's highest sequence number.
        sequence: u64,
        /// Its boot.
        boot: BootProof,
    },
    /// A host could not be registered; it is tried again.
    HostRefused {
        /// The host.
        host: HostName,
        /// Why.
        why: String,
        /// Whether trying again by itself makes sense.
        transient: bool,
    },
    /// A host no longer belongs to the run.
    HostReleased {
        /// The host.
        host: HostName,
    },
    /// A guard was measured before a step.
    GuardMeasured {
        /// The step.
        position: Position,
        /// The guard's place in the step's list.
        guard: usize,
        /// The answer; of a guard that counts members, whether they could be asked at all.
        result: Measurement,
        /// Of a guard that counts members: those that serve.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        serving: BTreeSet<HostName>,
    },
    /// A person is asked; the nonce ties the answer to this question.
    Asked {
        /// The gate.
        position: Position,
        /// The question, rendered.
        question: String,
        /// The question's own word.
        nonce: Nonce,
    },
    /// "Already so?" was measured: before an attempt, or to settle an unknown or failed one.
    Checked {
        /// The step.
        position: Position,
        /// The answer.
        result: Measurement,
    },
    /// The intent: written durably before the act.
    Started {
        /// The step.
        position: Position,
        /// The attempt's number, from 1.
        attempt: u32,
        /// The attempt's key on the target.
        key: AttemptKey,
    },
    /// After a takeover or a lost connection: what the target's receipt says of a started attempt.
    Settled {
        /// The step.
        position: Position,
        /// The attempt.
        attempt: u32,
        /// What the receipt says.
        settlement: Settlement,
    },
    /// The outcome of the act.
    Ended {
        /// The step.
        position: Position,
        /// The attempt.
        attempt: u32,
        /// The outcome.
        outcome: Outcome,
    },
    /// "So now?" was measured.
    Verified {
        /// The step.
        position: Position,
        /// The attempt.
        attempt: u32,
        /// The answer.
        result: Measurement,
    },
    /// A repair's finding was measured after its body failed.
    RepairMeasured {
        /// The repair's id, at the host of its lane.
        position: Position,
        /// The answer.
        result: Measurement,
    },
    /// A person decided; taken from the inbox by the holder of the generation.
    Decided(Decision),
    /// The day has come until which a host was postponed: its turns may begin.
    TakenUp {
        /// The host.
        host: HostName,
    },
    /// A request from the inbox that could not be carried out.
    Declined {
        /// The request's nonce.
        nonce: Nonce,
        /// Why.
        why: String,
    },
    /// A service's health changed, as seen by its probe.
    Probed {
        /// The service.
        service: ServiceName,
        /// The host, when the probe runs on it.
        host: Option<HostName>,
        /// Whether it answered well.
        up: bool,
        /// What was seen.
        detail: String,
    },
    /// How often services were asked by this controller's probes, when they end.
    Tallied {
        /// One for each probe.
        probes: Vec<ProbeTally>,
    },
    /// The run is over.
    Finished {
        /// How.
        verdict: Verdict,
    },
    /// After the end: steps of the stage `cleanup` that a person named are to be carried out.
    CleanupBegan {
        /// Who named them.
        person: Person,
        /// Blocks and steps of the stage.
        names: Vec<StepId>,
    },
    /// After the end: a copy was removed from the controller, because a person named it.
    CopyRemoved {
        /// Who named it.
        person: Person,
        /// Its name below the run's data folder.
        file: String,
    },
}

/// What one controller may begin. The order of the plan stays as it is: what lies outside is not begun,
/// and what needs it is not reached. All limits that are given hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sitting {
    /// The limits as a person gave them, for people.
    pub words: String,
    /// Only steps in the lanes of these hosts, and steps of no host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<BTreeSet<HostName>>,
    /// Nothing behind this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
    /// Only steps of this stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageName>,
}

/// The last that a sitting begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// A step, or all of a block.
    Step(StepId),
    /// A slot, on each host.
    Slot(Slot),
    /// A stage.
    Stage(StageName),
}

/// What a probe has seen in all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeTally {
    /// The service.
    pub service: ServiceName,
    /// The host, when the probe asks one.
    pub host: Option<HostName>,
    /// Questions.
    pub asked: u64,
    /// Questions without a good answer.
    pub failed: u64,
    /// The longest time between two good answers, or from the last one to the end: no outage was longer.
    pub longest_gap: Span,
}

/// What a target's receipt says of a started attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settlement {
    /// The store is the one that the journal knows, whole, and has no receipt: it never began.
    NeverBegan,
    /// It is still at work; the engine attaches to it again.
    Running,
    /// It ended.
    Ended(Outcome),
    /// It cannot be known: no store, another store, a store that went back in time, or work that
    /// was cut off.
    Unknown {
        /// Why not.
        reason: String,
    },
}

/// The outcome of an act.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was carried out.
    Succeeded {
        /// Whether anything changed.
        changed: bool,
        /// Outputs by name; never secret ones.
        outputs: BTreeMap<String, serde_json::Value>,
        /// What was seen, in a few words.
        evidence: String,
        /// What of its traces was not known to be on the host's disk, if anything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unsynced: Option<String>,
    },
    /// It was carried out and failed, or certainly was not begun.
    Failed {
        /// What failed.
        why: String,
        /// The last lines of its output.
        tail: String,
        /// How the work ended on the target, if it began.
        end: Option<WorkEnd>,
    },
    /// Nobody can say whether it was carried out.
    Unknown {
        /// Why not.
        reason: String,
    },
}

/// A person's decision, or wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Who, as the operating system knows them.
    pub person: Person,
    /// Why; may be empty for `approve`, `pause`, `resume` and `take up`.
    pub reason: String,
    /// The hash of the plan that the person saw.
    pub plan: Digest,
    /// The request's own word: a request is carried out once.
    pub nonce: Nonce,
    /// What.
    pub choice: Choice,
}

/// What a person can decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Choice {
    /// The gate opens; `question` is the nonce of the question that was answered.
    Approve {
        /// The gate.
        position: Position,
        /// The question's nonce; `None` takes the open one.
        question: Option<Nonce>,
    },
    /// A failed or unknown step is begun again.
    Retry {
        /// The step.
        position: Position,
    },
    /// A failed or unknown step was done by hand; its verify must pass.
    Done {
        /// The step.
        position: Position,
    },
    /// A failed, unknown or not yet begun step is left out.
    Skip {
        /// The step.
        position: Position,
    },
    /// A failed or unknown step's effect is declared void.
    Void {
        /// The step.
        position: Position,
    },
    /// Nothing new begins.
    Pause,
    /// New steps begin again.
    Unpause,
    /// The run ends as soon as nothing is in flight; scopes are closed, hosts released.
    Abort,
    /// Turns of a host that were not begun are left for later; the others go on without it.
    Postpone {
        /// The host.
        host: HostName,
        /// From then on its turns may begin.
        until: Timestamp,
    },
    /// A postponed host is taken up before its day.
    TakeUp {
        /// The host.
        host: HostName,
    },
    /// All that is left to do on a postponed host is left out for good.
    LeaveOut {
        /// The host.
        host: HostName,
    },
}

impl Choice {
    /// The step that it is about.
    pub fn position(&self) -> Option<&Position> {
        match self {
            Self::Approve { position, .. }
            | Self::Retry { position }
            | Self::Done { position }
            | Self::Skip { position }
            | Self::Void { position } => Some(position),
            Self::Pause
            | Self::Unpause
            | Self::Abort
            | Self::Postpone { .. }
            | Self::TakeUp { .. }
            | Self::LeaveOut { .. } => None,
        }
    }

    /// The host that it is about as a whole.
    pub fn host(&self) -> Option<&HostName> {
        match self {
            Self::Postpone { host, .. } | Self::TakeUp { host } | Self::LeaveOut { host } => {
                Some(host)
            }
            Self::Approve { .. }
            | Self::Retry { .. }
            | Self::Done { .. }
            | Self::Skip { .. }
            | Self::Void { .. }
            | Self::Pause
            | Self::Unpause
            | Self::Abort => None,
        }
    }

    /// The command for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Approve { .. } => "approve",
            Self::Retry { .. } => "retry",
            Self::Done { .. } => "done",
            Self::Skip { .. } => "skip",
            Self::Void { .. } => "void",
            Self::Pause => "pause",
            Self::Unpause => "resume",
            Self::Abort => "abort",
            Self::Postpone { .. } => "postpone",
            Self::TakeUp { .. } => "take up",
            Self::LeaveOut { .. } => "leave out",
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every step is done or was left out by a decision.
    Complete,
    /// A person ended it before that.
    Aborted,
}
