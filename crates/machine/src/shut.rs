//! Turns of hosts that may not begin now: the calendar says so, or the pre-work is too old.
//!
//! A turn that has begun is brought to its end, whatever the hour is: a host in mid change is worse than one
//! that changes late.

#[cfg(test)]
mod tests;

use crate::run::Run;
use crate::state::{Slot, StepState};
use crate::tree::Key;
use jiff::Timestamp;
use overhaul_model::event::Record;
use overhaul_model::id::HostName;
use overhaul_model::span::Span;
use overhaul_model::timing::Closed;
use overhaul_model::windows::schedule;
use std::collections::{BTreeMap, BTreeSet};

/// The stage whose work grows stale.
const PREPARE: &str = "prepare";

/// The stage before whose begin it counts.
const UPGRADE: &str = "upgrade";

/// What is kept about the turns of hosts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Turns {
    /// How long a host's turn in a roll is expected to take, where there is a calendar.
    lengths: BTreeMap<(usize, HostName), Span>,
    /// When the first pre-work of a host was done.
    prepared: BTreeMap<HostName, Timestamp>,
    /// Turns that a person lets begin in spite of the calendar or of old pre-work.
    in_spite: BTreeSet<(usize, HostName)>,
}

impl Run {
    /// Reckons how long turns take, if that will be asked.
    pub(crate) fn measure_turns(&mut self) {
        if self.plan.timing.calendar.is_empty() {
            return;
        }
        let mut spans: BTreeMap<(usize, HostName), (Span, Span)> = BTreeMap::new();
        for placement in schedule(&self.plan) {
            let Some(host) = placement.host else { continue };
            let Some(roll) = self.tree.roll_of(&placement.step.id) else {
                continue;
            };
            let span = spans
                .entry((roll, host.clone()))
                .or_insert((placement.begins, placement.ends));
            *span = (span.0.min(placement.begins), span.1.max(placement.ends));
        }
        let lengths = spans
            .into_iter()
            .map(|(turn, (begins, ends))| (turn, ends.less(begins)));
        self.turns.lengths = lengths.collect();
    }

    /// Remembers when a host's pre-work was done.
    pub(crate) fn note_prework(&mut self, key: &Key, record: &Record) {
        let Some(step) = self.tree.step(key.node) else {
            return;
        };
        if self.plan.timing.prework.is_none() || step.stage.as_str() != PREPARE {
            return;
        }
        let over = self.slots.get(key).is_some_and(|slot| slot.state.is_over());
        if let Some(host) = key.turn.as_ref().filter(|_| over) {
            self.turns.prepared.entry(host.clone()).or_insert(record.at);
        }
    }

    /// Takes over what was noted under another plan.
    pub(crate) fn carry_turns(&mut self, old: &Self) {
        self.turns.prepared.clone_from(&old.turns.prepared);
        let in_spite = old.turns.in_spite.iter().filter_map(|(roll, host)| {
            let roll = self.tree.named(old.tree.id(*roll))?;
            Some((roll, host.clone()))
        });
        self.turns.in_spite = in_spite.collect();
    }

    /// Why the turn of this position's host may not begin now; `None` when it may, or has begun.
    pub(crate) fn shut(&self, key: &Key, slot: &Slot, now: Timestamp) -> Option<Closed> {
        let (roll, host) = self.shuttable(key, slot)?;
        let length = self.turns.lengths.get(&(roll, host.clone()));
        let length = length.copied().unwrap_or_default();
        if let Err(closed) = self.plan.timing.calendar.fits(now, length) {
            let why = format!(
                "the calendar: {}; the turn of {host} takes {length}",
                closed.why
            );
            return Some(Closed { why, ..closed });
        }
        let valid_for = self.plan.timing.prework?;
        let prepared = *self.turns.prepared.get(host)?;
        let stage = self.tree.step(key.node)?.stage.as_str();
        let age = Span::between(prepared, now);
        (stage == UPGRADE && age > valid_for).then(|| Closed {
            why: format!("the pre-work of {host} is {age} old and counts for {valid_for}"),
            until: None,
        })
    }

    /// The turn that begins with this position, if it has not begun and something could forbid it.
    fn shuttable<'a>(&self, key: &'a Key, slot: &Slot) -> Option<(usize, &'a HostName)> {
        let timing = &self.plan.timing;
        let waits = matches!(slot.state, StepState::Ready { .. } | StepState::Held { .. });
        if !waits || slot.attempts > 0 || (timing.calendar.is_empty() && timing.prework.is_none()) {
            return None;
        }
        let (roll, host) = (self.tree.node(key.node).roll?, key.turn.as_ref()?);
        let let_go = self.turns.in_spite.contains(&(roll, host.clone()));
        (!let_go && !self.has_begun(roll, host)).then_some((roll, host))
    }

    /// Whether anything was done in a host's turn.
    fn has_begun(&self, roll: usize, host: &HostName) -> bool {
        self.tree.inside_roll(roll).any(|node| {
            let key = Key {
                node,
                turn: Some(host.clone()),
            };
            let done =
                |slot: &Slot| slot.attempts > 0 || matches!(slot.state, StepState::Done { .. });
            self.slots.get(&key).is_some_and(done)
        })
    }

    /// Whether a person can let the turn begin in spite of everything.
    pub(crate) fn may_be_let_go(&self, key: &Key) -> bool {
        let slot = self.slots.get(key).filter(|_| self.open.contains(key));
        slot.is_some_and(|slot| self.shuttable(key, slot).is_some())
    }

    /// A person lets the turn begin.
    pub(crate) fn let_go(&mut self, key: &Key) {
        if let (Some(roll), Some(host)) = (self.tree.node(key.node).roll, &key.turn) {
            self.turns.in_spite.insert((roll, host.clone()));
        }
    }
}
