//! What the loop needs from the world: a journal, an inbox, hands on the hosts, a clock.

use jiff::Timestamp;
use overhaul_model::action::Limits;
use overhaul_model::authority::Claim;
use overhaul_model::definition::{OutputFrom, Provider};
use overhaul_model::event::{Decision, Event, Generation, Outcome, Record, Settlement};
use overhaul_model::facts::{BootProof, FactsWanted, HostFacts};
use overhaul_model::id::{AttemptKey, Digest, HostName, InstallId, Nonce, Position};
use overhaul_model::machine::Machine;
use overhaul_model::primitive::{Measure, Measurement, Primitive};
use overhaul_model::span::Span;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It was written by a newer program.
    #[error("the journal has format {found}; this program knows formats up to {known}")]
    Newer {
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// A row is not the one that was written, or rows are missing.
    #[error("the journal's chain does not hold at row {seq}: {why}")]
    Chain {
        /// The row.
        seq: u64,
        /// What is wrong.
        why: String,
    },
    /// Its file does not hold what was written into it.
    #[error("the journal is damaged: {why}")]
    Damaged {
        /// What was found.
        why: String,
    },
    /// The storage failed, as on a full disk.
    #[error("the journal cannot be {doing}: {why}")]
    Storage {
        /// `read`, `written`, ...
        doing: &'static str,
        /// Why.
        why: String,
    },
}

/// The journal: rows get their numbers one by one and become durable together, so that many lanes at work
/// cost the disk no more than one.
pub trait Journal: Send + 'static {
    /// Makes the next row. Nobody may act on it before [`Journal::commit`] returns.
    ///
    /// # Errors
    /// When the row cannot be written down at all.
    fn write(&mut self, at: Timestamp, event: Event) -> Result<Record, JournalError>;

    /// Makes the rows that were written since the last time durable: all of them, or none.
    ///
    /// # Errors
    /// When they are not certainly durable.
    fn commit(&mut self) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// Writes one row, durable when it returns.
    ///
    /// # Errors
    /// When the row is not certainly durable.
    fn append(
        &mut self,
        at: Timestamp,
        event: Event,
    ) -> impl Future<Output = Result<Record, JournalError>> + Send {
        async move {
            let record = self.write(at, event)?;
            self.commit().await?;
            Ok(record)
        }
    }

    /// All durable rows, the chain verified. Rows that were not committed are forgotten.
    ///
    /// # Errors
    /// When they cannot be read or the chain does not hold.
    fn replay(&mut self) -> impl Future<Output = Result<Vec<Record>, JournalError>> + Send;
}

/// Requests of other processes, waiting to become events. Only the holder of the generation reads it.
pub trait Inbox: Send + 'static {
    /// Requests that were not settled yet, oldest first.
    ///
    /// # Errors
    /// When the storage fails.
    fn pending(&mut self) -> impl Future<Output = Result<Vec<Decision>, JournalError>> + Send;

    /// The request has become an event: it is not pending any more.
    ///
    /// # Errors
    /// When the storage fails.
    fn settle(&mut self, nonce: &Nonce) -> impl Future<Output = Result<(), JournalError>> + Send;
}

/// Time.
pub trait Clock: Send + Sync + 'static {
    /// The time of day; it may jump.
    fn now(&self) -> Timestamp;

    /// Time since some moment; it never goes back.
    fn elapsed(&self) -> Span;

    /// Waits.
    fn sleep(&self, span: Span) -> impl Future<Output = ()> + Send;
}

/// Why hands did not reach, in the words of the transport.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Fault {
    /// What happened.
    pub why: String,
    /// Whether trying again by itself makes sense.
    pub transient: bool,
}

/// A host that accepted a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The identity of its receipt store.
    pub install_id: InstallId,
    /// The store's highest sequence number.
    pub sequence: u64,
    /// Its boot.
    pub boot: BootProof,
}

/// An attempt to be carried out on a host.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The host.
    pub host: HostName,
    /// On whose word.
    pub generation: Generation,
    /// The attempt.
    pub key: AttemptKey,
    /// The step.
    pub position: Position,
    /// The digest of the step as planned.
    pub step: Digest,
    /// The work, rendered. Never `Wait`, `Ask` or `Announce`: the loop does those itself.
    pub work: Primitive,
    /// Bounds.
    pub limits: Limits,
    /// Outputs that are wanted.
    pub outputs: BTreeMap<String, OutputFrom>,
    /// Whether the attempt is known to have begun: it is followed and not begun, and whoever loses sight of it must
    /// never say that it did not begin.
    pub begun: bool,
    /// Attempts at the same step that were made before, the latest first: none of them may be at work beside this one.
    pub earlier: Vec<AttemptKey>,
    /// What the work would do to data: the host refuses it where its records of authority stand against that.
    pub claims: Vec<Claim>,
    /// For `Feed`: the digest that the file must have.
    pub file_digest: Option<Digest>,
    /// For `Machine`: who is meant, and by whom it is done.
    pub machine: Option<MachineOrder>,
}

impl Order {
    /// The host whose helper carries it out and keeps the receipt.
    pub fn executor(&self) -> HostName {
        match self.work.runs_on_controller() {
            true => HostName::controller(),
            false => self.host.clone(),
        }
    }
}

/// What is known of the machine that an order is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MachineOrder {
    /// The provider; `None` when a person is.
    pub provider: Option<Provider>,
    /// The machine id that it must have: as the plan was made, or as it was measured since.
    pub expected: Option<String>,
    /// The word by which a provider knows a call that is made again: that of the first attempt whose end
    /// nobody knows, else the attempt's own key.
    pub token: Option<AttemptKey>,
    /// What this run knows of it by its own steps.
    pub known: Option<Machine>,
    /// What this run knows of the machine under the host's name, where that is another one.
    pub own: Option<Machine>,
    /// The machine whose place was taken: it is never switched on again, and an address leaves it.
    pub replaced: Option<Machine>,
}

/// Receives what a running attempt prints; must not block.
pub type Progress = Arc<dyn Fn(&Position, &[u8]) + Send + Sync>;

/// Where a measure is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vantage {
    /// By the helper on the host.
    Host(HostName),
    /// By this controller.
    Controller,
}

/// What a host does from now on about an attempt that it has not begun when it is asked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unbegun {
    /// It refuses the attempt: a request that is still on its way must not begin it.
    Refuse,
    /// Nothing: it is the key of an attempt that may still come.
    Leave,
}

/// Hands on the hosts. Of steps that run on the controller, the host `(controller)` is its own helper.
pub trait Reach: Send + Sync + 'static {
    /// From now on this machine answers under the host's name, at its address and by its host keys.
    /// Told for every machine that the journal knows of when a controller begins, and again when a step
    /// has made one.
    fn moved(&self, host: &HostName, machine: &Machine);

    /// Makes the host accept the generation. Done before anything is asked of it, so that no delayed
    /// request of an older controller can land afterwards.
    fn register(
        &self,
        host: &HostName,
        generation: &Generation,
    ) -> impl Future<Output = Result<Registration, Fault>> + Send;

    /// Frees the host.
    fn release(
        &self,
        host: &HostName,
        generation: &Generation,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Gathers facts; an unreachable host gives facts that are all unknown.
    fn facts(
        &self,
        host: &HostName,
        wanted: &FactsWanted,
    ) -> impl Future<Output = HostFacts> + Send;

    /// Measures; a fault gives `Unknown`. `Http` and `Tcp` are always taken from the controller.
    fn measure(
        &self,
        from: &Vantage,
        measure: &Measure,
        within: Span,
    ) -> impl Future<Output = Measurement> + Send;

    /// Carries out an attempt, or attaches to it when the target has begun it. Connections that are
    /// lost are made again within the transport's budget; beyond it the outcome is `Unknown`.
    /// A certain "not begun" is `Failed` without an end.
    fn act(&self, order: Order, progress: Progress) -> impl Future<Output = Outcome> + Send;

    /// What the target's receipt says of an attempt that was started earlier. `known_sequence` is the
    /// highest sequence number that the journal knows of this store, `install_id` the store's identity.
    /// "Never began" is said only of an attempt that will not begin either, or that is to be left. A store that went
    /// back in time cannot tell; it refuses an unbegun attempt from then on all the same.
    fn settle(
        &self,
        order: Order,
        install_id: &InstallId,
        known_sequence: u64,
        unbegun: Unbegun,
    ) -> impl Future<Output = Settlement> + Send;
}
