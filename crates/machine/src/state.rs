//! What can be true of a step's position, and of a host.

use jiff::Timestamp;
use overhaul_model::facts::BootProof;
use overhaul_model::id::{AttemptKey, InstallId, Nonce, Person};
use overhaul_model::planted;
use overhaul_model::span::Span;
use serde::Serialize;

/// The state of a position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum StepState {
    /// Something before it is not over.
    Waiting,
    /// Its turn has come.
    Ready {
        /// What is done first.
        stage: Stage,
    },
    /// A guard does not hold.
    Held {
        /// The guard's place in the step's list.
        guard: usize,
        /// Since when.
        since: Timestamp,
        /// When it was last measured.
        measured_at: Timestamp,
        /// What was seen then.
        why: String,
    },
    /// A person is asked.
    Asked {
        /// The question.
        question: String,
        /// Its own word.
        nonce: Nonce,
    },
    /// An attempt was begun and is not over.
    Running {
        /// Its number.
        attempt: u32,
        /// How far it is.
        phase: Phase,
        /// Since when.
        since: Timestamp,
    },
    /// It is done.
    Done {
        /// How that is known.
        how: How,
    },
    /// Left out by a decision.
    Skipped {
        /// Whose.
        by: Person,
    },
    /// It failed.
    Failed {
        /// Why.
        why: String,
        /// The last lines of its output.
        tail: String,
        /// The last attempt's number; 0 when none was begun.
        attempt: u32,
        /// When.
        at: Timestamp,
        /// What follows.
        then: Then,
    },
    /// Nobody can say whether it was carried out.
    Unknown {
        /// Why not.
        why: String,
        /// The attempt's number.
        attempt: u32,
        /// When.
        at: Timestamp,
        /// What follows.
        then: Then,
    },
    /// Its effect was declared void by a decision.
    Voided {
        /// Whose.
        by: Person,
    },
}

impl StepState {
    /// Whether what comes after it may begin.
    pub fn is_over(&self) -> bool {
        matches!(
            self,
            Self::Done { .. } | Self::Skipped { .. } | Self::Voided { .. }
        ) || (planted::is("failed-is-over") && matches!(self, Self::Failed { .. }))
    }

    /// Whether it failed or is unknown, whatever follows from that.
    pub fn is_bad(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Unknown { .. })
    }

    /// What follows a failure or an unknown outcome.
    pub fn then(&self) -> Option<&Then> {
        match self {
            Self::Failed { then, .. } | Self::Unknown { then, .. } => Some(then),
            _ => None,
        }
    }

    /// The state in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ready { .. } => "ready",
            Self::Held { .. } => "held",
            Self::Asked { .. } => "asked",
            Self::Running { .. } => "running",
            Self::Done { .. } => "done",
            Self::Skipped { .. } => "skipped",
            Self::Failed { .. } => "failed",
            Self::Unknown { .. } => "unknown",
            Self::Voided { .. } => "voided",
        }
    }
}

/// What is done first with a step whose turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// This guard is measured.
    Guard(usize),
    /// "Already so?" is measured.
    Check,
    /// A person is asked.
    Ask,
    /// The act begins.
    Act,
}

/// How far a begun attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Phase {
    /// At work.
    Acting,
    /// Another controller began it; the target's receipt is to be asked for.
    Settling,
    /// "So now?" is measured.
    Verifying {
        /// What is known if it is so.
        then: How,
    },
}

/// How it is known that a step is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It worked.
    Worked,
    /// It was so already.
    AlreadySo,
    /// The target's receipt says so, after a takeover or a lost connection.
    ByReceipt,
    /// Its check was measured after a failure or an unknown outcome.
    ByMeasure,
    /// A person did it.
    ByHand,
    /// A person approved.
    Approved,
}

/// What follows a failure or an unknown outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Then {
    /// The target's receipt is asked for: the attempt may still be at work.
    Settle,
    /// The check is measured, to settle it or to allow another attempt.
    Measure {
        /// Not before.
        not_before: Timestamp,
    },
    /// It is tried again.
    Again {
        /// Not before.
        not_before: Timestamp,
    },
    /// A person decides.
    Person,
}

/// Everything that is kept of a position whose turn has come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slot {
    pub state: StepState,
    /// The number of the last attempt that was started.
    pub attempts: u32,
    /// Attempts that count for the retry policy.
    pub used: u32,
    /// Whether one of them ended unknown.
    pub unknowns: bool,
    /// Since when guards have held the step, over all of them.
    pub held_since: Option<Timestamp>,
    /// The last attempt's key.
    pub key: Option<AttemptKey>,
    /// The key of the first attempt since the last end that is known.
    pub token: Option<AttemptKey>,
    /// Whether the last attempt was started under the host's present registration.
    pub fresh: bool,
    /// The number of the last event that changed this slot: tells old answers from new ones.
    pub version: u64,
}

impl Slot {
    pub fn new(state: StepState) -> Self {
        Self {
            state,
            attempts: 0,
            used: 0,
            unknowns: false,
            held_since: None,
            key: None,
            token: None,
            fresh: false,
            version: 0,
        }
    }
}

/// How a host stands to this controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum HostLink {
    /// This controller has not registered on it, or has lost it.
    Absent,
    /// It accepted this controller's generation.
    Registered,
    /// It could not be registered or released.
    Refused {
        /// Why.
        why: String,
        /// Whether trying again by itself makes sense.
        transient: bool,
        /// How often in a row.
        count: u32,
        /// When last.
        at: Timestamp,
    },
    /// It accepted the generation, but is not the host that the journal knows: a person must look.
    Doubted {
        /// Why.
        why: String,
    },
    /// It is free.
    Released,
    /// It could not be released; it still holds the run's generation.
    LeftBehind {
        /// Why.
        why: String,
    },
}

/// What is kept of a host.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HostState {
    pub link: HostLink,
    /// The identity of its receipt store.
    pub install_id: Option<InstallId>,
    /// The highest sequence number that the store must have by now.
    pub sequence: u64,
    /// Another identity and sequence number, which only a person can accept.
    pub seen: Option<(InstallId, u64)>,
    /// Whether it may hold the run's generation.
    pub holds: bool,
    /// Its boot when it last registered.
    pub boot: Option<BootProof>,
    /// The machine that stood under its name before a step made another.
    pub left: Option<Left>,
}

/// What is remembered of a machine that is gone, so that it is not taken for the new one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Left {
    /// The identity of its receipt store.
    pub install_id: InstallId,
    /// Its last boot.
    pub boot: Option<BootProof>,
}

impl HostState {
    pub fn new() -> Self {
        Self {
            link: HostLink::Absent,
            install_id: None,
            sequence: 0,
            seen: None,
            holds: false,
            boot: None,
            left: None,
        }
    }

    /// Why only a person can make work on it go on.
    pub fn blocked(&self) -> Option<&str> {
        match &self.link {
            HostLink::Refused {
                why,
                transient,
                count,
                ..
            } if !transient || *count >= crate::REGISTER_ATTEMPTS_MAX => Some(why),
            HostLink::Doubted { why } => Some(why),
            _ => None,
        }
    }

    /// Whether it is free, or given up.
    pub fn let_go(&self) -> bool {
        !self.holds || matches!(self.link, HostLink::Released | HostLink::LeftBehind { .. })
    }
}

/// The moment from which something may be done again. After a clock was set back nobody knows how much of
/// the wait is over: it counts as over, and the next wait goes by the new time.
pub(crate) fn due(since: Timestamp, wait: Span, now: Timestamp) -> Result<(), Timestamp> {
    let moment = wait.after(since);
    if moment <= now || now < since {
        Ok(())
    } else {
        Err(moment)
    }
}
