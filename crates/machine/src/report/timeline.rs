//! What happened to each step, folded from the journal.

use super::{RetryRow, StepStanding, TimelineRow};
use crate::{Postponed, Run, StepState};
use jiff::Timestamp;
use overhaul_model::event::{Choice, Decision, Event, Outcome, Record, Settlement};
use overhaul_model::id::{HostName, Position};
use overhaul_model::plan::Plan;
use overhaul_model::primitive::Measurement;
use overhaul_model::span::Span;
use overhaul_model::step::Step;
use std::collections::BTreeMap;

/// What is known of one step.
pub(super) struct Track<'a> {
    pub(super) step: &'a Step,
    pub(super) standing: StepStanding,
    pub(super) outputs: BTreeMap<String, serde_json::Value>,
    pub(super) by_person: Option<String>,
    began: Option<Timestamp>,
    ended: Option<Timestamp>,
    attempts: u32,
    how: String,
    tail: String,
    unsynced: Option<String>,
}

/// All steps, and the order in which they were over.
pub(super) struct Tracks<'a> {
    by_position: BTreeMap<Position, Track<'a>>,
    over: Vec<Position>,
    retries: Vec<RetryRow>,
    postponed: BTreeMap<HostName, Postponed>,
}

impl<'a> Tracks<'a> {
    pub(super) fn of(plan: &'a Plan, opened_with: &Plan, records: &[Record]) -> Self {
        let mut tracks = Self {
            by_position: plan
                .positions()
                .into_iter()
                .map(|placed| (placed.position, Track::new(placed.step)))
                .collect(),
            over: Vec::new(),
            retries: Vec::new(),
            postponed: BTreeMap::new(),
        };
        for record in records {
            tracks.take(record);
        }
        if let Ok(run) = Run::replay(opened_with.clone(), records) {
            tracks.settle(&run);
        }
        tracks
    }

    /// What became of each step is the machine's to say; the fold tells how it came about. A journal that
    /// the machine refuses is told from the fold alone.
    fn settle(&mut self, run: &Run) {
        let postponed = run.postponed().map(|(host, p)| (host.clone(), p.clone()));
        self.postponed = postponed.collect();
        for (position, track) in &mut self.by_position {
            let state = run.state(position);
            // A host that came back as another one makes its steps unknown without an event of theirs.
            if let StepState::Unknown { why, .. } = state {
                why.clone_into(&mut track.how);
            }
            track.standing = match state {
                StepState::Waiting | StepState::Ready { .. } => StepStanding::Waiting,
                StepState::Held { .. } => StepStanding::Held,
                StepState::Asked { .. } => StepStanding::Asked,
                StepState::Running { .. } => StepStanding::Running,
                StepState::Done { .. } => StepStanding::Done,
                StepState::Skipped { .. } => StepStanding::Skipped,
                StepState::Failed { .. } => StepStanding::Failed,
                StepState::Unknown { .. } => StepStanding::Unknown,
                StepState::Voided { .. } => StepStanding::Voided,
            };
        }
        let tracks = &self.by_position;
        self.over
            .retain(|p| tracks.get(p).is_some_and(Track::is_over));
    }

    pub(super) fn get(&self, position: &Position) -> Option<&Track<'a>> {
        self.by_position.get(position)
    }

    /// Steps that are over, in the order in which they were.
    pub(super) fn over(&self) -> impl Iterator<Item = (&Position, &Track<'a>)> {
        self.over
            .iter()
            .filter_map(|position| Some((position, self.by_position.get(position)?)))
    }

    pub(super) fn counts(&self) -> BTreeMap<StepStanding, usize> {
        let mut out = BTreeMap::new();
        for track in self.by_position.values() {
            let count: &mut usize = out.entry(track.standing).or_default();
            *count = count.saturating_add(1);
        }
        out
    }

    pub(super) fn rows(&self, plan: &Plan) -> Vec<TimelineRow> {
        let mut rows: Vec<TimelineRow> = self
            .by_position
            .iter()
            .filter_map(|(position, track)| track.row(plan, position))
            .collect();
        rows.sort_by(|a, b| (a.began, &a.position).cmp(&(b.began, &b.position)));
        rows
    }

    pub(super) fn postponed(&self) -> BTreeMap<HostName, Postponed> {
        self.postponed.clone()
    }

    pub(super) fn retries(&self) -> Vec<RetryRow> {
        self.retries.clone()
    }

    fn take(&mut self, record: &Record) {
        let at = record.at;
        match &record.event {
            Event::GuardMeasured {
                position, result, ..
            } => self.note(position, |track| {
                track.stand(at, StepStanding::Held, result.words());
            }),
            Event::Asked {
                position, question, ..
            } => self.note(position, |track| {
                track.stand(at, StepStanding::Asked, question);
            }),
            Event::Checked { position, result } => {
                self.note(position, |track| track.checked(at, result));
            }
            Event::Started {
                position, attempt, ..
            } => self.started(at, position, *attempt),
            Event::Settled {
                position,
                settlement,
                ..
            } => self.note(position, |track| match settlement {
                Settlement::NeverBegan => track.fail(at, "it never began", ""),
                Settlement::Running => track.stand(at, StepStanding::Running, "found at work"),
                Settlement::Ended(outcome) => track.outcome(at, outcome),
                Settlement::Unknown { reason } => track.stand(at, StepStanding::Unknown, reason),
            }),
            Event::Ended {
                position, outcome, ..
            } => self.note(position, |track| track.outcome(at, outcome)),
            Event::Verified {
                position, result, ..
            } => self.note(position, |track| track.verified(at, result)),
            Event::Decided(decision) => {
                if let Some(position) = decision.choice.position() {
                    self.note(position, |track| track.decided(at, decision));
                }
            }
            Event::RunOpened { .. }
            | Event::ControllerTook { .. }
            | Event::HostRegistered { .. }
            | Event::HostRefused { .. }
            | Event::HostReleased { .. }
            | Event::RepairMeasured { .. }
            | Event::Declined { .. }
            | Event::Probed { .. }
            | Event::Salvaged { .. }
            | Event::Amended { .. }
            | Event::Limited { .. }
            | Event::TakenUp { .. }
            | Event::CleanupBegan { .. }
            | Event::CopyRemoved { .. }
            | Event::Tallied { .. }
            | Event::Finished { .. } => {}
        }
    }

    fn started(&mut self, at: Timestamp, position: &Position, attempt: u32) {
        let Some(track) = self.by_position.get_mut(position) else {
            return;
        };
        if attempt > 1 {
            self.retries.push(RetryRow {
                at,
                position: position.clone(),
                attempt,
                because: track.how.clone(),
            });
        }
        track.attempts = attempt;
        track.stand(at, StepStanding::Running, "");
    }

    fn note(&mut self, position: &Position, change: impl FnOnce(&mut Track<'a>)) {
        let Some(track) = self.by_position.get_mut(position) else {
            return;
        };
        change(track);
        if track.is_over() && !self.over.contains(position) {
            self.over.push(position.clone());
        }
    }
}

impl<'a> Track<'a> {
    fn new(step: &'a Step) -> Self {
        Self {
            step,
            standing: StepStanding::Waiting,
            outputs: BTreeMap::new(),
            by_person: None,
            began: None,
            ended: None,
            attempts: 0,
            how: String::new(),
            tail: String::new(),
            unsynced: None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(
            self.standing,
            StepStanding::Done | StepStanding::Skipped | StepStanding::Voided
        )
    }

    fn stand(&mut self, at: Timestamp, standing: StepStanding, how: &str) {
        self.began.get_or_insert(at);
        self.standing = standing;
        how.clone_into(&mut self.how);
        self.ended = matches!(
            standing,
            StepStanding::Done
                | StepStanding::Skipped
                | StepStanding::Voided
                | StepStanding::Failed
                | StepStanding::Unknown
        )
        .then_some(at);
        if standing != StepStanding::Failed {
            self.tail.clear();
        }
    }

    fn fail(&mut self, at: Timestamp, why: &str, tail: &str) {
        self.stand(at, StepStanding::Failed, why);
        tail.clone_into(&mut self.tail);
    }

    fn checked(&mut self, at: Timestamp, result: &Measurement) {
        match result {
            Measurement::So { evidence } if self.attempts == 0 => {
                self.stand(at, StepStanding::Done, &format!("already so: {evidence}"));
            }
            Measurement::So { evidence } => {
                self.stand(
                    at,
                    StepStanding::Done,
                    &format!("measured afterwards: {evidence}"),
                );
            }
            Measurement::NotSo { .. } | Measurement::Unknown { .. } => {
                self.began.get_or_insert(at);
            }
        }
    }

    fn outcome(&mut self, at: Timestamp, outcome: &Outcome) {
        match outcome {
            Outcome::Succeeded {
                outputs,
                evidence,
                unsynced,
                ..
            } => {
                self.outputs.clone_from(outputs);
                self.unsynced.clone_from(unsynced);
                let standing = if self.step.verify.is_some() {
                    StepStanding::Running
                } else {
                    StepStanding::Done
                };
                self.stand(at, standing, evidence);
            }
            Outcome::Failed { why, tail, .. } => self.fail(at, why, tail),
            Outcome::Unknown { reason } => self.stand(at, StepStanding::Unknown, reason),
        }
    }

    fn verified(&mut self, at: Timestamp, result: &Measurement) {
        match result {
            Measurement::So { evidence } => {
                let how = match &self.by_person {
                    Some(person) => format!("done by hand ({person}): {evidence}"),
                    None => evidence.clone(),
                };
                self.stand(at, StepStanding::Done, &how);
            }
            Measurement::NotSo { evidence } => {
                self.fail(at, &format!("not so afterwards: {evidence}"), "");
            }
            Measurement::Unknown { reason } => self.stand(at, StepStanding::Unknown, reason),
        }
    }

    fn decided(&mut self, at: Timestamp, decision: &Decision) {
        let by = |what: &str| {
            let person = &decision.person;
            match decision.reason.as_str() {
                "" => format!("{what} {person}"),
                reason => format!("{what} {person}: {reason}"),
            }
        };
        let person = Some(decision.person.to_string());
        match &decision.choice {
            Choice::Approve { .. } => self.stand(at, StepStanding::Done, &by("approved by")),
            Choice::Retry { .. } => self.how = by(&format!("{}; begun again by", self.how)),
            Choice::Done { .. } => {
                self.by_person = person;
                let standing = if self.step.verify.is_some() {
                    StepStanding::Running
                } else {
                    StepStanding::Done
                };
                self.stand(at, standing, &by("done by hand, says"));
            }
            Choice::Skip { .. } => {
                self.by_person = person;
                self.stand(at, StepStanding::Skipped, &by("left out by"));
            }
            Choice::Void { .. } => {
                self.by_person = person;
                self.stand(at, StepStanding::Voided, &by("declared void by"));
            }
            Choice::Pause
            | Choice::Unpause
            | Choice::Abort
            | Choice::Postpone { .. }
            | Choice::TakeUp { .. }
            | Choice::LeaveOut { .. } => {}
        }
    }

    fn row(&self, plan: &Plan, position: &Position) -> Option<TimelineRow> {
        let began = self.began?;
        Some(TimelineRow {
            position: position.clone(),
            title: self.step.title.clone(),
            action: self.step.action.word(),
            began,
            ended: self.ended,
            length: self.ended.map(|ended| Span::between(began, ended)),
            expected: plan.expected(self.step, position.host.as_ref()),
            attempts: self.attempts,
            standing: self.standing,
            how: self.how.clone(),
            tail: self.tail.clone(),
            unsynced: self.unsynced.clone(),
        })
    }

    /// What of its traces was not known to be on the disk when it ended, if anything.
    pub(super) fn unsynced(&self) -> Option<&str> {
        self.unsynced.as_deref()
    }

    /// In a few words, why it stands as it does.
    pub(super) fn how(&self) -> &str {
        &self.how
    }
}
