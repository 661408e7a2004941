//! How the tree goes on when a part of it is over: what begins next, turn by turn.

use crate::run::{Illegal, Run, Stand};
use crate::state::{HostState, Slot, StepState, Then};
use crate::transition::{ready, repeat_class};
use crate::tree::{Key, Kind};
use overhaul_model::action::Repeat;
use overhaul_model::event::{Record, Verdict};
use overhaul_model::id::{HostName, Position};
use overhaul_model::planted;
use std::collections::{BTreeSet, VecDeque};

/// A block that was begun and is not over.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Active {
    Sequence {
        at: usize,
    },
    Parallel {
        left: usize,
    },
    Roll {
        batch: usize,
        /// Hosts of the batch whose turn began.
        begun: BTreeSet<HostName>,
        /// All hosts of the batch before this place began.
        at: usize,
        /// Those of them that are not over.
        under_way: BTreeSet<HostName>,
    },
    Scope {
        part: Part,
    },
    Repair {
        /// How often the remedy was begun.
        rounds: u32,
        /// Whether it runs now.
        remedy: bool,
        /// Whether the body came to its end while the remedy ran.
        body_over: bool,
        /// The failures that the finding was measured for: positions with their attempts.
        measured: BTreeSet<(Key, u32)>,
        version: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Open,
    Body,
    Close,
}

/// A step of the walk.
#[derive(Clone, Debug)]
pub(crate) enum Move {
    Begin(Key),
    Over(Key),
}

/// What a block does when a part of it is over.
enum Onward {
    Begin(usize),
    Wait,
    TryAgain,
    Over,
}

fn part_over(kind: &Kind, active: &mut Active, part_key: &Key) -> Onward {
    match (kind, active) {
        (Kind::Sequence(blocks), Active::Sequence { at }) => {
            *at = at.saturating_add(1);
            blocks.get(*at).map_or(Onward::Over, |n| Onward::Begin(*n))
        }
        (Kind::Parallel(_), Active::Parallel { left }) => {
            *left = left.saturating_sub(1);
            if *left == 0 {
                Onward::Over
            } else {
                Onward::Wait
            }
        }
        (Kind::Roll { .. }, Active::Roll { under_way, .. }) => {
            if let Some(host) = &part_key.turn {
                under_way.remove(host);
            }
            // Whether it is over is seen when all consequences are followed.
            Onward::Wait
        }
        (Kind::Scope { body, close, .. }, Active::Scope { part }) => {
            let (then, onward) = match part {
                Part::Open => (Part::Body, Onward::Begin(*body)),
                Part::Body => (Part::Close, Onward::Begin(*close)),
                Part::Close => (Part::Close, Onward::Over),
            };
            *part = then;
            onward
        }
        (
            Kind::Repair { body, .. },
            Active::Repair {
                remedy, body_over, ..
            },
        ) => {
            if part_key.node == *body {
                *body_over = true;
            } else {
                *remedy = false;
            }
            match (*body_over, *remedy) {
                (true, true) => Onward::Wait,
                (true, false) => Onward::Over,
                (false, _) => Onward::TryAgain,
            }
        }
        // The kind of an active block is its node's.
        _ => Onward::Wait,
    }
}

impl Run {
    /// Follows all consequences of what just became true.
    pub(crate) fn walk(&mut self, moves: Vec<Move>) {
        let mut queue = VecDeque::from(moves);
        loop {
            while let Some(next) = queue.pop_front() {
                match next {
                    Move::Begin(key) => self.begin(key, &mut queue),
                    Move::Over(key) => self.leave(&key, &mut queue),
                }
            }
            if matches!(self.stand, Stand::Open | Stand::Draining) {
                self.go_past(&mut queue);
            }
            if !queue.is_empty() {
                continue;
            }
            match self.stand {
                Stand::Draining if !self.in_flight() => {
                    self.stand = Stand::Closing;
                    self.who_may_hold();
                    self.close_scopes(&mut queue);
                }
                Stand::Open => {
                    self.admit(&mut queue);
                    self.admit_late(&mut queue);
                }
                Stand::New | Stand::Draining | Stand::Closing | Stand::Finished(_) => {}
            }
            if queue.is_empty() {
                return;
            }
        }
    }

    fn begin(&mut self, key: Key, queue: &mut VecDeque<Move>) {
        let child = |node: usize| Key {
            node,
            turn: key.turn.clone(),
        };
        let active = match &self.tree.node(key.node).kind {
            Kind::Step(_) => {
                self.begin_step(key, queue);
                return;
            }
            Kind::Sequence(blocks) => match blocks.first() {
                None => None,
                Some(first) => {
                    queue.push_back(Move::Begin(child(*first)));
                    Some(Active::Sequence { at: 0 })
                }
            },
            Kind::Parallel(blocks) => {
                queue.extend(blocks.iter().map(|b| Move::Begin(child(*b))));
                let left = blocks.len();
                (left > 0).then_some(Active::Parallel { left })
            }
            Kind::Roll { turns, .. } => {
                turns
                    .batches
                    .iter()
                    .any(|b| !b.is_empty())
                    .then(|| Active::Roll {
                        batch: 0,
                        begun: BTreeSet::new(),
                        at: 0,
                        under_way: BTreeSet::new(),
                    })
            }
            Kind::Scope { open, .. } => {
                queue.push_back(Move::Begin(child(*open)));
                Some(Active::Scope { part: Part::Open })
            }
            Kind::Repair { body, .. } => {
                queue.push_back(Move::Begin(child(*body)));
                Some(Active::Repair {
                    rounds: 0,
                    remedy: false,
                    body_over: false,
                    measured: BTreeSet::new(),
                    version: self.seq,
                })
            }
        };
        match active {
            Some(active) => {
                if matches!(active, Active::Roll { .. }) {
                    self.rolling.insert(key.node);
                    self.stirred.insert(key.node);
                }
                self.active.insert(key, active);
            }
            None => queue.push_back(Move::Over(key)),
        }
    }

    fn begin_step(&mut self, key: Key, queue: &mut VecDeque<Move>) {
        let Some(step) = self.tree.step(key.node) else {
            return;
        };
        let before = self.slots.get(&key).cloned();
        let before = before.unwrap_or_else(|| Slot::new(StepState::Waiting));
        if self.tree.position(&key).is_none() || before.state.is_over() {
            queue.push_back(Move::Over(key));
            return;
        }
        let slot = match self.carried.remove(&key) {
            Some(carried) => carried,
            None => Slot {
                version: self.seq,
                ..ready(&before, step)
            },
        };
        self.slots.insert(key.clone(), slot);
        self.open.insert(key);
    }

    /// The node is over: its block goes on.
    fn leave(&mut self, key: &Key, queue: &mut VecDeque<Move>) {
        let Some(parent) = self.tree.parent(key) else {
            self.all_but_left();
            return;
        };
        if self.stand == Stand::Closing {
            // In a run that is being ended, nothing begins but the ends of scopes.
            if self.scope_closed_by(key).is_some() {
                self.active.remove(&parent);
                self.close_scopes(queue);
            }
            return;
        }
        if self.went_on_cleaning(key, queue) {
            return;
        }
        if let Some(host) = key
            .turn
            .as_ref()
            .filter(|_| planted::is("token-released-early"))
        {
            self.is_back(host);
        }
        if let (Kind::Roll { .. }, Some(host)) = (&self.tree.node(parent.node).kind, &key.turn) {
            self.is_back(host);
            self.stirred.insert(parent.node);
            if self.late.as_mut().is_some_and(|late| late.remove(key)) {
                return;
            }
        }
        let Some(active) = self.active.get_mut(&parent) else {
            return;
        };
        let kind = &self.tree.node(parent.node).kind;
        match part_over(kind, active, key) {
            Onward::Begin(_) if self.skips_close(&parent) => {
                self.active.remove(&parent);
                queue.push_back(Move::Over(parent));
            }
            Onward::Begin(node) => {
                let turn = parent.turn;
                queue.push_back(Move::Begin(Key { node, turn }));
            }
            Onward::Wait => {}
            Onward::TryAgain => self.try_body_again(&parent),
            Onward::Over => {
                self.active.remove(&parent);
                queue.push_back(Move::Over(parent));
            }
        }
    }

    /// Only as a deliberate fault: who takes over forgets the ends of scopes.
    fn skips_close(&self, scope: &Key) -> bool {
        let taken = self.generation.as_ref().is_some_and(|g| g.counter > 1);
        let closing = matches!(
            self.active.get(scope),
            Some(Active::Scope { part: Part::Close })
        );
        planted::is("close-skipped-on-takeover") && taken && closing
    }

    /// Rolls go past batches of which no turn is left to begin. Turns of hosts that are left for later are
    /// kept in mind.
    fn go_past(&mut self, queue: &mut VecDeque<Move>) {
        let idle = |active: &Active| matches!(active, Active::Roll { under_way, .. } if under_way.is_empty());
        let idle = self.stirred_rolls().filter(|(_, active)| idle(active));
        let idle: Vec<Key> = idle.map(|(key, _)| key).collect();
        for key in idle {
            let Kind::Roll { turns, body, .. } = &self.tree.node(key.node).kind else {
                continue;
            };
            let Some(Active::Roll { batch, begun, .. }) = self.active.get(&key) else {
                continue;
            };
            let (mut now, mut begun) = (*batch, begun.clone());
            let mut left = Vec::new();
            while let Some(hosts) = turns.batches.get(now) {
                let rest: Vec<&HostName> = hosts.iter().filter(|h| !begun.contains(*h)).collect();
                if !rest.iter().all(|host| self.is_left_for_later(host)) {
                    break;
                }
                left.extend(rest.into_iter().map(|host| Key {
                    node: *body,
                    turn: Some(host.clone()),
                }));
                now = now.saturating_add(1);
                begun.clear();
            }
            let (over, went) = (now >= turns.batches.len(), now != *batch);
            if !left.is_empty() {
                self.left.extend(left);
                self.stir_all();
            }
            if over {
                self.active.remove(&key);
                self.rolling.remove(&key.node);
                self.stirred.remove(&key.node);
                self.past.insert(key.node);
                queue.push_back(Move::Over(key));
            } else if went {
                let next = Active::Roll {
                    batch: now,
                    begun,
                    at: 0,
                    under_way: BTreeSet::new(),
                };
                self.active.insert(key, next);
            }
        }
    }

    /// Whether no turn of the host is begun now, because it is postponed, or because an earlier turn of it
    /// was left.
    pub(crate) fn is_left_for_later(&self, host: &HostName) -> bool {
        self.postponed.contains_key(host)
            || self.left.iter().any(|key| key.turn.as_ref() == Some(host))
    }

    /// Hosts of the roll's batch whose turn was neither begun nor left for later.
    pub(crate) fn rest_of_batch(&self, key: &Key) -> Vec<HostName> {
        let (
            Kind::Roll { turns, .. },
            Some(Active::Roll {
                batch, begun, at, ..
            }),
        ) = (&self.tree.node(key.node).kind, self.active.get(key))
        else {
            return Vec::new();
        };
        let hosts = turns.batches.get(*batch).map_or(&[][..], Vec::as_slice);
        hosts
            .iter()
            .skip(*at)
            .filter(|host| !begun.contains(*host) && !self.is_left_for_later(host))
            .cloned()
            .collect()
    }

    /// Begins turns: batches in order, at most so many hosts at once, none beyond the failure budget, none
    /// beyond the limits of this sitting.
    fn admit(&mut self, queue: &mut VecDeque<Move>) {
        let rolls = self.stirred_rolls().map(|(key, _)| key);
        let rolls: Vec<Key> = rolls.filter(|key| self.next_turn(key).is_some()).collect();
        self.stirred = rolls.iter().map(|key| key.node).collect();
        debug_assert!(
            self.rest_is_calm(),
            "a roll that has something to begin was not looked at"
        );
        if rolls.is_empty() {
            return;
        }
        let mut failed = self.failed_hosts();
        for key in rolls {
            while let Some((node, place, host)) = self.next_turn(&key) {
                // While a plan is amended, turns that were let in before are let in again, whatever failed since.
                if self.is_over_budget(&failed) && !self.was_let_in(node, &host) {
                    break;
                }
                let Some(Active::Roll {
                    begun,
                    at,
                    under_way,
                    ..
                }) = self.active.get_mut(&key)
                else {
                    break;
                };
                if *at == place {
                    *at = at.saturating_add(1);
                }
                begun.insert(host.clone());
                under_way.insert(host.clone());
                // A host that is known to be out of reach counts from the moment when its turn begins.
                if self.is_out_of_reach(&host) {
                    failed.insert(host.clone());
                }
                let turn = Some(host);
                queue.push_back(Move::Begin(Key { node, turn }));
            }
        }
    }

    /// The next turn that may begin: the roll's body, the host's place in its batch, and the host.
    pub(crate) fn next_turn(&self, key: &Key) -> Option<(usize, usize, HostName)> {
        let active = self.active.get(key)?;
        let (
            Kind::Roll { turns, body, .. },
            Active::Roll {
                batch,
                begun,
                at,
                under_way,
            },
        ) = (&self.tree.node(key.node).kind, active)
        else {
            return None;
        };
        if (under_way.len() as u64) >= u64::from(turns.at_once) {
            return None;
        }
        let hosts = turns.batches.get(*batch)?.iter().enumerate().skip(*at);
        let mut free = hosts.filter(|(_, host)| {
            !begun.contains(*host) && self.allows_host(host) && !self.is_left_for_later(host)
        });
        let first = free.clone().next();
        let again = if self.carried.is_empty() {
            None
        } else {
            // What was under way has the room that it had.
            free.find(|(_, host)| has_turn(self.carried.keys(), &self.tree.inside(*body), host))
        };
        again
            .or(first)
            .map(|(place, host)| (*body, place, host.clone()))
    }

    /// While a plan is amended: whether something of a turn was begun or is over.
    fn was_let_in(&self, body: usize, host: &HostName) -> bool {
        if self.carried.is_empty() {
            return false;
        }
        let known = self.carried.keys().chain(self.slots.keys());
        has_turn(known, &self.tree.inside(body), host)
    }

    /// The rolls that were begun and are not over. A roll stands in no other one, so that it has no turn.
    pub(crate) fn rolls_under_way(&self) -> impl Iterator<Item = (Key, &Active)> {
        self.rolls(self.rolling.iter())
    }

    /// The rolls at some nodes, as far as they are under way.
    pub(crate) fn rolls<'a>(
        &'a self,
        nodes: impl Iterator<Item = &'a usize>,
    ) -> impl Iterator<Item = (Key, &'a Active)> {
        let keys = nodes.map(|node| Key {
            node: *node,
            turn: None,
        });
        keys.filter_map(|key| {
            let active = self.active.get(&key)?;
            Some((key, active))
        })
    }

    /// Hosts with a failed or unknown step, or that only a person can bring back.
    pub(crate) fn failed_hosts(&self) -> BTreeSet<HostName> {
        let mut failed = BTreeSet::new();
        for key in &self.open {
            let Some(host) = self.tree.host(key) else {
                continue;
            };
            let bad = self.slots.get(key).is_some_and(|s| s.state.is_bad());
            if bad || self.is_out_of_reach(host) {
                failed.insert(host.clone());
            }
        }
        failed
    }

    fn is_out_of_reach(&self, host: &HostName) -> bool {
        let host = self.hosts.get(host);
        host.is_some_and(|host| host.blocked().is_some())
    }

    /// Whether more hosts have failed than may.
    pub(crate) fn is_over_budget(&self, failed: &BTreeSet<HostName>) -> bool {
        failed.len() as u64 > u64::from(self.plan.failure_budget)
    }

    /// Whether an attempt may be at work somewhere, as far as can be found out without a person.
    fn in_flight(&self) -> bool {
        self.open
            .iter()
            .any(|key| match self.slots.get(key).map(|s| &s.state) {
                Some(StepState::Running { .. }) => true,
                Some(StepState::Unknown {
                    then: Then::Settle, ..
                }) => !self.is_blocked(key),
                _ => false,
            })
    }

    pub(crate) fn is_blocked(&self, key: &Key) -> bool {
        self.needs(key)
            .and_then(|h| self.hosts.get(&h))
            .is_some_and(|h| h.blocked().is_some())
    }

    /// Hosts that an earlier controller may have registered without living to write that down.
    fn who_may_hold(&mut self) {
        let names: BTreeSet<HostName> = self.open.iter().flat_map(|k| self.may_need(k)).collect();
        for host in names {
            self.hosts.entry(host).or_insert_with(|| HostState {
                holds: true,
                ..HostState::new()
            });
        }
    }

    /// In a run that is being ended: begins the closing of each scope that was opened and has no
    /// open scope inside.
    fn close_scopes(&mut self, queue: &mut VecDeque<Move>) {
        let scopes = self.active.iter().filter_map(|(key, active)| match active {
            Active::Scope { part } => Some((key.clone(), *part)),
            _ => None,
        });
        let (opened, not): (Vec<_>, Vec<_>) =
            scopes.partition(|(key, part)| self.was_opened(key, *part));
        for (key, _) in not {
            self.active.remove(&key);
        }
        for (key, part) in &opened {
            let innermost = !opened
                .iter()
                .any(|(other, _)| other != key && self.contains(key, other));
            if !innermost || *part == Part::Close {
                continue;
            }
            if let Kind::Scope { close, .. } = self.tree.node(key.node).kind {
                self.active
                    .insert(key.clone(), Active::Scope { part: Part::Close });
                let turn = key.turn.clone();
                queue.push_back(Move::Begin(Key { node: close, turn }));
            }
        }
    }

    /// Whether `inner` stands inside `outer`; a turn stands inside what surrounds its roll.
    fn contains(&self, outer: &Key, inner: &Key) -> bool {
        self.tree.is_inside(inner, outer)
    }

    fn was_opened(&self, scope: &Key, part: Part) -> bool {
        let Kind::Scope { open, .. } = self.tree.node(scope.node).kind else {
            return false;
        };
        let key = Key {
            node: open,
            turn: scope.turn.clone(),
        };
        let slot = self.slots.get(&key);
        let begun =
            slot.is_some_and(|s| s.attempts > 0 || matches!(s.state, StepState::Done { .. }));
        // An open that does not concern this host leaves nothing to its close.
        begun || (part == Part::Close && self.tree.position(&key).is_some())
    }

    /// The verdict towards which the run is coming to its end, when only hosts are left to release.
    pub(crate) fn ending(&self) -> Option<Verdict> {
        match self.stand {
            Stand::Open if self.over => Some(Verdict::Complete),
            Stand::Closing
                if !self
                    .active
                    .values()
                    .any(|a| matches!(a, Active::Scope { .. })) =>
            {
                // A cleanup that is broken off takes nothing back of a run that was complete.
                match self.cleaning {
                    Some(_) => Some(Verdict::Complete),
                    None => Some(Verdict::Aborted),
                }
            }
            Stand::New | Stand::Open | Stand::Draining | Stand::Closing | Stand::Finished(_) => {
                None
            }
        }
    }

    /// The verdict, when nothing at all is left to do.
    pub(crate) fn ready_to_finish(&self) -> Option<Verdict> {
        let free = self.hosts.values().all(HostState::let_go);
        self.ending().filter(|_| free)
    }

    /// The failures inside a repair's body that its remedy may help against, if it is to be measured.
    pub(crate) fn to_be_repaired(&self, key: &Key) -> Option<BTreeSet<(Key, u32)>> {
        let Kind::Repair { body, attempts, .. } = &self.tree.node(key.node).kind else {
            return None;
        };
        let Some(Active::Repair {
            rounds,
            remedy: false,
            measured,
            ..
        }) = self.active.get(key)
        else {
            return None;
        };
        let body = Key {
            node: *body,
            turn: key.turn.clone(),
        };
        let failures = self.repairable(&body);
        (rounds < attempts && !failures.is_empty() && failures != *measured).then_some(failures)
    }

    /// Steps in there that wait for a person and may be begun again once the finding is remedied.
    fn repairable(&self, body: &Key) -> BTreeSet<(Key, u32)> {
        let mut found = BTreeSet::new();
        for key in &self.open {
            let (Some(step), Some(slot)) = (self.tree.step(key.node), self.slots.get(key)) else {
                continue;
            };
            let again = match (&slot.state, repeat_class(step)) {
                (_, Repeat::Once(_)) => false,
                (
                    StepState::Failed {
                        then: Then::Person, ..
                    },
                    _,
                ) => true,
                (
                    StepState::Unknown {
                        then: Then::Person, ..
                    },
                    Repeat::Safe,
                ) => true,
                (
                    StepState::Unknown {
                        then: Then::Person, ..
                    },
                    Repeat::CheckFirst,
                ) => step.check.is_some(),
                _ => false,
            };
            if again && self.tree.is_inside(key, body) {
                found.insert((key.clone(), slot.attempts));
            }
        }
        found
    }

    pub(crate) fn repair_measured(
        &mut self,
        record: &Record,
        position: &Position,
        so: bool,
    ) -> Result<Vec<Move>, Illegal> {
        let key = self.tree.locate(position);
        let found = key.and_then(|key| Some((self.to_be_repaired(&key)?, key)));
        let Some((failures, key)) = found else {
            return Err(self.illegal(
                record,
                Some(position),
                "it has nothing to repair".to_owned(),
            ));
        };
        let Kind::Repair { remedy: node, .. } = self.tree.node(key.node).kind else {
            return Ok(Vec::new());
        };
        let remedy_key = Key {
            node,
            turn: key.turn.clone(),
        };
        if let Some(Active::Repair {
            rounds,
            remedy,
            measured,
            version,
            ..
        }) = self.active.get_mut(&key)
        {
            *measured = failures;
            *version = record.seq;
            if !so {
                return Ok(Vec::new());
            }
            *rounds = rounds.saturating_add(1);
            *remedy = true;
        }
        self.forget(&remedy_key);
        Ok(vec![Move::Begin(remedy_key)])
    }

    /// Steps of a remedy that ran before stand at their beginning again, but for what must happen once;
    /// attempts keep counting, so that no attempt's key comes twice.
    fn forget(&mut self, remedy: &Key) {
        let inside = self.slots.keys().filter(|k| self.tree.is_inside(k, remedy));
        let inside: Vec<Key> = inside.cloned().collect();
        for key in inside {
            let once = self
                .tree
                .step(key.node)
                .is_some_and(|step| matches!(repeat_class(step), Repeat::Once(_)));
            if let Some(slot) = self.slots.get_mut(&key)
                && !once
                && !matches!(slot.state, StepState::Skipped { .. })
            {
                *slot = Slot {
                    attempts: slot.attempts,
                    ..Slot::new(StepState::Waiting)
                };
            }
        }
    }

    fn try_body_again(&mut self, repair: &Key) {
        let Kind::Repair { body, .. } = self.tree.node(repair.node).kind else {
            return;
        };
        let body = Key {
            node: body,
            turn: repair.turn.clone(),
        };
        for (key, _) in self.repairable(&body) {
            if let (Some(step), Some(slot)) = (self.tree.step(key.node), self.slots.get_mut(&key)) {
                *slot = Slot {
                    used: 0,
                    unknowns: false,
                    version: self.seq,
                    ..ready(slot, step)
                };
            }
        }
    }

    /// Whether the position closes a scope, and its time has come.
    pub(crate) fn is_closing(&self, key: &Key) -> bool {
        self.scope_closed_by(key).is_some_and(|scope| {
            self.active.get(&scope) == Some(&Active::Scope { part: Part::Close })
        })
    }

    /// The scope that this position closes, if it is a scope's close.
    pub(crate) fn scope_closed_by(&self, key: &Key) -> Option<Key> {
        let parent = self.tree.parent(key)?;
        let closes = matches!(self.tree.node(parent.node).kind, Kind::Scope { close, .. } if close == key.node);
        closes.then_some(parent)
    }
}

/// Whether one of the positions belongs to this host's turn in this part of the tree.
fn has_turn<'k>(
    mut keys: impl Iterator<Item = &'k Key>,
    inside: &std::ops::Range<usize>,
    host: &HostName,
) -> bool {
    keys.any(|key| key.turn.as_ref() == Some(host) && inside.contains(&key.node))
}
