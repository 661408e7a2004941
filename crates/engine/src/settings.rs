//! What the caller hands to the loop, and what the loop hands back.

use jiff::Timestamp;
use overhaul_machine::{OpenPosition, Standing};
use overhaul_model::event::{Record, Sitting, Verdict};
use overhaul_model::id::{Nonce, Person, Position, RunId, StepId};
use std::sync::Arc;
use tokio::sync::mpsc;

/// The world, as the loop sees it.
pub struct Ports<J, I, R, C> {
    /// The journal.
    pub journal: J,
    /// The inbox.
    pub inbox: I,
    /// Hands on the hosts.
    pub reach: Arc<R>,
    /// Time.
    pub clock: Arc<C>,
}

/// How a run is carried out by this controller.
pub struct Settings {
    /// The run's id, for a journal that is still empty.
    pub run: RunId,
    /// Who started this controller.
    pub person: Person,
    /// A random word: this controller's own.
    pub nonce: Nonce,
    /// Findings that were waived or only warned of, as sentences, for a run that begins.
    pub warned: Vec<String>,
    /// Whether the loop stays when only people can make the run go on.
    pub wait_for_people: bool,
    /// What this controller may begin; everything when `None`.
    pub sitting: Option<Sitting>,
    /// Of a run that is complete: the steps of its stage `cleanup` that a person named.
    pub cleanup: Vec<StepId>,
    /// Wishes of the terminal: the first Ctrl-C pauses, a second leaves.
    pub control: mpsc::UnboundedReceiver<Control>,
}

/// A wish of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Nothing new begins.
    Pause,
    /// The controller goes; work on targets goes on.
    Leave,
}

/// Why the loop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// The run is over.
    Finished(Verdict),
    /// Only people can make it go on.
    NeedsPerson {
        /// What waits for them, with what they can decide.
        positions: Vec<OpenPosition>,
    },
    /// It is paused, and nothing is in flight.
    Paused,
    /// What the limits of this sitting allow is done.
    Limited,
    /// Only hosts that were postponed are left.
    Postponed {
        /// The first of them may be taken up from then on.
        until: Timestamp,
    },
    /// It was left to itself.
    Left,
}

/// Reads along. Nothing in here may block.
pub trait Watcher: Send + Sync + 'static {
    /// An event is in the journal. Rows of an earlier controller come first.
    fn recorded(&self, record: &Record);

    /// A running attempt printed something.
    fn progress(&self, position: &Position, bytes: &[u8]);

    /// What is done or waited for has changed.
    fn standing(&self, standing: &Standing);
}
