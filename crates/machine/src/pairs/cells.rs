//! What states and events are told apart. Every match here is exhaustive: a new state or event does not
//! compile before it has a place in the tables.

use crate::run::Stand;
use crate::state::{HostLink, How, Phase, Stage, StepState, Then};
use overhaul_model::event::{Choice, Event, Verdict};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident => $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum $name { $($variant,)+ }

        impl Word for $name {
            const ALL: &[Self] = &[$(Self::$variant,)+];

            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}

/// A set of cases, each with a word of its own.
pub(super) trait Word: Copy + Ord + std::fmt::Debug + 'static {
    const ALL: &[Self];

    fn word(self) -> &'static str;
}

words! {
    /// States of a step.
    StepCell {
        Waiting => "waiting",
        ReadyGuard => "ready: guard",
        ReadyCheck => "ready: check",
        ReadyAsk => "ready: ask",
        ReadyAct => "ready: act",
        Held => "held",
        Asked => "asked",
        Acting => "running: acting",
        Settling => "running: settling",
        VerifyingWorked => "running: verifying what worked",
        VerifyingByReceipt => "running: verifying what a receipt says",
        VerifyingByHand => "running: verifying what a person did",
        VerifyingAlreadySo => "running: verifying what was so already",
        VerifyingByMeasure => "running: verifying what was measured",
        VerifyingApproved => "running: verifying what was approved",
        DoneWorked => "done: worked",
        DoneAlreadySo => "done: already so",
        DoneByReceipt => "done: by receipt",
        DoneByMeasure => "done: by measure",
        DoneByHand => "done: by hand",
        DoneApproved => "done: approved",
        Skipped => "skipped",
        FailedSettle => "failed: settle",
        FailedMeasure => "failed: measure",
        FailedAgain => "failed: again",
        FailedPerson => "failed: person",
        UnknownSettle => "unknown: settle",
        UnknownMeasure => "unknown: measure",
        UnknownAgain => "unknown: again",
        UnknownPerson => "unknown: person",
        Voided => "voided",
    }
}

impl StepCell {
    pub fn of(state: &StepState) -> Self {
        match state {
            StepState::Waiting => Self::Waiting,
            StepState::Ready { stage } => match stage {
                Stage::Guard(_) => Self::ReadyGuard,
                Stage::Check => Self::ReadyCheck,
                Stage::Ask => Self::ReadyAsk,
                Stage::Act => Self::ReadyAct,
            },
            StepState::Held { .. } => Self::Held,
            StepState::Asked { .. } => Self::Asked,
            StepState::Running { phase, .. } => match phase {
                Phase::Acting => Self::Acting,
                Phase::Settling => Self::Settling,
                Phase::Verifying { then } => match then {
                    How::Worked => Self::VerifyingWorked,
                    How::AlreadySo => Self::VerifyingAlreadySo,
                    How::ByReceipt => Self::VerifyingByReceipt,
                    How::ByMeasure => Self::VerifyingByMeasure,
                    How::ByHand => Self::VerifyingByHand,
                    How::Approved => Self::VerifyingApproved,
                },
            },
            StepState::Done { how } => match how {
                How::Worked => Self::DoneWorked,
                How::AlreadySo => Self::DoneAlreadySo,
                How::ByReceipt => Self::DoneByReceipt,
                How::ByMeasure => Self::DoneByMeasure,
                How::ByHand => Self::DoneByHand,
                How::Approved => Self::DoneApproved,
            },
            StepState::Skipped { .. } => Self::Skipped,
            StepState::Failed { then, .. } => match then {
                Then::Settle => Self::FailedSettle,
                Then::Measure { .. } => Self::FailedMeasure,
                Then::Again { .. } => Self::FailedAgain,
                Then::Person => Self::FailedPerson,
            },
            StepState::Unknown { then, .. } => match then {
                Then::Settle => Self::UnknownSettle,
                Then::Measure { .. } => Self::UnknownMeasure,
                Then::Again { .. } => Self::UnknownAgain,
                Then::Person => Self::UnknownPerson,
            },
            StepState::Voided { .. } => Self::Voided,
        }
    }

    /// Why no journal leads there, if none does.
    pub fn why_never(self) -> Option<&'static str> {
        match self {
            Self::FailedSettle => {
                Some("a failure is known: only an unknown outcome is asked of a receipt")
            }
            Self::VerifyingAlreadySo => Some("what was so already was measured just now"),
            Self::VerifyingByMeasure => Some("what was measured is not measured again"),
            Self::VerifyingApproved => Some("nothing was carried out that could be measured"),
            _ => None,
        }
    }
}

words! {
    /// How a host stands to the controller.
    HostCell {
        None => "nothing asked",
        Absent => "absent",
        Registered => "registered",
        RefusedForNow => "refused for now",
        RefusedForGood => "refused for good",
        Doubted => "doubted",
        Released => "released",
        LeftBehind => "left behind",
    }
}

impl HostCell {
    pub fn of(link: Option<&HostLink>) -> Self {
        match link {
            None => Self::None,
            Some(HostLink::Absent) => Self::Absent,
            Some(HostLink::Registered) => Self::Registered,
            Some(HostLink::Refused { transient, .. }) => match transient {
                true => Self::RefusedForNow,
                false => Self::RefusedForGood,
            },
            Some(HostLink::Doubted { .. }) => Self::Doubted,
            Some(HostLink::Released) => Self::Released,
            Some(HostLink::LeftBehind { .. }) => Self::LeftBehind,
        }
    }
}

words! {
    /// How far the run as a whole is.
    RunCell {
        New => "not opened",
        Uncontrolled => "without a controller",
        Open => "open",
        Paused => "paused",
        AllDone => "open, all is over",
        Draining => "aborted: draining",
        Closing => "aborted: closing",
        Complete => "complete",
        Aborted => "aborted",
    }
}

impl RunCell {
    pub fn of(run: &crate::Run) -> Self {
        match run.stand {
            Stand::New => Self::New,
            Stand::Open if run.generation.is_none() => Self::Uncontrolled,
            Stand::Open if run.over => Self::AllDone,
            Stand::Open if run.paused => Self::Paused,
            Stand::Open => Self::Open,
            Stand::Draining => Self::Draining,
            Stand::Closing => Self::Closing,
            Stand::Finished(Verdict::Complete) => Self::Complete,
            Stand::Finished(Verdict::Aborted) => Self::Aborted,
        }
    }
}

words! {
    /// Events; a decision counts by what was chosen.
    Kind {
        RunOpened => "run-opened",
        ControllerTook => "controller-took",
        Amended => "amended",
        Salvaged => "salvaged",
        Limited => "limited",
        HostRegistered => "host-registered",
        HostRefused => "host-refused",
        HostReleased => "host-released",
        GuardMeasured => "guard-measured",
        Asked => "asked",
        Checked => "checked",
        Started => "started",
        Settled => "settled",
        Ended => "ended",
        Verified => "verified",
        RepairMeasured => "repair-measured",
        Approve => "approve",
        Retry => "retry",
        Done => "done",
        Skip => "skip",
        Void => "void",
        Pause => "pause",
        Unpause => "resume",
        Abort => "abort",
        Postpone => "postpone",
        TakeUp => "take up",
        LeaveOut => "leave out",
        TakenUp => "taken-up",
        Declined => "declined",
        Probed => "probed",
        Tallied => "tallied",
        Finished => "finished",
        CleanupBegan => "cleanup-began",
        CopyRemoved => "copy-removed",
    }
}

impl Kind {
    pub fn of(event: &Event) -> Self {
        match event {
            Event::RunOpened { .. } => Self::RunOpened,
            Event::ControllerTook { .. } => Self::ControllerTook,
            Event::Amended { .. } => Self::Amended,
            Event::Salvaged { .. } => Self::Salvaged,
            Event::Limited { .. } => Self::Limited,
            Event::HostRegistered { .. } => Self::HostRegistered,
            Event::HostRefused { .. } => Self::HostRefused,
            Event::HostReleased { .. } => Self::HostReleased,
            Event::GuardMeasured { .. } => Self::GuardMeasured,
            Event::Asked { .. } => Self::Asked,
            Event::Checked { .. } => Self::Checked,
            Event::Started { .. } => Self::Started,
            Event::Settled { .. } => Self::Settled,
            Event::Ended { .. } => Self::Ended,
            Event::Verified { .. } => Self::Verified,
            Event::RepairMeasured { .. } => Self::RepairMeasured,
            Event::Decided(decision) => match decision.choice {
                Choice::Approve { .. } => Self::Approve,
                Choice::Retry { .. } => Self::Retry,
                Choice::Done { .. } => Self::Done,
                Choice::Skip { .. } => Self::Skip,
                Choice::Void { .. } => Self::Void,
                Choice::Pause => Self::Pause,
                Choice::Unpause => Self::Unpause,
                Choice::Abort => Self::Abort,
                Choice::Postpone { .. } => Self::Postpone,
                Choice::TakeUp { .. } => Self::TakeUp,
                Choice::LeaveOut { .. } => Self::LeaveOut,
            },
            Event::TakenUp { .. } => Self::TakenUp,
            Event::Declined { .. } => Self::Declined,
            Event::Probed { .. } => Self::Probed,
            Event::Tallied { .. } => Self::Tallied,
            Event::Finished { .. } => Self::Finished,
            Event::CleanupBegan { .. } => Self::CleanupBegan,
            Event::CopyRemoved { .. } => Self::CopyRemoved,
        }
    }
}
