//! What goes wrong in a simulated world, and when.

use overhaul_model::event::Sitting;
use overhaul_model::id::Position;
use std::fmt;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The controller is killed.
    Kill,
    /// The connection is lost, for less time than the transport tries.
    CutShort,
    /// The connection is lost, for longer than that.
    CutLong,
    /// A request is lost on its way.
    RequestLost,
    /// A request comes late, after its sender has given up or was killed.
    RequestLate,
    /// The host reboots.
    Reboot,
    /// The host's services die, and are started again after a while.
    ServicesDie,
    /// The services of another member die: one that serves with this host where a minimum must.
    MemberDies,
    /// The host hangs, and goes on.
    Hang,
    /// An answer comes late.
    AnswerLate,
    /// The host's disk is full for a while.
    DiskFull,
    /// The helper dies with what it does.
    HelperDies,
    /// Another host key answers.
    OtherKey,
    /// The receipt store is another one.
    OtherStore,
    /// The receipt store was set back to an older one.
    StoreSetBack,
    /// The interface has another name after the next boot.
    OtherInterface,
    /// The work fails, and nothing of it is done.
    WorkFails,
    /// Measures get no answer for a while.
    Silent,
    /// The time of day jumps.
    ClockJumps,
    /// The journal cannot be written, and the rows are lost.
    JournalFails,
    /// The journal says that it cannot be written, and the rows are there.
    JournalLies,
    /// The controller dies while the journal is written: the rows are there or not.
    JournalTorn,
    /// The person answers late.
    PersonLate,
    /// The person asks for everything twice.
    PersonTwice,
    /// The person does not answer until the next sitting.
    PersonAway,
    /// The person pauses the run and lets it go on.
    PersonPauses,
    /// The person puts a host off to a later moment.
    PersonPostpones,
    /// The person ends the run before its end.
    PersonAborts,
}

impl Kind {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 28] = [
        Self::Kill,
        Self::CutShort,
        Self::CutLong,
        Self::RequestLost,
        Self::RequestLate,
        Self::Reboot,
        Self::ServicesDie,
        Self::MemberDies,
        Self::Hang,
        Self::AnswerLate,
        Self::DiskFull,
        Self::HelperDies,
        Self::OtherKey,
        Self::OtherStore,
        Self::StoreSetBack,
        Self::OtherInterface,
        Self::WorkFails,
        Self::Silent,
        Self::ClockJumps,
        Self::JournalFails,
        Self::JournalLies,
        Self::JournalTorn,
        Self::PersonLate,
        Self::PersonTwice,
        Self::PersonAway,
        Self::PersonPauses,
        Self::PersonPostpones,
        Self::PersonAborts,
    ];

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Kill => "controller killed",
            Self::CutShort => "connection lost for a moment",
            Self::CutLong => "connection lost for long",
            Self::RequestLost => "request lost",
            Self::RequestLate => "request comes late",
            Self::Reboot => "host reboots",
            Self::ServicesDie => "services die",
            Self::MemberDies => "services of another member die",
            Self::Hang => "host hangs",
            Self::AnswerLate => "answer comes late",
            Self::DiskFull => "disk of the host full",
            Self::HelperDies => "helper dies",
            Self::OtherKey => "another host key",
            Self::OtherStore => "another receipt store",
            Self::StoreSetBack => "receipt store set back",
            Self::OtherInterface => "another interface name",
            Self::WorkFails => "work fails",
            Self::Silent => "measures get no answer",
            Self::ClockJumps => "time of day jumps",
            Self::JournalFails => "journal cannot be written",
            Self::JournalLies => "journal written, but told as failed",
            Self::JournalTorn => "controller killed while it writes",
            Self::PersonLate => "person answers late",
            Self::PersonTwice => "person asks twice",
            Self::PersonAway => "person is away",
            Self::PersonPauses => "person pauses",
            Self::PersonPostpones => "person postpones a host",
            Self::PersonAborts => "person aborts",
        }
    }

    /// Whether it strikes the journal, and is counted in commits.
    pub fn of_journal(self) -> bool {
        matches!(
            self,
            Self::JournalFails | Self::JournalLies | Self::JournalTorn
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// A moment in the life of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// Before its request is sent.
    Before,
    /// Its receipt is on record, and the work has not begun.
    Received,
    /// In the midst of the work.
    Working,
    /// The work is done, and its end is not on record.
    Done,
    /// Its end is on record, and its answer on the way.
    Answering,
}

impl Moment {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Before,
        Self::Received,
        Self::Working,
        Self::Done,
        Self::Answering,
    ];

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Received => "with the receipt of",
            Self::Working => "in the midst of",
            Self::Done => "at the end of",
            Self::Answering => "at the answer of",
        }
    }
}

/// When a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// At a moment of the next attempt at this step.
    Step(Position, Moment),
    /// At this commit of the journal, counted from the first one.
    Commit(usize),
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(position, moment) => write!(f, "{} {position}", moment.words()),
            Self::Commit(n) => write!(f, "at commit {n}"),
        }
    }
}

/// A fault and its moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: Kind,
    /// When.
    pub when: When,
}

/// Everything that a simulated run does not take from its plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// The seed of all dice.
    pub seed: u64,
    /// Faults.
    pub faults: Vec<Fault>,
    /// Points at which a controller is killed, in order, counted over all controllers.
    pub deaths: Vec<usize>,
    /// Points at which a controller stands still, and for how many milliseconds; another one takes the run meanwhile.
    pub stops: Vec<(usize, u64)>,
    /// Positions that were done before the run.
    pub already: Vec<Position>,
    /// The limits of the first sittings.
    pub sittings: Vec<Sitting>,
    /// At this point a person pauses the run to amend its plan, and does so as soon as nobody has the run and nothing
    /// that is over would change.
    pub amend: Option<usize>,
    /// Once the run is complete, everything in its stage `cleanup` is named by a person: the points at which a
    /// controller is killed meanwhile, counted from there.
    pub cleanup: Option<Vec<usize>>,
}
