//! Another plan in the place of the run's own: what was done stays done, what was begun stays begun.
//!
//! The new plan's tree is gone through from its root with the states that are kept, as if everything had
//! happened in it. What cannot be placed there is refused, never forgotten.

use crate::run::{Run, Stand};
use crate::state::{Slot, StepState, Then};
use crate::transition::repeat_class;
use crate::tree::{Key, Kind, Tree};
use crate::walk::{Active, Move};
use overhaul_model::action::Repeat;
use overhaul_model::id::{HostName, Position, StepId};
use overhaul_model::plan::Plan;
use overhaul_model::step::Step;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// New names of steps, each with the old one.
pub type Renamed = BTreeMap<StepId, StepId>;

/// What becomes of the steps of a run whose plan is amended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Amendment {
    /// Steps that are over or begun, and stay so.
    pub kept: usize,
    /// Steps that are over or begun, and are in the new plan no more.
    pub dropped: Vec<Position>,
    /// Steps that are over or begun, are different in the new plan, and will be carried out there.
    pub anew: Vec<Position>,
}

impl Run {
    /// The plan that the journal was opened with: what a replay begins with.
    pub fn opened_with(&self) -> &Plan {
        self.opened_with.as_deref().unwrap_or(&self.plan)
    }

    /// Whether another plan is in force than the one that its journal was opened with.
    pub fn is_amended(&self) -> bool {
        self.opened_with.is_some()
    }

    /// The same run, which need not lay this plan out when an amendment brings it.
    #[must_use]
    pub fn expecting(self, laid_out: Self) -> Self {
        Self {
            laid_out: Some(Arc::new(laid_out)),
            ..self
        }
    }

    /// The run as it is with another plan, and what becomes of its steps. A step stays over or begun only
    /// when it is the same in all but a name that `was` tells of.
    ///
    /// # Errors
    /// With the reason why the plan cannot take the place of this run's, as a sentence.
    pub fn amended(&self, plan: &Plan, was: &Renamed) -> Result<(Self, Amendment), String> {
        self.permits_a_plan(plan)?;
        let known = self.laid_out.as_deref().filter(|new| *new.plan == *plan);
        let mut new = match known {
            Some(new) => new.clone(),
            None => Self::new(plan.clone()).map_err(|error| error.to_string())?,
        };
        self.permits_names(&new, was)?;
        let mut amendment = Amendment::default();
        let places = self.places(&new, was);
        self.permits_losses(&new, &places, &mut amendment)?;
        self.permits_flights(&new, &places)?;
        new.carry(self, &places);
        new.walk_again();
        new.carry_rounds(self, &places);
        new.away.clone_from(&self.away);
        self.all_is_placed(&new, &places)?;
        Ok((new, amendment))
    }

    fn permits_a_plan(&self, plan: &Plan) -> Result<(), String> {
        if self.stand != Stand::Open || self.over || self.cleaning.is_some() {
            return Err(match self.stand {
                Stand::Open => "everything but the release of its hosts is over".to_owned(),
                _ => format!("the run is {}", self.stand_word()),
            });
        }
        let same = [
            ("fleet", self.plan.fleet == plan.fleet),
            ("upgrade", self.plan.upgrade == plan.upgrade),
            ("kind", self.plan.kind == plan.kind),
            ("release before", self.plan.from == plan.from),
            ("release after", self.plan.to == plan.to),
        ];
        if let Some((what, _)) = same.iter().find(|(_, same)| !same) {
            return Err(format!("the new plan has another {what}"));
        }
        if plan.parent.as_ref() != Some(&self.hash) {
            return Err(format!(
                "the new plan does not amend {}, which is the run's",
                self.hash.short()
            ));
        }
        let held = self.hosts.iter().filter(|(_, host)| host.holds);
        for (host, _) in held {
            if !host.is_controller() && !plan.hosts.contains_key(host) {
                return Err(format!(
                    "the run holds {host}: it must stay in the plan, so that it is released"
                ));
            }
        }
        Ok(())
    }

    fn permits_names(&self, new: &Self, was: &Renamed) -> Result<(), String> {
        for (name, old) in was {
            if self
                .tree
                .named(old)
                .is_none_or(|n| self.tree.step(n).is_none())
            {
                return Err(format!("the run's plan has no step `{old}`"));
            }
            if new
                .tree
                .named(name)
                .is_none_or(|n| new.tree.step(n).is_none())
            {
                return Err(format!("the new plan has no step `{name}`"));
            }
            if new.tree.named(old).is_some() && !was.contains_key(old) {
                return Err(format!("the new plan still has `{old}`"));
            }
        }
        Ok(())
    }

    /// Where each position that has a state stands in the new plan, if the step is the same there.
    fn places(&self, new: &Self, was: &Renamed) -> BTreeMap<Key, Place> {
        let names: BTreeMap<&StepId, &StepId> = was.iter().map(|(new, old)| (old, new)).collect();
        let mut same: BTreeMap<usize, bool> = BTreeMap::new();
        let mut out = BTreeMap::new();
        for key in self.slots.keys() {
            let (Some(step), Some(position)) = (self.tree.step(key.node), self.tree.position(key))
            else {
                continue;
            };
            let renamed = names.get(&position.step).map(|name| (*name).clone());
            let there = Position {
                step: renamed.unwrap_or_else(|| position.step.clone()),
                host: position.host,
            };
            let place = match new.tree.locate(&there) {
                None => Place::Nowhere,
                Some(at) => {
                    let is_same = *same
                        .entry(key.node)
                        .or_insert_with(|| is_same(step, new.tree.step(at.node)));
                    if is_same || self.is_past_remedy(key, step) {
                        Place::Same(at)
                    } else {
                        Place::Other(at)
                    }
                }
            };
            out.insert(key.clone(), place);
        }
        out
    }

    /// Whether a position belongs to a remedy that is not at work: what it did is done, and when it is needed
    /// again, it begins from its start, as it is written then. What must happen once stays as it is.
    fn is_past_remedy(&self, key: &Key, step: &Step) -> bool {
        let mut parts = std::iter::successors(Some(key.clone()), |at| self.tree.parent(at));
        !matches!(repeat_class(step), Repeat::Once(_))
            && parts.any(|at| {
                let Some(repair) = self.tree.parent(&at) else {
                    return false;
                };
                let works = matches!(
                    self.active.get(&repair),
                    Some(Active::Repair { remedy: true, .. })
                );
                match self.tree.node(repair.node).kind {
                    Kind::Repair { remedy, .. } => remedy == at.node && !works,
                    _ => false,
                }
            })
    }

    /// What is not kept may be lost: nothing that must happen once, nothing at work, no scope that is open.
    fn permits_losses(
        &self,
        new: &Self,
        places: &BTreeMap<Key, Place>,
        amendment: &mut Amendment,
    ) -> Result<(), String> {
        for (key, slot) in self.slots.iter() {
            let (Some(step), Some(position)) = (self.tree.step(key.node), self.tree.position(key))
            else {
                continue;
            };
            let begun = slot.attempts > 0 || is_running(slot);
            if !begun && !slot.state.is_over() {
                continue;
            }
            let place = places.get(key).unwrap_or(&Place::Nowhere);
            match place {
                Place::Same(_) => {
                    amendment.kept = amendment.kept.saturating_add(1);
                    continue;
                }
                Place::Other(at) => amendment.anew.extend(new.tree.position(at)),
                Place::Nowhere => amendment.dropped.push(position.clone()),
            }
            let once = matches!(repeat_class(step), Repeat::Once(_));
            if is_in_flight(slot) {
                return Err(format!(
                    "`{position}` is at work, or nobody knows: it must stay as it is until it is over"
                ));
            }
            if once && begun && !matches!(slot.state, StepState::Voided { .. }) {
                return Err(format!(
                    "`{position}` must happen once and has begun: it must stay as it is; a new name is told with --was NEW={}",
                    position.step
                ));
            }
        }
        for (scope, open, close) in self.open_scopes() {
            let kept = |node: usize| {
                let key = Key {
                    node,
                    turn: scope.turn.clone(),
                };
                let concerned = self.tree.position(&key).is_some();
                !concerned || self.is_kept(new, &key, places)
            };
            if !kept(open) || !kept(close) {
                return Err(format!(
                    "the scope {} is open: what opens and closes it must stay as it is",
                    self.tree.id(scope.node)
                ));
            }
        }
        Ok(())
    }

    /// Whether a position, with a state or without, is the same in the new plan.
    fn is_kept(&self, new: &Self, key: &Key, places: &BTreeMap<Key, Place>) -> bool {
        if let Some(place) = places.get(key) {
            return matches!(place, Place::Same(_));
        }
        let step = self.tree.step(key.node);
        let there = self.tree.position(key).and_then(|p| new.tree.locate(&p));
        match (step, there) {
            (Some(step), Some(there)) => is_same(step, new.tree.step(there.node)),
            _ => false,
        }
    }

    /// Scopes that were opened and are not closed, with the nodes of their ends.
    fn open_scopes(&self) -> Vec<(Key, usize, usize)> {
        let mut out = Vec::new();
        for (key, active) in &self.active {
            if let (Active::Scope { .. }, Kind::Scope { open, close, .. }) =
                (active, &self.tree.node(key.node).kind)
            {
                let opened = Key {
                    node: *open,
                    turn: key.turn.clone(),
                };
                let begun = |slot: &Slot| slot.attempts > 0 || slot.state.is_over();
                if self.slots.get(&opened).is_some_and(begun) {
                    out.push((key.clone(), *open, *close));
                }
            }
        }
        out
    }

    /// A lane on which something is at work is not touched at all.
    fn permits_flights(&self, new: &Self, places: &BTreeMap<Key, Place>) -> Result<(), String> {
        let busy: BTreeSet<Option<HostName>> = self
            .slots
            .iter()
            .filter(|(_, slot)| is_in_flight(slot))
            .filter_map(|(key, _)| Some(self.tree.position(key)?.host))
            .collect();
        if busy.is_empty() {
            return Ok(());
        }
        let lane = |run: &Self, host: &Option<HostName>| -> Vec<Position> {
            let placed = run.plan.positions().into_iter();
            placed
                .map(|placed| placed.position)
                .filter(|position| position.host == *host)
                .collect()
        };
        for host in busy {
            let old = lane(self, &host);
            let keys = old.iter().filter_map(|position| self.tree.locate(position));
            let kept = keys.into_iter().all(|key| self.is_kept(new, &key, places));
            if !kept || lane(new, &host) != old {
                let lane = host.map_or_else(|| "the run itself".to_owned(), |h| h.to_string());
                return Err(format!(
                    "work is under way on {lane}: its steps cannot be changed before it is over"
                ));
            }
        }
        Ok(())
    }

    /// Takes over everything that is true whatever the plan is, and the states of steps that are the same.
    fn carry(&mut self, old: &Self, places: &BTreeMap<Key, Place>) {
        let first = old.opened_with.as_ref().unwrap_or(&old.plan);
        self.opened_with = Some(Arc::clone(first));
        self.stand = old.stand;
        self.paused = old.paused;
        self.id.clone_from(&old.id);
        self.generation.clone_from(&old.generation);
        self.salvaged = old.salvaged;
        self.seq = old.seq;
        self.hosts.clone_from(&old.hosts);
        self.machines.clone_from(&old.machines);
        self.off.clone_from(&old.off);
        self.beside.clone_from(&old.beside);
        self.old.clone_from(&old.old);
        self.postponed.clone_from(&old.postponed);
        self.carry_turns(old);
        for (key, slot) in old.slots.iter() {
            if let Some(Place::Other(at)) = places.get(key) {
                // Another step, but no number of an attempt comes twice at one position.
                let waiting = Slot {
                    attempts: slot.attempts,
                    ..Slot::new(StepState::Waiting)
                };
                self.slots.insert(at.clone(), waiting);
            }
            if let Some(Place::Same(at)) = places.get(key) {
                self.slots.insert(at.clone(), slot.clone());
                let outputs = old.tree.position(key).map(|position| position.host);
                let outputs = outputs.and_then(|host| {
                    let known = old.outputs.get(&host)?.get(&key.node)?;
                    Some((host, known.clone()))
                });
                if let Some((host, known)) = outputs {
                    self.outputs.entry(host).or_default().insert(at.node, known);
                }
            }
        }
    }

    /// Goes through the tree from its root; steps that have a state keep it when their turn comes.
    fn walk_again(&mut self) {
        let kept = std::mem::take(&mut self.slots);
        // Of steps that wait, attempts are counted: a remedy that may run again.
        let waits = |slot: &Slot| slot.state.is_over() || slot.state == StepState::Waiting;
        for (key, slot) in kept {
            match waits(&slot) {
                true => self.slots.insert(key, slot),
                false => {
                    self.carried.insert(key, slot);
                }
            }
        }
        self.walk(vec![Move::Begin(Tree::root())]);
        // Turns were let in before the states behind them were known: the failed ones count now.
        self.withdraw_untouched();
        self.walk(Vec::new());
        // What was not begun is measured and asked again when its turn comes.
        self.carried
            .retain(|_, slot| slot.attempts > 0 || is_running(slot));
    }

    /// Remedies that were tried count.
    fn carry_rounds(&mut self, old: &Self, places: &BTreeMap<Key, Place>) {
        for (key, active) in &old.active {
            let Active::Repair {
                rounds, measured, ..
            } = active
            else {
                continue;
            };
            let there = self.tree.named(old.tree.id(key.node)).map(|node| Key {
                node,
                turn: key.turn.clone(),
            });
            let tried = measured
                .iter()
                .filter_map(|(step, attempt)| match places.get(step) {
                    Some(Place::Same(at)) => Some((at.clone(), *attempt)),
                    _ => None,
                });
            if let Some(Active::Repair {
                rounds: now,
                measured: known,
                ..
            }) = there.and_then(|key| self.active.get_mut(&key))
            {
                *now = *rounds;
                *known = tried.collect();
            }
        }
    }

    /// Everything that was begun has its turn in the new plan, and every open scope is open.
    fn all_is_placed(&self, new: &Self, places: &BTreeMap<Key, Place>) -> Result<(), String> {
        if let Some(key) = new.carried.keys().next() {
            let position = new.tree.position(key);
            return Err(format!(
                "`{}` has begun, and something that is not over comes before it in the new plan",
                position.map_or_else(String::new, |p| p.to_string())
            ));
        }
        let known = self.turns_let_in();
        let mut more = new.turns_let_in().into_iter();
        let anew = more.any(|turn| !known.contains(&turn) && new.was_in_turn(&turn));
        if anew && new.is_over_budget(&new.failed_hosts()) {
            return Err(
                "more hosts have failed than may, and a turn that was over would begin anew"
                    .to_owned(),
            );
        }
        for turn in self.turns_under_way() {
            if !new.turns_let_in().contains(&turn) {
                return Err(format!(
                    "the turn of {} in {} is under way: it must come next in the new plan",
                    turn.1, turn.0
                ));
            }
        }
        for (scope, open, _) in self.open_scopes() {
            let opened = Key {
                node: open,
                turn: scope.turn.clone(),
            };
            let there = match places.get(&opened) {
                Some(Place::Same(at)) => new.tree.parent(at),
                _ => None,
            };
            let open =
                there.is_some_and(|key| matches!(new.active.get(&key), Some(Active::Scope { .. })));
            if !open && self.tree.position(&opened).is_some() {
                return Err(format!(
                    "the scope {} is open: its turn must come next in the new plan",
                    self.tree.id(scope.node)
                ));
            }
        }
        Ok(())
    }
}

impl Run {
    /// Whether something of a turn, given by its roll and its host, was begun or is over.
    fn was_in_turn(&self, (roll, host): &(StepId, HostName)) -> bool {
        let Some(roll) = self.tree.named(roll) else {
            return false;
        };
        let inside = self.tree.inside(roll);
        let mut own = (self.slots.iter())
            .filter(|(key, _)| key.turn.as_ref() == Some(host) && inside.contains(&key.node));
        own.any(|(_, slot)| slot.attempts > 0 || slot.state.is_over())
    }
}

/// Where a position stands in the new plan.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// The same step.
    Same(Key),
    /// A step of that name that is different.
    Other(Key),
    Nowhere,
}

/// Whether a step is the same but for its name.
fn is_same(old: &Step, new: Option<&Arc<Step>>) -> bool {
    let Some(new) = new else { return false };
    if old.id == new.id {
        return *old == **new;
    }
    let mut named = (**new).clone();
    named.id = old.id.clone();
    *old == named
}

fn is_running(slot: &Slot) -> bool {
    matches!(slot.state, StepState::Running { .. })
}

fn is_in_flight(slot: &Slot) -> bool {
    is_running(slot) || slot.state.then() == Some(&Then::Settle)
}
