//! The controller's side of a simulated world: journal, inbox, clock, and who reads along.

use crate::fault::Kind;
use crate::hands::Hand;
use crate::trace::Happened;
use crate::world::World;
use jiff::Timestamp;
use overhaul_engine::Watcher;
use overhaul_engine::ports::{Clock, Inbox, Journal, JournalError};
use overhaul_machine::Standing;
use overhaul_model::event::{Decision, Event, Record};
use overhaul_model::id::{Digest, Nonce, Position};
use overhaul_model::span::Span;
use rand::Rng as _;
use std::future::pending;
use std::sync::Arc;

/// Journal and inbox of a world, as one controller has them.
pub(crate) struct Books {
    world: Arc<World>,
    /// The controller's number.
    who: u32,
    /// The last row that it knows to be durable.
    head: u64,
    written: Vec<Record>,
}

fn failed() -> JournalError {
    JournalError::Storage {
        doing: "written",
        why: "no space left on device".to_owned(),
    }
}

impl Books {
    pub fn new(world: &Arc<World>, who: u32) -> Self {
        Self {
            world: Arc::clone(world),
            who,
            head: 0,
            written: Vec::new(),
        }
    }

    /// Rows become durable, behind the row that they were made to follow.
    fn keep(&mut self) -> Result<(), JournalError> {
        let now = self.world.clock.now_ms();
        let mut state = self.world.state();
        let last = state.records.last().map_or(0, |record| record.seq);
        if last != self.head {
            return Err(JournalError::Chain {
                seq: self.head,
                why: "somebody else has written behind this row".to_owned(),
            });
        }
        for record in std::mem::take(&mut self.written) {
            self.head = record.seq;
            state.people.read(&record, now);
            state.records.push(record);
        }
        state.tell(now, [Happened::Durable(self.head)]);
        Ok(())
    }
}

impl Journal for Books {
    fn write(&mut self, at: Timestamp, event: Event) -> Result<Record, JournalError> {
        let last = self.written.last().map_or(self.head, |record| record.seq);
        let record = Record {
            seq: last.saturating_add(1),
            at,
            // The chain of digests is the store's own, and nobody here reads it.
            before: Digest::from_raw(&[]),
            event,
        };
        self.written.push(record.clone());
        Ok(record)
    }

    async fn commit(&mut self) -> Result<(), JournalError> {
        if self.written.is_empty() {
            return Ok(());
        }
        self.world.point(self.who).await;
        match self.world.strikes_commit() {
            Some(Kind::JournalFails) => return Err(failed()),
            Some(Kind::JournalLies) => {
                self.keep()?;
                return Err(failed());
            }
            Some(Kind::JournalTorn) => {
                // A transaction is there as a whole, or not at all.
                let there = self.world.state().dice.random_bool(0.5);
                if there {
                    self.keep()?;
                }
                self.world.kill();
                pending::<()>().await;
            }
            _ => self.keep()?,
        }
        self.world.point(self.who).await;
        Ok(())
    }

    async fn replay(&mut self) -> Result<Vec<Record>, JournalError> {
        self.written.clear();
        let records = self.world.state().records.clone();
        self.head = records.last().map_or(0, |record| record.seq);
        Ok(records)
    }
}

impl Inbox for Books {
    async fn pending(&mut self) -> Result<Vec<Decision>, JournalError> {
        self.world.people_act();
        let state = self.world.state();
        let open = state
            .requests
            .iter()
            .filter(|d| !state.settled.contains(&d.nonce));
        Ok(open.cloned().collect())
    }

    async fn settle(&mut self, nonce: &Nonce) -> Result<(), JournalError> {
        self.world.point(self.who).await;
        self.world.state().settled.insert(nonce.clone());
        self.world.point(self.who).await;
        Ok(())
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        self.0.clock.time_of_day()
    }

    fn elapsed(&self) -> Span {
        Span::from_ms(self.0.clock.now_ms())
    }

    async fn sleep(&self, span: Span) {
        self.0.clock.after(span.as_ms()).await;
    }
}

impl Watcher for Hand {
    fn recorded(&self, _record: &Record) {}

    fn progress(&self, _position: &Position, _bytes: &[u8]) {}

    fn standing(&self, standing: &Standing) {
        self.0.standing(standing);
    }
}
