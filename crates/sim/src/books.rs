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
use overhaul_model::id::{Nonce, Position};
use overhaul_model::span::Span;
use rand::Rng as _;
use std::future::pending;
use std::sync::Arc;

/// Journal and inbox of a world.
pub(crate) struct Books(pub Arc<World>);

fn failed() -> JournalError {
    JournalError::Storage {
        doing: "written",
        why: "no space left on device".to_owned(),
    }
}

impl World {
    /// Rows become durable, all of them or so many.
    fn keep(&self, count: usize) {
        let now = self.clock.now_ms();
        let mut state = self.state();
        let written = std::mem::take(&mut state.written);
        let mut last = 0;
        for record in written.into_iter().take(count) {
            last = record.seq;
            state.people.read(&record, now);
            state.records.push(record);
        }
        if last > 0 {
            state.tell(now, [Happened::Durable(last)]);
        }
    }
}

impl Journal for Books {
    fn write(&mut self, at: Timestamp, event: Event) -> Result<Record, JournalError> {
        let mut state = self.0.state();
        let last = state.written.last().or(state.records.last());
        let record = Record {
            seq: last.map_or(1, |record| record.seq.saturating_add(1)),
            at,
            // The chain of digests is the store's own, and nobody here reads it.
            before: self.0.plan_hash.clone(),
            event,
        };
        state.written.push(record.clone());
        Ok(record)
    }

    async fn commit(&mut self) -> Result<(), JournalError> {
        let world = &self.0;
        let rows = world.state().written.len();
        if rows == 0 {
            return Ok(());
        }
        world.point().await;
        match world.strikes_commit() {
            Some(Kind::JournalFails) => return Err(failed()),
            Some(Kind::JournalLies) => {
                world.keep(rows);
                return Err(failed());
            }
            Some(Kind::JournalTorn) => {
                // A transaction is there as a whole, or not at all.
                let there = world.state().dice.random_bool(0.5);
                if there {
                    world.keep(rows);
                }
                world.kill();
                pending::<()>().await;
            }
            _ => world.keep(rows),
        }
        world.point().await;
        Ok(())
    }

    async fn replay(&mut self) -> Result<Vec<Record>, JournalError> {
        let mut state = self.0.state();
        state.written.clear();
        Ok(state.records.clone())
    }
}

impl Inbox for Books {
    async fn pending(&mut self) -> Result<Vec<Decision>, JournalError> {
        self.0.people_act();
        let state = self.0.state();
        let open = state
            .requests
            .iter()
            .filter(|d| !state.settled.contains(&d.nonce));
        Ok(open.cloned().collect())
    }

    async fn settle(&mut self, nonce: &Nonce) -> Result<(), JournalError> {
        self.0.point().await;
        self.0.state().settled.insert(nonce.clone());
        self.0.point().await;
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
