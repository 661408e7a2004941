//! What truly happened in a simulated world, in order. The checkers of the outcome see this and the plan.

use overhaul_model::event::{Choice, Generation};
use overhaul_model::id::{AttemptKey, HostName, Position};
use std::fmt;

/// A moment of a simulated world.
#[derive(Clone, Debug)]
pub struct Line {
    /// Milliseconds since the world began.
    pub at_ms: u64,
    /// What happened.
    pub happened: Happened,
}

/// Why something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// A step did it.
    Step(Position),
    /// A fault did it.
    Fault,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Happened {
    /// A controller began.
    Controller(u32),
    /// It was killed.
    Killed,
    /// It stands still, and another one takes the run.
    Stopped(u32),
    /// A person put another plan in the place of the run's.
    Amended,
    /// A position was done before the run.
    Already(Position),
    /// It ended by itself.
    Ended(String),
    /// Rows of the journal up to this number are durable.
    Durable(u64),
    /// A host accepted a generation.
    Accepted {
        /// The host.
        host: HostName,
        /// The generation.
        generation: Generation,
    },
    /// A host was let go.
    LetGo {
        /// The host.
        host: HostName,
    },
    /// A host did not accept a controller.
    Refused {
        /// The host.
        host: HostName,
        /// Why.
        why: String,
    },
    /// A host turned away who asked for work.
    TurnedAway {
        /// The host.
        host: HostName,
        /// On whose word it was asked for.
        generation: Generation,
        /// Why.
        why: String,
    },
    /// The work of an attempt began: its receipt is on record.
    Began {
        /// Whose helper does it.
        host: HostName,
        /// The attempt.
        key: AttemptKey,
        /// The step.
        position: Position,
        /// On whose word.
        generation: Generation,
        /// Whether what it is to do had been done to the machine.
        done_before: bool,
    },
    /// The work of an attempt ended by itself.
    Worked {
        /// Whose helper did it.
        host: HostName,
        /// The attempt.
        key: AttemptKey,
        /// The step.
        position: Position,
        /// Whether it did what it should.
        well: bool,
    },
    /// The work of an attempt was cut off.
    Cut {
        /// Whose helper did it.
        host: HostName,
        /// The attempt.
        key: AttemptKey,
        /// The step.
        position: Position,
    },
    /// A unit stopped.
    UnitDown {
        /// The host.
        host: HostName,
        /// The unit.
        unit: String,
        /// Why.
        why: Why,
    },
    /// A unit runs.
    UnitUp {
        /// The host.
        host: HostName,
        /// The unit.
        unit: String,
    },
    /// A host is away.
    HostDown {
        /// The host.
        host: HostName,
        /// Why.
        why: Why,
    },
    /// A host is back.
    HostUp {
        /// The host.
        host: HostName,
    },
    /// The machine under a host's name is another one.
    MachineMade {
        /// The host.
        host: HostName,
        /// How often in all.
        count: u32,
        /// What was lost with the old one: paths whose content nowhere else is.
        lost: Vec<String>,
    },
    /// A fault.
    Fault {
        /// Where.
        host: Option<HostName>,
        /// What.
        what: String,
    },
    /// A person asked for something.
    Person {
        /// Who.
        name: &'static str,
        /// What.
        choice: Choice,
    },
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (s, ms) = (self.at_ms / 1_000, self.at_ms % 1_000);
        write!(f, "{s:>6}.{ms:03}  {}", self.happened)
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Controller(n) => write!(f, "controller {n} begins"),
            Self::Killed => write!(f, "the controller is killed"),
            Self::Stopped(n) => write!(f, "controller {n} stands still"),
            Self::Amended => write!(f, "the plan is amended"),
            Self::Already(position) => write!(f, "{position} was done before the run"),
            Self::Ended(how) => write!(f, "the controller ends: {how}"),
            Self::Durable(seq) => write!(f, "journal: durable up to row {seq}"),
            Self::Accepted { host, generation } => {
                write!(f, "{host}: accepts generation {}", generation.counter)
            }
            Self::LetGo { host } => write!(f, "{host}: is let go"),
            Self::Refused { host, why } => write!(f, "{host}: refuses: {why}"),
            Self::TurnedAway {
                host,
                generation,
                why,
            } => write!(
                f,
                "{host}: turns generation {} away: {why}",
                generation.counter
            ),
            Self::Began {
                host,
                position,
                generation,
                ..
            } => write!(
                f,
                "{host}: begins {position} (generation {})",
                generation.counter
            ),
            Self::Worked {
                host,
                position,
                well,
                ..
            } => {
                let how = if *well { "has done" } else { "has failed at" };
                write!(f, "{host}: {how} {position}")
            }
            Self::Cut { host, position, .. } => write!(f, "{host}: {position} is cut off"),
            Self::UnitDown { host, unit, .. } => write!(f, "{host}: {unit} is down"),
            Self::UnitUp { host, unit } => write!(f, "{host}: {unit} is up"),
            Self::HostDown { host, .. } => write!(f, "{host}: is away"),
            Self::HostUp { host } => write!(f, "{host}: is back"),
            Self::MachineMade { host, count, .. } => {
                write!(f, "{host}: is another machine (the {count}. that was made)")
            }
            Self::Fault { host, what } => match host {
                Some(host) => write!(f, "{host}: FAULT: {what}"),
                None => write!(f, "FAULT: {what}"),
            },
            Self::Person { name, choice } => {
                let about = choice.position().map(|p| format!(" {p}"));
                write!(
                    f,
                    "{name} asks for: {}{}",
                    choice.word(),
                    about.unwrap_or_default()
                )
            }
        }
    }
}
