//! After the end: steps of the stage `cleanup`, which a run never enters by itself, and copies that may go.

use crate::run::{Run, Stand};
use crate::state::{How, StepState};
use crate::tree::Key;
use crate::walk::Move;
use overhaul_model::event::Verdict;
use overhaul_model::id::{Position, StepId};
use overhaul_model::plan::CLEANUP;
use overhaul_model::primitive::Primitive;
use std::collections::VecDeque;

impl Run {
    /// Steps and blocks of the stage `cleanup` that can be named, with what people read of them, in the plan's
    /// order; what stands inside a roll goes with its roll.
    pub fn cleanups(&self) -> Vec<&StepId> {
        let Some(stage) = self.tree.cleanup() else {
            return Vec::new();
        };
        let inside = self.tree.inside(stage).skip(1);
        inside
            .filter(|node| self.tree.node(*node).roll.is_none())
            .map(|node| self.tree.id(node))
            .collect()
    }

    /// All positions of a block.
    pub fn positions_in(&self, block: &StepId) -> Vec<Position> {
        let below = format!("{block}/");
        let all = self.plan.positions().into_iter();
        all.map(|placed| placed.position)
            .filter(|p| p.step == *block || p.step.as_str().starts_with(&below))
            .collect()
    }

    /// Whether these may be cleaned up now.
    ///
    /// # Errors
    /// With the reason why not.
    pub fn permits_cleanup(&self, names: &[StepId]) -> Result<(), String> {
        match self.stand {
            Stand::Finished(Verdict::Complete) => self.to_clean(names).map(drop),
            _ => Err(format!(
                "the run is {}; its cleanup can begin when it is complete",
                self.stand_word()
            )),
        }
    }

    fn to_clean(&self, names: &[StepId]) -> Result<VecDeque<usize>, String> {
        let known = self.cleanups();
        let mut out: Vec<usize> = Vec::new();
        for name in names {
            let node = self.tree.named(name).filter(|_| known.contains(&name));
            let Some(node) = node else {
                return Err(format!("the stage `{CLEANUP}` has no `{name}`"));
            };
            out.push(node);
        }
        if out.is_empty() {
            return Err("nothing was named".to_owned());
        }
        out.sort_unstable();
        out.dedup();
        let whole = out.clone();
        let inner = |node: &usize| {
            let around = |other: &usize| other != node && self.tree.inside(*other).contains(node);
            whole.iter().any(around)
        };
        out.retain(|node| !inner(node));
        Ok(out.into())
    }

    pub(crate) fn begin_cleanup(&mut self, names: &[StepId]) -> Result<Vec<Move>, String> {
        let nodes = self.to_clean(names)?;
        self.stand = Stand::Open;
        self.over = false;
        self.paused = false;
        self.fence = None;
        self.open.clear();
        self.active.clear();
        self.rolling.clear();
        self.stirred.clear();
        for host in self.hosts.values_mut() {
            host.link = crate::HostLink::Absent;
            host.holds = false;
        }
        let first = nodes.front().map(|node| Key {
            node: *node,
            turn: None,
        });
        self.cleaning = Some(nodes);
        Ok(first.into_iter().map(Move::Begin).collect())
    }

    /// When a named block of the cleanup is over, the next one begins.
    pub(crate) fn went_on_cleaning(&mut self, over: &Key, queue: &mut VecDeque<Move>) -> bool {
        let Some(nodes) = &mut self.cleaning else {
            return false;
        };
        if nodes.front() != Some(&over.node) || over.turn.is_some() {
            return false;
        }
        nodes.pop_front();
        match nodes.front() {
            Some(node) => queue.push_back(Move::Begin(Key {
                node: *node,
                turn: None,
            })),
            None => self.over = true,
        }
        true
    }

    /// Whether steps of the stage `cleanup` are being carried out.
    pub fn is_cleaning(&self) -> bool {
        self.cleaning.is_some() && self.verdict().is_none()
    }

    /// Whether the run does not need a copy on the controller any more: the run is complete, what the copy
    /// was read for was done, and everything on its host was carried out and measured, so that the copy is
    /// not the only one that is proven.
    ///
    /// # Errors
    /// With the reason why it must stay.
    pub fn permits_removal(&self, file: &str) -> Result<(), String> {
        if self.stand != Stand::Finished(Verdict::Complete) {
            return Err(format!(
                "the run is {}: the copy may be the only proof of what was there before",
                self.stand_word()
            ));
        }
        let placed = self.plan.positions();
        let of = |test: fn(&Primitive) -> Option<&str>| {
            let found = placed
                .iter()
                .filter(move |p| test(&p.step.work) == Some(file));
            found.map(|p| &p.position)
        };
        let mut hosts = of(written).filter_map(|position| position.host.as_ref());
        let Some(host) = hosts.next() else {
            return Err("no step of the plan made it".to_owned());
        };
        for position in of(read) {
            if !self.is_proven(position) {
                return Err(format!(
                    "`{position}`, which reads it, is {}: it may be the only copy that is proven",
                    self.state(position).word()
                ));
            }
        }
        let cleanup = format!("{CLEANUP}/");
        let own = placed.iter().map(|p| &p.position);
        let mut own =
            own.filter(|p| p.host.as_ref() == Some(host) && !p.step.as_str().starts_with(&cleanup));
        match own.find(|position| !self.is_proven(position)) {
            Some(position) => Err(format!(
                "`{position}` is {}: nobody has measured that the data on {host} is whole",
                self.state(position).word()
            )),
            None => Ok(()),
        }
    }

    /// Whether a step was carried out, or was measured to be so.
    fn is_proven(&self, position: &Position) -> bool {
        match self.state(position) {
            StepState::Done { how } => match how {
                How::Worked | How::AlreadySo | How::ByReceipt | How::ByMeasure | How::Approved => {
                    true
                }
                // A person's word is measured where there is a measure.
                How::ByHand => self
                    .step(position)
                    .is_some_and(|step| step.verify.is_some()),
            },
            _ => false,
        }
    }
}

/// The file of the controller that a primitive makes.
fn written(work: &Primitive) -> Option<&str> {
    match work {
        Primitive::Fetch(fetch) => Some(&fetch.file),
        Primitive::Persist(persist) => Some(&persist.file),
        _ => None,
    }
}

/// The file of the controller that a primitive reads.
fn read(work: &Primitive) -> Option<&str> {
    match work {
        Primitive::Feed(feed) => Some(&feed.file),
        Primitive::Restore(restore) => Some(&restore.file),
        _ => None,
    }
}
