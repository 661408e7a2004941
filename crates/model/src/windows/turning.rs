//! Turning back: how long the way back takes, and until when it still fits what was agreed on.

use super::{Placement, PredictedWindow, forecast, hosts::lanes, schedule};
use crate::action::Undo;
use crate::effects::{Effect, effects, is_no_return};
use crate::id::{HostName, ServiceName, StepId};
use crate::plan::Plan;
use crate::span::Span;
use crate::step::Step;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A point of no return, and until when one can still turn back before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnBack {
    /// The step beyond which there is no way back.
    pub step: StepId,
    /// The host.
    pub host: HostName,
    /// When it begins, after the run's begin.
    pub begins: Span,
    /// How long the way back takes from just before it.
    pub way_back: Span,
    /// The window that it stands in, of a service with a budget.
    pub window: Option<WindowTurn>,
}

/// Turning back within a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowTurn {
    /// The service.
    pub service: ServiceName,
    /// The longest outage agreed on.
    pub budget: Span,
    /// From the window's opening to the step.
    pub reached_after: Span,
    /// From the window's opening to the last moment at which turning back fits the budget; `None` when the
    /// way back alone takes longer.
    pub until: Option<Span>,
}

impl WindowTurn {
    /// Whether turning back just before the step still fits.
    pub fn fits(&self) -> bool {
        self.until.is_some_and(|until| self.reached_after <= until)
    }
}

/// A step of a window, for a clock that follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayStep {
    /// The step.
    pub step: StepId,
    /// How long it is expected to take.
    pub expected: Span,
    /// What it adds to the way back.
    pub back: Span,
    /// Whether there is no way back from it.
    pub no_return: bool,
}

/// What a step that was carried out adds to the way back: the time that it took where something takes it
/// back, because undoing is not known to be faster than doing; nothing where nothing needs to be undone.
pub fn back_length(plan: &Plan, step: &Step, host: Option<&HostName>) -> Span {
    let stops = |effect: &Effect| matches!(effect, Effect::ServiceStops(_));
    match &step.undo {
        Undo::By(_) => plan.expected(step, host),
        Undo::Nothing | Undo::None { .. } if effects(step).iter().any(stops) => {
            plan.expected(step, host)
        }
        Undo::Nothing | Undo::None { .. } => Span::default(),
    }
}

/// The windows of all services, each with its place in the steps of its host, for a clock that follows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// Each host's steps in the order of time.
    pub lanes: BTreeMap<HostName, Vec<WayStep>>,
    /// The windows.
    pub windows: Vec<Way>,
}

/// A window in the steps of its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The window.
    pub window: PredictedWindow,
    /// The place of its first step in the lane.
    pub first: usize,
    /// The place of its last step.
    pub last: usize,
}

impl Ways {
    /// The steps of a window.
    pub fn steps(&self, way: &Way) -> &[WayStep] {
        let lane = self.lanes.get(&way.window.host);
        lane.and_then(|lane| lane.get(way.first..=way.last))
            .unwrap_or_default()
    }
}

/// The windows of a plan with the steps that they reach over.
pub fn ways(plan: &Plan) -> Ways {
    let lanes = lanes(schedule(plan));
    let mut windows = Vec::new();
    for window in forecast(plan)
        .services
        .into_iter()
        .flat_map(|service| service.hosts)
    {
        let lane = lanes
            .get(&window.host)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let place = |id: &StepId| lane.iter().position(|placement| placement.step.id == *id);
        if let (Some(first), Some(last)) = (place(&window.from_step), place(&window.to_step)) {
            windows.push(Way {
                window,
                first,
                last,
            });
        }
    }
    let lanes = lanes.into_iter().map(|(host, lane)| {
        let steps = lane.iter().map(|placement| way_step(plan, placement));
        (host.clone(), steps.collect())
    });
    Ways {
        lanes: lanes.collect(),
        windows,
    }
}

fn way_step(plan: &Plan, placement: &Placement<'_>) -> WayStep {
    WayStep {
        step: placement.step.id.clone(),
        expected: placement.ends.less(placement.begins),
        back: back_length(plan, placement.step, placement.host),
        no_return: is_no_return(placement.step),
    }
}

/// The first point of no return of each host, once for each window with a budget that it stands in, or once
/// without one; in the order of time.
pub fn turn_backs(plan: &Plan) -> Vec<TurnBack> {
    let mut windows: BTreeMap<HostName, Vec<(PredictedWindow, Span)>> = BTreeMap::new();
    for service in forecast(plan).services {
        let planned = plan.services.get(&service.service);
        // Of a service with several hosts, the others serve meanwhile.
        let alone = planned.filter(|planned| planned.hosts.len() == 1);
        let Some(budget) = alone.and_then(|planned| planned.window) else {
            continue;
        };
        for window in service.hosts {
            let of_host = windows.entry(window.host.clone()).or_default();
            of_host.push((window, budget));
        }
    }
    let mut out = Vec::new();
    for (host, lane) in lanes(schedule(plan)) {
        let point = lane
            .iter()
            .position(|placement| is_no_return(placement.step));
        let Some((point, at)) = point.and_then(|point| Some((lane.get(point)?, point))) else {
            continue;
        };
        let before = lane.get(..at).unwrap_or_default();
        let back_over = |steps: &[Placement<'_>]| {
            let lengths = steps.iter().map(|p| back_length(plan, p.step, p.host));
            lengths.fold(Span::default(), Span::plus)
        };
        let turn = |window| TurnBack {
            step: point.step.id.clone(),
            host: host.clone(),
            begins: point.begins,
            way_back: back_over(before),
            window,
        };
        let mut of_windows = Vec::new();
        for (window, budget) in windows.get(host).into_iter().flatten() {
            let within = window.begins <= point.begins && point.begins < window.ends();
            if !within {
                continue;
            }
            let since_open = before.iter().position(|p| p.step.id == window.from_step);
            let steps = since_open.and_then(|first| before.get(first..));
            let way_back = back_over(steps.unwrap_or_default());
            of_windows.push(turn(Some(WindowTurn {
                service: window.service.clone(),
                budget: *budget,
                reached_after: point.begins.less(window.begins),
                until: (way_back <= *budget).then(|| budget.less(way_back)),
            })));
        }
        if of_windows.is_empty() {
            of_windows.push(turn(None));
        }
        out.extend(of_windows);
    }
    out.sort_by(|a, b| (a.begins, &a.host, &a.step).cmp(&(b.begins, &b.host, &b.step)));
    out
}
