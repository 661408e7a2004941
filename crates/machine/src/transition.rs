//! The life of one position: a pure function from a slot and an event to the next slot.
//!
//! Every pair that is not listed is an error of the one who wrote the event.

use crate::UNKNOWN_EXTRA;
use crate::state::{How, Phase, Slot, Stage, StepState, Then};
use jiff::Timestamp;
use overhaul_model::action::Repeat;
use overhaul_model::event::{Choice, Decision, Event, Outcome, Settlement};
use overhaul_model::planted;
use overhaul_model::primitive::{MachineOp, Measurement, Primitive};
use overhaul_model::span::Span;
use overhaul_model::step::Step;

/// What is done first with a step whose turn has come.
pub(crate) fn first_stage(step: &Step) -> Stage {
    if step.guards.is_empty() {
        after_guards(step)
    } else {
        Stage::Guard(0)
    }
}

fn after_guards(step: &Step) -> Stage {
    if step.check.is_some() && !planted::is("checks-skipped") {
        Stage::Check
    } else {
        act_stage(step)
    }
}

fn act_stage(step: &Step) -> Stage {
    match step.work {
        Primitive::Ask(_) => Stage::Ask,
        _ => Stage::Act,
    }
}

/// Whether the act is carried out by the loop itself, without a receipt on a host.
pub(crate) fn by_the_loop(step: &Step) -> bool {
    match &step.work {
        Primitive::Wait(_)
        | Primitive::Announce(_)
        | Primitive::Ask(_)
        | Primitive::NotAvailable(_) => true,
        Primitive::Machine(act) => act.op == MachineOp::Prove,
        _ => false,
    }
}

/// The step's repeat class; what the loop does itself changes nothing and is always safe.
pub(crate) fn repeat_class(step: &Step) -> Repeat {
    if by_the_loop(step) {
        Repeat::Safe
    } else {
        step.repeat
    }
}

pub(crate) fn ready(slot: &Slot, step: &Step) -> Slot {
    Slot {
        state: StepState::Ready {
            stage: first_stage(step),
        },
        held_since: None,
        ..slot.clone()
    }
}

/// The slot after an event about its position; `None` when the event does not fit its state.
pub(crate) fn transition(step: &Step, before: &Slot, at: Timestamp, event: &Event) -> Option<Slot> {
    let slot = begun_again(step, before, event);
    let state = slot.state.clone();
    match event {
        Event::GuardMeasured { guard, result, .. } if guard_due(&state) == Some(*guard) => {
            guarded(step, &slot, *guard, at, result)
        }
        Event::Checked { result, .. } if is_ready(&state, Stage::Check) => {
            Some(checked_before(step, slot, at, result))
        }
        Event::Checked { result, .. } if matches!(state.then(), Some(Then::Measure { .. })) => {
            Some(checked_after(step, slot, at, result))
        }
        Event::Asked {
            question, nonce, ..
        } if is_ready(&state, Stage::Ask) => {
            let (question, nonce) = (question.clone(), nonce.clone());
            Some(with(slot, StepState::Asked { question, nonce }))
        }
        Event::Started { attempt, key, .. }
            if is_ready(&state, Stage::Act) && *attempt == slot.attempts.saturating_add(1) =>
        {
            Some(Slot {
                attempts: *attempt,
                token: slot.token.clone().or_else(|| Some(key.clone())),
                key: Some(key.clone()),
                fresh: true,
                held_since: None,
                ..with(slot, running(*attempt, Phase::Acting, at))
            })
        }
        // All that follows is about the last attempt.
        Event::Ended { attempt, .. }
        | Event::Settled { attempt, .. }
        | Event::Verified { attempt, .. }
            if *attempt != slot.attempts =>
        {
            None
        }
        Event::Ended { outcome, .. } if phase(&state) == Some(Phase::Acting) => {
            Some(ended(step, slot, at, outcome, false))
        }
        Event::Settled { settlement, .. }
            if phase(&state) == Some(Phase::Settling) || state.then() == Some(&Then::Settle) =>
        {
            Some(settled(step, slot, at, settlement))
        }
        Event::Verified { result, .. } => match phase(&state) {
            Some(Phase::Verifying { then }) => Some(verified(step, slot, at, then, result)),
            _ => None,
        },
        Event::Decided(decision) => decided(step, slot, at, decision),
        // Any other pair is an error.
        _ => None,
    }
}

fn is_ready(state: &StepState, wanted: Stage) -> bool {
    matches!(state, StepState::Ready { stage } if *stage == wanted)
}

fn guard_due(state: &StepState) -> Option<usize> {
    match state {
        StepState::Ready {
            stage: Stage::Guard(index),
        }
        | StepState::Held { guard: index, .. } => Some(*index),
        _ => None,
    }
}

fn phase(state: &StepState) -> Option<Phase> {
    match state {
        StepState::Running { phase, .. } => Some(*phase),
        _ => None,
    }
}

/// A step that is due to be tried again stands where it stood before its first attempt.
fn begun_again(step: &Step, slot: &Slot, event: &Event) -> Slot {
    let fits = matches!(
        event,
        Event::GuardMeasured { .. } | Event::Checked { .. } | Event::Started { .. }
    );
    match slot.state.then() {
        Some(Then::Again { .. }) if fits => ready(slot, step),
        _ => slot.clone(),
    }
}

fn with(slot: Slot, state: StepState) -> Slot {
    Slot { state, ..slot }
}

fn running(attempt: u32, phase: Phase, since: Timestamp) -> StepState {
    StepState::Running {
        attempt,
        phase,
        since,
    }
}

fn guarded(
    step: &Step,
    slot: &Slot,
    index: usize,
    at: Timestamp,
    result: &Measurement,
) -> Option<Slot> {
    let guard = step.guards.get(index)?;
    if result.is_so() {
        // Guards before one that held the step were measured too long ago.
        let was_held = matches!(slot.state, StepState::Held { .. });
        let next = match index.checked_add(1)? {
            _ if was_held && index > 0 => Stage::Guard(0),
            next if next < step.guards.len() => Stage::Guard(next),
            _ => after_guards(step),
        };
        return Some(with(slot.clone(), StepState::Ready { stage: next }));
    }
    let since = slot.held_since.unwrap_or(at);
    let slot = Slot {
        held_since: Some(since),
        ..slot.clone()
    };
    let why = result.words().to_owned();
    if Span::between(since, at) >= guard.at_most {
        let why = format!(
            "guard `{}` did not hold within {}: {why}",
            guard.name, guard.at_most
        );
        return Some(failed(slot, at, why, String::new(), Then::Person));
    }
    let measured_at = at;
    let state = StepState::Held {
        guard: index,
        since,
        measured_at,
        why,
    };
    Some(with(slot, state))
}

fn checked_before(step: &Step, slot: Slot, at: Timestamp, result: &Measurement) -> Slot {
    match result {
        Measurement::So { .. } => {
            let how = if slot.attempts == 0 {
                How::AlreadySo
            } else {
                How::ByMeasure
            };
            with(slot, StepState::Done { how })
        }
        Measurement::NotSo { .. } => {
            let stage = act_stage(step);
            with(slot, StepState::Ready { stage })
        }
        Measurement::Unknown { reason } => {
            let slot = used_one(slot, false);
            let why = format!("whether it is so already could not be measured: {reason}");
            let then = again_or_person(step, &slot, at);
            failed(slot, at, why, String::new(), then)
        }
    }
}

fn checked_after(step: &Step, slot: Slot, at: Timestamp, result: &Measurement) -> Slot {
    let add = match result {
        Measurement::So { .. } => {
            let how = How::ByMeasure;
            return with(slot, StepState::Done { how });
        }
        Measurement::NotSo { .. }
            if repeat_class(step) == Repeat::CheckFirst && left(step, &slot) =>
        {
            // The check is fresh; only guards are measured again.
            let stage = match step.guards.is_empty() {
                true => act_stage(step),
                false => Stage::Guard(0),
            };
            return Slot {
                held_since: None,
                ..with(slot, StepState::Ready { stage })
            };
        }
        Measurement::NotSo { evidence } => {
            format!("; measured afterwards, it is not so: {evidence}")
        }
        Measurement::Unknown { reason } => {
            format!("; it could not be measured afterwards: {reason}")
        }
    };
    let state = match slot.state.clone() {
        StepState::Failed {
            why, tail, attempt, ..
        } => StepState::Failed {
            why: why + &add,
            tail,
            attempt,
            at,
            then: Then::Person,
        },
        StepState::Unknown { why, attempt, .. } => StepState::Unknown {
            why: why + &add,
            attempt,
            at,
            then: Then::Person,
        },
        other => other,
    };
    with(slot, state)
}

/// Whether nobody can say how an attempt ended.
fn is_unknown(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Unknown { .. })
}

fn ended(step: &Step, slot: Slot, at: Timestamp, outcome: &Outcome, by_receipt: bool) -> Slot {
    let slot = match is_unknown(outcome) {
        true => slot,
        false => Slot {
            token: None,
            ..slot
        },
    };
    match outcome {
        Outcome::Succeeded { .. } => {
            let how = if by_receipt {
                How::ByReceipt
            } else {
                How::Worked
            };
            if step.verify.is_some() {
                let state = running(slot.attempts, Phase::Verifying { then: how }, at);
                return with(slot, state);
            }
            with(slot, StepState::Done { how })
        }
        Outcome::Failed { why, tail, end } => {
            let slot = used_one(slot, false);
            let then = match end {
                // It certainly did not begin: its class does not matter.
                None => again_or_person(step, &slot, at),
                Some(_) => by_class(step, &slot, at),
            };
            failed(slot, at, why.clone(), tail.clone(), then)
        }
        Outcome::Unknown { .. } if planted::is("unknown-is-done") => {
            with(slot, StepState::Done { how: How::Worked })
        }
        // The attempt may still be at work: nothing else is done before its receipt was asked for.
        Outcome::Unknown { reason } if !by_receipt && !by_the_loop(step) => {
            let state = StepState::Unknown {
                why: reason.clone(),
                attempt: slot.attempts,
                at,
                then: Then::Settle,
            };
            with(slot, state)
        }
        Outcome::Unknown { reason } => unknown(step, slot, at, reason.clone()),
    }
}

fn settled(step: &Step, slot: Slot, at: Timestamp, settlement: &Settlement) -> Slot {
    match settlement {
        Settlement::NeverBegan if planted::is("never-began-is-done") => with(
            slot,
            StepState::Done {
                how: How::ByReceipt,
            },
        ),
        Settlement::Unknown { .. } if planted::is("lost-receipt-is-never-began") => {
            ready(&slot, step)
        }
        Settlement::NeverBegan => ready(&slot, step),
        Settlement::Running => {
            let state = running(slot.attempts, Phase::Acting, at);
            with(slot, state)
        }
        Settlement::Ended(outcome) => ended(step, slot, at, outcome, true),
        Settlement::Unknown { reason } => unknown(step, slot, at, reason.clone()),
    }
}

fn verified(step: &Step, slot: Slot, at: Timestamp, how: How, result: &Measurement) -> Slot {
    match result {
        Measurement::So { .. } => with(slot, StepState::Done { how }),
        Measurement::NotSo { evidence } => {
            let slot = used_one(slot, false);
            let then = if how == How::ByHand {
                Then::Person
            } else {
                by_class(step, &slot, at)
            };
            let why = format!("afterwards it was not so: {evidence}");
            failed(slot, at, why, String::new(), then)
        }
        Measurement::Unknown { reason } => {
            let why = format!("whether it is so now could not be measured: {reason}");
            if how == How::ByHand {
                let state = StepState::Unknown {
                    why,
                    attempt: slot.attempts,
                    at,
                    then: Then::Person,
                };
                return with(slot, state);
            }
            unknown(step, slot, at, why)
        }
    }
}

fn decided(step: &Step, slot: Slot, at: Timestamp, decision: &Decision) -> Option<Slot> {
    let by = decision.person.clone();
    match (&slot.state, &decision.choice) {
        (StepState::Asked { nonce, .. }, Choice::Approve { question, .. })
            if question.as_ref().is_none_or(|q| q == nonce) =>
        {
            let how = How::Approved;
            Some(with(slot, StepState::Done { how }))
        }
        (state, Choice::Retry { .. }) if state.is_bad() => Some(Slot {
            // One more attempt is granted.
            used: slot.used.min(step.retry.attempts.max(1)).saturating_sub(1),
            unknowns: false,
            ..ready(&slot, step)
        }),
        (state, Choice::Done { .. }) if state.is_bad() => {
            let how = How::ByHand;
            let state = match step.verify {
                Some(_) => running(slot.attempts, Phase::Verifying { then: how }, at),
                None => StepState::Done { how },
            };
            Some(with(slot, state))
        }
        (state, Choice::Void { .. }) if state.is_bad() => {
            Some(with(slot, StepState::Voided { by }))
        }
        (
            StepState::Waiting
            | StepState::Ready { .. }
            | StepState::Held { .. }
            | StepState::Asked { .. }
            | StepState::Failed { .. }
            | StepState::Unknown { .. },
            Choice::Skip { .. },
        ) => Some(with(slot, StepState::Skipped { by })),
        _ => None,
    }
}

fn used_one(slot: Slot, unknown: bool) -> Slot {
    Slot {
        used: slot.used.saturating_add(1),
        unknowns: slot.unknowns || unknown,
        ..slot
    }
}

/// The step has failed although nothing was measured of it: what it did is refuted by something else.
pub(crate) fn out_of_itself(slot: Slot, at: Timestamp, why: String) -> Slot {
    failed(used_one(slot, false), at, why, String::new(), Then::Person)
}

fn failed(slot: Slot, at: Timestamp, why: String, tail: String, then: Then) -> Slot {
    let state = StepState::Failed {
        why,
        tail,
        attempt: slot.attempts,
        at,
        then,
    };
    Slot {
        held_since: None,
        ..with(slot, state)
    }
}

/// Nobody can say whether the attempt was carried out, and no receipt can tell: the class decides.
pub(crate) fn unknown(step: &Step, slot: Slot, at: Timestamp, why: String) -> Slot {
    let slot = used_one(slot, true);
    let state = StepState::Unknown {
        why,
        attempt: slot.attempts,
        at,
        then: by_class(step, &slot, at),
    };
    with(slot, state)
}

fn left(step: &Step, slot: &Slot) -> bool {
    let extra = if slot.unknowns { UNKNOWN_EXTRA } else { 0 };
    slot.used < step.retry.attempts.max(1).saturating_add(extra)
}

fn again_or_person(step: &Step, slot: &Slot, at: Timestamp) -> Then {
    if left(step, slot) {
        let not_before = step.retry.wait_after(slot.used).after(at);
        Then::Again { not_before }
    } else {
        Then::Person
    }
}

/// What follows when an attempt that began did not end well.
fn by_class(step: &Step, slot: &Slot, at: Timestamp) -> Then {
    match repeat_class(step) {
        Repeat::Once(_) if planted::is("once-repeats") => again_or_person(step, slot, at),
        Repeat::Person if planted::is("person-not-asked") => again_or_person(step, slot, at),
        Repeat::Safe => again_or_person(step, slot, at),
        Repeat::CheckFirst if step.check.is_some() => {
            let wait = if left(step, slot) {
                step.retry.wait_after(slot.used)
            } else {
                Span::default()
            };
            let not_before = wait.after(at);
            Then::Measure { not_before }
        }
        Repeat::Once(_) if step.check.is_some() => Then::Measure { not_before: at },
        Repeat::CheckFirst | Repeat::Once(_) | Repeat::Person => Then::Person,
    }
}

/// What a takeover makes of a position: answers that were on their way are lost, and waits begin anew.
pub(crate) fn taken_over(step: &Step, slot: &Slot, at: Timestamp) -> Slot {
    let wait = step.retry.wait_after(slot.used).after(at);
    let rebased = |then: &Then| match then {
        Then::Again { .. } => Then::Again { not_before: wait },
        Then::Measure { .. } => Then::Measure { not_before: at },
        Then::Settle | Then::Person => then.clone(),
    };
    let slot = Slot {
        fresh: false,
        ..slot.clone()
    };
    match slot.state.clone() {
        StepState::Running {
            phase: Phase::Acting,
            ..
        } if by_the_loop(step) || planted::is("takeover-begins-again") => ready(&slot, step),
        StepState::Running {
            attempt,
            phase: Phase::Acting,
            since,
        } => with(slot, running(attempt, Phase::Settling, since)),
        StepState::Held { .. } | StepState::Ready { .. } => ready(&slot, step),
        StepState::Failed {
            why,
            tail,
            attempt,
            at,
            then,
        } => {
            let then = rebased(&then);
            with(
                slot,
                StepState::Failed {
                    why,
                    tail,
                    attempt,
                    at,
                    then,
                },
            )
        }
        StepState::Unknown {
            why,
            attempt,
            at,
            then,
        } => {
            let then = rebased(&then);
            with(
                slot,
                StepState::Unknown {
                    why,
                    attempt,
                    at,
                    then,
                },
            )
        }
        StepState::Waiting
        | StepState::Asked { .. }
        | StepState::Running { .. }
        | StepState::Done { .. }
        | StepState::Skipped { .. }
        | StepState::Voided { .. } => slot,
    }
}

#[cfg(test)]
mod tests;
