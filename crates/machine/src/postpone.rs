//! Hosts that are left for later: their turns that were not begun wait, the others go on without them.
//!
//! A turn that its roll went past is taken up after everything else, so that it meets nothing that the
//! plan has kept apart from it: roll by roll, batch by batch, in the plan's order.

use crate::run::{Run, Stand};
use crate::state::{HostLink, How, Slot, StepState};
use crate::tree::{Key, Kind};
use crate::walk::{Active, Move};
use jiff::Timestamp;
use overhaul_model::event::Decision;
use overhaul_model::id::{HostName, Person, StepId};
use std::collections::{BTreeSet, VecDeque};

/// Why and until when a host is left for later.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Postponed {
    /// From then on its turns may begin.
    pub until: Timestamp,
    /// Who decided it.
    pub by: Person,
    /// Why.
    pub reason: String,
}

/// How far a host's turn in a roll is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TurnIs {
    /// Nothing was begun.
    ToCome,
    /// Something was begun, and it is not over.
    UnderWay,
    Over,
}

impl Run {
    /// Hosts that are left for later.
    pub fn postponed(&self) -> impl Iterator<Item = (&HostName, &Postponed)> {
        self.postponed.iter()
    }

    pub(crate) fn permits_postponing(&self, host: &HostName) -> Result<(), String> {
        if !self.plan.hosts.contains_key(host) {
            return Err(format!("the plan has no host `{host}`"));
        }
        if self.cleaning.is_some() {
            return Err("the upgrade is over; only its cleanup is under way".to_owned());
        }
        let mut to_come = false;
        for roll in self.rolls_of(host) {
            let id = self.tree.id(roll);
            match self.turn(roll, host) {
                TurnIs::Over => continue,
                TurnIs::UnderWay => {
                    return Err(format!(
                        "{host} is under way in {id}: a turn that was begun comes to its end first"
                    ));
                }
                TurnIs::ToCome => to_come = true,
            }
            if let Some(around) = self.held_open_around(roll) {
                return Err(format!(
                    "the turn of {host} in {id} stands inside {around}, which must not stay open for it"
                ));
            }
        }
        if let Some(key) = self.alone_on(host) {
            return Err(format!(
                "{} concerns {host} outside of any turn, and the other hosts wait for it",
                self.tree.id(key.node)
            ));
        }
        if to_come {
            Ok(())
        } else {
            Err(format!("no turn of {host} is left to begin"))
        }
    }

    pub(crate) fn permits_taking_up(&self, host: &HostName) -> Result<(), String> {
        match self.postponed.contains_key(host) {
            true => Ok(()),
            false => Err(format!("{host} is not postponed")),
        }
    }

    pub(crate) fn permits_leaving_out(&self, host: &HostName) -> Result<(), String> {
        match self.is_left_for_later(host) {
            true => Ok(()),
            false => Err(format!(
                "{host} is not postponed; only then it can be left out as a whole"
            )),
        }
    }

    pub(crate) fn postpone(&mut self, host: &HostName, until: Timestamp, decision: &Decision) {
        let postponed = Postponed {
            until,
            by: decision.person.clone(),
            reason: decision.reason.clone(),
        };
        self.postponed.insert(host.clone(), postponed);
        self.withdraw_turns_of(host);
    }

    /// Turns of the host that were admitted, and in which nothing was begun, are given back.
    fn withdraw_turns_of(&mut self, host: &HostName) {
        for turn in self.admitted() {
            if turn.turn.as_ref() == Some(host) && !self.was_touched(&turn) {
                self.withdraw(&turn);
            }
        }
    }

    /// Its turns may begin, and it is asked anew whether it can be reached.
    pub(crate) fn take_up(&mut self, host: &HostName) {
        self.postponed.remove(host);
        if let Some(state) = self.hosts.get_mut(host)
            && matches!(state.link, HostLink::Refused { .. })
        {
            state.link = HostLink::Absent;
        }
    }

    /// Turns of the host that were not begun are over, with nothing done in them.
    pub(crate) fn leave_out(&mut self, host: &HostName, decision: &Decision, seq: u64) {
        self.withdraw_turns_of(host);
        for roll in self.rolls_of(host) {
            if self.turn(roll, host) != TurnIs::ToCome {
                continue;
            }
            for node in self.tree.inside(roll) {
                let turn = Some(host.clone());
                let key = Key { node, turn };
                let known = self.slots.get(&key);
                if self.tree.step(node).is_none()
                    || self.tree.position(&key).is_none()
                    || known.is_some_and(|slot| slot.state.is_over())
                {
                    continue;
                }
                let by = decision.person.clone();
                let slot = Slot {
                    version: seq,
                    ..Slot::new(StepState::Skipped { by })
                };
                self.slots.insert(key, slot);
            }
        }
        self.left.retain(|key| key.turn.as_ref() != Some(host));
        self.postponed.remove(host);
    }

    fn rolls_of(&self, host: &HostName) -> Vec<usize> {
        let own = |node: &usize| {
            let hosts = match &self.tree.node(*node).kind {
                Kind::Roll { hosts, .. } => hosts,
                _ => return false,
            };
            let cleanup = self.tree.cleanup();
            hosts.contains(host) && !cleanup.is_some_and(|c| self.tree.inside(c).contains(node))
        };
        self.tree.nodes().filter(own).collect()
    }

    fn body_of(&self, roll: usize) -> Option<usize> {
        match self.tree.node(roll).kind {
            Kind::Roll { body, .. } => Some(body),
            _ => None,
        }
    }

    fn turn(&self, roll: usize, host: &HostName) -> TurnIs {
        let Some(node) = self.body_of(roll) else {
            return TurnIs::Over;
        };
        let turn = Some(host.clone());
        let key = Key { node, turn };
        if self.left.contains(&key) {
            return TurnIs::ToCome;
        }
        if self.admitted().contains(&key) {
            return match self.was_touched(&key) {
                true => TurnIs::UnderWay,
                false => TurnIs::ToCome,
            };
        }
        if self.past.contains(&roll) {
            return TurnIs::Over;
        }
        let Kind::Roll { turns, .. } = &self.tree.node(roll).kind else {
            return TurnIs::Over;
        };
        let active = self.rolls_under_way().find(|(key, _)| key.node == roll);
        let Some((_, Active::Roll { batch, begun, .. })) = active else {
            return TurnIs::ToCome;
        };
        let own = turns.batches.iter().position(|b| b.contains(host));
        match own {
            Some(own) if own < *batch || begun.contains(host) => TurnIs::Over,
            _ => TurnIs::ToCome,
        }
    }

    /// Turns that were admitted and are not over.
    fn admitted(&self) -> BTreeSet<Key> {
        let mut out = self.late.clone().unwrap_or_default();
        for (key, active) in self.rolls_under_way() {
            let (Some(node), Active::Roll { under_way, .. }) = (self.body_of(key.node), active)
            else {
                continue;
            };
            out.extend(under_way.iter().map(|host| Key {
                node,
                turn: Some(host.clone()),
            }));
        }
        out
    }

    /// Turns that were begun and are not over: roll and host.
    pub(crate) fn turns_under_way(&self) -> BTreeSet<(StepId, HostName)> {
        self.turns_of(|turn| self.was_touched(turn))
    }

    /// Turns that were let in and are not over.
    pub(crate) fn turns_let_in(&self) -> BTreeSet<(StepId, HostName)> {
        self.turns_of(|_| true)
    }

    fn turns_of(&self, wanted: impl Fn(&Key) -> bool) -> BTreeSet<(StepId, HostName)> {
        let turns = self.admitted().into_iter().filter(wanted);
        turns
            .filter_map(|turn| {
                let roll = self.tree.node(turn.node).roll?;
                Some((self.tree.id(roll).clone(), turn.turn?))
            })
            .collect()
    }

    /// Whether anything was begun, approved or decided in a turn, but for leaving steps out.
    fn was_touched(&self, turn: &Key) -> bool {
        let of_turn = |key: &&Key| key.turn == turn.turn;
        let inside = self.tree.inside(turn.node);
        let mut slots = self.slots.iter().filter(|(key, _)| of_turn(key));
        slots.any(|(key, slot)| {
            let touched = match &slot.state {
                StepState::Done { how } => *how != How::AlreadySo,
                StepState::Running { .. } | StepState::Voided { .. } => true,
                StepState::Waiting
                | StepState::Ready { .. }
                | StepState::Held { .. }
                | StepState::Asked { .. }
                | StepState::Skipped { .. }
                | StepState::Failed { .. }
                | StepState::Unknown { .. } => false,
            };
            inside.contains(&key.node) && (touched || slot.attempts > 0)
        })
    }

    /// Whether nothing at all happened in a turn but that it was admitted.
    fn is_untouched(&self, turn: &Key) -> bool {
        let inside = self.tree.inside(turn.node);
        let own = |key: &Key| key.turn == turn.turn && inside.contains(&key.node);
        let mut slots = self.slots.iter().filter(|(key, _)| own(key));
        slots.all(|(_, slot)| match &slot.state {
            StepState::Ready { .. } | StepState::Held { .. } | StepState::Waiting => {
                slot.attempts == 0 && slot.used == 0
            }
            // What was begun and then left out may have done a part of its work.
            StepState::Skipped { .. } => slot.attempts == 0,
            _ => false,
        })
    }

    /// Turns that were admitted and in which nothing happened are given back: other limits may admit others.
    pub(crate) fn withdraw_untouched(&mut self) {
        for turn in self.admitted() {
            if self.is_untouched(&turn) {
                self.withdraw(&turn);
            }
        }
    }

    /// A turn stands where it stood before it was admitted; decisions about its steps stay.
    fn withdraw(&mut self, turn: &Key) {
        let inside = self.tree.inside(turn.node);
        let own = |key: &Key| key.turn == turn.turn && inside.contains(&key.node);
        let decided = |slot: &Slot| matches!(slot.state, StepState::Skipped { .. });
        self.slots.retain(|key, slot| !own(key) || decided(slot));
        self.open.retain(|key| !own(key));
        self.active.retain(|key, _| !own(key));
        self.stir_all();
        let Some(host) = turn.turn.clone() else {
            return;
        };
        self.is_back(&host);
        if let Some(late) = &mut self.late
            && late.remove(turn)
        {
            self.left.insert(turn.clone());
            return;
        }
        let roll = self.tree.node(turn.node).roll;
        for (key, active) in &mut self.active {
            if let Active::Roll {
                begun,
                at,
                under_way,
                ..
            } = active
                && Some(key.node) == roll
            {
                *at = 0;
                begun.remove(&host);
                under_way.remove(&host);
            }
        }
    }

    /// A block around the roll that would have to stay open until the last of its turns is over.
    fn held_open_around(&self, roll: usize) -> Option<String> {
        let mut at = self.tree.node(roll).parent;
        while let Some(node) = at {
            match self.tree.node(node).kind {
                Kind::Scope { .. } => return Some(format!("the scope {}", self.tree.id(node))),
                Kind::Repair { .. } => return Some(format!("the repair {}", self.tree.id(node))),
                _ => at = self.tree.node(node).parent,
            }
        }
        None
    }

    /// A step that is not over, in the host's lane but in no turn of its own.
    fn alone_on(&self, host: &HostName) -> Option<Key> {
        let cleanup = self.tree.cleanup().map(|node| self.tree.inside(node));
        let placed = self.plan.positions().into_iter();
        placed
            .filter(|placed| placed.position.host.as_ref() == Some(host))
            .filter_map(|placed| self.tree.locate(&placed.position))
            .filter(|key| key.turn.as_ref() != Some(host))
            .filter(|key| !cleanup.as_ref().is_some_and(|c| c.contains(&key.node)))
            .find(|key| !self.slots.get(key).is_some_and(|s| s.state.is_over()))
    }

    /// Everything but the turns that were left is over.
    pub(crate) fn all_but_left(&mut self) {
        if self.left.is_empty() {
            self.over = true;
        } else {
            self.late = Some(BTreeSet::new());
        }
    }

    /// Begins turns that were left: one batch of one roll after the other, at most so many hosts at once,
    /// none beyond the failure budget.
    pub(crate) fn admit_late(&mut self, queue: &mut VecDeque<Move>) {
        let Some(late) = &self.late else {
            return;
        };
        if late.is_empty() && self.left.is_empty() {
            self.late = None;
            self.over = true;
            return;
        }
        let under_way = late.iter().next().and_then(|key| self.batch_of(key));
        let may = |key: &&Key| {
            let host = key.turn.as_ref();
            host.is_some_and(|h| !self.postponed.contains_key(h) && self.allows_host(h))
        };
        let free = self.left.iter().filter(may);
        let mut free: Vec<((usize, usize), Key)> = free
            .filter_map(|key| Some((self.batch_of(key)?, key.clone())))
            .collect();
        free.sort();
        let Some(group) = under_way.or_else(|| free.first().map(|(group, _)| *group)) else {
            return;
        };
        let Kind::Roll { turns, .. } = &self.tree.node(group.0).kind else {
            return;
        };
        let room = u64::from(turns.at_once).saturating_sub(late.len() as u64);
        if self.is_over_budget(&self.failed_hosts()) && self.carried.is_empty() {
            return;
        }
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        // A host's turns keep their order: one that belongs to an earlier batch comes first.
        let mut seen = BTreeSet::new();
        let now = free
            .into_iter()
            .filter(|(_, key)| seen.insert(key.turn.clone()));
        let now = now.filter(|(of, _)| *of == group).take(room);
        let now: Vec<Key> = now.map(|(_, key)| key).collect();
        for key in now {
            self.left.remove(&key);
            if let Some(late) = &mut self.late {
                late.insert(key.clone());
            }
            queue.push_back(Move::Begin(key));
        }
    }

    /// The roll and the batch that a turn belongs to.
    fn batch_of(&self, turn: &Key) -> Option<(usize, usize)> {
        let roll = self.tree.node(turn.node).parent?;
        let (Kind::Roll { turns, .. }, Some(host)) = (&self.tree.node(roll).kind, &turn.turn)
        else {
            return None;
        };
        let batch = turns.batches.iter().position(|b| b.contains(host))?;
        Some((roll, batch))
    }

    /// The first day on which a host that was postponed may be taken up, when nothing else is left to do.
    pub(crate) fn only_postponed(&self) -> Option<Timestamp> {
        let late = self.late.as_ref()?;
        if self.stand != Stand::Open || !late.is_empty() {
            return None;
        }
        let left = self.left.iter().filter_map(|key| key.turn.as_ref());
        let mut first: Option<Timestamp> = None;
        for host in left {
            let until = self.postponed.get(host)?.until;
            first = Some(first.map_or(until, |first| first.min(until)));
        }
        first
    }
}
