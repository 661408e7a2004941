//! Which decisions of people can be carried out, and why others cannot.

use crate::run::{Run, Stand};
use crate::state::{Slot, StepState, Then};
use crate::transition::repeat_class;
use crate::tree::Key;
use overhaul_model::action::Repeat;
use overhaul_model::event::{Choice, Decision};
use overhaul_model::id::{HostName, Position};

impl Run {
    /// Whether the decision can be carried out now.
    ///
    /// # Errors
    /// With the reason why not, as a sentence for the person.
    pub fn judge(&self, decision: &Decision) -> Result<(), String> {
        if decision.plan != self.hash {
            return Err(format!(
                "it was made for the plan {}, this run has the plan {}",
                decision.plan.short(),
                self.hash.short()
            ));
        }
        self.permits(&decision.choice)?;
        if decision.reason.trim().is_empty() && self.needs_reason(&decision.choice) {
            return Err(format!("`{}` needs a reason here", decision.choice.word()));
        }
        Ok(())
    }

    /// Whether the choice is open now, whoever makes it.
    ///
    /// # Errors
    /// With the reason why not.
    pub fn permits(&self, choice: &Choice) -> Result<(), String> {
        let ended = matches!(self.stand, Stand::New | Stand::Finished(_));
        if ended || self.generation.is_none() {
            return Err(format!("the run is {}", self.stand_word()));
        }
        let position = match choice {
            Choice::Pause
            | Choice::Unpause
            | Choice::Abort
            | Choice::Postpone { .. }
            | Choice::TakeUp { .. }
            | Choice::LeaveOut { .. } => return self.permits_for_all(choice),
            Choice::Approve { position, .. }
            | Choice::Retry { position }
            | Choice::Done { position }
            | Choice::Skip { position }
            | Choice::Void { position } => position,
        };
        let key = self
            .tree
            .locate(position)
            .filter(|k| self.tree.step(k.node).is_some());
        let Some(key) = key else {
            return Err(format!("the plan has no step at `{position}`"));
        };
        if self.is_aborting() && !self.is_closing(&key) {
            return Err(
                "the run is being aborted: only the ends of its scopes are still open".to_owned(),
            );
        }
        self.permits_at(choice, position, &key)
    }

    fn permits_for_all(&self, choice: &Choice) -> Result<(), String> {
        match choice {
            _ if self.is_aborting() => Err("the run is being aborted".to_owned()),
            Choice::Pause if self.paused => Err("the run is paused already".to_owned()),
            Choice::Unpause if !self.paused => Err("the run is not paused".to_owned()),
            Choice::Postpone { host, .. } => self.permits_postponing(host),
            Choice::TakeUp { host } => self.permits_taking_up(host),
            Choice::LeaveOut { host } => self.permits_leaving_out(host),
            _ => Ok(()),
        }
    }

    fn permits_at(&self, choice: &Choice, position: &Position, key: &Key) -> Result<(), String> {
        let state = self.state(position);
        let blocked = self.open.contains(key) && self.is_blocked(key);
        let no = |wanted: &str| {
            Err(format!(
                "`{position}` is {}; `{}` is for a step that {wanted}",
                state.word(),
                choice.word()
            ))
        };
        match (choice, state) {
            (Choice::Approve { question, .. }, StepState::Asked { nonce, .. }) => match question {
                Some(answered) if answered != nonce => Err(format!(
                    "`{position}` asks another question by now ({nonce})"
                )),
                _ => Ok(()),
            },
            (Choice::Approve { question: None, .. }, _) if self.may_be_let_go(key) => Ok(()),
            (Choice::Approve { .. }, _) => no("asks"),
            (Choice::Retry { .. }, _) if blocked || self.is_doubted(key) => Ok(()),
            (Choice::Retry { .. }, _) if state.then() == Some(&Then::Settle) => {
                Err(format!("the receipt of `{position}` is being asked for"))
            }
            (Choice::Done { .. }, _) if blocked && self.verifies(key) => Err(format!(
                "the verify of `{position}` must pass, and its host cannot be asked; `retry` asks it again"
            )),
            (Choice::Done { .. }, _) if state.is_bad() => self.permits_no_words(position, key),
            (Choice::Retry { .. } | Choice::Void { .. }, _) if state.is_bad() => Ok(()),
            (Choice::Retry { .. } | Choice::Done { .. } | Choice::Void { .. }, _) => {
                no("failed or is unknown")
            }
            (Choice::Skip { .. }, StepState::Running { .. }) => {
                no("failed, is unknown or did not begin")
            }
            (Choice::Skip { .. }, _) if state.is_bad() || blocked => Ok(()),
            (
                Choice::Skip { .. },
                StepState::Waiting
                | StepState::Ready { .. }
                | StepState::Held { .. }
                | StepState::Asked { .. },
            ) if self.scope_closed_by(key).is_some() => Err(format!(
                "`{position}` takes away what its scope set up; it is tried first"
            )),
            (
                Choice::Skip { .. },
                StepState::Waiting
                | StepState::Ready { .. }
                | StepState::Held { .. }
                | StepState::Asked { .. },
            ) => Ok(()),
            (Choice::Skip { .. }, _) => no("failed, is unknown or did not begin"),
            (
                Choice::Pause
                | Choice::Unpause
                | Choice::Abort
                | Choice::Postpone { .. }
                | Choice::TakeUp { .. }
                | Choice::LeaveOut { .. },
                _,
            ) => Ok(()),
        }
    }

    /// A step that a person did says nothing to others.
    fn permits_no_words(&self, position: &Position, key: &Key) -> Result<(), String> {
        match self.left_without(key) {
            Some(user) => Err(format!(
                "`{user}` uses what `{position}` says, and `done` says nothing: `retry` it; or `skip` it, and \
                 decide about `{user}` when it cannot be carried out"
            )),
            None => Ok(()),
        }
    }

    fn verifies(&self, key: &Key) -> bool {
        self.tree
            .step(key.node)
            .is_some_and(|step| step.verify.is_some())
    }

    fn is_doubted(&self, key: &Key) -> bool {
        let doubted = |host: &HostName| self.hosts.get(host).is_some_and(|h| h.seen.is_some());
        self.open.contains(key) && self.may_need(key).iter().any(doubted)
    }

    fn needs_reason(&self, choice: &Choice) -> bool {
        match choice {
            Choice::Done { .. }
            | Choice::Skip { .. }
            | Choice::Void { .. }
            | Choice::Postpone { .. }
            | Choice::LeaveOut { .. } => true,
            Choice::Retry { position } => {
                let key = self.tree.locate(position);
                let step = key.as_ref().and_then(|k| self.tree.step(k.node));
                let once = step.is_some_and(|s| matches!(repeat_class(s), Repeat::Once(_)));
                let begun = |slot: &Slot| slot.attempts > 0;
                once && key.and_then(|k| self.slots.get(&k)).is_some_and(begun)
            }
            // To let a host begin outside of the calendar needs one; to answer a question does not.
            Choice::Approve { position, .. } => {
                let key = self.tree.locate(position);
                key.is_some_and(|key| self.may_be_let_go(&key))
            }
            Choice::Pause | Choice::Unpause | Choice::Abort | Choice::TakeUp { .. } => false,
        }
    }

    /// What a person can decide about a position now.
    pub fn choices(&self, position: &Position) -> Vec<Choice> {
        let at = || position.clone();
        let all = [
            Choice::Approve {
                position: at(),
                question: None,
            },
            Choice::Retry { position: at() },
            Choice::Done { position: at() },
            Choice::Skip { position: at() },
            Choice::Void { position: at() },
        ];
        all.into_iter()
            .filter(|choice| self.permits(choice).is_ok())
            .collect()
    }
}
