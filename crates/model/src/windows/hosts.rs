//! The windows of one service on one host, from the effects of the host's steps.

use super::{Placement, PredictedWindow};
use crate::effects::{Effect, effects};
use crate::id::{HostName, ServiceName};
use crate::span::Span;
use crate::step::Step;
use std::collections::BTreeMap;

/// How a step concerns one service.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Touch {
    Nothing,
    Stops,
    Starts,
    Blinks { certain: bool },
}

/// What happens to the host as a whole, as far as it matters to its services.
#[derive(Default)]
struct Machine {
    goes: bool,
    comes: bool,
    destroyed: bool,
}

/// `started_later`: whether a later step of the lane starts the service, before anything stops it again.
fn touch(step: &Step, service: &ServiceName, started_later: bool) -> Touch {
    let mut touch = Touch::Nothing;
    let mut machine = Machine::default();
    for effect in effects(step) {
        match effect {
            Effect::ServiceStops(name) if name == *service => touch = Touch::Stops,
            Effect::ServiceStarts(name) if name == *service => touch = Touch::Starts,
            Effect::ServiceMayBlink(name) if name == *service => {
                touch = Touch::Blinks { certain: false };
            }
            Effect::AnythingMayBlink => touch = Touch::Blinks { certain: false },
            Effect::HostDown => machine.goes = true,
            Effect::HostUp | Effect::MachineCreated => machine.comes = true,
            Effect::MachineDestroyed | Effect::MachineReplaced => machine.destroyed = true,
            Effect::ServiceStops(_)
            | Effect::ServiceStarts(_)
            | Effect::ServiceMayBlink(_)
            | Effect::ReleaseChanges(_)
            | Effect::DatasetCopied(_)
            | Effect::CopyReadBack(_)
            | Effect::DatasetChanges(_)
            | Effect::DatasetReceived(_)
            | Effect::PathsCopied(_)
            | Effect::PathsRestored(_)
            | Effect::OldMachineDestroyed
            | Effect::VolumeMoves
            | Effect::AddressMoves
            | Effect::MembershipChanges
            | Effect::AuthorityMoves => {}
        }
    }
    // Of a new machine, nothing says that its services run by themselves when a step starts them.
    let waits = machine.destroyed && started_later;
    match (machine.goes || machine.destroyed, machine.comes) {
        (true, true) if !waits => Touch::Blinks { certain: true },
        (true, _) => Touch::Stops,
        (false, true) if started_later => touch,
        (false, true) => Touch::Starts,
        (false, false) => touch,
    }
}

/// The lane's steps, each with how it concerns the service.
fn touches(lane: &[Placement<'_>], service: &ServiceName) -> Vec<Touch> {
    let mut started_later = false;
    let mut out: Vec<Touch> = Vec::with_capacity(lane.len());
    for placement in lane.iter().rev() {
        let touch = touch(placement.step, service, started_later);
        match touch {
            Touch::Starts => started_later = true,
            Touch::Stops => started_later = false,
            Touch::Nothing | Touch::Blinks { .. } => {}
        }
        out.push(touch);
    }
    out.reverse();
    out
}

/// Each host's steps in the order of their begin.
pub(super) fn lanes(placements: Vec<Placement<'_>>) -> BTreeMap<&HostName, Vec<Placement<'_>>> {
    let mut out: BTreeMap<&HostName, Vec<Placement<'_>>> = BTreeMap::new();
    for placement in placements {
        if let Some(host) = placement.host {
            out.entry(host).or_default().push(placement);
        }
    }
    for lane in out.values_mut() {
        // Stable: steps that begin at once keep the order of the tree.
        lane.sort_by_key(|placement| placement.begins);
    }
    out
}

/// The window that is being looked at.
struct Open {
    window: PredictedWindow,
    /// Opened by a certain stop: only a start closes it.
    stopped: bool,
}

impl Open {
    fn new(service: &ServiceName, host: &HostName, first: &Placement<'_>) -> Self {
        Self {
            window: PredictedWindow {
                service: service.clone(),
                host: host.clone(),
                from_step: first.step.id.clone(),
                to_step: first.step.id.clone(),
                closes: true,
                certain: false,
                begins: first.begins,
                predicted: Span::default(),
            },
            stopped: false,
        }
    }

    /// The window reaches over this step too.
    fn take(&mut self, placement: &Placement<'_>) {
        let reaches = placement.ends.less(self.window.begins);
        self.window.predicted = self.window.predicted.max(reaches);
        self.window.to_step = placement.step.id.clone();
    }

    fn close(mut self, horizon: Span) -> PredictedWindow {
        if !self.window.closes {
            // What nothing has closed by then is still open then.
            let until = horizon.less(self.window.begins);
            self.window.predicted = self.window.predicted.max(until);
        }
        self.window
    }
}

pub(super) fn windows_of(
    service: &ServiceName,
    host: &HostName,
    lane: &[Placement<'_>],
    horizon: Span,
    out: &mut Vec<PredictedWindow>,
) {
    let mut open: Option<Open> = None;
    for (placement, touch) in lane.iter().zip(touches(lane, service)) {
        let carry_on = match &open {
            Some(open) if open.stopped => true,
            Some(_) => matches!(touch, Touch::Blinks { .. } | Touch::Stops),
            None => false,
        };
        if !carry_on {
            out.extend(open.take().map(|open| open.close(horizon)));
            if matches!(touch, Touch::Nothing | Touch::Starts) {
                continue;
            }
        }
        let mut current = open
            .take()
            .unwrap_or_else(|| Open::new(service, host, placement));
        current.take(placement);
        match touch {
            Touch::Stops => {
                current.stopped = true;
                current.window.certain = true;
                current.window.closes = false;
            }
            Touch::Starts => {
                current.window.closes = true;
                out.push(current.close(horizon));
                continue;
            }
            Touch::Blinks { certain } => current.window.certain |= certain,
            Touch::Nothing => {}
        }
        open = Some(current);
    }
    out.extend(open.map(|open| open.close(horizon)));
}
